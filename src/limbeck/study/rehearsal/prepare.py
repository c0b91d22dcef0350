"""From a study to its rehearsal: a folder with a small study file and all that it names."""

from pathlib import Path

import yaml
from rich.console import Console

from limbeck.collections import load_collection
from limbeck.collections.load import without_suffixes
from limbeck.core.errors import UsageError
from limbeck.core.files import replace_folder, temporary_folder, wrap_write_errors
from limbeck.core.progress import say
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import StudyConfig, known_backbones
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
from limbeck.study.rehearsal.shrink import (
    collections_of,
    files_of,
    left_out_of,
    miniature,
    plain,
    signals_of,
    small_layers,
    stand_ins,
)

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
