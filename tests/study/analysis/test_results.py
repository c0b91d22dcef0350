import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.stats import ttest_1samp

from limbeck.core.files import plain
from limbeck.evaluation import Estimate, holm, minimum_detectable_difference, paired_t, tukey_holm
from limbeck.study.analysis.comparisons import (
    Trained,
    compare_over_backbones,
    compare_recipes,
    compare_with_first_stage,
)
from limbeck.study.analysis.gather import gather
from limbeck.study.analysis.results import QueryCounts, StudyResults
from limbeck.study.analysis.values import training_curves
from limbeck.study.config.study import load_study
from limbeck.study.plan.audit import FactorDifference, differences
from limbeck.study.run.store import Store


@pytest.fixture(scope="module")
def results(finished: Path) -> StudyResults:
    return gather(finished)


def per_query(output: Path, cell_id: str | None, key: str, measure: str) -> dict[str, float]:
    values = json.loads((Store(output).evaluation(cell_id, key) / "values.json").read_text())["values"][measure]
    return dict(sorted(values.items()))


def exact_p(differences: np.ndarray) -> float:
    """Share of all assignments of signs whose sum is as far from 0."""
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    return float(np.mean([total >= abs(differences.sum()) - 1e-12 for total in sums]))


def test_results_written_as_json_are_read_back_equal(results: StudyResults) -> None:
    text = json.dumps(plain(results), allow_nan=False)
    assert TypeAdapter(StudyResults).validate_json(text, strict=True) == results


def test_means_and_differences_are_those_of_the_per_query_values(results: StudyResults, finished: Path) -> None:
    index = Store(finished).read_index()
    first_key = index["first_stage"]["evaluations"]["mini/test"]
    assert len(results.comparisons) == 4
    p_values: dict[str, list[float]] = {}
    for row in results.comparisons:
        first = np.array(list(per_query(finished, None, first_key, row.measure).values()))
        seeds = np.array(
            [
                list(per_query(finished, cell["id"], cell["evaluations"]["mini/test"], row.measure).values())
                for cell in index["cells"]
                if cell["recipe"] == row.recipe
            ]
        )
        assert seeds.shape == (2, 4)
        assert row.seeds == pytest.approx(seeds.mean(1))
        assert row.mean == pytest.approx(seeds.mean())
        assert row.std == pytest.approx(abs(seeds.mean(1)[0] - seeds.mean(1)[1]) / np.sqrt(2))
        assert row.first_stage == pytest.approx(first.mean())
        difference = seeds.mean(0) - first
        assert row.difference == pytest.approx(difference.mean())
        assert row.randomisation_p == pytest.approx(exact_p(difference))
        assert row.models
        assert row.recipes
        assert row.models.p == pytest.approx(paired_t(difference))
        assert (row.wins, row.losses) == ((difference > 0).sum(), (difference < 0).sum())
        assert row.wins + row.ties + row.losses == row.queries == 4
        assert row.recipes.interval
        assert row.recipes.interval[0] <= row.difference <= row.recipes.interval[1]
        p_values.setdefault(row.measure, []).append(row.models.p)
    for measure, family in p_values.items():
        corrected = [row.models.corrected_p for row in results.comparisons if row.measure == measure and row.models]
        low, high = sorted(family)
        assert sorted(corrected) == pytest.approx([min(1, 2 * low), max(min(1, 2 * low), high)])


def drawn(random: np.random.Generator, shift: float, queries: int = 12) -> dict[str, float]:
    return {str(n): float(value) for n, value in enumerate(random.normal(shift, 0.3, queries))}


def test_holm_spans_recipes_collections_and_suites_of_one_measure() -> None:
    random = np.random.default_rng(0)
    first = {name: {m: drawn(random, 0) for m in ("AP", "RR")} for name in ("x", "y")}
    trained = [
        Trained("b", recipe, {n: {m: {s: drawn(random, shift) for s in (1, 2)} for m in ("AP", "RR")} for n in first})
        for recipe, shift in (("r", 0.1), ("s", 2.0))
    ]
    rows, suites = compare_with_first_stage(trained, first, ["AP", "RR"], {"both": ["x", "y"]})
    assert [(row.recipe, row.collection) for row in suites] == [("r", "both"), ("s", "both")] * 2
    for measure in ("AP", "RR"):
        family = [row for row in (*rows, *suites) if row.measure == measure]
        assert len(family) == 6
        for question in ("models", "recipes"):
            answers = [getattr(row, question) for row in family]
            assert [one.corrected_p for one in answers] == holm([one.p for one in answers])
        for row in family:
            assert row.recipes
            known = Estimate(row.difference, row.recipes.error, row.recipes.df)
            assert row.recipes.detectable == minimum_detectable_difference(known, 0.05 / 6)
    assert {row.mark for row in rows} == {"▲", ""}


def test_pairs_of_all_collections_and_backbones_are_one_family() -> None:
    random = np.random.default_rng(0)
    trained = [
        Trained(backbone, recipe, {n: {"RR": {s: drawn(random, 0) for s in (1, 2)}} for n in ("x", "y")})
        for backbone in ("small", "large")
        for recipe in "rst"
    ]
    rows = compare_recipes(trained, ["x", "y"], "RR", {})
    assert len(rows) == 12
    answers = [row.recipes for row in rows if row.recipes]
    assert [one.corrected_p for one in answers] == tukey_holm(
        [one.p for one in answers], [one.df for one in answers], 3, 4
    )


def test_a_shared_prefix_makes_pairs_of_seeds() -> None:
    random = np.random.default_rng(3)
    shifts = {seed: float(random.normal(0, 0.3)) for seed in (1, 2, 3)}
    values = {
        recipe: {"x": {"RR": {s: drawn(random, shift, 40) for s, shift in shifts.items()}}} for recipe in ("r", "s")
    }
    prefixes = {seed: f"key {seed}" for seed in shifts}
    [alone] = compare_recipes([Trained("b", name, of) for name, of in values.items()], ["x"], "RR", {})
    [paired] = compare_recipes([Trained("b", name, of, prefixes) for name, of in values.items()], ["x"], "RR", {})
    assert alone.recipes
    assert alone.models
    assert paired.recipes
    assert paired.models
    assert paired.recipes.error < alone.recipes.error / 2
    assert paired.models.p == pytest.approx(alone.models.p)


def test_a_failed_seed_leaves_both_questions_answered() -> None:
    random = np.random.default_rng(3)
    values = {recipe: {"x": {"RR": {s: drawn(random, 0, 40) for s in (1, 2, 3)}}} for recipe in ("r", "s")}
    del values["s"]["x"]["RR"][2], values["s"]["x"]["RR"][3]
    [row] = compare_recipes([Trained("b", name, of) for name, of in values.items()], ["x"], "RR", {})
    assert row.recipes
    assert row.models
    assert row.recipes.error >= row.models.error
    assert row.recipes.df < row.models.df


def test_every_two_recipes_are_compared_and_told_apart(results: StudyResults) -> None:
    [pair] = results.pairwise
    assert (pair.a.recipe, pair.b.recipe, pair.measure) == ("BCE", "TwoStage", "nDCG@10")
    means = {row.recipe: row.mean for row in results.comparisons if row.measure == "nDCG@10"}
    assert pair.difference == pytest.approx(means["BCE"] - means["TwoStage"])
    assert pair.recipes
    assert pair.recipes.interval
    assert pair.recipes.interval[0] <= pair.difference <= pair.recipes.interval[1]
    assert pair.wins + pair.ties + pair.losses == pair.queries == 4
    assert 0 < pair.recipes.p == pair.recipes.corrected_p <= 1
    [audit] = results.audit
    factors = {factor.factor: (factor.a, factor.b) for factor in audit.factors}
    assert pair.differs == tuple(factors)
    assert factors["stages"] == ("1", "2")
    assert factors["signal"] == ("judgments", "judgments, then bert")
    assert factors["learning rate"] == ("0.001", "0.001, then 0.0005")
    assert factors["steps"] == ("4", "2 + 1 epochs")
    assert factors["pairs trained on"] == ("32", "40")
    assert not {"candidates", "precision", "max length", "seeds", "warm-up", "passages per step"} & set(factors)


def test_equal_facts_differ_in_nothing_and_an_absent_one_is_unknown() -> None:
    assert differences({"x": "1"}, {"x": "1"}) == ()
    assert differences({"x": "1"}, {}) == (FactorDifference("x", "1", "unknown"),)


def test_first_stage_and_teacher_are_measured_on_the_same_candidates(results: StudyResults, finished: Path) -> None:
    first, [teacher] = results.first_stage, results.teachers
    assert first.counts == {"mini/test": QueryCounts(queries=4, scored=4, missing=0, short=0)}
    assert set(teacher.values["mini/test"]) == set(first.values["mini/test"]) == {"nDCG@10", "RR@10"}
    assert first.description.startswith("BM25(k1=0.9")


def test_two_recipes_are_compared_over_the_backbones_that_both_have() -> None:
    random = np.random.default_rng(0)

    def values(shift: float) -> dict[str, dict[str, dict[int, dict[str, float]]]]:
        return {
            name: {"RR": {seed: {str(n): float(random.normal(shift, 0.1)) for n in range(9)} for seed in (1, 2)}}
            for name in ("x", "y")
        }

    trained = [
        Trained(backbone, recipe, values(shift + effect))
        for backbone, shift in (("small", 0.1), ("large", 0.4))
        for recipe, effect in (("r", 0.0), ("s", 0.2))
    ]
    alone = Trained("third", "r", values(9.0))
    [row] = compare_over_backbones([*trained, alone], ["x", "y"], "RR", {("large", "r", "s"): ["signal"]})
    assert (row.a, row.b, row.backbones) == ("r", "s", ("small", "large"))
    assert (row.ahead, row.behind) == ((), ("small", "large"))

    def mean(one: Trained) -> float:
        return float(np.mean([list(seed.values()) for name in one.values.values() for seed in name["RR"].values()]))

    small_r, small_s, large_r, large_s = map(mean, trained)
    assert row.difference == pytest.approx((small_r + large_r - small_s - large_s) / 2)
    assert row.queries == 18
    assert row.differs == ("signal",)
    assert row.recipes
    assert 0 < row.recipes.p == row.recipes.corrected_p < 0.05
    assert row.mark == "▼"
    assert row.recipes.corrected_equivalence_p is None


def test_with_a_margin_every_two_recipes_are_tested_for_equivalence_corrected_together() -> None:
    random = np.random.default_rng(2)
    trained = [
        Trained("b", name, {"x": {"RR": {1: {str(n): 0.5 + shift + float(random.normal(0, 0.02)) for n in range(40)}}}})
        for name, shift in (("r", 0.0), ("s", 0.001), ("t", 0.05))
    ]
    sides = {one.recipe: np.array(list(one.values["x"]["RR"][1].values())) for one in trained}
    rows = compare_recipes(trained, ["x"], "RR", {}, margin=0.02)
    p_values = [
        max(
            ttest_1samp(sides[a] - sides[b], -0.02, alternative="greater").pvalue,
            ttest_1samp(sides[a] - sides[b], 0.02, alternative="less").pvalue,
        )
        for a, b in (("r", "s"), ("r", "t"), ("s", "t"))
    ]
    assert [row.models and row.models.equivalence_p for row in rows] == pytest.approx(p_values)
    smallest, *others = sorted(p_values)
    assert rows[0].models
    assert rows[0].models.corrected_equivalence_p == pytest.approx(3 * smallest)
    assert smallest < 0.01 < 0.5 < min(others)


def test_a_suite_is_compared_as_the_mean_of_its_members_and_only_where_a_recipe_has_all() -> None:
    first = {name: {"RR": {str(n): 0.1 * n for n in range(size)}} for name, size in (("x", 3), ("y", 8))}
    better = {
        name: {"RR": {seed: {query: value + gain for query, value in of["RR"].items()} for seed in (1, 2)}}
        for (name, of), gain in zip(first.items(), (0.1, 0.3), strict=True)
    }
    trained = [Trained("b", "r", better), Trained("b", "s", {"x": better["x"]})]
    _, rows = compare_with_first_stage(trained, first, ["RR"], {"both": ["x", "y"], "one": ["x"]})
    assert [(row.recipe, row.collection) for row in rows] == [("r", "both"), ("r", "one"), ("s", "one")]
    row = rows[0]
    assert row.difference == pytest.approx(0.2)
    assert row.mean == pytest.approx((0.1 + 0.1 + 0.35 + 0.3) / 2)
    assert row.first_stage == pytest.approx((0.1 + 0.35) / 2)


def test_models_may_differ_where_recipes_are_not_shown_to_and_one_seed_answers_for_models_alone() -> None:
    random = np.random.default_rng(1)
    first = {"x": {"RR": {str(n): 0.5 for n in range(200)}}}
    seeds = {s: {str(n): 0.5 + shift + float(random.normal(0, 0.02)) for n in range(200)}
             for s, shift in ((1, 0.05), (2, -0.03))}  # fmt: skip
    [row], _ = compare_with_first_stage([Trained("b", "r", {"x": {"RR": seeds}})], first, ["RR"])
    assert row.models
    assert row.recipes
    assert row.models.corrected_p < 0.001 < 0.05 < row.recipes.corrected_p
    assert (row.mark, row.shown) == ("△", row.models)
    [row], _ = compare_with_first_stage([Trained("b", "r", {"x": {"RR": {1: seeds[1]}}})], first, ["RR"])
    assert (row.recipes, row.mark) == (None, "△")
    assert row.unknown == "no recipe on b has a second seed, so what other seeds would change is not known"


def test_a_curve_keeps_its_mean_in_at_most_200_points(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [json.dumps({"kind": "step", "step": n, "loss": float(n)}) for n in range(1, 1001)]
    log.write_text("\n".join(lines) + "\n")
    curve, _ = training_curves(log)
    assert len(curve) == 200
    assert curve[0] == (5, 3.0)
    assert np.mean([loss for _, loss in curve]) == 500.5


def test_a_study_without_validation_or_teachers_is_gathered_too(finished: Path, laboratory: Path) -> None:
    assert load_study(laboratory / "tiny.yaml").config.validation is not None
    cells = gather(finished).cells
    assert [point[0] for point in cells[0].validation] == [2, 4]
    assert [point[0] for point in cells[0].curve] == [1, 2, 3, 4]
