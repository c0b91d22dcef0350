"""What may explain a number beside the objective: other terms of training, and test texts in what was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limbeck.core.errors import enumerate_words, plural
from limbeck.lists import LeakCounts, LeakExample
from limbeck.report.formats import ABSENT
from limbeck.study.analysis.results import StudyResults
from limbeck.study.plan.audit import AuditedPair, audit_backbones
from limbeck.study.run.leaks import LeakSearch


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


def first_stage_sentences(results: StudyResults) -> list[str]:
    """Which recipes were trained on candidates of a first stage that is re-ranked here too: they may fit it alone."""
    names = [results.first_stage.name, *(other.first_stage.name for other in results.other_first_stages)]
    found: dict[str, list[str]] = {}
    for recipes in results.facts.values():
        for recipe, facts in recipes.items():
            for name in names if len(names) > 1 else ():
                if facts.get("negatives", "").startswith(f"{name}, ") and recipe not in found.setdefault(name, []):
                    found[name].append(recipe)
    return [
        f"Trained on candidates of {name}, whose candidates are re-ranked here too: {enumerate_words(recipes)}. "
        "Other first stages show whether that carries over."
        for name, recipes in found.items()
        if recipes
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


def sign(results: StudyResults, backbone: str, recipe: str) -> str:
    """The sign of a recipe's terms (†, ‡, …), nothing for the commonest ones."""
    return results.terms.get(backbone, {}).get(recipe, "")


def signed_recipe(results: StudyResults, backbone: str, recipe: str) -> str:
    """A recipe with the sign of its terms."""
    return f"{recipe}{sign(results, backbone, recipe)}"


def terms_notes(results: StudyResults) -> list[str]:
    """What the signs in a table mean; nothing where there are none."""
    signs = {found for recipes in results.terms.values() for found in recipes.values() if found}
    if not signs:
        return []
    ordered = sorted(signs, key=lambda found: (len(found), "†‡§¶".index(found[0])))
    return [
        f"{enumerate_words(ordered)}: trained on other terms than the recipes of the same backbone with another sign "
        "or none. A difference between recipes of unlike signs cannot be put down to the objective alone; the audit "
        "says what else differs."
    ]


LEAK_NOTE = (
    "Queries of training lists and validation are searched for the test's judged queries, positives of the lists and "
    "relevant documents of the validation for the documents judged relevant in the test. The same: but for case, "
    "punctuation and blanks. Nearly: 60 % or more of the character 3-grams of both are shared."
)


def leak_cautions(results: StudyResults) -> list[str]:
    """A sentence where test queries stand word for word in training lists or validation."""
    most: dict[str, LeakSearch] = {}
    for row in results.leaks:
        if row.queries.exact > (most[row.test].queries.exact if row.test in most else 0):
            most[row.test] = row
    if not most:
        return []
    found = [
        f"{row.queries.exact:,} of {plural(row.queries.against, 'test query')} of {name} in {row.where}"
        for name, row in most.items()
    ]
    return [f"Warning: test queries were seen before, word for word: {'; '.join(found)}."]


def leak_text(found: LeakCounts) -> str:
    """Counts of one search: `2 the same, 119 nearly, of 300 (40.3 %)`."""
    share = f"{100 * found.share:.1f} %"
    return f"{found.exact:,} the same, {found.near:,} nearly, of {found.against:,} ({share})"


def example_text(example: LeakExample) -> str:
    """A leak in one line: the text of the lists, and that of the test."""
    alike = "the same" if example.same else f"{example.likeness:.2f} alike"
    return f"{example.id}: {_cut(example.text)} — test {example.of}: {_cut(example.of_text)} ({alike})"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"
