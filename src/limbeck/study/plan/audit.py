"""The audit: in what two recipes differ beside their objectives, said before a training and measured after it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from limbeck.study.config.study import Study
from limbeck.study.plan.training_conditions import planned_facts, stated_facts

__all__ = ["audit", "audit_study", "differences", "facts_of", "measured_facts", "stated_facts", "terms"]

OBJECTIVE = "objective"
PLANNED = " (planned)"
UNKNOWN = "unknown"
_SIGNS = "†‡§¶"

Facts = Mapping[str, str]
"""Factor → how it stands in one recipe, in words; `PLANNED` ends what is not measured yet."""


def audit_study(study: Study) -> list[dict[str, Any]]:
    """The audit of a study file, before anything is trained; see `audit`."""
    return audit(facts_of(study))


def facts_of(study: Study) -> dict[str, dict[str, dict[str, str]]]:
    """Backbone → recipe → facts, as far as the study file decides them."""
    return {
        backbone: {
            recipe: {
                **stated_facts(study, backbone, recipe),
                **{factor: f"{text}{PLANNED}" for factor, text in planned_facts(study, backbone, recipe).items()},
            }
            for recipe in study.config.recipes
        }
        for backbone in study.config.backbones
    }


def audit(facts: Mapping[str, Mapping[str, Facts]]) -> list[dict[str, Any]]:
    """Every two recipes of a backbone.

    Args:
        facts: backbone → recipe → facts.

    Returns:
        `a` and `b` (`backbone`, `recipe`), `factors` (see `differences`), `objective_alone`, whether a difference
        between the two can be put down to the objective, and `sentence`, which says so.
    """
    return [
        {
            "a": {"backbone": backbone, "recipe": a},
            "b": {"backbone": backbone, "recipe": b},
            "factors": (factors := differences(recipes[a], recipes[b])),
            "objective_alone": not factors and _objectives(recipes[a], recipes[b]) is not None,
            "sentence": _sentence(a, b, _objectives(recipes[a], recipes[b]), factors),
        }
        for backbone, recipes in facts.items()
        for a, b in combinations(recipes, 2)
    ]


def differences(a: Facts, b: Facts) -> list[dict[str, str]]:
    """The factors beside the objective in which two recipes differ: `factor`, and how it stands in `a` and in `b`."""
    factors = [factor for factor in dict.fromkeys([*a, *b]) if factor != OBJECTIVE]
    return [
        {"factor": factor, "a": a.get(factor, UNKNOWN), "b": b.get(factor, UNKNOWN)}
        for factor in factors
        if _settled(a.get(factor)) != _settled(b.get(factor))
    ]


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


def measured_facts(summaries: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, str]:
    """The factors that show only in finished trainings, whose summaries and seeds these are."""
    facts = {"seeds": ", ".join(map(str, sorted(seeds))) or "none"}
    for factor, field in (("pairs trained on", "pairs"), ("tokens seen", "tokens")):
        values = [summary[field] for summary in summaries if field in summary]
        # Three digits: seeds draw other passages, which is no difference between recipes.
        facts[factor] = f"{float(f'{sum(values) / len(values):.3g}'):,.0f}" if values else UNKNOWN
    counted = [(summary["cut_pairs"], summary["pairs"]) for summary in summaries if "cut_pairs" in summary]
    pairs = sum(all_of_them for _, all_of_them in counted)
    facts["passages cut"] = f"{sum(cut for cut, _ in counted) / pairs:.1%}" if pairs else UNKNOWN
    return facts


def _settled(text: str | None) -> str | None:
    return text and text.removesuffix(PLANNED)


def _sign(number: int) -> str:
    return "" if number == 0 else _SIGNS[(number - 1) % len(_SIGNS)] * ((number - 1) // len(_SIGNS) + 1)


def _objectives(a: Facts, b: Facts) -> tuple[str, str] | None:
    """The objectives of two recipes, None where they are one."""
    pair = a.get(OBJECTIVE, UNKNOWN), b.get(OBJECTIVE, UNKNOWN)
    return None if pair[0] == pair[1] != UNKNOWN else pair


def _sentence(a: str, b: str, objectives: tuple[str, str] | None, factors: Sequence[Mapping[str, str]]) -> str:
    found = ", ".join(f"{each['factor']} ({each['a']} / {each['b']})" for each in factors)
    if objectives is None:
        return f"{a} and {b} have the same objective, and differ in {found or 'nothing'}."
    if not factors:
        return f"{a} and {b} differ in nothing but the objective."
    return (
        f"{a} and {b} differ beside the objective in {found}: "
        "the difference between them cannot be put down to the objective alone."
    )
