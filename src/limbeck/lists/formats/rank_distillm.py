"""Rank-DistiLLM (Schlatt et al. 2025): LLM re-rankings as TREC runs (Zenodo) or Parquet (webis/rank-distillm)."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.errors import DataError
from limbeck.core.files import atomic_write
from limbeck.lists.formats import run
from limbeck.lists.formats.format import ExampleQuery, Format, RawList, as_id, as_number, column_names, parquet_rows
from limbeck.lists.lists import Lists

COLUMNS = ("qid", "docno", "score", "rank")
_END = "msmarco-passage-train-judged"


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list a query, best first by score, from a `.parquet` file or else a TREC run."""
    if path.suffix != ".parquet":
        yield from run.read(path, start)
        return
    names = column_names(path)
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; expected {', '.join(COLUMNS)}")
    rows = parquet_rows(path, start, COLUMNS[:3])
    for query_id, candidates in groupby(rows, key=lambda row: as_id(row[1][0], "qid", path, row[0])):
        scored = [
            (place, as_id(docid, "docno", path, place), as_number(score, "score", path, place))
            for place, (_, docid, score) in candidates
        ]
        yield run.ranked(path, query_id, scored)


def file_name(lists: Lists) -> str:
    """`__TEACHER-FIRSTSTAGE-QUERIES-sampled-DEPTH__COLLECTION.run`, as published, with dashes for slashes."""
    depth = max(map(len, lists.passage_ids))
    teacher, first_stage = (_word(lists.metadata.get(key, key)) for key in ("teacher", "run"))
    collection = re.sub(r"[^\w.-]+", "-", lists.metadata.get("collection", "collection")).strip("-")
    return f"__{teacher}-{first_stage}-{len(lists)}-sampled-{depth}__{collection}.run"


def _word(name: str) -> str:
    """A model's or run's name as one word: of a path its end, and no dash, which parts the file's name."""
    return re.sub(r"[^\w.]+", "_", name.rstrip("/").split("/")[-1])


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file: Parquet if its name says so, else a run."""
    if path.suffix != ".parquet":
        run.example(queries, collection, signals, path)
        return
    rows = [(of.query_id, docid, score, rank) for of in queries for rank, (docid, score) in enumerate(of.scored, 1)]
    with atomic_write(path) as file:
        pq.write_table(pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))), file)


FORMAT = Format(
    "Rank-DistiLLM's re-rankings: TREC runs, or Parquet of qid, docno, score, rank",
    read,
    example,
    md5={
        f"__rankzephyr-colbert-10000-sampled-100__{_END}.parquet": "38f69a3c8a5ed21c639e882a6c2eff7c",
        f"__set-encoder-colbert-all-100__{_END}.parquet": "a47206da7dc551e3ebd4e5b6866be78a",
        f"__monoelectra-colbert-all-100__{_END}.parquet": "6561f33476a6c8408737f38ea85c848f",
        f"__colbert__{_END}.parquet": "1e927d52af085516bf5a3de2865809d5",
        f"__rankzephyr-colbert-10000-sampled-50__{_END}.run": "c37b78874d4893a00566ab40aa453c56",
        f"__rankzephyr-colbert-10000-sampled-100__{_END}.run": "49f8dbf2c1ee7a2ca1fe517eda528af6",
        f"__rankzephyr-colbert-10000-sampled-10__{_END}.run": "619bc815bd133bdca44d6331b241d39a",
        f"__rankzephyr-bm25-10000-sampled-100__{_END}.run": "05e3137ea3526671e1565cc90f9a2c8a",
        f"__colbert__{_END}.run": "6ed152027f7270f32fcbfaaa6def951e",
        f"__bm25__{_END}.run": "835372b2ab4d20acf10addeae526c559",
    },
    keep=run.ORDER,
    one_list_a_query=True,
    write=run.write,
    file_name=file_name,
)
