import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from limbeck.core.errors import DataError
from limbeck.evaluation import benjamini_hochberg, holm

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
