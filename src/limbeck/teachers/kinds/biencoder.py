"""The kind `biencoder`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from limbeck.core.options import Doc, Rate, check_settings
from limbeck.teachers.kinds import Names, Taught, Workplace

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run


@dataclass(frozen=True, kw_only=True)
class BiEncoderTeacher:
    """Score a run's candidates with a bi-encoder: cosine of query and passage. Embeddings are kept in the cache."""

    gives: ClassVar[Literal["scores", "order", "grades"]] = "scores"
    keeps: ClassVar[Literal["embeddings", "scores", "calls"]] = "embeddings"

    model: Annotated[str, Doc("sentence-transformers checkpoint: folder, Hub id or package:NAME/PATH.")]
    scale: Annotated[Rate, Doc("Factor that the cosine is multiplied by.")] = 1.0

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def describe(self, names: Names) -> dict[str, Any]:
        return {"weights": names.weights(self.model), "scale": self.scale}

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        from limbeck.teachers import BiEncoder, biencoder_scores

        encoder = BiEncoder.load(place.names.model_name(self.model))
        details = {"teacher_version": encoder.version, "teacher_scale": repr(self.scale)}
        scores = biencoder_scores(encoder, collection, candidates, self.scale, place.console)
        return Taught(encoder.name, scores, details)


TEACHER = BiEncoderTeacher
