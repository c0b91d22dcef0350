"""Verbs on studies: check, fetch, plan, rehearse, run, graph, work, status; and the group that all of them are in."""

from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli.output import PARTLY_DONE, Json, errors, output_folder, print_json, print_table, tell
from limbeck.cli.study_results import StudyFolder, factors, report, track
from limbeck.core.errors import plural

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Study file.")]
Output = Annotated[Path | None, output_folder("Folder for the cells; default: the study's name.")]
RehearsalOutput = Annotated[Path | None, output_folder("Folder; default: the study's name and -rehearsal.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    verbs = typer.Typer(help="Studies: backbones × recipes × seeds, trained and evaluated alike.", no_args_is_help=True)
    for verb in (check, fetch, plan, rehearse, run, graph, work, status, report, track, factors):
        verbs.command(verb.__name__)(verb)
    app.add_typer(verbs, name="study")


def check(study: StudyFile, json: Json = False) -> None:
    """Validate a study file: every problem at once, each with its place; then its confounds. Trains nothing."""
    from limbeck.cli.study_tables import print_audit
    from limbeck.study.config.study import load_study
    from limbeck.study.plan.audit import audit_study
    from limbeck.study.plan.plan import plan_study

    loaded = load_study(study)
    cells, audit = len(plan_study(loaded).cells), audit_study(loaded)
    if json:
        print_json({"study": str(study), "valid": True, "cells": cells, "audit": audit})
    else:
        print_audit(audit)
        typer.echo(f"{study}: valid; {plural(cells, 'cell')}")


def fetch(
    study: StudyFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what is fetched, from where, and with what MD5; fetch nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Fetch the list files, models and collections of a study; verify and resume. What cannot be had is named."""
    from dataclasses import asdict

    from limbeck.cli.study_tables import print_downloads
    from limbeck.study.config.study import load_study
    from limbeck.study.plan.downloads import downloads, fetch_study

    loaded = load_study(study, with_files=False)
    if dry_run:
        facts = [asdict(each) for each in downloads(loaded)]
        if json:
            print_json({"downloads": facts})
        else:
            print_downloads(facts, sources=True)
        return
    outcomes = list(fetch_study(loaded, errors()))
    missing = [each for each in outcomes if each.state == "missing"]
    if json:
        print_json({"fetched": [asdict(each) for each in outcomes], "missing": len(missing)})
    else:
        print_table(("what", "kind", "state"), [(each.name, each.kind, each.state) for each in outcomes])
        for each in missing:
            typer.echo(f"missing: {each.name}: {each.text}")
    if missing:
        raise typer.Exit(PARTLY_DONE)


def plan(
    study: StudyFile,
    output: Output = None,
    pairs_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Pairs trained on in a second, for hours; three are scored then.")
    ] = None,
    flops_per_second: Annotated[
        float | None, typer.Option(min=1, help="Operations in a second, as in 2e14: for hours by each model's size.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure each backbone's operations in a second on this machine.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a study takes: cells, downloads, disk, pairs, FLOPs and hours, and its confounds. Fetches nothing."""
    from limbeck.cli.study_tables import print_plan
    from limbeck.core.errors import UsageError
    from limbeck.study.config.study import load_study
    from limbeck.study.run.preview import preview

    if sum((pairs_per_second is not None, flops_per_second is not None, measure)) > 1:
        raise UsageError("--pairs-per-second, --flops-per-second and --measure are one too many; expected one of them")
    loaded = load_study(study, with_files=False)
    rate: Any = flops_per_second
    if measure:
        from limbeck.study.plan.architecture import flops_per_second as measured

        rate = measured(loaded, errors())
    facts = preview(loaded, output or Path(loaded.name), pairs_per_second, rate)
    if measure:
        facts["flops_per_second"] = rate
    if json:
        print_json(facts)
    else:
        print_plan(facts)


def rehearse(study: StudyFile, output: RehearsalOutput = None, json: Json = False) -> None:
    """Run the whole study in miniature: small random models, generated data, a handful of steps. Needs no network."""
    from limbeck.study.config.study import load_study
    from limbeck.study.rehearsal.prepare import prepare as prepare_rehearsal
    from limbeck.study.rehearsal.prepare import unproved

    loaded = load_study(study, with_files=False)
    folder = output or Path(f"{loaded.name}-rehearsal")
    run_and_report(prepare_rehearsal(loaded, folder, errors()), folder, json)
    errors().print("Rehearsed to its end. What a rehearsal cannot prove:", highlight=False)
    for text in unproved(loaded):
        tell(f"  - {text}")


def run(
    study: StudyFile,
    output: Output = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="EXECUTOR",
            help="Where: local or local:N (processes on this machine), slurm, ray or ray:ADDRESS. "
            "Default: one node after another, in this process.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --on slurm: print its batch scripts only.")] = False,
    json: Json = False,
) -> None:
    """Train and evaluate the cells that are missing. Run again to go on; a failed cell does not stop the others."""
    from limbeck.core.errors import UsageError
    from limbeck.study.config.study import load_study

    if dry_run and on != "slurm":
        raise UsageError("--dry-run: goes with --on slurm; `limbeck study graph` shows what is to be done anywhere")
    loaded = load_study(study)
    folder = output or Path(loaded.name)
    if dry_run:
        from limbeck.study.run.build_graph import prepare
        from limbeck.study.run.executors.slurm import batch_scripts
        from limbeck.study.run.store import Store

        store = Store(folder)
        scripts = batch_scripts(prepare(loaded, store, errors()), store, errors())
        if json:
            print_json({"scripts": scripts})
        else:
            typer.echo("\n".join(scripts))
        return
    run_and_report(loaded, folder, json, on)


def graph(
    study: Annotated[Path, typer.Argument(metavar="DIR|STUDY.yaml", help="Folder of a study, or a study file.")],
    output: Annotated[
        Path | None, output_folder("With a study file: folder to prepare, so that `study work` can begin there.")
    ] = None,
    json: Json = False,
) -> None:
    """Show a study's nodes: what each needs and takes. With --json, all that another scheduler has to know."""
    from limbeck.study.config.study import load_study
    from limbeck.study.run.build_graph import prepare
    from limbeck.study.run.graph import hours_by_kind, read_graph
    from limbeck.study.run.store import Store

    if study.is_file():
        loaded = load_study(study)
        found = prepare(loaded, Store(output or Path(loaded.name)), errors())
    else:
        found = read_graph(Store(study))
    if json:
        print_json(found.describe())
        return
    rows = [
        (kind, f"{count:,}", "" if hours is None else f"{hours:,.2f}")
        for kind, (count, hours) in hours_by_kind(found).items()
    ]
    print_table(("kind", "nodes", "hours of one GPU"), rows)
    typer.echo(f"{found.name}: {plural(len(found.nodes), 'node')}")


def work(
    folder: StudyFolder,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name of a node, as `study graph` lists it.")],
) -> None:
    """Do the work of one node. Exit codes: 0 done, 7 failed, 75 held by another process, 130 asked to stop."""
    from limbeck.study.run.work import work as work_on

    raise typer.Exit(int(work_on(folder, node, errors())))


def status(
    folder: StudyFolder,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every few seconds until all is done.")] = False,
    json: Json = False,
) -> None:
    """Show how far each cell is, and the nodes that run, failed or died. Exit 7 while something is unfinished."""
    from limbeck.core.errors import UsageError
    from limbeck.study.run.status import status as study_status

    if watch and json:
        raise UsageError("--watch and --json: expected one of them; a script may call `study status --json` again")
    facts = study_status(folder)
    if watch:
        from limbeck.cli.study_tables import watch_status

        facts = watch_status(folder, facts)
    elif json:
        print_json(facts)
    else:
        from limbeck.cli.study_tables import print_status

        print_status(facts)
    if set(facts["node_counts"]) - {"done"}:
        raise typer.Exit(PARTLY_DONE)


def run_and_report(loaded: Any, output: Path, as_json: bool, on: str | None = None) -> None:
    """Run a loaded study into `output` and report it; exit 7 when a cell failed or is left to another process."""
    from limbeck.report import require_packages
    from limbeck.study.run.execute import reporting, run_study
    from limbeck.study.run.executors import executor_of

    require_packages()  # before hours of training, not after them
    counts = run_study(loaded, output, errors(), executor_of(on) if on else None)
    with reporting(output) as mine:
        if mine and not counts["elsewhere"]:
            report(output, as_json)
        else:
            others = "another process writes it" if not mine else "whichever process ends last writes it"
            tell(f"No report of {output} yet: {others}")
    unfinished = counts["failed"] + counts["elsewhere"]
    if not unfinished:
        return
    parts = [f"{counts['failed']} of {sum(counts.values())} cells failed"] if counts["failed"] else []
    parts += [f"{counts['elsewhere']} are unfinished in other processes"] if counts["elsewhere"] else []
    tell(
        f"{', '.join(parts)}; `limbeck study status {output}` tells more, and the same command goes on with what is "
        "left",
        "red",
    )
    raise typer.Exit(PARTLY_DONE)
