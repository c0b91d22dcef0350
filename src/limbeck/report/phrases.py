"""The sentences and short texts that every report shares."""

from collections.abc import Mapping, Sequence

from limbeck.core.errors import enumerate_words, plural
from limbeck.evaluation import LEVEL, Corrected
from limbeck.report.formats import number, signed
from limbeck.report.table import Entry, Table
from limbeck.study.analysis.results import Cell, OtherFirstStage, Recipe, Stage, StudyResults

REHEARSAL = (
    "Rehearsal: tiny stand-ins were trained for a few steps to try the whole way out; "
    "no number here says anything about the study."
)
RECIPES_TEST = "t-test over queries and seeds, the variance of seeds pooled over the recipes of a backbone"
MODELS_TEST = "paired t-test over queries, the trainings being those at hand"


def knows_recipes(results: StudyResults) -> bool:
    """Whether any comparison can tell of recipes: a recipe has a second seed."""
    return any(row.recipes for row in (*results.comparisons, *results.suite_comparisons, *results.pairwise))


def marks_text(results: StudyResults) -> str:
    """What the marks mean, and the tests that they rest on."""
    models = f"△ ▽ these models are above, below the first stage ({MODELS_TEST})"
    if not knows_recipes(results):
        return f"{models}: with one seed of each recipe, nothing is known of the recipes; Holm-corrected p < {LEVEL:g}"
    return (
        f"▲ ▼ these recipes are above, below the first stage ({RECIPES_TEST}); {models}, the recipes perhaps not; each "
        f"question Holm-corrected over all comparisons of a measure, p < {LEVEL:g}"
    )


def legend(results: StudyResults) -> str:
    """The note under every table of means."""
    return (
        f"{marks_text(results)}. No mark: not shown, which is not the same as none. ± is the standard deviation over "
        "seeds. Bold: the highest mean of a column, seen on the test queries themselves."
    )


def pairs_note(results: StudyResults) -> str:
    """The note under the table of pairs."""
    recipes = f"▲ ▼ these recipes differ ({RECIPES_TEST}); " if knows_recipes(results) else ""
    return (
        f"{recipes}△ ▽ these models differ ({MODELS_TEST}). Each question corrected over "
        f"{plural(len(results.pairwise), 'pair')} by Tukey's and Holm's bounds, p < {LEVEL:g}; the interval is that of "
        "the same test, not corrected."
    )


def would_show(answer: Corrected) -> str:
    """What difference would have been found, after one that was not."""
    if answer.detectable is None:
        return ""
    if answer.detectable > 1:  # no two values of a measure differ by more
        return "; with so few seeds and queries no difference would show"
    return f"; {number(answer.detectable)} or more would show (power 0.8)"


def carried(queries: Sequence[tuple[str, float]]) -> str:
    """Queries and their differences: `q7 (+0.810), q3 (−0.020)`."""
    return ", ".join(f"{query} ({signed(value)})" for query, value in queries)


def entry_text(entry: Entry) -> str:
    """An entry in one line, without emphasis: `0.712 ± 0.004 ▲ (2 of 3 seeds)`."""
    parts = [number(entry.mean)]
    if entry.std is not None:
        parts.append(f"± {number(entry.std)}")
    if entry.mark:
        parts.append(entry.mark)
    if entry.seed_note:
        parts.append(f"({entry.seed_note})")
    return " ".join(parts)


def unfinished_cells(results: StudyResults) -> list[Cell]:
    return [cell for cell in results.cells if cell.state != "done"]


def other_warnings(results: StudyResults) -> list[str]:
    """The warnings beside those on unfinished cells, of which every report has its own list.

    Also marks that a few queries carry, and backbones whose recipes have seeds that vary unevenly.
    """
    labels = tuple(f"{cell.backbone} · {cell.recipe} · seed {cell.seed} " for cell in unfinished_cells(results))
    return [
        *(warning for warning in results.warnings if not warning.startswith(labels)),
        *(
            f"{row.recipe} · {row.backbone} on {row.collection}: a few queries carry the difference to the first stage "
            f"({row.measure}): {carried(row.carried_by)}"
            for row in results.comparisons
            if row.mark and row.carried_by and row.measure == results.measures[0]
        ),
        *(
            f"{backbone}: seeds of some recipes vary far more than those of others (Bartlett's test, p < {LEVEL:g}); "
            "each recipe's variance is then its own, drawn towards all of them, and claims err more often than stated"
            for backbone in dict.fromkeys(row.backbone for row in results.comparisons if row.uneven and row.recipes)
        ),
    ]


def pair_note(differs: Sequence[str]) -> str:
    """What stands beside the p-value of two recipes."""
    if differs:
        return f"differs also in: {', '.join(differs)}"
    return "differs in nothing but the objective"


def statements(results: StudyResults, table: Table) -> list[str]:
    """What this report lacks, in plain words: a reader should not have to notice an absence."""
    cells = results.cells
    lacking = []
    if not table.of_kind("teacher"):
        lacking.append("No teacher was measured as a re-ranker of the same candidates.")
    if not any(cell.validation for cell in cells):
        lacking.append("No validation was recorded, so no curve of a validation measure can be drawn.")
    if not any(cell.curve for cell in cells):
        lacking.append("No training loss was recorded.")
    if len({cell.seed for cell in cells}) == 1:
        lacking.append("One seed was trained, so there is no standard deviation.")
    return lacking


def other_title(results: StudyResults, other: OtherFirstStage) -> str:
    """What stands over the table of another first stage."""
    return f"{results.measures[0]}, candidates of {other.first_stage.name} instead of {results.first_stage.name}"


def bound_sentences(results: StudyResults) -> list[str]:
    """Whether the study's values lie where its file says that they must: how many do, then each."""
    bounds = results.bounds
    if not bounds:
        return []
    states = [bound.holds for bound in bounds]
    counts = [f"{states.count(state)} {words}" for state, words in _BOUND.items() if state in states]
    sentences = [f"Of {plural(len(bounds), 'bound')} of the study file: {enumerate_words(counts)}."]
    for bound in sorted(bounds, key=lambda bound: list(_BOUND).index(bound.holds)):
        value = "no value yet" if bound.value is None else f"{_BOUND[bound.holds]}: {number(bound.value)}"
        sentences.append(
            f"{bound.recipe} on {bound.backbone}, {bound.measure} on {bound.collection}: {value} "
            f"({number(bound.at_least)} to {number(bound.at_most)})"
        )
    return sentences


_BOUND: Mapping[bool | None, str] = {False: "out", None: "without a value yet", True: "in"}


def recipe_text(recipe: Recipe) -> str:
    """A recipe in words: its stages, or that it has none."""
    return "; then ".join(map(stage_text, recipe.stages)) or "not trained: the model as it is"


def stage_text(stage: Stage) -> str:
    """A stage of a recipe: `InfoNCE on judged, 200 steps of 4 lists`."""
    text = f"{stage.objective} on {stage.lists}"
    if stage.steps:
        text += f", {plural(stage.steps, 'step')}"
        text += f" of {plural(stage.lists_per_step, 'list')}" if stage.lists_per_step else ""
    return text
