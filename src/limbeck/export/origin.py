"""Where an exported model comes from: a study, whose validation chooses it, a training, a model alone; public names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from limbeck.core.errors import MissingError, UsageError, nearest
from limbeck.study.run.status import cell_state
from limbeck.study.run.store import Store, read_json


def public_name(collection: str) -> str:
    """A collection's name; of a folder, the end: `scifact/test@1/5` for `/data/scifact/test@1/5`."""
    base, suffix = _parted(collection)
    if not base.startswith((".", "/", "~")):
        return collection
    return "/".join(_parts(base)[-2:]) + suffix


def dataset(collection: str) -> str:
    """A collection's name without split, folds and folders: `scifact`."""
    base, _ = _parted(collection)
    parts = _parts(base)
    return (parts[-2:] if base.startswith((".", "/", "~")) else parts)[0]


def _parted(collection: str) -> tuple[str, str]:
    """What is before the first `@` or `~sentences`, and the rest."""
    end = min(place for sign in ("@", "~sentences") if (place := f"{collection}{sign}".find(sign)) >= 0)
    return collection[:end], collection[end:]


def _parts(base: str) -> list[str]:
    return [part for part in base.split("/") if part not in ("", ".", "..", "~")]


SHOWN = 12  # cells that an error lists
Cell = Mapping[str, Any]


@dataclass(frozen=True)
class Origin:
    """A model and what is known of how it came about.

    Attributes:
        model: what `CrossEncoder.load` takes.
        chosen: why this model of its study, in a sentence; None for one that no study holds.
        training: its training's folder; None for a model alone.
        study: the store of its study, with `index` (`index.json`) and `cell`, its entry there.
    """

    model: str
    chosen: str | None = None
    training: Path | None = None
    study: Store | None = None
    index: Mapping[str, Any] = field(default_factory=dict)
    cell: Cell = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, Any]:
        """The training's `summary.json`; empty for a model alone."""
        return read_json(self.training / "summary.json") if self.training else {}

    @property
    def plan(self) -> dict[str, Any]:
        """The training's `plan.json`; empty for a model alone."""
        return read_json(self.training / "plan.json") if self.training else {}

    @property
    def backbone(self) -> str | None:
        """The name of what the training began with, of a folder its last part alone; None where it is not recorded."""
        name: str | None = self.summary.get("model")
        if name and self.summary["model_sha256"] and not name.startswith("package:"):
            return Path(name).name
        return name


def find_origin(source: str, cell_id: str | None = None) -> Origin:
    """The model of a study's folder, of a training's folder, or of a name that `CrossEncoder.load` takes.

    Of a study, the model is that of `cell_id` (or the only id that begins so), else the one that validation chooses.

    Raises:
        MissingError: nothing of it is finished.
        UsageError: a cell that is not there, or none given where validation cannot choose.
    """
    folder = Path(source)
    if (folder / "index.json").is_file():
        store = Store(folder)
        index = store.read_index()
        cell, chosen = _cell(store, index, cell_id)
        training = store.cell(cell["id"])
        return Origin(
            model=str(training / "model"), chosen=chosen, training=training, study=store, index=index, cell=cell
        )
    if cell_id is not None:
        raise UsageError(f"{source}: is no study, so there is no cell {cell_id} to choose; leave --cell out")
    if (folder / "plan.json").is_file():
        if not (folder / "summary.json").is_file():
            raise MissingError(f"{source}: a training that is not finished; its command goes on from its checkpoint")
        return Origin(str(folder / "model"), training=folder)
    training = folder.parent
    if folder.name == "model" and (training / "plan.json").is_file() and (training / "summary.json").is_file():
        return Origin(source, training=training)
    return Origin(source)


def _cell(store: Store, index: Mapping[str, Any], cell_id: str | None) -> tuple[Cell, str]:
    """The cell to export, and why it."""
    done = [cell for cell in index["cells"] if cell_state(store, cell, index["measures"])[0] == "done"]
    if not done:
        raise MissingError(f"{store.folder}: no cell is finished; `limbeck study run` goes on")
    if cell_id is not None:
        found = {cell["id"]: cell for cell in done if cell["id"].startswith(cell_id)}
        if len(found) != 1:
            what = "several finished cells begin" if found else "no finished cell begins"
            hint = nearest(cell_id, [cell["id"] for cell in done])
            raise UsageError(f"{store.folder}: {what} with {cell_id}{hint}; there are {_listed(done)}")
        return next(iter(found.values())), "It was named by whoever exported it, not chosen by limbeck."
    validation = index.get("validation")
    refusal = None
    values = {cell["id"]: read_json(store.cell(cell["id"]) / "summary.json")["best_value"] for cell in done}
    if not validation or None in values.values():
        refusal = "the study has no validation"
    elif validation["test_queries_allowed"]:
        refusal = "its validation may hold test queries (allow_test_queries)"
    if refusal and len({cell["id"] for cell in done}) > 1:
        raise UsageError(
            f"{store.folder}: {refusal}, and limbeck chooses no model by its test results; "
            f"name one with --cell: {_listed(done)}"
        )
    if refusal:
        return done[0], "It is the study's only finished model."
    return _chosen(done, values, len(index["cells"]), validation)


def _chosen(done: list[Cell], values: Mapping[str, float], planned: int, validation: Any) -> tuple[Cell, str]:
    """The best seed of the backbone and recipe that validate best on average over their seeds."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in done:
        groups.setdefault((cell["backbone"], cell["recipe"]), []).append(cell)

    def average(cells: list[Cell]) -> float:
        return mean(values[cell["id"]] for cell in cells)

    (backbone, recipe), cells = max(groups.items(), key=lambda item: average(item[1]))
    best = max(cells, key=lambda cell: values[cell["id"]])
    sets = ", ".join(public_name(each["name"]) for each in validation["collections"])
    seeds = f"{len(cells)} seeds" if len(cells) > 1 else "one seed"
    of_all = f"of {len(groups)} combinations of backbone and recipe, " if len(groups) > 1 else ""
    has = "has the highest" if len(groups) > 1 else "is the only one, with"
    text = (
        f"Chosen on validation, never on test: {of_all}{backbone} · {recipe} {has} {validation['measure']} "
        f"on {sets} ({average(cells):.4f}, {seeds})"
    )
    if len(cells) > 1:
        text += f"; of its seeds, {best['seed']} has the highest ({values[best['id']]:.4f})"
    if len(done) < planned:
        text += f". Only {len(done)} of the study's {planned} cells were finished"
    return best, f"{text}."


def _listed(cells: list[Cell]) -> str:
    names = [f"{cell['id']} ({cell['backbone']} · {cell['recipe']} · seed {cell['seed']})" for cell in cells[:SHOWN]]
    more = f" and {len(cells) - SHOWN} more (`limbeck study status --json`)" if len(cells) > SHOWN else ""
    return ", ".join(names) + more
