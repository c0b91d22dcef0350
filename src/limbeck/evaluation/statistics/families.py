"""A family of comparisons, corrected once for their number, and what each may then be said to show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from limbeck.evaluation.statistics.comparison import Answer, Comparison
from limbeck.evaluation.statistics.multiple import LEVEL, holm, tukey_holm

Mark = Literal["▲", "▼", "△", "▽", ""]
"""▲ ▼: these recipes differ, whatever the seed; △ ▽: these models differ, the recipes perhaps; nothing: not shown."""


@dataclass(frozen=True, kw_only=True)
class Corrected(Answer):
    """An answer whose p-values are also corrected over the family of all rows that have one."""

    corrected_p: float
    corrected_equivalence_p: float | None

    @property
    def significant(self) -> bool:
        return self.corrected_p < LEVEL

    @property
    def equivalent(self) -> bool:
        return self.corrected_equivalence_p is not None and self.corrected_equivalence_p < LEVEL


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The statistics of two systems, as `limbeck.evaluation.Comparison` has them, corrected over their family.

    Attributes:
        measure: what was compared.
        models, recipes: the answers for these models and for these recipes; `unknown` says why the latter is None.
        queries: on which both were measured; wins + ties + losses.
        carried_by: (query, its difference) of the few queries that carry the mean, where a few do.
        uneven: seeds of some recipes of the backbone vary much more than those of others.
    """

    measure: str
    difference: float
    models: Corrected | None
    recipes: Corrected | None
    unknown: str
    randomisation_p: float
    effect_size: float | None
    queries: int
    wins: int
    ties: int
    losses: int
    carried_by: tuple[tuple[str, float], ...]
    uneven: bool

    @property
    def mark(self) -> Mark:
        if self.difference and self.recipes and self.recipes.significant:
            return "▲" if self.difference > 0 else "▼"
        if self.difference and self.models and self.models.significant:
            return "△" if self.difference > 0 else "▽"
        return ""

    @property
    def shown(self) -> Corrected | None:
        """The answer that the mark rests on; without a mark, that for these recipes, else for these models."""
        return self.models if self.mark in ("△", "▽") else self.recipes or self.models


AnyDifference = TypeVar("AnyDifference", bound=Difference)
Fact = tuple[Mapping[str, Any], Comparison]
"""What a row says beside its statistics, and these before they are corrected."""
Correct = Callable[[Sequence[Answer]], list[float]]
CorrectP = Callable[[Sequence[float]], list[float]]


def by_holm(answers: Sequence[Answer]) -> list[float]:
    """Holm's correction of their p-values."""
    return holm([one.p for one in answers])


def all_pairs(means: int, sets: int) -> Correct:
    """The correction of all pairs of `means` recipes, in so many sets."""
    return lambda answers: tukey_holm([one.p for one in answers], [one.df for one in answers], means, sets)


def correct_family(
    kind: type[AnyDifference],
    family: Sequence[Fact],
    correct: Correct,
    correct_equivalence: CorrectP = holm,
) -> list[AnyDifference]:
    """A family's rows. Each question has its own correction, over the rows that have an answer to it; so has the claim
    of equivalence."""
    answers = {question: [getattr(result, question) for _, result in family] for question in ("models", "recipes")}
    corrected = {question: _correct_answers(found, correct, correct_equivalence) for question, found in answers.items()}
    return [
        kind(
            **facts,
            difference=result.difference,
            models=corrected["models"][row],
            recipes=corrected["recipes"][row],
            unknown=result.unknown,
            randomisation_p=result.randomisation_p,
            effect_size=result.effect_size,
            queries=result.n,
            wins=result.wins,
            ties=result.ties,
            losses=result.losses,
            carried_by=result.carried_by,
            uneven=result.uneven,
        )
        for row, (facts, result) in enumerate(family)
    ]


def _correct_answers(
    answers: Sequence[Answer | None], correct: Correct, correct_equivalence: Callable[[Sequence[float]], list[float]]
) -> list[Corrected | None]:
    known = [one for one in answers if one is not None]
    p_values = iter(correct(known))
    within = [one.equivalence_p for one in known if one.equivalence_p is not None]
    equivalent = iter(correct_equivalence(within))
    return [
        None
        if one is None
        else Corrected(
            **vars(one),
            corrected_p=next(p_values),
            corrected_equivalence_p=None if one.equivalence_p is None else next(equivalent),
        )
        for one in answers
    ]
