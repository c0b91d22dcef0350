import numpy as np
import pytest

from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation import (
    bootstrap_intervals,
    compare,
    compare_all,
    equivalence,
    minimum_detectable_difference,
    over_queries_and_seeds,
    pair,
    paired_t,
    power,
    randomisation_test,
)


def drawn(seed, seeds=3, queries=30, shift=0.0):
    """Seeds of a system, each query id → value, the ids in an order of their own."""
    random = np.random.default_rng(seed)
    order = random.permutation(queries)
    return [{f"q{n}": float(np.clip(random.normal(0.5 + shift, 0.2), 0, 1)) for n in order} for _ in range(seeds)]


def test_a_comparison_pairs_queries_by_id_whatever_their_order():
    a = {"q1": 0.9, "q2": 0.5, "q3": 0.4, "q4": 0.2}
    b = {"q4": 0.2, "q3": 0.6, "q2": 0.1, "q1": 0.2}
    result = compare(a, b)
    differences = np.array([0.7, 0.4, -0.2, 0.0])
    assert result.difference == pytest.approx(differences.mean())
    assert (result.n, result.wins, result.ties, result.losses) == (4, 2, 1, 1)
    assert result.t_p == pytest.approx(paired_t(differences))
    assert result.randomisation_p == randomisation_test(differences)
    assert result.ci_low < result.difference < result.ci_high
    assert compare(dict(reversed(a.items())), b) == result


def test_a_p_value_on_misaligned_queries_is_impossible():
    a, b = {"q1": 0.9, "q2": 0.5}, {"q1": 0.9, "q3": 0.5}
    with pytest.raises(
        DataError, match=r"^paired.*1 are shared, 1 only in the first \['q2'\], 1 only in the second \['q3'\]"
    ):
        compare(a, b)
    with pytest.raises(DataError, match="same queries"):
        compare(a, {"q1": 0.9})
    with pytest.raises(DataError, match="at least one"):
        compare({}, {})
    with pytest.raises(DataError, match="NaN"):
        compare(a, {"q1": float("nan"), "q2": 0.0})
    with pytest.raises(DataError, match="one per query"):
        paired_t(np.ones((2, 3)))


def test_misaligned_seeds_and_collections_are_refused():
    a, b = drawn(0), drawn(1)
    with pytest.raises(DataError, match=r"x: paired.*29 are shared, 1 only in the first \['q7'\]"):
        pair({"x": [*a, {k: v for k, v in b[0].items() if k != "q7"}]}, {"x": b})
    with pytest.raises(DataError, match=r"same collections.*\['x', 'y'\], the second \['x'\]"):
        pair({"x": a, "y": a}, {"x": b})
    with pytest.raises(DataError, match="2 seeds on y, 3 elsewhere"):
        pair({"x": a, "y": a[:2]}, {"x": b, "y": b})
    with pytest.raises(DataError, match="at least one"):
        pair({"x": []}, {"x": b})


def test_a_comparison_holds_what_its_parts_give():
    pairs = pair({"x": drawn(0, shift=0.1)}, {"x": drawn(1)})
    [found] = compare_all([pairs], margin=0.05, level=0.01, samples=2000)
    known = over_queries_and_seeds(pairs)
    assert (found.seeds_p, found.t_interval) == (known.p, known.interval())
    assert [found.ci_low, found.ci_high] == bootstrap_intervals([pairs])[0].tolist()
    assert found.detectable == minimum_detectable_difference(known, 0.01)
    assert (found.equivalence_p, found.margin_power) == (equivalence(known, 0.05), power(known, 0.05, 0.01))
    [differences] = pairs.differences
    assert found.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.seeds == (3, 3)
    assert found.collections_interval is None


def test_a_suite_is_compared_by_the_mean_of_its_collections():
    a = {"x": drawn(0, queries=40, shift=-0.05), "y": drawn(1, queries=5, shift=0.2)}
    b = {"y": drawn(2, queries=5), "x": drawn(3, queries=40)}
    pairs = pair(a, b)
    [found] = compare_all([pairs], samples=2000)
    of_x, of_y = (compare_all([pair({c: a[c]}, {c: b[c]})])[0].difference for c in ("x", "y"))
    assert found.difference == pytest.approx((of_x + of_y) / 2)
    assert found.n == found.wins + found.ties + found.losses == 45
    assert found.collections_interval is None
    weighted = np.concatenate([one / len(one) for one in pairs.differences])
    assert 0.1 < found.randomisation_p == randomisation_test(weighted, samples=2000)


def test_collections_are_drawn_where_there_are_enough_of_them():
    a = {name: drawn(n, shift=0.1) for n, name in enumerate("vwxyz")}
    b = {name: drawn(n + 9) for n, name in enumerate("vwxyz")}
    [found] = compare_all([pair(a, b)], samples=100)
    assert found.collections_interval[0] < found.difference < found.collections_interval[1]


def test_means_over_seeds_in_another_order_are_ties():
    values = [0.1, 0.2, 0.3]
    a = [{"q": value, "r": value} for value in values]
    found = compare_all([pair({"x": a}, {"x": a[::-1]})])[0]
    assert (found.wins, found.ties, found.losses) == (0, 2, 0)
    assert (found.difference, found.effect_size, found.randomisation_p) == (0, 0, 1)


def test_equal_differences_have_no_effect_size():
    assert compare({"q": 0.3, "r": 0.5}, {"q": 0.1, "r": 0.3}).effect_size is None


def test_a_single_seed_has_no_p_value_over_seeds_and_no_margin_none_of_equivalence():
    found = compare(drawn(0)[0], drawn(1)[0])
    assert (found.seeds_p, found.equivalence_p, found.margin_power, found.seeds) == (None, None, None, (1, 1))
    assert compare_all([]) == []
    with pytest.raises(UsageError, match="margin"):
        compare_all([pair({"x": drawn(0)}, {"x": drawn(1)})], margin=0)
