"""The plan of a study and its state as tables."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from limbeck.cli.output import console, print_table, warn
from limbeck.core.errors import enumerate_words, plural

if TYPE_CHECKING:
    from limbeck.study.plan.audit import AuditedPair


def print_plan(facts: Mapping[str, Any]) -> None:
    """Print what `limbeck.study.run.preview.preview` found: cells, downloads, disk, confounds and sums."""
    print_table(
        ("backbone", "recipe", "done", "steps", "pairs", "tokens", "FLOPs", "validation", "tests", "hours"),
        _recipes(facts["cells"]),
        "Of one cell; pairs, tokens and FLOPs of training, pairs of all validations and of the tests. ≤: at most, "
        "where lists may be shorter or lengths are not known; ≈: where lengths are estimated.",
        title="Cells",
    )
    if facts["downloads"]:
        print_downloads(facts["downloads"])
    print_audit(facts["audit"])
    disk = facts["disk"]
    typer.echo(
        f"Disk: {_size(disk['models'])} of models, {_size(disk['checkpoints'])} of checkpoints while the largest "
        f"trains, {_size(disk['runs'])} of runs; beside them token stores, encoded documents and downloads"
    )
    memory = [f"{name} {_size(size)}" for name, size in facts["memory"].items()]
    if memory:
        typer.echo(f"Memory on the device in training, estimated: {', '.join(memory)}; lists are mapped from the disk")
    encoding = facts["first_stages"]
    if encoding["pairs"] != 0:
        hours = "" if encoding["hours"] is None else f", {encoding['hours']:,.2f} hours"
        typer.echo(
            f"First stages: {_amount(encoding, 'pairs')} documents to encode, {_amount(encoding, 'flops')} FLOPs{hours}"
        )
    totals = facts["totals"]
    training, scoring = totals["training"], [totals["validation"], totals["evaluation"]]
    typer.echo(
        f"Left to do: {plural(totals['cells'], 'cell')}; train on {_amount(training, 'pairs')} pairs, "
        f"{_amount(training, 'flops')} FLOPs; score {' + '.join(_amount(part, 'pairs') for part in scoring)} pairs to "
        f"validate and test, {' + '.join(_amount(part, 'flops') for part in scoring)} FLOPs" + _hours(totals)
    )
    from limbeck.study.plan.architecture import STATED

    if facts["rates"] == "stated" and totals["hours"] is not None:
        typer.echo(f"Hours are of {STATED}: assumed, not measured; --measure measures this machine")
    typer.echo(facts["summary"])
    warn(facts["warnings"])


def print_downloads(downloads: Sequence[Mapping[str, Any]], sources: bool = False) -> None:
    """Print what a study has to be fetched: with its URLs and sums if `sources`."""
    rows = [
        (
            each["name"], each["kind"], "here" if each["here"] else "absent", _size(each["bytes"]),
            each["terms"] or "unknown",
        )
        for each in downloads
    ]  # fmt: skip
    print_table(("what", "kind", "state", "size", "terms"), rows, _fetching(downloads), title="Downloads")
    for each in downloads if sources else ():
        client = {
            "collection": "by ir_datasets, from where it says",
            "model": f"https://huggingface.co/{each['name'].partition('@')[0]}",
        }
        place = each["url"] or client.get(each["kind"], "nowhere that limbeck knows of: put it there by hand")
        known = f", {'md5' if len(each['checksum']) == 32 else 'sha256'} {each['checksum']}" if each["checksum"] else ""
        typer.echo(f"{each['name']}: {place}{known}")


def print_audit(audit: "Sequence[AuditedPair]") -> None:
    """Print in what recipes differ beside their objectives, and which of them in nothing."""
    from limbeck.report.audit import audit_matrices
    from limbeck.study.plan.audit import PLANNED

    for matrix in audit_matrices(audit):
        typer.echo(f"Audit: {', '.join(matrix.backbones)}")
        equal = _grouped([(recipe, " | ".join(values)) for recipe, values in matrix.rows])
        for recipes in equal.values():
            if len(recipes) > 1:
                typer.echo(f"  {enumerate_words(recipes)} differ in nothing but their objectives")
        for place, factor in enumerate(matrix.factors):
            typer.echo(f"  {factor}")
            for value, recipes in _grouped([(recipe, values[place]) for recipe, values in matrix.rows]).items():
                typer.echo(f"    {value.removesuffix(PLANNED)}: {', '.join(recipes)}")
        typer.echo()


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Value → recipes that have it."""
    found: dict[str, list[str]] = {}
    for recipe, value in pairs:
        found.setdefault(value, []).append(recipe)
    return found


def _hours(totals: Mapping[str, Any]) -> str:
    if totals["hours"] is None:
        return ""
    works = [totals[part] for part in ("training", "validation", "evaluation")]
    sign = "" if all(work["exact"] for work in works) else "≤ "
    sign = "≤ " if any(work["bounded"] for work in works) else sign
    bf16 = totals["hours_bf16"]
    also = (
        f" ({bf16:,.0f} if all were in bf16)" if bf16 is not None and f"{bf16:.2f}" != f"{totals['hours']:.2f}" else ""
    )
    return f"; {sign}{totals['hours']:,.2f} hours{also}"


def _recipes(cells: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["backbone"], cell["recipe"]), []).append(cell)
    return [
        (
            backbone,
            recipe,
            "?" if group[0]["state"] is None else f"{sum(c['state'] == 'done' for c in group)} of {len(group)}",
            _number(group[0]["steps"]),
            *(_amount(group[0]["training"], key) for key in ("pairs", "tokens", "flops")),
            *(_number(group[0][part]["pairs"]) for part in ("validation", "evaluation")),
            "?" if group[0]["hours"] is None else f"{group[0]['hours']:,.2f}",
        )
        for (backbone, recipe), group in groups.items()
    ]


def _fetching(downloads: Sequence[Mapping[str, Any]]) -> str:
    sizes = [each["bytes"] for each in downloads if not each["here"]]
    known = [size for size in sizes if size is not None]
    parts = [_size(sum(known))] if known else []
    parts += [f"{len(sizes) - len(known)} of unknown size"] if len(known) < len(sizes) else []
    return f"Absent: {' and '.join(parts) or 'nothing'}."


def _amount(work: Mapping[str, Any], key: str) -> str:
    text = _number(work[key])
    if work[key] is None:
        return text
    if not work["exact"] or (key != "pairs" and work["bounded"]):
        return f"≤ {text}"
    return text if key == "pairs" or work["measured"] else f"≈ {text}"


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value < 1e12 else f"{value:.2e}"


def _size(value: int | None) -> str:
    if value is None:
        return "unknown"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:,} B"


WATCH_SECONDS = 5.0
SHOWN = 30
"""Nodes that are listed: those that run, failed, died or were stopped."""


def print_status(facts: Mapping[str, Any]) -> None:
    """Print what `limbeck.study.run.status.status` found: cells, then nodes that are at work or in trouble."""
    rows = [
        (
            cell["backbone"],
            cell["recipe"],
            str(cell["seed"]),
            cell["state"],
            f"{cell['step']} of {cell['steps'] or '?'}",
            cell["error"] or "",
        )
        for cell in facts["cells"]
    ]
    print_table(("backbone", "recipe", "seed", "state", "step", "error"), rows)
    nodes = facts["nodes"]
    shown = [node for node in nodes if node["state"] != "blocked"][:SHOWN]
    if shown:
        busy = [
            (
                node["label"],
                node["state"],
                (node["host"] or "") + (f", GPU {node['gpus']}" if node["gpus"] else ""),
                str(node["attempts"]),
                "" if node["progress"] is None else f"{node['progress']:.0%}",
                _hours_left(node["hours_left"]),
                (node["log"] or "") if node["state"] != "running" else "",
            )
            for node in shown
        ]
        print_table(("node", "state", "host", "attempts", "progress", "hours left", "log"), busy)
        if len(shown) < len(nodes):
            typer.echo(f"{len(nodes) - len(shown):,} more are blocked or not shown; --json has all")
    counts = ", ".join(f"{count:,} {state}" for state, count in facts["node_counts"].items())
    hours = "" if facts["hours_left"] is None else f"; {facts['hours_left']:,.2f} GPU hours left, as planned"
    typer.echo(f"Nodes: {counts}{hours}")


def watch_status(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Print the state anew until all is done, or failed; the last one. Ctrl-C ends it.

    Without a terminal it is printed again only once a node has come to another state.
    """
    from limbeck.study.run.status import status

    screen, shown = console(), None
    while True:
        if screen.is_terminal:
            screen.clear()
        if screen.is_terminal or facts["node_counts"] != shown:
            print_status(facts)
            shown = facts["node_counts"]
        if not set(facts["node_counts"]) - {"done", "failed", "blocked"}:
            return facts
        time.sleep(WATCH_SECONDS)
        facts = status(folder)


def _hours_left(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
