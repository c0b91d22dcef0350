"""The house: rooms in the order in which data flow, and doors that open without carrying everything in."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import limbeck

SOURCE = Path(limbeck.__file__).parent
FLOORS = (
    ("core",), ("collections",), ("runs",), ("objectives",), ("tokens", "kernels", "models"), ("retrieval",),
    ("evaluation",), ("teachers",), ("lists",), ("training",), ("study",), ("report",), ("export",), ("serve",),
    ("distil",), ("cli",),
)  # fmt: skip
"""Rooms from the first to the last; those of one floor import one another, without a circle among their modules."""
STUDY = ("config", "plan", "run", "analysis", "rehearsal")
"""The rooms within `study`, in the same way."""


@cache
def imports() -> tuple[tuple[str, str, bool], ...]:
    """(importing module, imported module, whether at the top of the file), of limbeck's own modules."""
    return tuple(_imports())


def _imports() -> Iterator[tuple[str, str, bool]]:
    modules = {_name(path) for path in SOURCE.rglob("*.py")}
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = set(map(id, tree.body))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("limbeck"):
                for alias in node.names:
                    module = f"{node.module}.{alias.name}"
                    yield _name(path), module if module in modules else str(node.module), id(node) in top


def _name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_no_arrow_runs_back():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    back = []
    for one, other, _ in imports():
        rooms = [module.split(".")[1] if "." in module else "" for module in (one, other)]
        if all(room in floor for room in rooms) and floor[rooms[0]] < floor[rooms[1]]:
            back.append(f"{one} → {other}")
        within = [module.split(".")[2] for module in (one, other) if module.startswith("limbeck.study.")]
        if (
            len(within) == 2
            and all(room in STUDY for room in within)
            and STUDY.index(within[0]) < STUDY.index(within[1])
        ):
            back.append(f"{one} → {other}")
    assert not back


def test_every_room_has_its_place():
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= {room for floor in FLOORS for room in floor}


def test_modules_import_one_another_in_no_circle():
    arrows: dict[str, set[str]] = {}
    for one, other, top in imports():
        if top and one != other:
            arrows.setdefault(one, set()).add(other)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in sorted(arrows.get(module, ())):
                visit(other, (*path, module))
            done.add(module)

    for module in sorted(arrows):
        visit(module, ())


def _loaded(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_front_door_and_the_command_open_without_anything_heavy():
    heavy = {
        "torch",
        "transformers",
        "numpy",
        "scipy",
        "pyarrow",
        "ir_datasets",
        "ir_measures",
        "matplotlib",
        "pydantic",
    }
    assert not heavy & _loaded("import limbeck")
    assert not heavy & _loaded("import limbeck.cli.app")


def test_the_state_of_a_study_is_shown_without_what_works_on_it():
    found = _loaded("import limbeck.study.run.status, limbeck.cli.study_tables")
    assert not {"torch", "transformers", "scipy.stats", "limbeck.report"} & found


def test_training_opens_without_what_it_does_not_use():
    found = _loaded("from limbeck.training import train")
    for unused in (
        "onnx",
        "onnxruntime",
        "scipy.optimize",
        "scipy.stats",
        "limbeck.export",
        "limbeck.models.splade",
        "torch.distributed.fsdp",
        "torch.distributed.tensor",
    ):
        assert not {name for name in found if name == unused or name.startswith(f"{unused}.")}, unused
