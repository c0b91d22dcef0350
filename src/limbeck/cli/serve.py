"""The verb that serves a model over HTTP."""

import os
from typing import Annotated, Any

import typer

from limbeck.core.errors import MissingError, UsageError
from limbeck.core.options import Options, with_options
from limbeck.serve.config import ServeSettings


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("serve")(serve)


@with_options(settings=Options(declaration=ServeSettings))
def serve(
    *,
    model: Annotated[str, typer.Argument(help="Cross-encoder: folder, Hub id or package:NAME/PATH.")],
    settings: dict[str, Any],
    key: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="Environment variable with the key that requests must bear.")
    ] = None,
) -> None:
    """Serve a cross-encoder to re-rank clients: Cohere's, Jina's, vLLM's, Infinity's, TEI's and Voyage's.

    POST /v1/rerank, /v2/rerank, /rerank and /v1/score; GET /v1/models, /health and /metrics. SIGTERM answers what
    waits, then ends.
    """
    try:
        import prometheus_client  # noqa: F401
        import uvicorn

        from limbeck.serve.app import create_app
    except ModuleNotFoundError as error:
        raise MissingError(f"serving needs the package {error.name}: pip install 'limbeck[serve]'") from None
    from limbeck.models.cross_encoder import CrossEncoder

    chosen = ServeSettings(**settings)
    if key is not None and not os.environ.get(key):
        raise UsageError(f"--key {key}: the environment has no such variable, or it is empty; export {key}=…")
    application = create_app(CrossEncoder.load(model), chosen, key and os.environ[key])
    uvicorn.run(application, host=chosen.host, port=chosen.port, log_level="info", timeout_graceful_shutdown=60)
