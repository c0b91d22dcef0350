"""What is recommended: chosen on held-out training queries, measured on test queries, and said in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from limbeck.collections import Collection
from limbeck.evaluation import LEVEL, measure_run
from limbeck.evaluation.run_comparison import compare_runs
from limbeck.report.formats import p_is, signed
from limbeck.runs import Fusion, Run

MEASURE = "nDCG@10"
FIRST_STAGE = "BM25"
STUDENT = "student"
TEACHER = "teacher"
READY = "ready re-ranker"


@dataclass(frozen=True, kw_only=True)
class System:
    """A ranker, or several whose scores are interpolated.

    Attributes:
        parts: names of rankers; the first stage's candidates are what all of them rank.
        weights: of each part, of scores scaled to 0 and 1 within a query; empty for a single one.
        chosen_by: its mean on the queries that choose.
    """

    parts: tuple[str, ...]
    weights: tuple[float, ...] = ()
    chosen_by: float

    @property
    def name(self) -> str:
        """The parts, with their weights where there are several."""
        if not self.weights:
            return self.parts[0]
        return " + ".join(f"{weight:g} {part}" for part, weight in zip(self.parts, self.weights, strict=True))

    def run(self, runs: Mapping[str, Run]) -> Run:
        """Its ranking, given those of its parts."""
        if not self.weights:
            return runs[self.parts[0]]
        return Fusion("interpolate", weights=self.weights).fuse([runs[part] for part in self.parts], self.name)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to do, in words.

    Attributes:
        use: whether the recommended system is another than the first stage; None where nothing can be recommended.
        system: the recommended one.
        words: why, and what is not known.
    """

    use: bool | None
    system: str | None
    words: str


def weightings(parts: int) -> Iterator[tuple[float, ...]]:
    """The weights that are tried for two or three parts: tenths, and fifths."""
    steps = {2: 10, 3: 5}[parts]
    for first in range(1, steps):
        if parts == 2:
            yield first / steps, (steps - first) / steps
            continue
        for second in range(1, steps - first):
            yield first / steps, second / steps, (steps - first - second) / steps


def systems(collection: Collection, runs: Mapping[str, Run]) -> list[System]:
    """Each ranker, and of every two and three of them the best weighting, on the queries that choose; the best first.

    Equal ones stand in the order of their number of parts, and of `runs`: the cheapest first.
    """
    found = [System(parts=(name,), chosen_by=mean(collection, run)) for name, run in runs.items()]
    for count in (2, 3):
        for parts in combinations(runs, count):
            tried = [System(parts=parts, weights=weights, chosen_by=0.0) for weights in weightings(count)]
            measured = [replace(each, chosen_by=mean(collection, each.run(runs))) for each in tried]
            # Of weightings that are equally good, the most even one.
            found.append(max(measured, key=lambda each: (each.chosen_by, -max(each.weights))))
    return sorted(found, key=lambda each: -each.chosen_by)


@dataclass(frozen=True, kw_only=True)
class OnTest:
    """A system on the test queries, beside the first stage.

    Attributes:
        value: its mean.
        difference: from the first stage's, with a 95 % interval over queries and a p-value that is Holm-corrected over
            all systems; None of the last two where they cannot be had.
    """

    value: float
    difference: float
    interval: tuple[float, float] | None = None
    p: float | None = None

    def __str__(self) -> str:
        bounds = f" [{signed(self.interval[0])}, {signed(self.interval[1])}]" if self.interval else ""
        return f"{signed(self.difference)}{bounds} {MEASURE}"


def on_test(collection: Collection, runs: Mapping[str, Run], found: Sequence[System]) -> dict[str, OnTest]:
    """Every system on the test queries, these models as they are compared with the first stage."""
    measured = {each.name: [measure_run(collection, each.run(runs), [MEASURE])] for each in found}
    others = [(name, FIRST_STAGE) for name in measured if name != FIRST_STAGE]
    compared = compare_runs({collection.name: measured}, others, given=frozenset(measured))
    tested = {FIRST_STAGE: OnTest(value=measured[FIRST_STAGE][0].mean(MEASURE), difference=0.0)}
    for each in compared:
        models = each.models
        tested[each.run] = OnTest(
            value=each.mean, difference=each.difference, interval=models.interval if models else None,
            p=models.corrected_p if models else None,
        )  # fmt: skip
    return tested


def advise(found: Sequence[System], tested: Mapping[str, OnTest], queries: int) -> Advice:
    """The recommendation: what the choosing queries put first, unless the test queries put the first stage before it.

    Args:
        found: as `systems` gives them.
        tested: system → what the test said of it.
        queries: how many choose.
    """
    best = found[0]
    plain = next(each for each in found if each.parts == (FIRST_STAGE,))
    if best is plain:
        words = f"Do not re-rank: on the {queries} queries that choose nothing was better than {FIRST_STAGE}."
        return Advice(use=False, system=FIRST_STAGE, words=words)
    of_best = tested[best.name]
    if of_best.difference < 0:
        words = (
            f"Do not re-rank: {best.name} was best on the {queries} queries that choose, and lies below {FIRST_STAGE} "
            f"on the test queries ({of_best})."
        )
        return Advice(use=False, system=FIRST_STAGE, words=words)
    if of_best.p is not None and of_best.p < LEVEL:
        words = f"Use {best.name}: {of_best} over {FIRST_STAGE} on the test queries, {p_is(of_best.p)}."
    else:
        p = "" if of_best.p is None else f", {p_is(of_best.p)}"
        words = (
            f"Use {best.name} where its cost does not matter: it was best on the {queries} queries that choose, but "
            f"a gain over {FIRST_STAGE} is not shown on the test queries ({of_best}{p})."
        )
    top = max(tested, key=lambda name: tested[name].value)
    if tested[top].value > of_best.value:
        words += (
            f" {top} came out {tested[top].value - of_best.value:.3f} higher there, which is not what chooses: queries "
            "that choose can no longer tell the truth."
        )
    return Advice(use=True, system=best.name, words=words)


def unjudged(agreed: Mapping[str, float], queries: int) -> Advice:
    """What can be said where nobody has judged.

    Args:
        agreed: ranker → its mean where the teacher's first ten count as relevant.
        queries: on how many held-out queries.
    """
    learnt = agreed[STUDENT] > agreed[FIRST_STAGE]
    words = (
        f"Nothing can be recommended: no held-out query has judgments. What can be said: on {queries} held-out queries "
        f"the student {'agrees more' if learnt else 'does not agree more'} with the teacher than {FIRST_STAGE} does "
        f"({agreed[STUDENT]:.3f} and {agreed[FIRST_STAGE]:.3f} {MEASURE}, where the teacher's first ten count as "
        "relevant). Whether the teacher is right about your documents, that does not say. Have 50 queries or more "
        "judged, by people or by an LLM (`limbeck teach judge`), put them into qrels/test.tsv, and distil again."
    )
    return Advice(use=None, system=None, words=words)


def mean(collection: Collection, run: Run) -> float:
    """nDCG@10 of a run, the mean over the judged queries."""
    return measure_run(collection, run, [MEASURE]).mean(MEASURE)
