"""The study file's sections, keys and types, and the backbones that it knows. What refers to what: see `checks`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from limbeck.collections import expand_suites
from limbeck.core.errors import nearest
from limbeck.core.options import Count, Declared, Doc, Precision, Rate, settings_of
from limbeck.core.schema import Section
from limbeck.core.yaml_file import read_yaml
from limbeck.study.config.derived_sections import FirstStage, Teacher, as_tuple
from limbeck.training import config as training


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence about a name that nothing has."""
    known = sorted(known)
    expected = ", ".join(known) or "one to be described"
    return f'"{name}" is no {kind} of this study; expected {expected}{nearest(name, known)}'


def listed(value: Any) -> Any:
    """One name stands for a list of it."""
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(listed), Field(min_length=1)]


def _expanded(value: Any) -> Any:
    """Suites stand for their members."""
    names = list(value) if isinstance(value, tuple) else listed(value)
    return expand_suites(names) if isinstance(names, list) and all(isinstance(n, str) for n in names) else names


def _counted(value: Any) -> Any:
    """A number n stands for the seeds 1 to n."""
    return list(range(1, value + 1)) if type(value) is int and 1 <= value <= 10_000 else value


def _by_collection(value: Any) -> Any:
    """One file stands for the only training collection's."""
    return {"": value} if isinstance(value, str) else value


TestNames = Annotated[list[str], BeforeValidator(_expanded), Field(min_length=1)]
ValidationNames = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: as_tuple(_expanded(value))), Field(min_length=1)
]


class Collections(Section):
    """What is trained on, and what is tested on; suites of `limbeck.collections.collection` stand for their members.

    Attributes:
        train: of whose queries lists are made; none where no recipe trains.
        own_document: of collections whose queries are documents too (ArguAna, Quora): `remove` a query's own document
            from its ranking, or `keep` it, as arXiv 2603.03010 does. In candidates, validation and tests alike.
        relevance: the smallest grade that counts as relevant in binary measures, for all collections; None: as each
            one's publishers say (2 for TREC-DL, else 1).
    """

    train: Annotated[list[str], BeforeValidator(listed)] = Field(default_factory=list)
    test: TestNames
    own_document: Literal["remove", "keep"] = "remove"
    relevance: Count | None = None


@dataclass(frozen=True)
class KnownBackbone:
    """A backbone's Hub id, how it is trained where a study does not say, and what is known of it (see the file)."""

    model: str
    learning_rate: float
    batch: int
    precisions: list[str]
    parameters: str
    licence: str
    architecture: str
    tokenizer: str
    shape: dict[str, Any]
    positions: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The keys of a study's backbone."""
        return {name: getattr(self, name) for name in ("model", "learning_rate", "batch", "precisions")}


@cache
def known_backbones() -> Mapping[str, KnownBackbone]:
    """Short name → backbone."""
    document = read_yaml((files("limbeck.study.config") / "backbones.yaml").read_text(encoding="utf-8"))
    return {name: KnownBackbone(**values) for name, values in document.values.items()}


def with_known(value: Any) -> Any:
    """The `backbones` of a study file, those of known names filled in; what is given there wins."""
    if not isinstance(value, dict):
        return value
    filled = {}
    for name, given in value.items():
        known = known_backbones().get(name)
        if known is not None and (given is None or (isinstance(given, dict) and "model" not in given)):
            filled[name] = {**known.settings, **(given or {})}
        else:
            filled[name] = given
    return filled


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


@dataclass(frozen=True, kw_only=True)
class Exit(Backbone):
    """The model of the first `layers` of another backbone's, whose training has an exit behind them.

    No section of a study file: the study has one for each of a backbone's `exits`, named `BACKBONE@LAYERS`.
    """

    of: str


def exits_of(name: str, backbone: Backbone) -> dict[str, Backbone]:
    """The backbones that a backbone's exits are, by their names."""
    own = {setting.name: getattr(backbone, setting.name) for setting in settings_of(Backbone)}
    return {f"{name}@{depth}": Exit(**{**own, "exits": (), "layers": depth}, of=name) for depth in backbone.exits}


SPECIAL = 3
"""Special tokens of a pair."""


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

    Attributes:
        other_first_stages: whose candidates are re-ranked too, for whether a model is good or fits one first stage:
            they have tables of their own, and are a factor in the analysis. Claims are about `first_stage`.
        margin: in the first measure's unit and chosen beforehand: recipes that differ by less are as good as each
            other.
    """

    first_stage: str = "bm25"
    other_first_stages: list[str] = Field(default_factory=list)
    depth: Count = 100
    measures: Names = Field(default_factory=lambda: ["nDCG@10"])
    precision: Precision = "fp32"
    margin: Rate | None = None

    @property
    def first_stages(self) -> list[str]:
        """All whose candidates are re-ranked."""
        return [self.first_stage, *self.other_first_stages]


class Bound(Section):
    """Where the mean of a recipe must lie for the study to be believed; `limbeck study report` says whether it does.

    Attributes:
        backbone: None: of each backbone.
        collection: a test collection, or a suite of which all members are tested.
        measure: None: the study's first.
    """

    recipe: str
    backbone: str | None = None
    collection: str
    measure: str | None = None
    at_least: float
    at_most: float


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
    """A whole study file; `rehearsal` says that it is one in miniature, whose values mean nothing.

    A recipe without stages trains nothing: its backbones are tested as they are, each once.
    """

    name: Annotated[str, Field(min_length=1)]
    rehearsal: bool = False
    collections: Collections
    first_stages: dict[str, FirstStage] = Field(default_factory=dict)
    teachers: dict[str, Teacher] = Field(default_factory=dict)
    backbones: Annotated[dict[str, Declared[Backbone]], BeforeValidator(with_known), Field(min_length=1)]
    lists: dict[str, ListSource] = Field(default_factory=dict)
    recipes: Annotated[dict[str, list[Declared[Stage]]], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], BeforeValidator(_counted), Field(min_length=1)] = (
        Field(default_factory=lambda: [1])
    )
    optimizer: Declared[training.Settings] = training.Settings()
    validation: Declared[Validation] | None = None
    evaluation: Evaluation = Evaluation()
    bounds: list[Bound] = Field(default_factory=list)
    compute: Compute = Compute()

    @model_validator(mode="after")
    def _with_exits(self) -> "StudyConfig":
        for name, backbone in list(self.backbones.items()):
            for exit, own in exits_of(name, backbone).items():
                if exit in self.backbones:
                    raise ValueError(f'"{exit}" is the exit of {name} behind layer {own.layers}; rename the backbone')
                self.backbones[exit] = own
        return self

    def seeds_of(self, recipe: str) -> list[int]:
        """The seeds that a recipe is trained from. What is not trained has none: the first stands for all."""
        return self.seeds if self.recipes[recipe] else self.seeds[:1]
