"""Paired statistics of a whole study: 162 cells × 22 collections × 4 measures, 10,000 samples each.

    python benchmarks/significance.py

The values are drawn, in the sizes of the real collections: MS MARCO dev, TREC DL 2019 and 2020, BEIR's thirteen,
LoTTE-search's five and Robust04. Each of the 162 cells is compared with a first stage: all statistics of `compare_all`.
"""

import argparse
import resource
import time

import numpy as np

from limbeck.evaluation import Training, Trainings, compare_all, holm

QUERIES = (
    6980, 43, 54, 1406, 1535, 400, 6666, 648, 7405, 323, 3452, 10000, 1000, 300, 49, 50, 1071, 924, 617, 596, 661, 249,
)  # fmt: skip


def main() -> None:
    """Compare, print seconds per collection and in all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=162)
    parser.add_argument("--measures", type=int, default=4)
    parser.add_argument("--samples", type=int, default=10_000)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    p_values = []
    started = time.perf_counter()
    for queries in QUERIES:
        first, cells = drawn(random, options.cells, options.measures, queries)
        begun = time.perf_counter()
        rankers = (
            *(Training(recipe=str(cell), values={}) for cell in range(options.cells)),
            Training(recipe="first", trained=False, values={}),
        )
        couples = [([(str(cell), "")], [("first", "")]) for cell in range(options.cells)]
        ids = tuple(map(str, range(queries)))
        found = []
        for measure, base in enumerate(first):
            values = np.concatenate([cells[:, measure], base[None]])
            found += compare_all(Trainings(rankers, ("",), (ids,), (values,)), couples, samples=options.samples)
        p_values += [one.randomisation_p for one in found]
        print(f"{queries:6d} queries, {len(found)} comparisons: {time.perf_counter() - begun:6.1f} s", flush=True)
    holm(p_values)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(p_values)} comparisons in {time.perf_counter() - started:.0f} s, at most {peak:.1f} GiB")


def drawn(
    random: np.random.Generator, cells: int, measures: int, queries: int
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], np.ndarray[tuple[int, int, int], np.dtype[np.float64]]]:
    """Values of a first stage [measures, queries] and of cells [cells, measures, queries] that resemble it."""
    first = random.uniform(0, 1, (measures, queries))
    return first, np.clip(first + random.normal(0.02, 0.2, (cells, measures, queries)), 0, 1)


if __name__ == "__main__":
    main()
