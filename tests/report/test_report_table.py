import statistics
from collections.abc import Callable
from typing import Any

import pytest
from typed_results import answers, typed

from limbeck.report import build_table, state_finding, summary_json
from limbeck.report.audit import audit_matrices
from limbeck.report.phrases import other_warnings

Results = dict[str, Any]


def test_every_entry_carries_the_numbers_and_the_mark_of_its_comparison(results: Results) -> None:
    given = typed(results)
    rows = {(row.backbone, row.recipe): row for row in build_table(given).of_kind("recipe")}
    marks = set()
    for comparison in given.comparisons:
        entry = rows[comparison.backbone, comparison.recipe].entry(comparison.collection, comparison.measure)
        shown = comparison.shown
        assert shown
        assert (entry.mean, entry.std, entry.difference, entry.mark) == (
            comparison.mean, comparison.std, comparison.difference, comparison.mark
        )  # fmt: skip
        assert ((entry.low, entry.high), entry.corrected_p) == (shown.interval, shown.corrected_p)
        assert [value for _, value in entry.seeds] == list(comparison.seeds)
        marks.add(entry.mark)
    assert {"▲", ""} <= marks, "the example must show both"


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
    assert "With a single seed, only these models can be compared" in str(state_finding(typed(results), table))
    assert not {entry.mark for row in table.rows for entry in row.entries.values()} & {"▲", "▼"}


def headline(results: Results) -> str:
    return state_finding(typed(results), build_table(typed(results))).headline


def test_what_is_not_shown_is_never_called_nothing(results: Results) -> None:
    for comparison in results["comparisons"]:
        comparison.update(difference=0.05, **answers(0.9, 0.9, interval=[0.01, 0.09]))
    results["comparisons"][0].update(difference=0.122, **answers(0.6, 0.7, interval=[0.01, 0.221]))
    assert headline(results) == (
        "No difference to the first stage (bm25) is shown in 6 comparisons; the largest is +0.122 (BCE · minilm-3 on "
        "demo/test, 95 % interval +0.010 to +0.221, corrected p = 0.700)."
    )


def test_the_headline_counts_recipes_and_models_of_the_primary_measure(results: Results) -> None:
    primary = [c for c in results["comparisons"] if c["measure"] == "nDCG@10"]
    marks = ((0.1, 0.001), (0.1, 0.2), (-0.1, 0.001), (-0.1, 0.2), (0.1, 0.001))
    for comparison, (difference, p) in zip(primary, marks, strict=False):
        comparison.update(difference=difference, **answers(0.001, p))
    primary[5].update(**answers(0.3, 0.3))
    assert headline(results) == (
        "Of 6 comparisons with the first stage (bm25): 2 recipes above, whatever the seed (▲), 1 above as a model, "
        "perhaps not as a recipe (△), 1 below as a model, perhaps not as a recipe (▽), 1 recipe below, whatever the "
        "seed (▼) and 1 not shown to differ."
    )
    for comparison in primary:
        comparison.update(difference=-0.1, **answers(0.001, 0.001))
    assert headline(results).startswith("Nothing is shown to be above the first stage (bm25): of 6 comparisons 6 are")
    for comparison in primary:
        comparison.update(difference=0.1)
    assert headline(results) == "Every recipe beats the first stage (bm25) on every collection (▲)."
    for comparison in primary:
        comparison.update(**answers(0.001))
    assert headline(results).endswith("(△); whether other seeds would be is not shown.")


def test_the_finding_warns_where_pairs_told_apart_differ_in_more_than_the_objective(results: Results) -> None:
    for pair in results["pairwise"]:
        pair.update(difference=0.1, **answers(0.001, 0.001))
    confounded = sum(bool(pair["differs"]) for pair in results["pairwise"])
    finding = str(state_finding(typed(results), build_table(typed(results))))
    assert f"6 differ whatever the seed (▲); {confounded} of these differ in more than the objective" in finding
    for pair in results["pairwise"]:
        pair.update(**answers(0.9, 0.9))
    assert "no difference is shown." in str(state_finding(typed(results), build_table(typed(results))))


def test_marks_that_a_few_queries_carry_and_seeds_that_vary_unevenly_are_warned_of(results: Results) -> None:
    results["comparisons"][0].update(
        difference=0.1, carried_by=[["q7", 0.8], ["q9", -0.02]], uneven=True, **answers(0.001, 0.2)
    )
    carried, uneven = other_warnings(typed(results))[-2:]
    assert carried.endswith("a few queries carry the difference to the first stage (nDCG@10): q7 (+0.800), q9 (−0.020)")
    assert uneven.startswith("minilm-3: seeds of some recipes vary far more than those of others")


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
            assert all(value[key] == comparison[key] for key in ("mean", "difference"))
            shown = comparison["models" if value["mark"] in ("△", "▽") else "recipes"]
            assert (value["ci"], value["corrected_p"]) == (shown["interval"], shown["corrected_p"])
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
