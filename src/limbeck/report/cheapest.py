"""The cheapest model that is as good as the best one, in a sentence; or why none can be named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limbeck.core.errors import enumerate_words, plural
from limbeck.evaluation import WithinMargin
from limbeck.report.curves import EQUAL_COST
from limbeck.report.formats import interval, number, p_is, signed
from limbeck.study.analysis.comparisons import MOST_NEAR_BEST, NearBestRecipe
from limbeck.study.analysis.results import StudyResults

BENCH = "`limbeck bench OUT` measures it, and the next report has it"
_NAMED = 4


@dataclass(frozen=True)
class Cheapest:
    """What is known of the cheapest model that is as good as the best.

    Attributes:
        sentence: says it, or why it is not known.
        backbone, recipe, latency_ms: of that model; None where none can be named.
    """

    sentence: str
    backbone: str | None = None
    recipe: str | None = None
    latency_ms: float | None = None


def state_cheapest(results: StudyResults) -> Cheapest | None:
    """The cheapest model within the study's margin of the best, by measured latency; None where there is no choice.

    The answer is about these recipes where it can be, else about these models.
    """
    systems = {(cell.backbone, cell.recipe) for cell in results.cells if cell.state == "done"}
    if len({backbone for backbone, _ in systems}) < 2:
        return None  # whatever a backbone was trained with, it costs the same
    unmeasured = "" if results.latency else f" No latency was measured either: {BENCH}."
    if results.margin is None:
        return Cheapest(
            "Which model is the cheapest that is as good as the best is not known: the study file names no margin of "
            f"equivalence (`evaluation: {{margin: 0.01}}`, chosen beforehand).{unmeasured}"
        )
    if len(systems) > MOST_NEAR_BEST:
        return Cheapest(
            f"Which models are as good as the best was not tested: {len(systems):,} recipes on backbones are more than "
            f"{MOST_NEAR_BEST}.{unmeasured}"
        )
    if not results.near_best:
        return None  # no two of them are finished on all collections
    within = f"within ±{results.margin:g}"
    latencies = {each.name: each.latency_ms for each in results.backbones if each.latency_ms}
    if not latencies:
        return Cheapest(_without_latency(results.near_best, within))
    return _by_latency(results, latencies, within)


def _without_latency(rows: Sequence[NearBestRecipe], within: str) -> str:
    words = f"Which model is the cheapest is not known, as no latency was measured: {BENCH}."
    for question, noun in (("recipes", "recipes"), ("models", "models, whether their recipes are or not")):
        shown = [row for row in _best_first(rows) if (answer := _answer(row, question)) and answer.shown]
        if shown:
            names = [_name(row) for row in shown[:_NAMED]]
            if len(shown) > _NAMED:
                names.append(f"{len(shown) - _NAMED} more")
            return f"{words} Shown to be equivalent to the best {within}, as {noun}: {enumerate_words(names)}."
    return f"{words} No model is shown to be equivalent to the best {within}."


def _by_latency(results: StudyResults, latencies: Mapping[str, float], within: str) -> Cheapest:
    rows = _best_first(results.near_best)
    top = rows[0]
    lacking = sorted({row.backbone for row in rows} - set(latencies))
    without = f" No latency was measured of {enumerate_words(lacking)}." if lacking else ""
    if top.backbone not in latencies:
        return Cheapest(
            f"What {_name(top)}, which has the highest mean ({_mean(top, results)}), costs is not known.{without}"
        )
    most = latencies[top.backbone]
    cheaper = [row for row in rows if row.backbone in latencies and latencies[row.backbone] * EQUAL_COST < most]
    if not cheaper:
        none = "none whose latency was measured" if lacking else "no model"
        text = f"{_name(top)} has the highest mean, {_mean(top, results)}, and {none} is cheaper than its {_time(most)}"
        return Cheapest(f"{text} ({results.latency}).{without}", top.backbone, top.recipe, most)
    highest = f"{_name(top)}, which has the highest mean ({_mean(top, results)}, {_time(most)})"
    for question in ("recipes", "models"):
        shown = [row for row in cheaper if (answer := _answer(row, question)) and answer.shown]
        if shown:
            least = min(latencies[row.backbone] for row in shown)
            found = next(row for row in shown if latencies[row.backbone] <= EQUAL_COST * least)
            answer = _answer(found, question)
            assert answer is not None  # it is shown
            spent = latencies[found.backbone]
            lead = "The cheapest model" if question == "recipes" else "As these models are, the cheapest"
            text = (
                f"{lead} that is equivalent to the best {within} is {_name(found)}: {_mean(found, results)} at "
                f"{_time(spent)} ({results.latency}), against {highest}; {_numbers(found, answer)}."
            )
            if question == "models":
                known = _answer(found, "recipes")
                rest = f"is not shown, {p_is(known.corrected_p)}" if known else "is not known"
                text += f" That it would be after training again {rest}."
            return Cheapest(text + without, found.backbone, found.recipe, spent)
    return Cheapest(_nothing_shown(cheaper, latencies, highest, within, results) + without)


def _nothing_shown(
    cheaper: Sequence[NearBestRecipe],
    latencies: Mapping[str, float],
    highest: str,
    within: str,
    results: StudyResults,
) -> str:
    lead = f"No model cheaper than {highest}, is shown to be equivalent to the best {within} ({results.latency})."
    known = [(answer.corrected_p, row, answer) for row in cheaper if (answer := row.recipes or row.models)]
    if not known:
        return f"{lead} Nothing is known of how far queries vary."
    _, nearest, answer = min(known, key=lambda each: each[0])
    text = f"{lead} Nearest to it is {_name(nearest)} at {_time(latencies[nearest.backbone])}: "
    text += _numbers(nearest, answer)
    if answer.power is not None:
        seeds = " and seeds" if nearest.recipes else ""
        text += f"; of a model just as good as the best, so many queries{seeds} would show it with a chance of "
        text += f"{answer.power:.0%}"
    return f"{text}."


def _answer(row: NearBestRecipe, question: str) -> WithinMargin | None:
    return row.recipes if question == "recipes" else row.models


def _best_first(rows: Sequence[NearBestRecipe]) -> list[NearBestRecipe]:
    return sorted(rows, key=lambda row: -row.mean)


def _name(row: NearBestRecipe) -> str:
    return f"{row.recipe} on {row.backbone}"


def _mean(row: NearBestRecipe, results: StudyResults) -> str:
    over = len(results.collections)
    return f"{number(row.mean)} {results.measures[0]}" + (f" over {plural(over, 'collection')}" if over > 1 else "")


def _time(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms a query" if milliseconds >= 10 else f"{milliseconds:.1f} ms a query"


def _numbers(row: NearBestRecipe, answer: WithinMargin) -> str:
    bounds = f", 95 % interval {interval(*answer.interval)}" if answer.interval else ""
    return f"{signed(row.difference)} to that one{bounds}; corrected {p_is(answer.corrected_p)} of equivalence"
