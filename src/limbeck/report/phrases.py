"""The sentences and short texts that every report shares."""

from collections.abc import Sequence

from limbeck.report.formats import number, plural
from limbeck.report.table import ALPHA, Entry, Table
from limbeck.study.analysis.results import Cell, Stage, StudyResults

REHEARSAL = (
    "Rehearsal: tiny stand-ins were trained for a few steps to try the whole way out; "
    "no number here says anything about the study."
)
OVER_SEEDS = "paired t-test over queries and seeds"
OVER_QUERIES = "paired randomisation test over queries, with the one seed at hand"


def test_name(results: StudyResults) -> str:
    """The test that the marks of a study rest on."""
    rows = (*results.comparisons, *results.pairwise)
    several = {row.corrected_seeds_p is not None for row in rows}
    if several == {True, False}:
        return f"{OVER_SEEDS}; where one seed is finished, {OVER_QUERIES}"
    return OVER_SEEDS if True in several else OVER_QUERIES


def legend(results: StudyResults) -> str:
    """The note under every table of means."""
    return (
        f"▲ significantly above the first stage, ▼ significantly below ({test_name(results)}; Holm-corrected "
        f"p < {ALPHA}); no mark: no significant difference. ± is the standard deviation over seeds. "
        "Bold: the highest mean of a column, seen on the test queries themselves."
    )


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
    """The warnings beside those on unfinished cells, of which every report has its own list."""
    labels = tuple(f"{cell.backbone} · {cell.recipe} · seed {cell.seed} " for cell in unfinished_cells(results))
    return [warning for warning in results.warnings if not warning.startswith(labels)]


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


def stage_text(stage: Stage) -> str:
    """A stage of a recipe: `InfoNCE on judged, 200 steps of 4 lists`."""
    text = f"{stage.objective} on {stage.lists}"
    if stage.steps:
        text += f", {plural(stage.steps, 'step')}"
        text += f" of {plural(stage.lists_per_step, 'list')}" if stage.lists_per_step else ""
    return text
