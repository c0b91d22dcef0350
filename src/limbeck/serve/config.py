"""What a user says of a service and its measurement: each setting declared once; verbs derive their options from it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from limbeck.core.options import Count, Doc, Precision, Rate, check_settings

Form = Literal["fp32", "bf16", "fp16", "onnx", "onnx-int8"]


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


@dataclass(frozen=True, kw_only=True)
class LatencySettings:
    """What is measured, and for how long."""

    passages: Annotated[tuple[Count, ...], Doc("Passages re-ranked for a query; once for each number.")] = (10, 30, 100)
    threads: Annotated[
        tuple[Count, ...], Doc("Threads on the CPU; once for each number (default: 1, and as many as there are cores).")
    ] = ()
    form: Annotated[
        tuple[Form, ...],
        Doc("fp32, bf16, fp16, onnx, onnx-int8; once for each (default: all but fp16, and no bf16 that is emulated)."),
    ] = ()
    seconds: Annotated[Rate, Doc("Timed for each number of passages, but 8 queries at least.")] = 5.0

    def __post_init__(self) -> None:
        check_settings(self)
