"""Several collections as one, to train on."""

from collections.abc import Mapping, Sequence

from limbeck.collections.collection import Collection
from limbeck.core.errors import DataError, UsageError


def merge(collections: Sequence[Collection]) -> Collection:
    """One collection with the documents, queries, splits and judgments of all of them, in their order.

    An id may occur in several of them if it has the same text there; grades of a document judged in several are united,
    and the highest counts. The merged collection is meant for training: measures are taken on each collection alone.
    Its relevance level is the highest, and a query's own document is dropped where any of them drops it.

    Raises:
        UsageError: no collection at all.
        DataError: a query or document with two different texts.
    """
    if not collections:
        raise UsageError("no collections to merge; expected at least one")
    first = collections[0]
    if len(collections) == 1:
        return first
    same_documents = first.documents_identity is not None and all(
        collection.documents_identity == first.documents_identity for collection in collections
    )
    return Collection(
        name=" + ".join(collection.name for collection in collections),
        documents=first.documents if same_documents else _united("document", collections),
        queries=_united("query", collections),
        qrels=_judgments(collections),
        query_ids=tuple(dict.fromkeys(query_id for collection in collections for query_id in collection.query_ids)),
        warnings=tuple(dict.fromkeys(warning for collection in collections for warning in collection.warnings)),
        relevance_level=max(collection.relevance_level for collection in collections),
        drop_query_document=any(collection.drop_query_document for collection in collections),
        documents_identity=first.documents_identity if same_documents else None,
        merged=tuple(collections),
    )


def _united(kind: str, collections: Sequence[Collection]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for collection in collections:
        own = _texts(kind, collection)
        for text_id, text in own.items():
            if texts.setdefault(text_id, text) != text:
                other = next(c for c in collections if _texts(kind, c).get(text_id, text) != text)
                raise DataError(
                    f'{kind} "{text_id}" has one text in {other.name} and another in {collection.name}; expected '
                    f"different ids for different texts: rename the {kind} in one of them, or train on one of them"
                )
    return texts


def _texts(kind: str, collection: Collection) -> Mapping[str, str]:
    return collection.documents if kind == "document" else collection.queries


def _judgments(collections: Sequence[Collection]) -> dict[str, dict[str, int]]:
    united: dict[str, dict[str, int]] = {}
    for collection in collections:
        for query_id, grades in collection.qrels.items():
            of_query = united.setdefault(query_id, {})
            for docid, grade in grades.items():
                of_query[docid] = max(grade, of_query.get(docid, grade))
    return united
