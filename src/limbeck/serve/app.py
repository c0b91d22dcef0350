"""The service: routes, limits, and errors as clients understand them."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import LimbeckError, UsageError, plural
from limbeck.core.json_files import parse_json
from limbeck.models.cross_encoder import CrossEncoder, probabilities
from limbeck.serve.bodies import RerankBody, ScoreBody, TextsBody, rerank_answer, score_answer, texts_answer
from limbeck.serve.config import ServeSettings
from limbeck.serve.scorer import QueueFull, Scorer, Scores

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_log = logging.getLogger("uvicorn.error")
GIVEN_UP_SECONDS = 0.1  # how often it is asked whether a client is still there
BODY_SECONDS = 60.0  # that a client has to send its request
HEARD_BODIES = 8  # as many times the limit of a body are heard to their end, as most clients read no answer before


def create_app(encoder: CrossEncoder, settings: ServeSettings, key: str | None = None) -> "Starlette":
    """The service of one model as an ASGI application; with a `key`, requests need it as their bearer token."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    scorer = Scorer(encoder, settings.precision, settings.token_budget, settings.queue_pairs)
    name = settings.name or encoder.source.name
    registry = CollectorRegistry()
    requests = Counter("limbeck_requests", "Requests by route and status.", ("route", "status"), registry=registry)
    seconds = Histogram("limbeck_request_seconds", "Seconds to an answer, by route.", ("route",), registry=registry)
    pairs_scored = Counter("limbeck_pairs_scored", "Pairs scored.", registry=registry)
    pairs_cut = Counter("limbeck_pairs_cut", "Pairs that lost tokens.", registry=registry)
    Gauge("limbeck_pairs_waiting", "Pairs in the queue.", registry=registry).set_function(lambda: scorer.waiting)

    def failure(status: int, message: str, **headers: str) -> JSONResponse:
        kind = "invalid_request_error" if status < 500 else "server_error"
        error = {"message": message, "type": kind, "code": status}
        return JSONResponse({"message": message, "detail": message, "error": error}, status, headers)

    async def values_of(request: "Request") -> Any:
        too_large = _Refused(413, f"the body is larger than {settings.max_body:,} bytes")
        size, chunks, most = 0, [], HEARD_BODIES * settings.max_body
        if int(request.headers.get("content-length", 0)) > most:
            raise too_large
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= settings.max_body:
                        chunks.append(chunk)
                    elif size > most:
                        raise too_large
        except TimeoutError:
            raise _Refused(408, f"the body did not come within {BODY_SECONDS:g} s") from None
        if size > settings.max_body:
            raise too_large
        return await asyncio.to_thread(parse_json, b"".join(chunks), "the body")

    async def scored(request: "Request", queries: Sequence[str], passages: Sequence[str], long: str | None) -> Scores:
        windows = (long or settings.long) == "max-passage"
        prepared = await asyncio.to_thread(scorer.prepare, queries, passages, windows)
        future = scorer.submit(prepared)
        found = await _unless_given_up(request, future)
        pairs_scored.inc(len(prepared.lengths))
        pairs_cut.inc(found.cuts.pairs)
        return found

    def meta_of(found: Scores, raw: bool) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": 1},
            "scores": "raw" if raw else "calibrated" if encoder.calibration else "sigmoid",
        }
        warnings = []
        if found.cuts.queries:
            warnings.append(f"the query was cut to {encoder.query_tokens} tokens")
        if found.cuts.passages:
            limit = f"{encoder.max_length} tokens for a pair"
            warnings.append(f"{plural(found.cuts.passages, 'passage')} cut to what fits beside the query ({limit})")
        return meta | ({"warnings": warnings} if warnings else {})

    async def rerank(request: "Request") -> "Response":
        values = await values_of(request)
        if isinstance(values, dict) and values.get("texts") is not None:
            texts = TextsBody.of(values)
            found = await scored(request, [texts.query], texts.texts, texts.long)
            _expect_uncut(texts.truncate, found)
            return JSONResponse(texts_answer(texts, _served(found, texts.raw_scores)))
        body = RerankBody.of(values)
        found = await scored(request, [body.query], body.texts(), body.long)
        _expect_uncut(body.truncation, found)
        voyage = "top_k" in values or "truncation" in values
        scores, meta = _served(found, body.raw_scores), meta_of(found, body.raw_scores)
        return JSONResponse(rerank_answer(body, name, scores, found.tokens, meta, voyage))

    async def score(request: "Request") -> "Response":
        body = ScoreBody.of(await values_of(request))
        found = await scored(request, *body.pairs(), body.long)
        scores, meta = _served(found, body.raw_scores), meta_of(found, body.raw_scores)
        return JSONResponse(score_answer(name, scores.tolist(), found.tokens, meta))

    async def models(_: "Request") -> "Response":
        served = {"id": name, "object": "model", "created": 0, "owned_by": "limbeck"}
        return JSONResponse({"object": "list", "data": [served]})

    async def health(_: "Request") -> "Response":
        return JSONResponse({"status": "ok", "model": name})

    async def metrics(_: "Request") -> "Response":
        return PlainTextResponse(generate_latest(registry), media_type="text/plain; version=0.0.4")

    def answered(endpoint: Callable[["Request"], Awaitable["Response"]], open_to_all: bool = False) -> Any:
        async def handle(request: "Request") -> "Response":
            with seconds.labels(request.url.path).time():
                response = await respond(request)
            requests.labels(request.url.path, response.status_code).inc()
            return response

        async def respond(request: "Request") -> "Response":
            given = request.headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1")
            if key and not open_to_all and not hmac.compare_digest(given, key.encode()):
                return failure(401, "this service needs its key as a bearer token (Authorization: Bearer …)")
            try:
                return await endpoint(request)
            except QueueFull as error:
                return failure(429, str(error), **{"Retry-After": str(error.retry_after)})
            except _Refused as error:
                return failure(error.status, str(error), Connection="close")
            except ClientDisconnect:
                return failure(499, "the client went away")
            except LimbeckError as error:
                return failure(400, str(error))
            except Exception:  # such as a turn without memory: clients read this answer as JSON too
                _log.exception("%s failed", request.url.path)
                return failure(500, "this request could not be scored; the service's log says why")

        return handle

    async def unknown(request: "Request", error: Exception) -> "Response":
        status = getattr(error, "status_code", 404)
        routes = "POST /v1/rerank, /v2/rerank, /rerank, /v1/score, /score; GET /v1/models, /models, /health, /metrics"
        return failure(status, f"{request.method} {request.url.path[:200]}: no such route; there are {routes}")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        yield
        await asyncio.to_thread(scorer.close)

    posts = [Route(path, answered(rerank), methods=["POST"]) for path in ("/rerank", "/v1/rerank", "/v2/rerank")]
    posts += [Route(path, answered(score), methods=["POST"]) for path in ("/score", "/v1/score")]
    gets = [Route("/v1/models", answered(models)), Route("/models", answered(models))]
    gets += [Route("/health", answered(health, True)), Route("/metrics", answered(metrics, True))]
    # Clients read every answer as JSON; the web framework's own 404 is plain text.
    return Starlette(routes=[*posts, *gets], lifespan=lifespan, exception_handlers={404: unknown, 405: unknown})


class _Refused(LimbeckError):
    """A request that is answered with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _served(found: Scores, raw: bool) -> NDArray[np.float64]:
    if not np.isfinite(found.scores).all():
        raise _Refused(
            500,
            "the model gives NaN or infinity for a pair; expected numbers: its weights are damaged, or "
            "too large for this --precision",
        )
    return found.scores.astype(np.float64) if raw else probabilities(found.scores)


def _expect_uncut(allowed: bool, found: Scores) -> None:
    if not allowed and found.cuts.pairs:
        raise UsageError(
            f"the request forbids truncation, but the model cannot read {plural(found.cuts.pairs, 'pair')} whole"
        )


async def _unless_given_up(request: "Request", future: "Future[Scores]") -> Scores:
    """The scores, unless the client goes away first: then the request leaves the queue."""
    from starlette.requests import ClientDisconnect

    waiting = asyncio.wrap_future(future)
    while True:
        done, _ = await asyncio.wait([waiting], timeout=GIVEN_UP_SECONDS)
        if done:
            return waiting.result()
        if await request.is_disconnected():
            future.cancel()
            raise ClientDisconnect
