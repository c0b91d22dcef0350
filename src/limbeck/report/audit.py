"""The audit as a matrix: what each recipe had, for every factor in which any two recipes differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limbeck.report.formats import ABSENT, enumerate_words
from limbeck.study.plan.audit import AuditedPair, audit_backbones


@dataclass(frozen=True)
class AuditMatrix:
    """`rows` are (recipe, values [factors]); a factor that no row shows is equal in all of them."""

    backbones: tuple[str, ...]
    factors: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def audit_sentences(audit: Sequence[AuditedPair]) -> list[str]:
    """What tells every two recipes apart, a sentence for each pair; backbones where it is the same share one.

    Pairs that differ in nothing but the objective come first.
    """
    found: dict[str, list[str]] = {}
    alone: dict[str, bool] = {}
    for pair in audit:
        found.setdefault(pair.sentence, []).append(pair.a.backbone)
        alone[pair.sentence] = not pair.factors
    several = len({backbone for backbones in found.values() for backbone in backbones}) > 1
    return [
        f"{enumerate_words(found[sentence])}: {sentence}" if several else sentence
        for sentence in sorted(found, key=lambda sentence: not alone[sentence])
    ]


def backbone_sentences(facts: Mapping[str, Mapping[str, Mapping[str, str]]]) -> list[str]:
    """In what backbones differ beside the model, which tables, scaling and factors compare."""
    return list(audit_backbones(facts))


def audit_matrices(audit: Sequence[AuditedPair]) -> list[AuditMatrix]:
    """One matrix per backbone; backbones with equal matrices share one.

    Pairs list only the factors in which they differ. Where any pair differs in a factor, every recipe differs in it
    from one of the two, so that its value is known.
    """
    values: dict[str, dict[str, dict[str, str]]] = {}
    for pair in audit:
        for side in (pair.a, pair.b):
            recipe = values.setdefault(side.backbone, {}).setdefault(side.recipe, {})
            recipe |= {each.factor: each.a if side is pair.a else each.b for each in pair.factors}
    shared: dict[tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]], list[str]] = {}
    for backbone, recipes in values.items():
        factors = tuple(dict.fromkeys(factor for recipe in recipes.values() for factor in recipe))
        rows = tuple((name, tuple(recipe.get(f, ABSENT) for f in factors)) for name, recipe in recipes.items())
        shared.setdefault((factors, rows), []).append(backbone)
    return [AuditMatrix(tuple(backbones), factors, rows) for (factors, rows), backbones in shared.items()]
