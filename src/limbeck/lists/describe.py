"""What lists hold, in figures: of lists in memory, or of a file of any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from limbeck.lists.lists import SIGNALS, Lists
from limbeck.lists.ragged import arrow, chunk_lengths, flat


def describe(lists: Lists) -> dict[str, Any]:
    """Counts, lengths, signals and metadata as plain JSON-able values.

    lists, queries, passages (all places) and distinct_passages; passages_per_list as min / median / max;
    with_positive: the share of lists with a label above 0 (None without labels); signals: per signal its smallest and
    largest value, mean and number of distinct values; metadata; fingerprint.
    """
    queries, passages = arrow(lists.query_ids), flat(lists.passage_ids)
    lengths = chunk_lengths(lists.passage_ids)  # type: ignore[arg-type]
    return {
        "lists": len(lists),
        "queries": pc.count_distinct(queries).as_py(),
        "passages": len(passages),
        "distinct_passages": pc.count_distinct(passages).as_py(),
        "passages_per_list": _lengths(lengths),
        "with_positive": _share_with_positive(lists, lengths),
        "signals": {
            name: _range(flat(values)) for name in SIGNALS if len(lists) and (values := lists.values(name)) is not None
        },
        "metadata": dict(lists.metadata),
        "fingerprint": lists.fingerprint,
    }


def describe_file(path: str | Path) -> dict[str, Any]:
    """What the footer of a file of lists tells without reading them: lists, passages, signals (min, max), metadata."""
    footer = pq.read_metadata(path)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    passages, ranges = 0, {}
    for number in range(footer.num_columns):
        column = footer.schema.column(number).path.split(".")[0]
        chunks = [group.column(number) for group in groups]
        if column == "passage_ids":
            passages = sum(chunk.num_values for chunk in chunks)
        elif column in SIGNALS:
            found = [chunk.statistics for chunk in chunks]
            ranges[column] = {"min": min(each.min for each in found) + 0.0, "max": max(each.max for each in found)}
    metadata = {key.decode(): value.decode() for key, value in (pq.read_schema(path).metadata or {}).items()}
    fingerprint = metadata.pop("fingerprint", None)
    return {
        "lists": footer.num_rows,
        "passages": passages,
        "signals": ranges,
        "metadata": metadata,
        "fingerprint": fingerprint,
    }


def _lengths(lengths: np.ndarray) -> dict[str, float] | None:
    if not lengths.size:
        return None
    return {"min": int(lengths.min()), "median": float(np.median(lengths)), "max": int(lengths.max())}


def _share_with_positive(lists: Lists, lengths: np.ndarray) -> float | None:
    if lists.labels is None or not len(lists):
        return None
    positive = flat(lists.labels).to_numpy() > 0
    return float(np.add.reduceat(positive, np.cumsum(lengths) - lengths).astype(bool).mean())


def _range(numbers: pa.ChunkedArray) -> dict[str, float]:
    least, most = pc.min_max(numbers).as_py().values()
    mean = pc.mean(numbers.cast(pa.float64())).as_py()
    return {"min": least, "mean": mean, "max": most, "distinct": pc.count_distinct(numbers).as_py()}
