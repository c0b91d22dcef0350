"""The plan of a study as tables."""

from collections.abc import Mapping
from typing import Any

import typer

from limbeck.cli.output import print_table, warn

SHOWN = 24
"""Characters of a factor's longest value that is printed beside its name."""


def print_plan(facts: Mapping[str, Any]) -> None:
    """Print what `limbeck.study.preview.preview` found: cells, downloads, disk, confounds and sums."""
    print_table(
        ("backbone", "recipe", "done", "steps", "pairs", "tokens", "FLOPs", "validation", "tests", "hours"),
        _recipes(facts["cells"]),
        "Of one cell; pairs, tokens and FLOPs of training, pairs of all validations and of the tests. ≤: at most, "
        "where lists may be shorter or lengths were not measured.",
        title="Cells",
    )
    if facts["downloads"]:
        rows = [
            (
                each["name"], each["kind"], "here" if each["here"] else "to be had", _size(each["bytes"]),
                each["terms"] or "unknown",
            )
            for each in facts["downloads"]
        ]  # fmt: skip
        print_table(("what", "kind", "state", "size", "terms"), rows, _fetching(facts["downloads"]), title="Downloads")
    if facts["audit"]:
        typer.echo("What recipes differ in beside their objectives (--json: all values, for each backbone)")
        for each in _united(facts["audit"]):
            typer.echo(f"  {each['a']} and {each['b']}: {', '.join(_factor(factor) for factor in each['factors'])}")
        typer.echo()
    disk = facts["disk"]
    typer.echo(
        f"Disk: {_size(disk['models'])} of models, {_size(disk['checkpoints'])} of checkpoints while the largest "
        f"trains, {_size(disk['runs'])} of runs; beside them token stores, encoded documents and downloads"
    )
    totals = facts["totals"]
    training, scoring = totals["training"], [totals["validation"], totals["evaluation"]]
    typer.echo(
        f"Left to do: {totals['cells']} cells; train on {_amount(training, 'pairs')} pairs, "
        f"{_amount(training, 'flops')} FLOPs; score {' + '.join(_amount(part, 'pairs') for part in scoring)} pairs to "
        f"validate and test, {' + '.join(_amount(part, 'flops') for part in scoring)} FLOPs" + _hours(totals)
    )
    typer.echo(facts["summary"])
    warn(facts["warnings"])


def _hours(totals: Mapping[str, Any]) -> str:
    if totals["hours"] is None:
        return ""
    works = [totals[part] for part in ("training", "validation", "evaluation")]
    exact = all(work["exact"] and work["measured"] for work in works)
    return f"; {'' if exact else '≤ '}{totals['hours']:,.2f} hours"


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


def _united(audit: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each pair of recipes: backbones differ in their batches only, and `--json` has them all."""
    return list({(each["a"], each["b"]): each for each in reversed(audit)}.values())[::-1]


def _factor(factor: Mapping[str, str]) -> str:
    values = (factor["a"], factor["b"])
    return f"{factor['factor']} ({' | '.join(values)})" if max(map(len, values)) <= SHOWN else factor["factor"]


def _fetching(downloads: list[dict[str, Any]]) -> str:
    absent = [each for each in downloads if not each["here"]]
    unknown = sum(each["bytes"] is None for each in absent)
    return f"To be had: {_size(sum(each['bytes'] or 0 for each in absent))}, and {unknown} of unknown size."


def _amount(work: Mapping[str, Any], key: str) -> str:
    expected = work["exact"] and (key == "pairs" or work["measured"])
    text = _number(work[key])
    return text if expected or work[key] is None else f"≤ {text}"


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
