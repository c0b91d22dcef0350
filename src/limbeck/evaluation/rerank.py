"""Re-ranking: a cross-encoder scores the candidates of a run."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.core.progress import bar
from limbeck.runs import Run, rank

if TYPE_CHECKING:
    from limbeck.models.cross_encoder import CrossEncoder
    from limbeck.tokens.pairs import Cuts


def rerank(
    encoder: "CrossEncoder",
    collection: Collection,
    run: Run,
    depth: int,
    precision: str = "fp32",
    name: str = "rerank",
    console: Console | None = None,
    aggregate: str = "first",
    between: Callable[[], None] | None = None,
    on_cuts: Callable[["Cuts"], None] | None = None,
) -> Run:
    """Score the first `depth` candidates of every query of the collection's split, all queries in shared micro-batches.

    `aggregate` says what becomes of a passage that the encoder cannot read whole: `first` scores its beginning
    (FirstP), `max` all of it in windows that overlap by half, of which the best counts (MaxP; Dai and Callan 2019).

    Queries of the run outside the split are left alone; the query's own document is dropped where the collection says
    so. With a `console`, progress is shown on it. `between` is called after each micro-batch; what it raises ends this.
    `on_cuts` is handed how many pairs, queries and passages lost tokens, before anything is scored.

    Raises:
        DataError: the run holds none of the split's queries.
        MissingError: a candidate without text in the collection.
        UsageError: another `aggregate`.
    """
    # Not above: measures and statistics need no torch, whose import takes seconds.
    from limbeck.tokens.pairs import collection_pairs, score_windows

    if aggregate not in ("first", "max"):
        raise UsageError(f"aggregate is {aggregate!r}, expected first or max")
    wanted = [query_id for query_id in collection.query_ids if query_id in run]
    if not wanted:
        raise DataError(
            f"run {run.name} has candidates for none of the {len(collection.query_ids)} queries of {collection.name}; "
            "was it made for another collection or split?"
        )
    candidates = {query_id: _candidates(collection, run, query_id, depth) for query_id in wanted}
    pairs = collection_pairs(encoder, collection)
    counts = [len(docids) for docids in candidates.values()]
    query_rows = np.repeat(pairs.queries.rows(wanted), counts)
    passage_rows = pairs.passages.rows([docid for docids in candidates.values() for docid in docids])
    if on_cuts:
        on_cuts(pairs.cuts(query_rows, passage_rows, windows=aggregate == "max"))
    owners = np.arange(len(query_rows))
    if aggregate == "max":
        pairs, owners = score_windows(pairs, query_rows, passage_rows)
        query_rows, passage_rows = query_rows[owners], np.arange(len(owners))
    with bar(console, f"Re-rank {collection.name}", len(query_rows)) as shown:

        def advance(done: int) -> None:
            shown(done)
            if between:
                between()

        scores = encoder.score_rows(pairs, query_rows, passage_rows, precision, advance=advance)
    if unfit := int((~np.isfinite(scores)).sum()):
        raise DataError(
            f"{encoder.source.name}: {unfit:,} of {len(scores):,} scores are NaN or infinite, expected numbers; its "
            f"weights are damaged, or do not go with precision {precision} (fp32 is the safest)"
        )
    best = np.full(sum(counts), -np.inf)
    np.maximum.at(best, owners, scores)
    parts = np.split(best, np.cumsum(counts)[:-1])
    return Run(
        name, {query_id: rank(docids, part) for (query_id, docids), part in zip(candidates.items(), parts, strict=True)}
    )


def _candidates(collection: Collection, run: Run, query_id: str, depth: int) -> tuple[str, ...]:
    docids = run[query_id].docids
    if collection.drop_query_document:
        docids = tuple(docid for docid in docids if docid != query_id)
    return docids[:depth]
