"""The study file's sections, keys and types. What refers to what is checked in `checks`."""

import dataclasses
from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, Field, create_model

from limbeck.collections import expand_suites
from limbeck.core.options import Amount, Count, Declared, Doc, Precision, Rate, settings_of
from limbeck.core.schema import Section
from limbeck.study.config.backbones import with_known
from limbeck.study.config.known_downloads import SPECIAL
from limbeck.teachers.kinds import Teacher as DeclaredTeacher
from limbeck.teachers.kinds import teacher_kinds
from limbeck.training import config as training


def listed(value: Any) -> Any:
    """One name stands for a list of it."""
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(listed), Field(min_length=1)]


def _or_none(value: Any) -> Any:
    """YAML reads `off` and `no` as false, and `none` as a word."""
    return None if value is False or value == "none" else value


class BM25Parameters(Section):
    """As of `limbeck.retrieval.BM25`."""

    k1: float = 0.9
    b: float = 0.4
    stemmer: Annotated[str | None, BeforeValidator(_or_none)] = "english"
    stopwords: Annotated[str | None, BeforeValidator(_or_none)] = "english"
    tokenizer: Literal["script", "words", "whitespace"] = "script"


class SpladeParameters(Section):
    """As of `limbeck.retrieval.Splade`."""

    model: str
    max_length: Count | None = None
    sha256: str | None = None


class DenseParameters(Section):
    """As of `limbeck.retrieval.Dense`."""

    model: str
    similarity: Literal["cosine", "dot"] | None = None
    max_length: Count | None = None
    sha256: str | None = None


class FusionParameters(Section):
    """As of `limbeck.runs.Fusion`, of other first stages, each retrieved to the depth that is asked of it."""

    stages: list[str]
    method: Literal["rrf", "interpolate"] = "rrf"
    k: Amount = 60
    weights: list[Amount] = Field(default_factory=list)


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
    found = {field.name for field in dataclasses.fields(kind)} - {"model"}  # type: ignore[arg-type]
    # Weights of one model, which are local.
    return frozenset(found | ({"sha256"} if kind.keeps == "embeddings" else set()))


def teacher_section() -> type[TeacherSection]:
    """The section of all kinds of teachers that there are."""
    fields: dict[str, Any] = {}
    for name, kind in teacher_kinds().items():
        hints = get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
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


def _expanded(value: Any) -> Any:
    """Suites stand for their members."""
    names = list(value) if isinstance(value, tuple) else listed(value)
    return expand_suites(names) if isinstance(names, list) and all(isinstance(n, str) for n in names) else names


def _all_of(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _counted(value: Any) -> Any:
    """A number n stands for the seeds 1 to n."""
    return list(range(1, value + 1)) if type(value) is int and 1 <= value <= 10_000 else value


def _by_collection(value: Any) -> Any:
    """One file stands for the only training collection's."""
    return {"": value} if isinstance(value, str) else value


TestNames = Annotated[list[str], BeforeValidator(_expanded), Field(min_length=1)]
ValidationNames = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: _all_of(_expanded(value))), Field(min_length=1)
]


class Collections(Section):
    """What is trained on, and what is tested on; suites of `limbeck.collections.suites` stand for their members.

    Attributes:
        own_document: of collections whose queries are documents too (ArguAna, Quora): `remove` a query's own document
            from its ranking, or `keep` it, as arXiv 2603.03010 does. In candidates, validation and tests alike.
        relevance: the smallest grade that counts as relevant in binary measures, for all collections; None: as each
            one's publishers say (2 for TREC-DL, else 1).
    """

    train: Names
    test: TestNames
    own_document: Literal["remove", "keep"] = "remove"
    relevance: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Backbone(training.Backbone):
    """A model to train. Where `model` is left out, the key is the name of a known backbone (`config/backbones.yaml`).

    A known backbone gives `model`, `learning_rate`, `batch` and `precisions`.
    """

    model: Annotated[str, Doc("Folder, Hub id or package:NAME/PATH.")] = ""
    like: Annotated[
        str | None, Doc("Known backbone that it is built like, to plan and rehearse a model that is not here.")
    ] = None
    learning_rate: Annotated[Rate | None, Doc("Peak learning rate of stages that state none.")] = None
    batch: Annotated[Count | None, Doc("Triples of a step, from which batch_divisor makes lists per step.")] = None
    precisions: Annotated[
        tuple[str, ...] | None, Doc("Precisions in which it may be trained and run (default: any).")
    ] = None

    def trained_from(self, model: str) -> training.Backbone:
        """What a training is told of it; `model` is where it was found."""
        settings = {setting.name: getattr(self, setting.name) for setting in settings_of(training.Backbone)}
        return training.Backbone(**{**settings, "model": model})


def longest_pair(backbone: Backbone) -> int:
    """The longest pair that a backbone is given, in tokens, special ones included."""
    if backbone.pair_tokens is not None:
        return backbone.pair_tokens
    return backbone.query_tokens + (backbone.passage_tokens or 0) + SPECIAL


class ListSource(Section):
    """Where training lists come from: a run's candidates with signals added, a published file, or ready lists.

    Attributes:
        format: `run`, `limbeck` (ready lists), or another one of `limbeck.lists.format_names`.
        collections: the training collections to make lists of, all of them by default.
        signal: of a run, its order as a teacher's, or its scores and their order. Other formats have their own signals.
        add_positives: whether judged positives that the candidates lack are added; with labels as the only signal.
        corpus_negatives: so many random passages of the collection behind each list's own, the same in each epoch;
            `sample: {depth: …, random: …}` draws from them. With labels of judgments as the only published signal; a
            teacher scores them too.
        url: where `limbeck study fetch` gets the file; published ones are known by their names, and need none.
        checksum: MD5 or SHA-256 of the file.
        sample: how passages are drawn: keys of `limbeck.lists.Sample`, or the name of a published policy.
    """

    format: str
    collections: Names | None = None
    path: Annotated[dict[str, str] | None, BeforeValidator(_by_collection)] = None
    first_stage: str | None = None
    depth: Count | None = None
    labels: Literal["qrels"] | None = None
    add_positives: bool = True
    corpus_negatives: Count | None = None
    signal: Literal["order", "scores"] | None = None
    teacher: str | None = None
    url: str | None = None
    checksum: str | None = None
    sample: dict[str, Any] | str = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stage(training.StageSettings):
    """One objective on one list source, for as long as `steps`, `epochs` or `pairs` say."""

    batch_divisor: Annotated[
        Count | None, Doc("Instead of lists_per_step: the backbone's batch divided by this; 8 for a list of 8 triples.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Validation(training.ValidationSettings):
    """What chooses the checkpoint."""

    collections: Annotated[ValidationNames, Doc("Collections with held-out queries, or suites of them.")]
    first_stage: Annotated[str | None, Doc("First stage of the candidates (default: the evaluation's).")] = None
    allow_test_queries: Annotated[
        bool, Doc("Let test queries choose, with a warning: arXiv 2603.03010 does, NanoBEIR being a part of BEIR.")
    ] = False


class Evaluation(Section):
    """How every cell is tested.

    `margin`, in the first measure's unit and chosen beforehand: recipes that differ by less are as good as each other.
    """

    first_stage: str = "bm25"
    depth: Count = 100
    measures: Names = Field(default_factory=lambda: ["nDCG@10"])
    precision: Precision = "fp32"
    margin: Rate | None = None


class Resources(Section):
    """What one node takes of a machine.

    Attributes:
        gpus: of each process, or a share of one (.25) for nodes that leave it idle; left out: one where there is one
            and the node has a model to run.
        cpus: of each process; the threads that torch uses.
        memory: in all, as Slurm writes it: 500M, 64G.
        hours: after which a scheduler may stop it; it goes on where it was.
        processes: that train a cell together.
        partition, account, constraint: as Slurm knows them.
    """

    gpus: Annotated[int, Field(ge=0)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    cpus: Count | None = None
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*[MGT]$")] | None = None
    hours: Rate | None = None
    processes: Count = 1
    partition: str | None = None
    account: str | None = None
    constraint: str | None = None


class Compute(Section):
    """What nodes take, by their kind; what a kind leaves out is the default's.

    Attributes:
        flops_per_second: of one GPU (or process), as in 2.0e14: from it come the hours of every node.
    """

    default: Resources = Resources()
    encode: Resources = Resources()
    run: Resources = Resources()
    teach: Resources = Resources()
    lists: Resources = Resources()
    leaks: Resources = Resources()
    prefix: Resources = Resources()
    cell: Resources = Resources()
    score: Resources = Resources()
    evaluate: Resources = Resources()
    flops_per_second: Rate | None = None

    def of(self, kind: str) -> Resources:
        """The resources of a kind of node."""
        own: Resources = getattr(self, kind)
        return Resources(**self.default.model_dump(exclude_unset=True) | own.model_dump(exclude_unset=True))


class StudyConfig(Section):
    """A whole study file; `rehearsal` says that it is one in miniature, whose values mean nothing."""

    name: Annotated[str, Field(min_length=1)]
    rehearsal: bool = False
    collections: Collections
    first_stages: dict[str, FirstStage] = Field(default_factory=dict)
    teachers: dict[str, Teacher] = Field(default_factory=dict)
    backbones: Annotated[dict[str, Declared[Backbone]], BeforeValidator(with_known), Field(min_length=1)]
    lists: Annotated[dict[str, ListSource], Field(min_length=1)]
    recipes: Annotated[dict[str, Annotated[list[Declared[Stage]], Field(min_length=1)]], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], BeforeValidator(_counted), Field(min_length=1)] = (
        Field(default_factory=lambda: [1])
    )
    optimizer: Declared[training.Settings] = training.Settings()
    validation: Declared[Validation] | None = None
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()
