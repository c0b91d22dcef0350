"""Rankings, of teachers or first stages.

run            TREC runs, plain or gzipped: a teacher's re-ranking, or a first stage's candidates
rank-distillm  Schlatt et al. (2025): LLMs' re-rankings as TREC runs (Zenodo) or Parquet (webis/rank-distillm)
rank-llm       JSON lines: an LLM's re-ranking, whose order is the signal; its scores only restate the position
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections import Collection
from limbeck.collections.text_files import Position, first_repeated, json_values
from limbeck.core.errors import DataError, UsageError
from limbeck.core.files import atomic_write
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    Lost,
    RawList,
    as_id,
    as_number,
    by_teacher,
    column_names,
    dropped,
    one_list_a_query,
    parquet_rows,
    require,
    write_lines,
)
from limbeck.lists.lists import Lists
from limbeck.runs import Run, rank, write_run
from limbeck.runs.run import candidate_lines, ranked_twice

ORDER = frozenset({"teacher_order"})
RANK_DISTILLM = ("qid", "docno", "score", "rank")
_END = "msmarco-passage-train-judged"
RANK_LLM = '{"query": {"qid": …, "text": …}, "candidates": [{"docid": …, "score": …, "doc": {…}}, …]}'


def read_trec(path: Path, start: Position) -> Iterator[RawList]:
    """One list a query, whose lines stand together: passages by score and the tie rule, scores, and order."""
    for query_id, lines in groupby(candidate_lines(path, start), key=lambda line: line[1]):
        yield ranked(path, query_id, [(place, docid, score) for place, _, docid, score, _ in lines])


def ranked(path: Path, query_id: str, candidates: list[tuple[Position, str, float]]) -> RawList:
    """The list of one query's candidates (place, docid, score), in any order."""
    place = candidates[0][0]
    docids = [docid for _, docid, _ in candidates]
    if (twice := first_repeated(docids)) is not None:
        raise ranked_twice(path, candidates[twice][0], query_id, docids[twice])
    try:
        ranking = rank(docids, [score for _, _, score in candidates])
    except DataError as error:
        raise DataError(f"{path}:{place.number}: query {query_id}: {error}") from None
    order = np.arange(len(docids), 0, -1, dtype=float).tolist()
    return RawList(place, query_id, list(ranking.docids), None, ranking.scores.tolist(), order)


def write_trec(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """A run of the teacher's ranking: its scores, or places from the end where it gave an order alone."""
    require(lists, "teacher_order")
    lost = Counter(dropped(lists, "teacher_order", "teacher_scores"))
    scores = {}
    for row in one_list_a_query(lists):
        places = by_teacher(row, lost)
        values = range(len(row), 0, -1) if row.teacher_scores is None else row.teacher_scores[places].tolist()
        scores[row.query_id] = dict(zip((row.passage_ids[place] for place in places), values, strict=True))
    write_run(Run.from_scores(path.name, scores), path)
    return lost


def example_of_trec(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
    """Such a file, as it is published."""
    lines = (
        f"{of.query_id} Q0 {docid} {number} {score} example"
        for of in queries
        for number, (docid, score) in enumerate(of.scored, 1)
    )
    write_lines(path, lines)


def read_rank_distillm(path: Path, start: Position) -> Iterator[RawList]:
    """One list a query, best first by score, from a `.parquet` file or else a TREC run."""
    if path.suffix != ".parquet":
        yield from read_trec(path, start)
        return
    names = column_names(path)
    absent = [name for name in RANK_DISTILLM if name not in names]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; expected {', '.join(RANK_DISTILLM)}")
    rows = parquet_rows(path, start, RANK_DISTILLM[:3])
    for query_id, candidates in groupby(rows, key=lambda row: as_id(row[1][0], "qid", path, row[0])):
        scored = [
            (place, as_id(docid, "docno", path, place), as_number(score, "score", path, place))
            for place, (_, docid, score) in candidates
        ]
        yield ranked(path, query_id, scored)


def rank_distillm_name(lists: Lists) -> str:
    """`__TEACHER-FIRSTSTAGE-QUERIES-sampled-DEPTH__COLLECTION.run`, as published, with dashes for slashes."""
    depth = max(map(len, lists.passage_ids))
    teacher, first_stage = (_word(lists.metadata.get(key, key)) for key in ("teacher", "run"))
    collection = re.sub(r"[^\w.-]+", "-", lists.metadata.get("collection", "collection")).strip("-")
    return f"__{teacher}-{first_stage}-{len(lists)}-sampled-{depth}__{collection}.run"


def _word(name: str) -> str:
    """A model's or run's name as one word: of a path its end, and no dash, which parts the file's name."""
    return re.sub(r"[^\w.]+", "_", name.rstrip("/").split("/")[-1])


def example_of_rank_distillm(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
    """Such a file: Parquet if its name says so, else a run."""
    if path.suffix != ".parquet":
        example_of_trec(queries, collection, signals, path)
        return
    rows = [(of.query_id, docid, score, rank) for of in queries for rank, (docid, score) in enumerate(of.scored, 1)]
    with atomic_write(path) as file:
        pq.write_table(pa.table(dict(zip(RANK_DISTILLM, map(list, zip(*rows, strict=True)), strict=True))), file)


def read_rank_llm(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line, best first, with its order."""
    for place, value in json_values(path, start, RANK_LLM):
        query, candidates = value.get("query"), value.get("candidates")
        if not isinstance(query, dict) or not isinstance(candidates, list) or not all(map(_is_candidate, candidates)):
            raise DataError(
                f"{path}:{place.number}: no query with qid or no candidates with docid; expected `{RANK_LLM}`"
            )
        passages = [as_id(candidate["docid"], "docid", path, place) for candidate in candidates]
        order = np.arange(len(passages), 0, -1, dtype=float).tolist()
        yield RawList(place, as_id(query.get("qid"), "qid", path, place), passages, teacher_order=order)


def _is_candidate(value: Any) -> bool:
    return isinstance(value, dict) and "docid" in value


def write_rank_llm(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """A line for each list, with the texts of query and passages; the score restates the place, as rank_llm's does."""
    if collection is None:
        raise UsageError("rank-llm holds texts beside ids; name the collection that they are of: --collection")
    require(lists, "teacher_order")
    lost = Counter(dropped(lists, "teacher_order"))
    with atomic_write(path) as file:
        for row in one_list_a_query(lists):
            places = by_teacher(row, lost)
            candidates = [
                {
                    "docid": row.passage_ids[place],
                    "score": len(places) - number,
                    "doc": {"contents": _text(collection, "documents", row.passage_ids[place])},
                }
                for number, place in enumerate(places)
            ]
            query = {"text": _text(collection, "queries", row.query_id), "qid": row.query_id}
            line = {"query": query, "candidates": candidates, "invocations_history": []}
            file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
    return lost


def _text(collection: Collection, kind: str, text_id: str) -> str:
    texts = collection.queries if kind == "queries" else collection.documents
    if text_id not in texts:
        raise DataError(f'"{text_id}" is not among the {kind} of {collection.name}; name the collection of the lists')
    return texts[text_id]


def example_of_rank_llm(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
    """Such a file, as it is published."""
    lines = (
        {
            "query": {"text": collection.queries[of.query_id], "qid": of.query_id},
            "candidates": [
                {"docid": docid, "score": 1 / number, "doc": {"segment": collection.documents[docid]}}
                for number, docid in enumerate(of.passages, 1)
            ],
        }
        for of in queries
    )
    write_lines(path, (json.dumps(line, ensure_ascii=False) for line in lines))


FORMATS = {
    "run": Format(
        "TREC runs `qid Q0 docid rank score tag`",
        read_trec,
        example_of_trec,
        keep=ORDER,
        one_list_a_query=True,
        write=write_trec,
    ),
    "rank-distillm": Format(
        "Rank-DistiLLM's re-rankings: TREC runs, or Parquet of qid, docno, score, rank",
        read_rank_distillm,
        example_of_rank_distillm,
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
        keep=ORDER,
        one_list_a_query=True,
        write=write_trec,
        file_name=rank_distillm_name,
    ),
    "rank-llm": Format(
        f"rank_llm's JSON lines `{RANK_LLM}`",
        read_rank_llm,
        example_of_rank_llm,
        one_list_a_query=True,
        write=write_rank_llm,
        writes_texts=True,
    ),
}
