"""What a user says of a service: each setting declared once; `limbeck serve` derives its options from it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from limbeck.core.options import Count, Doc, Precision, check_settings


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Where a service listens, how it scores, and what it takes."""

    host: Annotated[str, Doc("Address to listen on; 0.0.0.0 opens it to other machines.")] = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535), Doc("Port to listen on.")] = 8000
    name: Annotated[str | None, Doc("Model name in answers (default: the model's folder or id).")] = None
    long: Annotated[
        Literal["truncate", "max-passage"],
        Doc("Passages longer than the model reads: cut, or scored in windows of which the best counts."),
    ] = "truncate"
    precision: Annotated[Precision, Doc("Number format of matrix products.")] = "fp32"
    token_budget: Annotated[Count, Doc("Maximum number of tokens scored in one turn, across requests.")] = 16384
    queue_pairs: Annotated[
        Count, Doc("Maximum number of pairs in the queue; beyond it a request is answered with 429.")
    ] = 20_000
    max_body: Annotated[int, Ge(1024), Doc("Largest request in bytes; a larger one is answered with 413.")] = 32_000_000

    def __post_init__(self) -> None:
        check_settings(self)
