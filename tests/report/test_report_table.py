import statistics
from collections.abc import Callable
from typing import Any

import pytest
from typed_results import typed

from limbeck.report import build_table, state_finding, summary_json
from limbeck.report.audit import audit_matrices
from limbeck.report.table import mark

Results = dict[str, Any]


@pytest.mark.parametrize(
    ("difference", "p", "expected"),
    [(0.1, 0.049, "▲"), (-0.1, 0.049, "▼"), (0.1, 0.05, ""), (-0.1, 0.9, ""), (0.1, None, ""), (0.0, 0.0, "")],
)
def test_a_mark_follows_from_the_sign_and_the_corrected_p(difference: float, p: float | None, expected: str) -> None:
    assert mark(difference, p) == expected


def test_every_entry_carries_the_numbers_and_the_mark_of_its_comparison(results: Results) -> None:
    table = build_table(typed(results))
    rows = {(row.backbone, row.recipe): row for row in table.of_kind("recipe")}
    marks = set()
    for comparison in results["comparisons"]:
        entry = rows[comparison["backbone"], comparison["recipe"]].entry(
            comparison["collection"], comparison["measure"]
        )
        assert (entry.mean, entry.std, entry.difference, entry.corrected_p, [entry.low, entry.high]) == tuple(
            comparison[key] for key in ("mean", "std", "difference", "corrected_seeds_p", "ci")
        )
        assert [value for _, value in entry.seeds] == comparison["seeds"]
        significant = comparison["corrected_seeds_p"] < 0.05
        assert entry.mark == (("▲" if comparison["difference"] > 0 else "▼") if significant else "")
        marks.add(entry.mark)
    assert marks == {"▲", ""}, "the example must show both"


def test_rows_are_the_first_stage_then_teachers_then_recipes_in_the_order_of_the_study(results: Results) -> None:
    assert [(row.kind, row.recipe) for row in build_table(typed(results)).rows] == [
        ("first stage", "bm25"),
        ("teacher", "minilm"),
        ("recipe", "BCE"),
        ("recipe", "InfoNCE"),
        ("recipe", "RankNet"),
    ]


def test_the_highest_complete_mean_of_a_column_is_best_and_neither_teacher_nor_first_stage_is(results: Results) -> None:
    for row in build_table(typed(results)).rows:
        assert row.entry("demo/test", "nDCG@10").best == (row.recipe == "RankNet")


def test_a_recipe_that_lacks_a_seed_says_so_and_cannot_be_best(
    results: Results, lose_cell: Callable[..., None]
) -> None:
    lose_cell(results, "RankNet", 2)
    table = build_table(typed(results))
    row = table.of_kind("recipe")[2]
    entry = row.entry("demo/test", "nDCG@10")
    left = results["cells"][4]["values"]["demo/test"]["nDCG@10"]
    assert entry.seeds == ((1, left), (2, None))
    assert (entry.mean, entry.std, entry.absent, entry.seed_note) == (left, None, (2,), "1 of 2 seeds")
    assert not entry.best
    assert table.notes == ("RankNet on minilm-3: the mean is over 1 of 2 seeds (seed 2 failed).",)


def test_without_a_comparison_the_mean_is_over_the_finished_cells(results: Results) -> None:
    results["comparisons"] = []
    entry = build_table(typed(results)).of_kind("recipe")[0].entry("scifact", "nDCG@10")
    values = [cell["values"]["scifact"]["nDCG@10"] for cell in results["cells"][:2]]
    assert entry.mean == pytest.approx(statistics.fmean(values))
    assert entry.std == pytest.approx(statistics.stdev(values))
    assert (entry.difference, entry.mark) == (None, "")


def test_a_single_seed_has_no_standard_deviation(make_results: Callable[..., Results]) -> None:
    results = make_results(seeds=1)
    table = build_table(typed(results))
    assert all(entry.std is None for row in table.rows for entry in row.entries.values())
    assert "With a single seed, the variation between trainings is unknown." in str(
        state_finding(typed(results), table)
    )


@pytest.mark.parametrize(("p", "sign"), [(0.9, 1), (0.9, -1), (0.01, -1)])
def test_the_finding_says_that_nothing_beats_the_first_stage(results: Results, p: float, sign: int) -> None:
    for comparison in results["comparisons"]:
        comparison.update(corrected_seeds_p=p, difference=sign * 0.05)
    headline = state_finding(typed(results), build_table(typed(results))).headline
    assert headline.startswith("Nothing beats the first stage (bm25)")
    assert ("6 are significantly below" in headline) == (p < 0.05)


def test_the_finding_counts_comparisons_of_the_primary_measure(results: Results) -> None:
    table = build_table(typed(results))
    primary = [c for c in results["comparisons"] if c["measure"] == "nDCG@10"]
    above = sum(c["corrected_seeds_p"] < 0.05 and c["difference"] > 0 for c in primary)
    assert 1 < above < len(primary) == 6
    assert state_finding(typed(results), table).headline.startswith(
        f"Of 6 comparisons with the first stage (bm25), {above} are significantly above"
    )


def test_the_finding_warns_where_significant_pairs_differ_in_more_than_the_objective(results: Results) -> None:
    for pair in results["pairwise"]:
        pair.update(corrected_seeds_p=0.001, difference=0.1)
    confounded = sum(bool(pair["differs"]) for pair in results["pairwise"])
    finding = str(state_finding(typed(results), build_table(typed(results))))
    assert f"6 differ significantly; {confounded} of these differ in more than the objective" in finding


def test_the_summary_holds_means_seeds_differences_and_corrected_p(
    results: Results, lose_cell: Callable[..., None]
) -> None:
    lose_cell(results, "BCE", 1)
    summary = summary_json(typed(results))
    for recipe in summary["recipes"]:
        for comparison in results["comparisons"]:
            if comparison["recipe"] != recipe["recipe"]:
                continue
            value = recipe["values"][comparison["collection"]][comparison["measure"]]
            assert [v for v in value["seeds"].values() if v is not None] == comparison["seeds"]
            assert all(value[key] == comparison[key] for key in ("mean", "difference", "ci"))
            assert value["corrected_p"] == comparison["corrected_seeds_p"]
    assert summary["recipes"][0]["values"]["scifact"]["RR@10"]["seeds"]["1"] is None
    assert summary["cells"] == {"planned": 6, "done": 5}
    assert [(cell["recipe"], cell["seed"], cell["error"]) for cell in summary["unfinished"]] == [
        ("BCE", 1, "loss is NaN at step 17")
    ]
    assert summary["warnings"] == results["warnings"]


def test_the_audit_matrix_knows_each_recipes_value_of_each_differing_factor(results: Results) -> None:
    (matrix,) = audit_matrices(typed(results).audit)
    assert matrix.factors == ("candidates", "signal", "passages per step", "tokens seen")
    values = {recipe: row[matrix.factors.index("passages per step")] for recipe, row in matrix.rows}
    assert values == {"BCE": "32", "InfoNCE": "32", "RankNet": "64"}
