"""Runs compared: on each collection and on all of them, on every measure, all corrected as one family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limbeck.evaluation.measure import Evaluation
from limbeck.evaluation.statistics import (
    CORRECTIONS,
    LEVEL,
    Answer,
    Correction,
    Difference,
    Fact,
    Training,
    Trainings,
    compare_all,
)
from limbeck.evaluation.statistics.comparison import Interval
from limbeck.evaluation.statistics.families import all_pairs, correct_family

ALL = "all collections"
Measured = Mapping[str, Mapping[str, Sequence[Evaluation]]]
"""Collection → system → one evaluation per seed."""


@dataclass(frozen=True, kw_only=True)
class RunDifference(Difference):
    """`run` less `against` on a collection, or over all; `mean` and `baseline` are theirs, `seeds` how many of each."""

    collection: str
    run: str
    against: str
    mean: float
    baseline: float
    seeds: tuple[int, int]
    collections_interval: Interval | None


def compare_runs(
    measured: Measured,
    couples: Sequence[tuple[str, str]],
    *,
    given: frozenset[str] = frozenset(),
    margin: float | None = None,
    correction: Correction = "holm",
) -> list[RunDifference]:
    """One row per scope (each collection, then all of them), measure and couple.

    Args:
        measured: the same systems, seeds and measures on every collection.
        couples: (a, b) of systems, whose difference a − b is told; every two systems, or all against one.
        given: systems that no seed changes.
        margin: of equivalence, in the measure's unit.
        correction: of p-values, over all rows; `holm` over all pairs goes with Tukey's bound.
    """
    places = list(measured)
    scopes = {place: [place] for place in places} | ({ALL: places} if len(places) > 1 else {})
    systems = list(measured[places[0]])
    measures = next(iter(measured[places[0]].values()))[0].measures
    size = len(scopes) * len(measures) * len(couples)
    # What must survive the correction is found at the level of its hardest step.
    level = LEVEL if correction == "none" else LEVEL / size
    family: list[Fact] = []
    for scope, within in scopes.items():
        for measure in measures:
            data = _align(measured, within, measure, given)
            means = {one: float(data.mean([(one, "")]) @ data.moments.means.mean(0)) for one in systems}
            named = [([(a, "")], [(b, "")]) for a, b in couples]
            compared = compare_all(data, named, margin=margin, level=level)
            for (a, b), one in zip(couples, compared, strict=True):
                facts = {"collection": scope, "measure": measure, "run": a, "against": b, "mean": means[a]}
                facts |= {"baseline": means[b], "seeds": one.seeds, "collections_interval": one.collections_interval}
                family.append((facts, one))

    def correct(answers: Sequence[Answer]) -> list[float]:
        if correction == "holm" and len(couples) == len(systems) * (len(systems) - 1) // 2 > 1:
            return all_pairs(len(systems), len(scopes) * len(measures))(answers)
        return CORRECTIONS[correction]([one.p for one in answers])

    return correct_family(RunDifference, family, correct, CORRECTIONS[correction])


def _align(measured: Measured, places: Sequence[str], measure: str, given: frozenset[str]) -> Trainings:
    return Trainings.align(
        Training(
            recipe=system,
            trained=system not in given,
            values={place: measured[place][system][seed].values[measure] for place in places},
        )
        for system, seeds in measured[places[0]].items()
        for seed in range(len(seeds))
    )
