"""What a collection's judgments say of a query's passages."""

from collections.abc import Sequence

from limbeck.collections import Collection
from limbeck.errors import DataError


def require_judgments(collection: Collection) -> None:
    """Raise DataError for a collection that has none to take labels from."""
    if not collection.qrels:
        raise DataError(
            f"collection {collection.name} has no judgments, expected some to take labels from; "
            "name a split that has them, or do not ask for labels"
        )


def judged_labels(collection: Collection, query_id: str, passages: Sequence[str]) -> list[float]:
    """The grades of passages [passages]; those without a judgment and negative grades count as 0."""
    grades = collection.qrels.get(query_id, {})
    return [float(max(grades.get(passage, 0), 0)) for passage in passages]


def missing_positives(collection: Collection, query_id: str, passages: Sequence[str]) -> list[str]:
    """Passages with a grade above 0 that are not among `passages`, best grade first; never the query's own document."""
    present = {*passages, query_id} if collection.drop_query_document else set(passages)
    grades = collection.qrels.get(query_id, {})
    best_first = sorted(grades.items(), key=lambda judged: (-judged[1], judged[0]))
    return [passage for passage, grade in best_first if grade > 0 and passage not in present]
