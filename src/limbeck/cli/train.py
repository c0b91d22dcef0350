"""The verb that trains one cross-encoder."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from limbeck.cli.output import Json, errors, output_folder, print_json, warn
from limbeck.core.errors import UsageError, plural
from limbeck.core.options import Options, settings_of, with_options
from limbeck.training.config import Backbone, Recipe, RecipeStage, RecipeValidation, Settings
from limbeck.training.log import Tracker

T = TypeVar("T")

SECTIONS = {
    "training": Options(declaration=Recipe, without=("backbone", "stages", "optimizer", "validation"), optional=True),
    "backbone": Options(declaration=Backbone, names={"model": "--backbone"}, optional=True),
    "stage": Options(declaration=RecipeStage, optional=True),
    "optimizer": Options(declaration=Settings, names={"compiled": "--compile"}, optional=True),
    "validation": Options(
        declaration=RecipeValidation,
        names={"collections": "--validation-collection", "runs": "--validation-run"},
        prefix="validation-",
        optional=True,
    ),
}


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("train")(train)


@with_options(**SECTIONS)
def train(
    *,
    training: dict[str, Any],
    backbone: dict[str, Any],
    stage: dict[str, Any],
    output: Annotated[Path, output_folder("Folder for the model, log and checkpoints.")],
    config: Annotated[
        Path | None, typer.Option(help="Recipe in YAML: backbone, stages, optimizer, validation; options override it.")
    ] = None,
    optimizer: dict[str, Any],
    validation: dict[str, Any],
    track: Annotated[Tracker | None, typer.Option(help="Send the numbers of the log there too.")] = None,
    sharded: Annotated[
        bool, typer.Option("--sharded", help="Divide the weights among the processes that torchrun started (FSDP).")
    ] = False,
    json: Json = False,
) -> None:
    """Train a cross-encoder; the model is OUTPUT/model. The same command again resumes.

    --backbone, --objective, --lists, --collection and --steps (or --epochs, or --pairs) are needed, here or in a
    recipe: `limbeck train --config recipe.yaml --output DIR`. On several devices:
    torchrun --nproc-per-node N -m limbeck train …
    """
    given = {
        "training": training,
        "backbone": backbone,
        "stage": stage,
        "optimizer": optimizer,
        "validation": validation,
    }
    recipe = recipe_of(config, given)

    from limbeck.core.devices import Processes
    from limbeck.training import TrainingPlan
    from limbeck.training import train as run_training
    from limbeck.training.log import tracker

    plan = TrainingPlan.of(recipe)
    warn(plan.collection.warnings)
    processes = Processes.joined()
    sinks = [tracker(name, output, plan.describe()) for name in (track,) if name and processes.is_first]
    summary = run_training(plan, output, errors(), processes=processes, sharded=sharded, sinks=sinks)
    if not processes.is_first:
        return
    if json:
        print_json({**summary, "backbone": summary["model"], "model": str(output / "model")})
        return
    work = f"{plural(summary['steps'], 'step')}, {plural(summary['pairs'], 'pair')}, {summary['seconds']:.0f} s"
    typer.echo(f"{output / 'model'}: {work}")
    for number, done in enumerate(summary["stages"], 1):
        skipped = ", ".join(f"{count} {reason}" for reason, count in done["skipped"].items()) or "none"
        of_stage = f" of stage {number} ({done['objective']})" if len(summary["stages"]) > 1 else ""
        typer.echo(f"  lists used{of_stage}: {done['usable_lists']} of {done['lists']} (left out: {skipped})")
    typer.echo(f"  pairs cut: {summary['cut_pairs']} of {summary['pairs']}; padding {summary['padding']:.1%}")
    typer.echo(f"  computed as {summary['attention']}{', layers compiled' if summary['compiled'] else ''}")
    if summary["best_value"] is not None:
        typer.echo(f"  best {summary['measure']} {summary['best_value']:.4f} at step {summary['best_step']}")


def recipe_of(config: Path | None, given: dict[str, dict[str, Any]]) -> Recipe:
    """The recipe of a file, if there is one, with the options that were given in place of what it says.

    Args:
        given: section → field → value, for the sections of `SECTIONS`.

    Raises:
        UsageError: all options that are missing, or options of one stage where the recipe has several.
    """
    read: Recipe | None = None
    if config is not None:
        from limbeck.core.schema import read_section

        found, warnings = read_section(Recipe, config)
        warn(warnings)
        read = found.relative_to(config.parent)
    stages = read.stages if read else ()
    if given["stage"] and len(stages) > 1:
        flags = ", ".join(parameter_flag("stage", field) for field in given["stage"])
        raise UsageError(f"{flags}: {config} has {len(stages)} stages; change them there")
    if {"steps", "epochs", "pairs"} & set(given["stage"]):
        stages = tuple(dataclasses.replace(stage, steps=1, epochs=None, pairs=None) for stage in stages)
        given = {**given, "stage": {"steps": None, **given["stage"]}}
    missing = [
        parameter_flag(section, setting.name)
        for section, there in (("training", read), ("backbone", read), ("stage", stages))
        for setting in settings_of(SECTIONS[section].declaration)
        if setting.default is dataclasses.MISSING
        and setting.name not in (*given[section], *SECTIONS[section].without)
        and not there
    ]
    if missing:
        raise UsageError(f"{', '.join(missing)} missing; expected here or in a recipe (--config recipe.yaml)")
    if len(stages) <= 1:
        stages = (_replaced(RecipeStage, next(iter(stages), None), given["stage"]),)
    validation = read.validation if read else None
    if validation or given["validation"]:
        validation = _replaced(RecipeValidation, validation, given["validation"])
    values = {
        "backbone": _replaced(Backbone, read and read.backbone, given["backbone"]),
        "stages": stages,
        "optimizer": _replaced(Settings, read and read.optimizer, given["optimizer"]),
        "validation": validation,
        **given["training"],
    }
    return _replaced(Recipe, read, values)


def parameter_flag(section: str, field: str) -> str:
    """The option of a field."""
    return "--" + SECTIONS[section].parameters()[field].name.replace("_", "-")


def _replaced(declaration: type[T], before: T | None, given: dict[str, Any]) -> T:
    return declaration(**given) if before is None else dataclasses.replace(before, **given)  # type: ignore[type-var]  # a dataclass
