import numpy as np
import pytest

from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation import Training, Trainings, compare, compare_all, paired_t, randomisation_test
from limbeck.evaluation.statistics.comparison import ONE_QUERY, UNTRAINED, carrying_queries

A, B = [("a", "")], [("b", "")]


def drawn(seed, seeds=3, queries=30, shift=0.0):
    """Seeds of a system, each query id → value, the ids in an order of their own."""
    random = np.random.default_rng(seed)
    order = random.permutation(queries)
    return [{f"q{n}": float(np.clip(random.normal(0.5 + shift, 0.2), 0, 1)) for n in order} for _ in range(seeds)]


def together(a, b, **options):
    """The comparison of two systems, collection → seeds of each."""
    rankers = [
        Training(recipe=name, values={place: seeds[number] for place, seeds in side.items()})
        for name, side in (("a", a), ("b", b))
        for number in range(len(next(iter(side.values()))))
    ]
    return compare_all(Trainings.align(rankers), [(A, B)], **options)[0]


def test_a_comparison_pairs_queries_by_id_whatever_their_order():
    a = {"q1": 0.9, "q2": 0.5, "q3": 0.4, "q4": 0.2}
    b = {"q4": 0.2, "q3": 0.6, "q2": 0.1, "q1": 0.2}
    result = compare(a, b)
    differences = np.array([0.7, 0.4, -0.2, 0.0])
    assert result.difference == pytest.approx(differences.mean())
    assert (result.n, result.wins, result.ties, result.losses) == (4, 2, 1, 1)
    assert result.models.p == pytest.approx(paired_t(differences))
    assert result.randomisation_p == randomisation_test(differences)
    assert result.models.interval[0] < result.difference < result.models.interval[1]
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


def test_misaligned_collections_are_refused():
    a, b = drawn(0), drawn(1)
    with pytest.raises(DataError, match=r"x: paired.*29 are shared, 1 only in the first \['q7'\]"):
        together({"x": [*a, {k: v for k, v in b[0].items() if k != "q7"}]}, {"x": b})
    with pytest.raises(DataError, match=r"same collections.*\['x', 'y'\], b has \['x'\]"):
        together({"x": a, "y": a}, {"x": b})
    with pytest.raises(DataError, match="c has no training"):
        compare_all(Trainings.align([Training(recipe="a", values={"x": a[0]})]), [(A, [("c", "")])])


def test_one_seed_each_answers_for_the_models_and_not_for_the_recipes():
    found = compare(drawn(0)[0], drawn(1)[0])
    assert (found.recipes, found.seeds) == (None, (1, 1))
    assert found.unknown == "no recipe has a second seed, so what other seeds would change is not known"
    assert found.models.equivalence_p is None


def test_one_seed_against_several_borrows_their_variance():
    several, one = drawn(0, 5), drawn(1, 1)
    found = compare(several, one)
    assert found.seeds == (5, 1)
    assert found.recipes.error > found.models.error
    assert found.recipes.p > found.models.p


def test_two_given_runs_were_not_trained():
    rankers = [Training(recipe=n, trained=False, values={"x": drawn(s)[0]}) for s, n in enumerate("ab")]
    [found] = compare_all(Trainings.align(rankers), [(A, B)])
    assert (found.recipes, found.unknown) == (None, UNTRAINED)


def test_one_query_says_nothing():
    found = together({"x": [{"q": 0.9}, {"q": 0.8}]}, {"x": [{"q": 0.1}, {"q": 0.2}]})
    assert (found.models, found.recipes, found.unknown) == (None, None, ONE_QUERY)
    assert together({"x": drawn(0), "y": [{"q": 1.0}] * 3}, {"x": drawn(1), "y": [{"q": 0.5}] * 3}).models is None


def test_a_few_equal_differences_are_no_proof():
    """Without spread Student's t would be infinite, of two queries as of a hundred."""
    found = compare({"q": 1.0, "r": 1.0}, {"q": 0.5, "r": 0.5})
    assert (found.models.p, found.models.interval, found.effect_size) == (0.5, None, None)


def test_the_interval_holds_nought_just_where_the_p_value_does_not_tell():
    for shift in np.linspace(0, 0.2, 9):
        found = together({"x": drawn(0, shift=shift)}, {"x": drawn(1)})
        for answer in (found.models, found.recipes):
            assert (answer.p < 0.05) == (answer.interval[0] > 0 or answer.interval[1] < 0)


def test_a_suite_is_compared_by_the_mean_of_its_collections():
    a = {"x": drawn(0, queries=40, shift=-0.05), "y": drawn(1, queries=5, shift=0.2)}
    b = {"y": drawn(2, queries=5), "x": drawn(3, queries=40)}
    found = together(a, b, samples=2000)
    of_x, of_y = (together({c: a[c]}, {c: b[c]}).difference for c in ("x", "y"))
    assert found.difference == pytest.approx((of_x + of_y) / 2)
    assert found.n == found.wins + found.ties + found.losses == 45
    assert found.collections_interval is None


def test_collections_are_drawn_where_there_are_enough_of_them():
    a = {name: drawn(n, shift=0.1) for n, name in enumerate("vwxyz")}
    b = {name: drawn(n + 9) for n, name in enumerate("vwxyz")}
    found = together(a, b, samples=100)
    assert found.collections_interval[0] < found.difference < found.collections_interval[1]


def test_means_over_seeds_in_another_order_are_ties():
    values = [0.1, 0.2, 0.3]
    a = [{"q": value, "r": value} for value in values]
    found = together({"x": a}, {"x": a[::-1]})
    assert (found.wins, found.ties, found.losses) == (0, 2, 0)
    assert (found.difference, found.effect_size, found.randomisation_p, found.models.p) == (0, 0, 1, 1)


def test_impossible_margins_are_refused_and_nothing_compared_is_nothing():
    assert compare_all(Trainings.align([Training(recipe="a", values={"x": {"q": 1.0}})]), []) == []
    with pytest.raises(UsageError, match="margin"):
        together({"x": drawn(0)}, {"x": drawn(1)}, margin=0)


def carried(values, found=False):
    return carrying_queries([np.asarray(values)], [[f"q{n}" for n in range(len(values))]], found)


def test_one_query_that_makes_the_whole_difference_is_named():
    values = [-0.01] * 30 + [0.9]
    assert carried(values) == (("q30", 0.9),)
    assert carried(np.negative(values)) == (("q30", -0.9),)


def test_a_difference_found_that_turns_without_a_few_queries_is_carried_by_them():
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0, 0.02, 60), [0.1, 0.1, -0.06]])
    assert carried(values) == ()
    assert [query for query, _ in carried(values, found=True)] == ["q60", "q61", "q47"]


def test_an_even_difference_is_carried_by_no_few():
    random = np.random.default_rng(0)
    assert carried(random.normal(0.1, 0.2, 50), found=True) == ()
    assert carried(np.zeros(9)) == ()
    assert carried(np.full(9, 0.1), found=True) == ()


def test_over_collections_a_query_is_named_with_its_collections_place():
    even, uneven = np.random.default_rng(1).normal(0, 0.01, 40), np.array([0.0] * 20 + [1.0])
    found = carrying_queries([even, uneven], [[str(n) for n in range(40)], [str(n) for n in range(21)]], False)
    assert found == (("20 (2)", 1.0),)
