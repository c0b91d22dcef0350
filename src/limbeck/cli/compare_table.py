"""The tables that `limbeck compare` prints, and their legend."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from limbeck.cli.compare import NAMES, Correction
from limbeck.cli.output import print_table
from limbeck.evaluation import LEVEL
from limbeck.evaluation.run_comparison import ALL, RunDifference
from limbeck.report.formats import interval, p_value, plural
from limbeck.report.phrases import MODELS_TEST, carried

if TYPE_CHECKING:
    from limbeck.evaluation import Corrected


def print_comparisons(
    rows: Sequence[RunDifference],
    label: dict[str, str],
    all_pairs: bool,
    margin: float | None,
    correction: Correction,
    single: Sequence[str],
) -> None:
    """A table for each collection and measure, then what the columns mean.

    Args:
        label: system → its name in the table.
        single: names of systems of one run that may be one training of several.
    """
    recipes = any(row.recipes for row in rows)
    columns = ["run", "mean", "difference", "these models", "p", "p rand."]
    columns += ["these recipes", "p"] * recipes + ["detectable"] + ["p equiv."] * (margin is not None)
    columns += ["effect", "win/tie/loss"]
    for scope, measure in dict.fromkeys((row.collection, row.measure) for row in rows):
        some = [row for row in rows if (row.collection, row.measure) == (scope, measure)]
        against = "" if all_pairs else f", against {label[some[0].against]} ({some[0].baseline:.4f})"
        title = f"{measure} on {scope}, {some[0].queries} queries{against}"
        wide = ["with collections"] if some[0].collections_interval else []
        print_table(columns + wide, [_cells(row, label, all_pairs, recipes, margin) for row in some], title=title)
    typer.echo(_legend(rows, label, recipes, margin, correction, all_pairs, single))


def _cells(
    row: RunDifference, label: dict[str, str], all_pairs: bool, recipes: bool, margin: float | None
) -> list[str]:
    name = label[row.run] + (f" − {label[row.against]}" if all_pairs else "")
    answer = row.recipes or row.models
    cells = [name, f"{row.mean:.4f}", f"{_mark(row)} {row.difference:+.4f}", *_answer(row.models)]
    cells.append(p_value(row.randomisation_p))
    if recipes:
        cells += _answer(row.recipes)
    detectable = answer.detectable if answer else None
    cells.append("—" if detectable is None else "> 1" if detectable > 1 else f"{detectable:.4f}")
    if margin is not None:
        cells.append(p_value(answer.corrected_equivalence_p if answer else None))
    cells.append("—" if row.effect_size is None else f"{row.effect_size:+.2f}")
    cells.append(f"{row.wins}/{row.ties}/{row.losses}")
    if row.collections_interval:
        cells.append(interval(*row.collections_interval))
    return cells


def _answer(answer: "Corrected | None") -> list[str]:
    """The interval and the corrected p-value."""
    if answer is None:
        return ["—", "—"]
    return [interval(*answer.interval) if answer.interval else "—", p_value(answer.corrected_p)]


def _mark(row: RunDifference) -> str:
    answer = row.recipes or row.models
    return row.mark or ("=" if answer and answer.equivalent else " ")


def _legend(
    rows: Sequence[RunDifference],
    label: dict[str, str],
    recipes: bool,
    margin: float | None,
    correction: Correction,
    all_pairs: bool,
    single: Sequence[str],
) -> str:
    level = LEVEL if correction == "none" else LEVEL / len(rows)
    how = "not corrected" if correction == "none" else f"{NAMES[correction]}-corrected over {plural(len(rows), 'row')}"
    if correction == "holm" and all_pairs and len(label) > 2:
        how = f"corrected over {plural(len(rows), 'row')} by Tukey's and Holm's bounds"
    lines = [
        f"△ ▽ these models are better, worse: {MODELS_TEST}; p < {LEVEL:g}, two-sided, {how}. "
        "p rand.: randomisation test of the same, not corrected.",
    ]
    if recipes:
        lines.insert(
            0,
            "▲ ▼ these recipes are better, worse, whatever the seed: t-test over queries and seeds, the variance of "
            f"seeds pooled over systems; p < {LEVEL:g}, {how}.",
        )
        if single:
            lines.append(
                f"{', '.join(single)}: taken as one training of several that could be; where no seed changes it, say "
                "--given and its run."
            )
    else:
        reasons = dict.fromkeys(row.unknown for row in rows if row.unknown)
        lines += [f"▲ cannot be given: {reason}." for reason in reasons]
    lines += [
        "Intervals are 95 %, of the test beside them, not corrected. effect: difference in standard deviations of "
        "queries' differences.",
        f"detectable: the true difference that the {'last' if recipes else 'first'} test finds with power 0.8 at level "
        f"{level:.2g}.",
    ]
    if margin is not None:
        known = [answer.margin_power for row in rows if (answer := row.recipes or row.models)]
        power = min((one for one in known if one is not None), default=0.0)
        lines.append(
            f"= equivalent: p equiv. < {LEVEL:g}, two one-sided t-tests that the difference is within ±{margin:g}. "
            f"A true difference of {margin:g} would be found with power {power:.2f} or more."
        )
    if any(row.collection == ALL for row in rows):
        lines.append(f"{ALL}: the mean of the collections' means; queries are drawn, collections are those given.")
    if any(row.collections_interval for row in rows):
        lines.append("with collections: t interval over collections and seeds: would it hold on others like these?")
    lines += [
        f"warning: {label[row.run]} against {label[row.against]} on {row.collection}, {row.measure}: a few queries "
        f"carry the difference: {carried(row.carried_by)}"
        for row in rows
        if row.carried_by and row.mark
    ]
    if any(row.uneven and row.recipes for row in rows):
        lines.append(
            "warning: seeds of some systems vary far more than those of others; ▲ ▼ err more often than stated"
        )
    return "\n".join(lines)
