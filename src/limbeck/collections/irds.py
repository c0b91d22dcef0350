"""Collections of ir_datasets, fetched by it at first use and kept where it keeps them (IR_DATASETS_HOME)."""

import zipfile
from collections.abc import ItemsView, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from limbeck.collections.collection import Collection, has_queries_in_corpus, relevance_level, require_licensed_corpus
from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.progress import with_progress


def load_irds(dataset_id: str) -> Collection:
    """Load a collection by its ir_datasets id, such as `beir/scifact/test`.

    Queries and judgments are read now, documents only when they are looked up. Texts are ir_datasets' `default_text()`
    where it has one, else title and text (or body).

    Raises:
        MissingError: no such id, its files could not be fetched, or must be put there by hand and are not.
        UsageError: an id without documents or without queries.
    """
    dataset = _find(dataset_id)
    for has, what in ((dataset.has_docs(), "documents"), (dataset.has_queries(), "queries")):
        if not has:
            parts = [name for name in _registered() if name.startswith(f"{dataset_id}/")]
            hint = f"; parts of it that may: {', '.join(parts[:8])}" if parts else ""
            raise UsageError(f"{dataset_id}: ir_datasets has no {what} for this id{hint}")
    require_licensed_corpus(dataset_id)
    with _fetching(dataset_id):
        queries = {
            query.query_id: _text(query) for query in with_progress(dataset.queries_iter(), "Reading", "queries")
        }
        qrels, warnings = _qrels(dataset, dataset_id) if dataset.has_qrels() else ({}, ())
    unknown = sum(query_id not in queries for query_id in qrels)
    if unknown == len(qrels) > 0:
        raise DataError(f"{dataset_id}: none of its {unknown:,} judged queries is among its queries")
    if unknown:
        warnings += (f"{dataset_id}: {unknown:,} judged queries have no text in ir_datasets and are left out",)
    return Collection(
        name=dataset_id,
        documents=StoredDocuments(dataset, dataset_id),
        queries=queries,
        qrels={query_id: grades for query_id, grades in qrels.items() if query_id in queries},
        query_ids=tuple(query_id for query_id in queries if not qrels or query_id in qrels),
        warnings=warnings,
        relevance_level=relevance_level(dataset_id),
        drop_query_document=has_queries_in_corpus(dataset_id),
        documents_identity=_identity(dataset, dataset_id),
    )


class StoredDocuments(Mapping[str, str]):
    """Docid → text, looked up in ir_datasets' document store; iterating streams the source instead."""

    def __init__(self, dataset: Any, dataset_id: str) -> None:
        self._dataset = dataset
        self._dataset_id = dataset_id

    @cached_property
    def _store(self) -> Any:
        return self._dataset.docs_store()

    def __getitem__(self, docid: str) -> str:
        with _fetching(self._dataset_id):
            found = self._store.get_many([docid])
        return _text(found[docid])

    def __iter__(self) -> Iterator[str]:
        for document in self._stream():
            yield document.doc_id

    def __len__(self) -> int:
        # The store knows its count once it is built, ir_datasets publishes most; counting reads everything.
        with _fetching(self._dataset_id):
            count = self._dataset.docs_count()
        if count is None:
            count = self._dataset.docs_metadata().get("count")
        return sum(1 for _ in self._stream()) if count is None else int(count)

    def items(self) -> ItemsView[str, str]:
        """All documents, streamed: one pass, no lookups."""
        return _StreamedItems(self)

    def stream_texts(self) -> Iterator[tuple[str, str]]:
        """(docid, text) of every document in the source's order."""
        for document in self._stream():
            yield document.doc_id, _text(document)

    def _stream(self) -> Iterator[Any]:
        # Only ir_datasets' own steps are guarded: what the reader of the stream raises is the reader's.
        with _fetching(self._dataset_id):
            documents = iter(self._dataset.docs_iter())
        while True:
            with _fetching(self._dataset_id):
                document = next(documents, None)
            if document is None:
                return
            yield document


class _StreamedItems(ItemsView[str, str]):
    _mapping: StoredDocuments

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping.stream_texts()


def _find(dataset_id: str) -> Any:
    import ir_datasets

    try:
        return ir_datasets.load(dataset_id)
    except KeyError:
        close = get_close_matches(dataset_id, _registered(), n=3, cutoff=0.6)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise MissingError(
            f'"{dataset_id}" is no folder here, and ir_datasets has no collection of that name.{hint} '
            f"Expected demo, FOLDER, FOLDER/SPLIT or an id from https://ir-datasets.com"
        ) from None


def _registered() -> list[str]:
    import ir_datasets

    return sorted(ir_datasets.registry)


def _identity(dataset: Any, dataset_id: str) -> str:
    import ir_datasets

    # The published count, not the store's: that one is known only once the documents were fetched.
    count = dataset.docs_metadata().get("count", "unknown")
    return f"ir_datasets {ir_datasets.docs_parent_id(dataset_id)} {count}"


def _qrels(dataset: Any, dataset_id: str) -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
    qrels: dict[str, dict[str, int]] = {}
    twice = 0
    for judgment in with_progress(dataset.qrels_iter(), "Reading", "judgments"):
        if not isinstance(getattr(judgment, "relevance", None), int):
            raise DataError(f"{dataset_id}: judgments without whole-number grades, so nothing can be measured by them")
        of_query = qrels.setdefault(judgment.query_id, {})
        earlier = of_query.get(judgment.doc_id, judgment.relevance)
        twice += earlier != judgment.relevance
        of_query[judgment.doc_id] = max(judgment.relevance, earlier)
    if not twice:
        return qrels, ()
    return qrels, (f"{dataset_id}: {twice:,} judgments disagree with an earlier one; the higher grade counts",)


def _text(record: Any) -> str:
    """The text of a document or query of ir_datasets."""
    if hasattr(record, "default_text"):
        return str(record.default_text()).strip()
    body = next((getattr(record, name) for name in ("text", "body", "contents", "query") if hasattr(record, name)), "")
    return f"{getattr(record, 'title', '') or ''} {body or ''}".strip()


@contextmanager
def _fetching(dataset_id: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, RuntimeError, ImportError, zipfile.BadZipFile) as error:
        page = f"https://ir-datasets.com/{dataset_id.split('/')[0]}.html"
        raise MissingError(
            f"{dataset_id}: ir_datasets could not fetch or read it. Tried {_tried(error)}. Check the connection and "
            f"the free space under IR_DATASETS_HOME (default ~/.ir_datasets) and try again; data under a licence is "
            f"put there by hand, as {page} tells. Or name a folder in BEIR's layout instead"
        ) from error


def _tried(error: BaseException) -> str:
    sources = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], list) else []
    if sources:
        return "; ".join(f"{source}: {_reason(reason)}" for source, reason in sources)
    url = getattr(getattr(error, "request", None), "url", None)
    return f"{url}: {_reason(error)}" if url else _reason(error)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
