"""The kind `biencoder`."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from limbeck.core.options import Count, Doc, Rate, check_settings
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
    max_length: Annotated[Count | None, Doc("Maximum tokens of a text (default: the model's own).")] = None

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def describe(self, names: Names) -> dict[str, Any]:
        cut = {} if self.max_length is None else {"max_length": self.max_length}
        return {"weights": names.weights(self.model), "scale": self.scale, **cut}

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        from limbeck.teachers import BiEncoder, biencoder_scores

        encoder = BiEncoder.load(place.names.model_name(self.model))
        encoder = replace(encoder, max_length=encoder.shortened(self.max_length))
        details = {"teacher_version": encoder.version, "teacher_scale": repr(self.scale)}
        scores = biencoder_scores(encoder, collection, candidates, self.scale, place.console)
        return Taught(encoder.name, scores, details)


TEACHER = BiEncoderTeacher
