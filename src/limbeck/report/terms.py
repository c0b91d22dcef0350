"""The signs of terms: recipes of a backbone that bear the same one differ in nothing but the objective."""

from limbeck.report.formats import enumerate_words
from limbeck.study.analysis.results import StudyResults


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
