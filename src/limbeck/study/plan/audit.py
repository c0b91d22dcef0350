"""The audit: in what two recipes differ beside their objectives, said before a training and measured after it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from limbeck.study.config.study import Study
from limbeck.study.plan.downloads import downloads
from limbeck.study.plan.training_conditions import planned_facts, stated_facts
from limbeck.training.summary import TrainingSummary

__all__ = ["audit", "audit_study", "differences", "facts_of", "measured_facts", "stated_facts", "terms"]

OBJECTIVE = "objective"
PLANNED = " (planned)"
UNKNOWN = "unknown"
MODEL = ("backbone: weights", "backbone: layers", "backbone: exit")
"""What a backbone is."""
MEASURED = ("tokens seen", "passages cut")
"""What follows from a backbone's own tokeniser."""
_DIGEST = re.compile(r"[0-9a-f]{12,64}(, then [0-9a-f]{12,64})*")
_SIGNS = "†‡§¶"

Facts = Mapping[str, str]
"""Factor → how it stands in one recipe, in words; `PLANNED` ends what is not measured yet."""


@dataclass(frozen=True)
class Configuration:
    """A recipe on a backbone."""

    backbone: str
    recipe: str


@dataclass(frozen=True)
class FactorDifference:
    """A factor, and how it stands in either of two recipes."""

    factor: str
    a: str
    b: str


@dataclass(frozen=True)
class AuditedPair:
    """Two recipes of a backbone.

    Attributes:
        factors: beside the objective, in which they differ.
        objective_alone: whether a difference between the two can be put down to the objective.
        sentence: says so.
    """

    a: Configuration
    b: Configuration
    factors: tuple[FactorDifference, ...]
    objective_alone: bool
    sentence: str


def audit_study(study: Study) -> tuple[AuditedPair, ...]:
    """The audit of a study file, before anything is trained; see `audit`."""
    return audit(facts_of(study))


def facts_of(study: Study) -> dict[str, dict[str, dict[str, str]]]:
    """Backbone → recipe → facts, as far as the study file decides them. Fetches nothing."""
    here = all(each.here for each in downloads(study) if each.kind != "model")
    return {
        backbone: {
            recipe: {
                **stated_facts(study, backbone, recipe, here),
                **{factor: f"{text}{PLANNED}" for factor, text in planned_facts(study, backbone, recipe).items()},
            }
            for recipe in study.config.recipes
        }
        for backbone in study.config.backbones
    }


def audit(facts: Mapping[str, Mapping[str, Facts]]) -> tuple[AuditedPair, ...]:
    """Every two recipes of a backbone; `facts` are backbone → recipe → facts."""
    return tuple(
        AuditedPair(
            Configuration(backbone, a),
            Configuration(backbone, b),
            factors := differences(recipes[a], recipes[b]),
            not factors and _objectives(recipes[a], recipes[b]) is not None,
            _sentence(a, b, _objectives(recipes[a], recipes[b]), factors),
        )
        for backbone, recipes in facts.items()
        for a, b in combinations(recipes, 2)
    )


def differences(a: Facts, b: Facts) -> tuple[FactorDifference, ...]:
    """The factors beside the objective in which two recipes differ."""
    factors = [factor for factor in dict.fromkeys([*a, *b]) if factor != OBJECTIVE]
    found = [factor for factor in factors if _settled(a.get(factor)) != _settled(b.get(factor))]
    return tuple(
        FactorDifference(factor, _stated(a, factor), _stated(b, factor))
        for factor in found
        if factor.partition(": ")[0] == factor
        or factor.partition(": ")[0] not in found
        or _tells(a.get(factor), b.get(factor))
    )


def _stated(facts: Facts, factor: str) -> str:
    """How a factor stands. A detail that a description lacks has its default, or does not apply."""
    return facts.get(factor, "not stated" if ": " in factor else UNKNOWN)


def _tells(a: str | None, b: str | None) -> bool:
    """Whether a detail of what differs anyway tells more: as "negatives: bm25 k1" does beside the first stages' names,
    and what only one side has, or a digest of a file, does not."""
    return a is not None and b is not None and not (_DIGEST.fullmatch(a) or _DIGEST.fullmatch(b))


def audit_backbones(facts: Mapping[str, Mapping[str, Facts]]) -> tuple[str, ...]:
    """In what every two backbones differ beside the model itself, a sentence for each two; recipes alike share one.

    Raises nothing: a recipe that one of the two lacks is left out.
    """
    found: dict[tuple[str, str, tuple[FactorDifference, ...]], list[str]] = {}
    for a, b in combinations(facts, 2):
        for recipe in facts[a]:
            if recipe in facts[b]:
                factors = tuple(
                    each
                    for each in differences(facts[a][recipe], facts[b][recipe])
                    if each.factor not in MODEL and not each.factor.startswith(MEASURED)
                )
                found.setdefault((a, b, factors), []).append(recipe)
    return tuple(
        f"{a} and {b}, under {', '.join(recipes)}, differ beside the model in {_listed(factors)}: the difference "
        "between them cannot be put down to the model alone."
        if factors
        else f"{a} and {b}, under {', '.join(recipes)}, differ in nothing but the model."
        for (a, b, factors), recipes in found.items()
    )


def _listed(factors: Sequence[FactorDifference]) -> str:
    return ", ".join(f"{each.factor} ({each.a} / {each.b})" for each in factors)


def terms(recipes: Mapping[str, Facts]) -> dict[str, str]:
    """A sign for each recipe of a backbone: recipes of the same sign differ in nothing but the objective.

    No sign for those on the commonest terms (of equally common ones, the first), then †, ‡, §, ¶, ††, …
    """
    kinds: dict[tuple[tuple[str, str | None], ...], list[str]] = {}
    for recipe, facts in recipes.items():
        kind = tuple(sorted((factor, _settled(text)) for factor, text in facts.items() if factor != OBJECTIVE))
        kinds.setdefault(kind, []).append(recipe)
    ordered = sorted(kinds.values(), key=len, reverse=True)
    return {recipe: _sign(number) for number, kind in enumerate(ordered) for recipe in kind}


def measured_facts(summaries: Sequence[TrainingSummary], seeds: Sequence[int]) -> dict[str, str]:
    """The factors that show only in finished trainings, one or more, whose summaries and seeds these are."""
    pairs, tokens, cut = (
        sum(counts) for counts in zip(*((one.pairs, one.tokens, one.cut_pairs) for one in summaries), strict=True)
    )
    if not pairs:
        return {"pairs trained on": "0"}
    facts = {"seeds": ", ".join(map(str, sorted(seeds)))}
    for factor, total in (("pairs trained on", pairs), ("tokens seen", tokens)):
        # Three digits: seeds draw other passages, which is no difference between recipes.
        facts[factor] = f"{float(f'{total / len(summaries):.3g}'):,.0f}"
    facts["passages cut"] = f"{cut / pairs:.1%}"
    return facts


def _settled(text: str | None) -> str | None:
    return text and text.removesuffix(PLANNED)


def _sign(number: int) -> str:
    return "" if number == 0 else _SIGNS[(number - 1) % len(_SIGNS)] * ((number - 1) // len(_SIGNS) + 1)


def _objectives(a: Facts, b: Facts) -> tuple[str, str] | None:
    """The objectives of two recipes, None where they are one."""
    pair = a.get(OBJECTIVE, UNKNOWN), b.get(OBJECTIVE, UNKNOWN)
    return None if pair[0] == pair[1] != UNKNOWN else pair


def _sentence(a: str, b: str, objectives: tuple[str, str] | None, factors: Sequence[FactorDifference]) -> str:
    found = _listed(factors)
    if objectives is None:
        return f"{a} and {b} have the same objective, and differ in {found or 'nothing'}."
    if not factors:
        return f"{a} and {b} differ in nothing but the objective."
    return (
        f"{a} and {b} differ beside the objective in {found}: "
        "the difference between them cannot be put down to the objective alone."
    )
