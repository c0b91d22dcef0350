"""The state of a study as tables, once or again and again."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from limbeck.cli.output import console, print_table

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
                _hours(node["hours_left"]),
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


def _hours(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"
