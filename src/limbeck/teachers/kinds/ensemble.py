"""The kind `ensemble`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from limbeck.core.errors import UsageError
from limbeck.core.options import Count, Doc, Precision, check_settings
from limbeck.teachers.kinds import Names, Taught, Workplace

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run


@dataclass(frozen=True, kw_only=True)
class EnsembleTeacher:
    """Average the scores of cross-encoders. Each member's are kept: only what is new is scored the next time."""

    gives: ClassVar[Literal["scores", "order", "grades"]] = "scores"
    keeps: ClassVar[Literal["embeddings", "scores", "calls"]] = "scores"

    model: Annotated[
        tuple[str, ...], Doc("Cross-encoder: folder, Hub id or package:NAME/PATH; give it once for each member.")
    ]
    combine: Annotated[
        Literal["mean", "standardised"], Doc("Mean of the scores as they are, or standardised per query first.")
    ] = "mean"
    max_length: Annotated[Count | None, Doc("Longest pair in tokens; default: each model's own.")] = None
    precision: Annotated[Precision, Doc("Number format of matrix products.")] = "fp32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", tuple(self.model))
        check_settings(self)
        if len(set(self.model)) < len(self.model):
            raise UsageError("names a cross-encoder twice; expected each once")

    @property
    def models(self) -> tuple[str, ...]:
        return self.model

    def describe(self, names: Names) -> dict[str, Any]:
        weights = [names.weights(model) for model in self.model]
        described = {"ensemble": weights, "combine": self.combine, "max_length": self.max_length}
        return described if self.precision == "fp32" else {**described, "precision": self.precision}

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        from limbeck.teachers import ensemble_scores

        found = ensemble_scores(
            [place.names.model_name(model) for model in self.model], collection, candidates, place.scores,
            self.combine, self.precision, self.max_length, place.console,
        )  # fmt: skip
        return Taught(" + ".join(found.versions), found.scores, {**found.details, "combine": self.combine})


TEACHER = EnsembleTeacher
