"""The tables that `limbeck compare` prints, and their legend."""

from collections.abc import Sequence
from typing import Any

import typer

from limbeck.cli.output import p_value, print_table

LEVEL = 0.05
ALL = "all collections"
NAMES = {"holm": "Holm", "bh": "Benjamini–Hochberg", "none": "none"}


def print_comparisons(
    rows: list[dict[str, Any]], label: dict[str, str], all_pairs: bool, margin: float | None, correction: str
) -> None:
    """A table for each collection and measure, then what the columns mean.

    Args:
        rows: the comparisons as `limbeck compare --json` prints them.
        label: system → its name in the table.
    """
    seeds = any(row["seeds_p"] is not None for row in rows)
    columns = ["run", "mean", "difference", "95 % interval", "effect", "win/tie/loss", "p rand.", "p t"]
    columns += ["p seeds"] * seeds + ["detectable"] + ["p equiv."] * (margin is not None)
    for scope, measure in dict.fromkeys((row["collection"], row["measure"]) for row in rows):
        some = [row for row in rows if (row["collection"], row["measure"]) == (scope, measure)]
        against = "" if all_pairs else f", against {label[some[0]['against']]} ({some[0]['baseline']:.4f})"
        title = f"{measure} on {scope}, {some[0]['queries']} queries{against}"
        wide = ["with collections"] if some[0]["collections_interval"] else []
        print_table(columns + wide, [_cells(row, label, all_pairs, seeds) for row in some], title=title)
    typer.echo(_legend(rows, seeds, margin, correction))


def _cells(row: dict[str, Any], label: dict[str, str], all_pairs: bool, seeds: bool) -> list[str]:
    name = label[row["run"]] + (f" − {label[row['against']]}" if all_pairs else "")
    effect, detectable = row["effect_size"], row["detectable"]
    cells = [
        name,
        f"{row['mean']:.4f}",
        f"{_mark(row)} {row['difference']:+.4f}",
        _interval(row["ci"]),
        "—" if effect is None else f"{effect:+.2f}",
        f"{row['wins']}/{row['ties']}/{row['losses']}",
        p_value(row["corrected_randomisation_p"]),
        p_value(row["corrected_t_p"]),
    ]
    if seeds:
        cells.append("—" if row["corrected_seeds_p"] is None else p_value(row["corrected_seeds_p"]))
    cells.append("—" if detectable is None else "> 1" if detectable > 1 else f"{detectable:.4f}")
    if row["corrected_equivalence_p"] is not None:
        cells.append(p_value(row["corrected_equivalence_p"]))
    if row["collections_interval"]:
        cells.append(_interval(row["collections_interval"]))
    return cells


def _interval(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:+.3f} … {bounds[1]:+.3f}"


def _mark(row: dict[str, Any]) -> str:
    equivalent = row["corrected_equivalence_p"]
    over_seeds = row["corrected_seeds_p"]
    decisive = row["corrected_randomisation_p"] if over_seeds is None else over_seeds
    if decisive < LEVEL and row["difference"]:
        return "▲" if row["difference"] > 0 else "▼"
    return "=" if equivalent is not None and equivalent < LEVEL else " "


def _legend(rows: list[dict[str, Any]], seeds: bool, margin: float | None, correction: str) -> str:
    from limbeck.report.formats import plural

    level = LEVEL if correction == "none" else LEVEL / len(rows)
    how = "not corrected" if correction == "none" else f"{NAMES[correction]}-corrected over {plural(len(rows), 'row')}"
    drawn = "queries and seeds" if seeds else "queries"
    decisive = "p seeds where there is one, else p rand.," if seeds else "p rand."
    lines = [
        f"▲ ▼ significantly better, worse: {decisive} < {LEVEL}. "
        f"p rand.: randomisation test; p t: paired t-test; over queries, two-sided, {how}.",
        f"95 % interval: bootstrap over {drawn}. effect: difference in standard deviations of queries' differences.",
        f"detectable: the true difference that a t-test over {drawn} finds with power 0.8 at level {level:.2g}.",
    ]
    if seeds:
        lines.append("p seeds: t-test over queries and seeds: would it hold for other seeds?")
    if margin is not None:
        power = min(row["margin_power"] for row in rows)
        lines.append(
            f"= equivalent: p equiv. < {LEVEL}, two one-sided t-tests that the difference is within ±{margin:g}. "
            f"A true difference of {margin:g} would be found with power {power:.2f} or more."
        )
    if any(row["collection"] == ALL for row in rows):
        lines.append(f"{ALL}: the mean of the collections' means; queries are drawn, collections are those given.")
    if any(row["collections_interval"] for row in rows):
        lines.append(f"with collections: bootstrap over collections and {drawn}: would it hold on others like these?")
    return "\n".join(lines)
