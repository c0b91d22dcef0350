import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from limbeck.core.errors import DataError
from limbeck.evaluation import benjamini_hochberg, holm, tukey_holm

P_VALUES = st.lists(st.floats(0, 1), max_size=8)


@given(P_VALUES)
def test_holm_never_lowers_a_p_value_nor_reorders_them(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [corrected[i] for i in order] == sorted(corrected)


def test_holm_corrects_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(DataError, match="p-values"):
        holm([0.1, float("nan")])


def test_benjamini_hochberg_corrects_by_hand():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert benjamini_hochberg([]) == []
    with pytest.raises(DataError, match="p-values"):
        benjamini_hochberg([0.1, 1.1])


@given(P_VALUES)
def test_benjamini_hochberg_lies_between_no_correction_and_holm(p_values):
    pairs = zip(p_values, benjamini_hochberg(p_values), holm(p_values), strict=True)
    assert all(p <= q <= h + 1e-12 for p, q, h in pairs)


def test_false_claims_are_as_few_as_stated():
    random = np.random.default_rng(0)
    any_false, share_false, found = 0, 0.0, 0
    for _ in range(500):
        values = random.normal(np.repeat([0.0, 0.12], 10)[:, None], 0.2, (20, 40))
        p = list(stats.ttest_1samp(values, 0, axis=1).pvalue)
        any_false += any(q <= 0.05 for q in holm(p)[:10])
        claimed = np.array(benjamini_hochberg(p)) <= 0.05
        share_false += claimed[:10].sum() / max(1, claimed.sum())
        found += int(claimed[10:].sum()) - sum(q <= 0.05 for q in holm(p)[10:])
    assert any_false / 500 <= 0.06
    assert share_false / 500 <= 0.035
    assert found > 0


def test_tukeys_p_value_is_scipys():
    for df, means in ((1.3, 3), (6, 6), (18.5, 4), (5000, 9)):
        p = 0.004
        t = stats.t.isf(p / 2, df)
        expected = stats.studentized_range.sf(t * np.sqrt(2), means, df if df < 1000 else np.inf)
        count = means * (means - 1) // 2
        assert tukey_holm([p, *[1.0] * (count - 1)], [df] * count, means)[0] == pytest.approx(expected, rel=3e-3)


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6), st.floats(1, 500))
def test_tukeys_bound_never_weakens_holm_nor_goes_below_no_correction(p_values, df):
    corrected = tukey_holm(p_values, [df] * 6, 4)
    assert all(p <= c <= h for p, c, h in zip(p_values, corrected, holm(p_values), strict=True))
    order = sorted(range(6), key=lambda i: p_values[i])
    assert [corrected[i] for i in order] == sorted(corrected[i] for i in order)
    # Several sets of all pairs are never easier than one.
    more = tukey_holm(p_values * 2, [df] * 12, 4, families=2)
    assert all(b >= a - 1e-12 for a, b in zip(corrected, more[:6], strict=True))


def test_all_pairs_of_equal_means_are_falsely_told_apart_as_seldom_as_stated():
    """With few degrees of freedom Tukey's bound is what keeps the step near its level; Holm's leaves much of it."""
    random = np.random.default_rng(1)
    by_tukey = by_holm = 0
    for _ in range(1500):
        means, error = random.normal(0, 1, 5), np.sqrt(2 * random.chisquare(5) / 5)
        p = [float(2 * stats.t.sf(abs(means[a] - means[b]) / error, 5)) for a in range(5) for b in range(a)]
        smallest = [min(p), *[1.0] * 9]  # the first step decides whether anything is claimed
        by_tukey += tukey_holm(smallest, [5] * 10, 5)[0] <= 0.05
        by_holm += min(holm(p)) <= 0.05
    assert 0.035 < by_tukey / 1500 < 0.065
    assert by_holm < by_tukey
