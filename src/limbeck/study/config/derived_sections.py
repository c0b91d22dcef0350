"""Sections of a study file that are another thing's settings: first stages, fusions and teachers, by their kinds."""

import dataclasses
from dataclasses import MISSING
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, Field, create_model

from limbeck.core.schema import Section
from limbeck.retrieval import BM25, Dense, Splade
from limbeck.runs import Fusion
from limbeck.teachers.kinds import Teacher as DeclaredTeacher
from limbeck.teachers.kinds import teacher_kinds


def _or_none(value: Any) -> Any:
    """YAML reads `off` and `no` as false, and `none` as a word."""
    return None if value is False or value == "none" else value


def as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def section_of(declared: type, name: str, base: type[Section] = Section) -> Any:
    """The section of a dataclass's fields, under their names, types and defaults; of `base`, those beside them."""
    fields: dict[str, Any] = {}
    hints = get_type_hints(declared, include_extras=True)
    for field in dataclasses.fields(declared):
        hint = hints[field.name]
        if type(None) in get_args(hint):
            hint = Annotated[hint, BeforeValidator(_or_none)]
        elif get_origin(hint) is tuple:
            hint = Annotated[hint, BeforeValidator(as_tuple)]
        fields[field.name] = (hint, ... if field.default is MISSING else field.default)
    return create_model(name, __base__=base, **fields)


class _Encoder(Section):
    """What a first stage that loads a model has beside its settings: weights that are local may be pinned."""

    sha256: str | None = None
    if TYPE_CHECKING:
        model: str
        max_length: int | None


class _Fused(Section):
    """What is fused: other first stages, each retrieved to the depth that is asked of it."""

    stages: list[str]
    if TYPE_CHECKING:
        method: str
        k: float
        weights: tuple[float, ...]


if TYPE_CHECKING:
    BM25Parameters = Section
    SpladeParameters = _Encoder
    DenseParameters = _Encoder
    FusionParameters = _Fused
else:
    BM25Parameters = section_of(BM25, "BM25Parameters")
    SpladeParameters = section_of(Splade, "SpladeParameters", _Encoder)
    DenseParameters = section_of(Dense, "DenseParameters", _Encoder)
    FusionParameters = section_of(Fusion, "FusionParameters", _Fused)


class FirstStage(Section):
    """One kind of first stage; `runs` are given ones, a run file for each collection."""

    bm25: BM25Parameters | None = None
    splade: SpladeParameters | None = None
    dense: DenseParameters | None = None
    fuse: FusionParameters | None = None
    runs: dict[str, str] | None = None

    @property
    def encoder(self) -> SpladeParameters | DenseParameters | None:
        """The section that names a model."""
        return self.splade or self.dense


class TeacherSection(Section):
    """One kind of teacher: its kind's name, which names what teaches, and what that kind declares."""

    sha256: str | None = None

    @property
    def kinds(self) -> list[str]:
        """The kinds that it names; one, in a study that is right."""
        return [kind for kind in teacher_kinds() if getattr(self, kind)]

    @property
    def declared(self) -> DeclaredTeacher:
        """The teacher. UsageError for what its kind refuses."""
        kind = teacher_kinds()[self.kinds[0]]
        values = {name: getattr(self, name) for name in (self.model_fields_set & keys_of(kind)) - {"sha256"}}
        return kind(**{"model": getattr(self, self.kinds[0]), **values})

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are loaded in this process."""
        return self.declared.models


def keys_of(kind: type[DeclaredTeacher]) -> frozenset[str]:
    """The keys that go with a kind of teacher, beside its name."""
    found = {field.name for field in dataclasses.fields(kind)} - {"model"}  # type: ignore[arg-type]  # a dataclass
    # Weights of one model, which are local.
    return frozenset(found | ({"sha256"} if kind.keeps == "embeddings" else set()))


def teacher_section() -> type[TeacherSection]:
    """The section of all kinds of teachers that there are."""
    fields: dict[str, Any] = {}
    for name, kind in teacher_kinds().items():
        hints = get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # likewise
            if field.name == "model":
                several = get_origin(get_args(hints["model"])[0]) is tuple
                fields[name] = (list[str], Field(default_factory=list)) if several else (str, "")
            elif field.name not in fields:
                factory = field.default_factory
                fields[field.name] = (hints[field.name], field.default if factory is MISSING else factory())
    return create_model("Teacher", __base__=TeacherSection, **fields)


if TYPE_CHECKING:
    Teacher = TeacherSection
else:
    Teacher = teacher_section()
