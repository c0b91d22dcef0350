"""The kind `pointwise`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from limbeck.core.options import Doc, check_settings
from limbeck.teachers.kinds import Names, Taught, Workplace

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run


@dataclass(frozen=True, kw_only=True)
class PointwiseTeacher:
    """Score each candidate with a language model in process: the logit of yes less that of no. Scores are kept."""

    gives: ClassVar[Literal["scores", "order", "grades"]] = "scores"
    keeps: ClassVar[Literal["embeddings", "scores", "calls"]] = "scores"

    model: Annotated[str, Doc("Language model: folder, Hub id, package:NAME/PATH or a GGUF file.")]
    prompt: Annotated[str, Doc("qwen3_reranker, monot5 or a template's .yaml file.")] = "qwen3_reranker"
    max_length: Annotated[int, Ge(16), Doc("Longest prompt in tokens; the passage is cut.")] = 512
    precision: Annotated[Literal["fp32", "bf16"], Doc("Number format of matrix products.")] = "fp32"

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def models(self) -> tuple[str, ...]:
        return () if self.model.endswith(".gguf") else (self.model,)

    def describe(self, names: Names) -> dict[str, Any]:
        from limbeck.teachers.llm.prompts import template_of

        template = template_of(self.prompt, "yes-no", names.file)
        model = names.weights(self.model) if self.models else self.model
        settings = {"template": template.digest, "max_length": self.max_length, "precision": self.precision}
        return {"pointwise": model, **settings}

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        from limbeck.teachers import kept_scores
        from limbeck.teachers.llm import LanguageModel, Pointwise
        from limbeck.teachers.llm.prompts import template_of

        template = template_of(self.prompt, "yes-no", place.names.file)
        name = place.names.model_name(self.model) if self.models else self.model
        teacher = Pointwise(LanguageModel.load(name, self.precision), template, self.max_length)
        found = kept_scores(teacher, collection, candidates, place.scores, place.console)
        details = {"teacher_version": teacher.version, "prompt": self.prompt, "prompt_digest": template.digest,
                   "max_length": str(self.max_length), "precision": self.precision}  # fmt: skip
        cuts = teacher.cuts(collection, candidates)
        if cuts.pairs:
            details["pairs_cut"] = str(cuts)
        return Taught(teacher.name, found, details)


TEACHER = PointwiseTeacher
