"""The audit as a matrix: what each recipe had, for every factor in which any two recipes differ."""

from dataclasses import dataclass

from limbeck.report.formats import ABSENT, enumerate_words
from limbeck.report.table import Results


@dataclass(frozen=True)
class AuditMatrix:
    """`rows` are (recipe, values [factors]); a factor that no row shows is equal in all of them."""

    backbones: tuple[str, ...]
    factors: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def audit_sentences(results: Results) -> list[str]:
    """What tells every two recipes apart, a sentence for each pair; backbones where it is the same share one.

    Pairs that differ in nothing but the objective come first.
    """
    found: dict[str, list[str]] = {}
    alone: dict[str, bool] = {}
    for pair in results.get("audit") or ():
        if sentence := pair.get("sentence"):
            found.setdefault(sentence, []).append(pair["a"]["backbone"])
            alone[sentence] = not pair["factors"]
    several = len({backbone for backbones in found.values() for backbone in backbones}) > 1
    return [
        f"{enumerate_words(found[sentence])}: {sentence}" if several else sentence
        for sentence in sorted(found, key=lambda sentence: not alone[sentence])
    ]


def audit_matrices(results: Results) -> list[AuditMatrix]:
    """One matrix per backbone; backbones with equal matrices share one.

    Pairs list only the factors in which they differ. Where any pair differs in a factor, every recipe differs in it
    from one of the two, so that its value is known.
    """
    values: dict[str, dict[str, dict[str, str]]] = {}
    for pair in results.get("audit") or ():
        for side in ("a", "b"):
            recipe = values.setdefault(pair[side]["backbone"], {}).setdefault(pair[side]["recipe"], {})
            for factor in pair["factors"]:
                recipe[factor["factor"]] = str(factor[side])
    shared: dict[tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]], list[str]] = {}
    for backbone, recipes in values.items():
        factors = tuple(dict.fromkeys(factor for recipe in recipes.values() for factor in recipe))
        rows = tuple((name, tuple(recipe.get(f, ABSENT) for f in factors)) for name, recipe in recipes.items())
        shared.setdefault((factors, rows), []).append(backbone)
    return [AuditMatrix(tuple(backbones), factors, rows) for (factors, rows), backbones in shared.items()]
