"""Kinds of teachers: each is a verb of `limbeck teach` and a key in a study; a module's `TEACHERS` names its own.

Those that score every candidate with models in this process are here: `biencoder`, `ensemble` and `pointwise`. A kind
declares what a user sets (`limbeck.core.options`) and how it teaches; options, keys, checks, and what decides its
signals derive from it. Nothing here imports torch before a teacher is at work.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from annotated_types import Ge

from limbeck.core.errors import UsageError
from limbeck.core.options import Amount, Count, Doc, Precision, Rate, check_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm import Outcome


Gives = Literal["scores", "order", "grades"]
Keeps = Literal["embeddings", "scores", "calls"]


class Names(Protocol):
    """What the names that a user gives stand for."""

    def model_name(self, name: str) -> str:
        """A model as it is to be loaded."""

    def weights(self, name: str) -> str:
        """What stands for a model's weights."""

    def file(self, name: str) -> Path:
        """A file."""


class AsGiven:
    """Names of a command line: as they are."""

    def model_name(self, name: str) -> str:
        return name

    def weights(self, name: str) -> str:
        return name

    def file(self, name: str) -> Path:
        return Path(name)


@dataclass(frozen=True)
class Workplace:
    """Where a teacher works.

    Attributes:
        scores: folder of the scores that are kept.
        calls: file of the calls that are kept.
        console: where progress is shown.
        warn: told what a user should know.
        names: what the names in its settings stand for.
    """

    scores: Path
    calls: Path
    console: "Console"
    warn: Callable[[str], None]
    names: Names


@dataclass(frozen=True)
class Taught:
    """What a teacher gave.

    Attributes:
        teacher: its name.
        signals: query id → values [candidates] of what it `gives`: scores, places from the end, or grades, of which -1
            stands for none. Queries without any are left out.
        details: of how they came about, for lists' metadata.
        outcome: how an LLM's work went; `facts` in a sentence.
    """

    teacher: str
    signals: "Mapping[str, NDArray[np.floating[Any]]]"
    details: dict[str, str]
    outcome: "Outcome | None" = None
    facts: str = ""


class Teacher(Protocol):
    """A teacher as a user sets it: a declaration whose `model` names what teaches.

    Attributes:
        gives: its signal. Scores imply an order; grades are labels.
        keeps: what of its work is kept, and where: embeddings in the cache, scores in a folder, calls in a file.
    """

    gives: ClassVar[Gives]
    keeps: ClassVar[Keeps]

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are loaded in this process."""

    def describe(self, names: Names) -> dict[str, Any]:
        """What decides its signals, as plain values. LimbeckError for what is not there, or cannot be."""

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        """Its signals of a run's candidates. What was kept before is not made again.

        Raises what loading its models, and an LLM's work, raise.
        """


SIGNALS: dict[Gives, frozenset[str]] = {
    "scores": frozenset({"teacher_scores", "teacher_order"}),
    "order": frozenset({"teacher_order"}),
    "grades": frozenset({"labels"}),
}
"""What a teacher gives → the signals of its lists."""


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What all of them have: the candidates' own scores may be taught beside the teacher's."""

    run_weight: Annotated[
        Amount, Doc("Weight of the candidates' own scores, stretched to the range of the teacher's and added to them.")
    ] = 0.0

    def with_weight(self, described: dict[str, Any]) -> dict[str, Any]:
        """What decides a teacher's signals, the weight included where there is one."""
        return {**described, "run_weight": self.run_weight} if self.run_weight else described

    def taught(
        self,
        teacher: str,
        scores: "Mapping[str, NDArray[np.floating[Any]]]",
        candidates: "Run",
        details: dict[str, str],
    ) -> Taught:
        """A teacher's scores of a run's candidates, query id → [passages], with the run's own added in each query."""
        if not self.run_weight:
            return Taught(teacher, scores, details)
        found = {}
        for query_id, own in scores.items():
            others = candidates[query_id].scores / 2  # differences of the largest floats are no floats
            above = (others - others.min()) / (others[0] - others[-1] or 1.0)
            found[query_id] = (own + self.run_weight * (own.max() - own.min()) * above).astype(own.dtype)
        return Taught(teacher, found, {**details, "run_weight": repr(self.run_weight)})


@dataclass(frozen=True, kw_only=True)
class BiEncoderTeacher(Scorer):
    """Score a run's candidates with a bi-encoder: cosine of query and passage. Embeddings are kept in the cache."""

    gives: ClassVar[Gives] = "scores"
    keeps: ClassVar[Keeps] = "embeddings"

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
        return self.with_weight({"weights": names.weights(self.model), "scale": self.scale, **cut})

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        from limbeck.teachers import BiEncoder, biencoder_scores

        encoder = BiEncoder.load(place.names.model_name(self.model))
        encoder = replace(encoder, max_length=encoder.shortened(self.max_length))
        details = {"teacher_version": encoder.version, "teacher_scale": repr(self.scale), **_stated(self.max_length)}
        scores = biencoder_scores(encoder, collection, candidates, self.scale, place.console)
        return self.taught(encoder.name, scores, candidates, details)


@dataclass(frozen=True, kw_only=True)
class EnsembleTeacher(Scorer):
    """Average the scores of cross-encoders. Each member's are kept: only what is new is scored the next time."""

    gives: ClassVar[Gives] = "scores"
    keeps: ClassVar[Keeps] = "scores"

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
        return self.with_weight(described if self.precision == "fp32" else {**described, "precision": self.precision})

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        from limbeck.teachers import ensemble_scores

        found = ensemble_scores(
            [place.names.model_name(model) for model in self.model], collection, run=candidates, folder=place.scores,
            combine=self.combine, precision=self.precision, max_length=self.max_length, console=place.console,
        )  # fmt: skip
        details = {**found.details, "combine": self.combine, **_stated(self.max_length)}
        return self.taught(" + ".join(found.versions), found.scores, candidates, details)


@dataclass(frozen=True, kw_only=True)
class PointwiseTeacher(Scorer):
    """Score each candidate with a language model in process: the logit of yes less that of no. Scores are kept."""

    gives: ClassVar[Gives] = "scores"
    keeps: ClassVar[Keeps] = "scores"

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
        return self.with_weight({"pointwise": model, **settings})

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
        return self.taught(teacher.name, found, candidates, details)


def _stated(max_length: int | None) -> dict[str, str]:
    """A length that was asked for, for lists' metadata; the models' own are theirs to tell."""
    return {} if max_length is None else {"max_length": str(max_length)}


TEACHERS: dict[str, type[Teacher]] = {
    "biencoder": BiEncoderTeacher,
    "ensemble": EnsembleTeacher,
    "pointwise": PointwiseTeacher,
}


def teacher_kinds() -> dict[str, type[Teacher]]:
    """Every kind of teacher by its name, in order."""
    return _kinds(tuple(sys.modules[__name__].__path__))


@cache
def _kinds(folders: tuple[str, ...]) -> dict[str, type[Teacher]]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(folders))
    return dict(sorted([*TEACHERS.items(), *(each for module in modules for each in module.TEACHERS.items())]))
