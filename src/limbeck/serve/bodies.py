"""Bodies of requests and answers, in the shapes that re-rank clients send and read.

One answer serves Cohere's, Jina's, vLLM's and Infinity's clients (`results`); Voyage's (`data`) and TEI's (a bare list)
are told by what the request holds.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, ValidationError
from typing_extensions import TypeAliasType

from limbeck.core.errors import UsageError

Body = TypeVar("Body", bound="_Body")
Text = str | dict[str, Any]
Texts = TypeAliasType("Texts", Annotated[list[str], FailFast()])
"""The first fault alone is told: a body may hold millions of them."""


class _Body(BaseModel):
    """A request. A null counts as left out; what is not known is passed over, as clients send settings of their own."""

    model_config = ConfigDict(extra="ignore", strict=True)

    raw_scores: bool = False
    long: str | None = Field(None, pattern="^(truncate|max-passage)$")

    @classmethod
    def of(cls: type[Body], values: Any) -> Body:
        """A body from plain JSON values. UsageError says which key is wrong and what was expected."""
        if not isinstance(values, dict):
            raise UsageError("the body is no JSON object; expected one with query and documents")
        try:
            return cls.model_validate({key: value for key, value in values.items() if value is not None})
        except ValidationError as error:
            faults = []
            for fault in error.errors(include_url=False):
                place = ".".join(
                    str(part) for part in fault["loc"] if part not in ("str", "dict[str,any]", "list[str]")
                )
                faults.append(f"{place}: {str(fault['msg']).removeprefix('Value error, ')}")
            raise UsageError("; ".join(dict.fromkeys(faults))) from None


def _not_empty(query: str) -> str:
    if not query.strip():
        raise ValueError("it is empty; expected the text of a query")
    return query


Query = Annotated[str, AfterValidator(_not_empty)]


class RerankBody(_Body):
    """Cohere's v1 and v2, Jina's, vLLM's, Infinity's and Voyage's (`top_k`, `truncation`) request."""

    query: Query
    documents: Annotated[list[Text], FailFast()] = Field(min_length=1)
    top_n: int | None = Field(None, ge=1)
    top_k: int | None = Field(None, ge=1)
    return_documents: bool = False
    rank_fields: Texts = Field(["text"], min_length=1)
    truncation: bool = True

    def texts(self) -> list[str]:
        """The documents' texts: of objects, the fields named by `rank_fields`, joined by a blank."""
        return [self._text(number, document) for number, document in enumerate(self.documents)]

    def _text(self, number: int, document: Text) -> str:
        if isinstance(document, str):
            return document
        found = [document.get(name) for name in self.rank_fields]
        if not any(isinstance(value, str) for value in found):
            raise UsageError(
                f"documents.{number}: an object without the text of {', '.join(self.rank_fields)}; expected a string, "
                'or an object such as {"text": "…"}'
            )
        return " ".join(value for value in found if isinstance(value, str))


class TextsBody(_Body):
    """TEI's request."""

    query: Query
    texts: Texts = Field(min_length=1)
    return_text: bool = False
    truncate: bool = True


class ScoreBody(_Body):
    """vLLM's score request: one text or several against as many, or one against many."""

    text_1: str | Texts | None = None
    text_2: str | Texts | None = None
    queries: str | Texts | None = None
    documents: str | Texts | None = None

    def pairs(self) -> tuple[list[str], list[str]]:
        """Queries (one, or as many as passages) and passages. UsageError where they do not fit."""
        sides = [self.text_1 if self.queries is None else self.queries]
        sides.append(self.text_2 if self.documents is None else self.documents)
        if any(side is None for side in sides):
            raise UsageError("expected text_1 and text_2 (or queries and documents)")
        queries, passages = ([side] if isinstance(side, str) else list(side or ()) for side in sides)
        if not passages or len(queries) not in (1, len(passages)):
            raise UsageError(
                f"{len(queries)} queries and {len(passages)} passages; expected one query, or as many as passages"
            )
        return queries, passages


def ranked(scores: NDArray[np.floating[Any]], top: int | None) -> list[int]:
    """Indices of the passages, best first; of equal scores the earlier first; NaN never comes up here."""
    return [int(index) for index in np.argsort(-scores, kind="stable")[:top]]


def rerank_answer(
    body: RerankBody, model: str, scores: NDArray[np.floating[Any]], tokens: int, meta: Mapping[str, Any], voyage: bool
) -> dict[str, Any]:
    """The answer to a re-rank request."""
    order = ranked(scores, body.top_n or body.top_k)
    results: list[dict[str, Any]] = [{"index": index, "relevance_score": float(scores[index])} for index in order]
    if body.return_documents:
        texts = body.texts()
        for result in results:
            text, given = texts[result["index"]], body.documents[result["index"]]
            result["document"] = text if voyage else {"text": text} if isinstance(given, str) else given
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    if voyage:
        return {"object": "list", "data": results, "model": model, "usage": usage, "meta": meta}
    return {"object": "rerank", **_stamp("rerank", model), "results": results, "usage": usage, "meta": meta}


def texts_answer(body: TextsBody, scores: NDArray[np.floating[Any]]) -> list[dict[str, Any]]:
    """The answer to TEI's request."""
    return [
        {"index": index, "score": float(scores[index]), **({"text": body.texts[index]} if body.return_text else {})}
        for index in ranked(scores, None)
    ]


def score_answer(model: str, scores: Sequence[float], tokens: int, meta: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a score request, in the request's order."""
    data = [{"index": index, "object": "score", "score": float(score)} for index, score in enumerate(scores)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", **_stamp("score", model), "data": data, "usage": usage, "meta": meta}


def _stamp(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"{kind}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
