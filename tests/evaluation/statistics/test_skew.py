import numpy as np

from limbeck.evaluation.statistics.skew import carrying_queries


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
