"""Fisher's randomisation test on paired differences, for many comparisons at once."""

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import UsageError
from limbeck.evaluation.statistics.trainings import Floats, finite

EXACT_UP_TO = 16
ELEMENTS = 4_000_000
"""Of the matrix of signs that is held at a time."""


def randomisation_test(differences: ArrayLike, samples: int = 100_000, seed: int = 0) -> float:
    """Two-sided p-value of the randomisation test on paired differences [queries]; see `randomisation_tests`."""
    return float(randomisation_tests(finite(differences)[None], samples, seed)[0])


def randomisation_tests(differences: ArrayLike, samples: int = 100_000, seed: int = 0) -> Floats:
    """Two-sided p-values [comparisons] of Fisher's randomisation test on paired differences [comparisons, queries].

    Under the null hypothesis every difference may as well have the other sign; the statistic is the sum. All
    assignments of signs are counted for up to 16 differences other than 0, `samples` random ones for more:
    (k + 1) / (samples + 1), never 0. The comparisons share their signs, which makes one matrix product of them all;
    each p-value is what it would be alone. For a suite, weight each difference by 1 / (queries of its collection).

    Source: Smucker, Allan and Carterette 2007, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation (CIKM); the + 1: Phipson and Smyth 2010, Permutation P-values Should Never Be Zero.
    """
    if samples < 1:
        raise UsageError(f"a randomisation test of {samples} samples; expected 1 or more")
    values = finite(differences, (2,))
    few = (values != 0).sum(1) <= EXACT_UP_TO
    found = np.empty(len(values))
    found[few] = [_exact(row[row != 0]) for row in values[few]]
    if not few.all():
        found[~few] = _sampled(values[~few], samples, seed)
    return found


def _exact(values: Floats) -> float:
    places = np.arange(len(values))
    signs = 2.0 * (np.arange(2 ** len(values))[:, None] >> places & 1) - 1
    return float((np.abs(signs @ values) >= _extreme(values[None])[0]).mean())


def _sampled(values: Floats, samples: int, seed: int) -> Floats:
    comparisons, queries = values.shape
    random = np.random.default_rng(seed)
    extreme, total = _extreme(values), values.sum(1)
    count = np.zeros(comparisons, dtype=np.int64)
    height = max(1, ELEMENTS // max(queries, comparisons))
    for start in range(0, samples, height):
        rows = min(height, samples - start)
        # Whole words: of a part of one the generator would drop the rest, and the draws depend on `height`.
        words = random.integers(0, 2**32, (rows, -(-queries // 32)), dtype=np.uint32)
        bits = np.unpackbits(words.view(np.uint8), axis=1)
        positive = bits[:, :queries].astype(np.float64) @ values.T
        count += (np.abs(2 * positive - total) >= extreme).sum(0)
    return (count + 1) / (samples + 1)


def _extreme(values: Floats) -> Floats:
    """The sums that count as at least as far from 0 as those observed: equal ones may differ by rounding."""
    return np.asarray(np.abs(values.sum(1)) - 1e-10 * np.abs(values).sum(1))
