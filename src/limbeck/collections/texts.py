"""Files of texts by id: JSON lines as BEIR has them, and tab-separated tables as MS MARCO has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limbeck.collections.lines import START, id_fault, is_encodable, json_values, numbered_lines
from limbeck.core.errors import DataError
from limbeck.core.json_files import kind_of
from limbeck.core.progress import with_progress
from limbeck.core.text import plural

ID_COLUMNS = (
    "id", "_id", "docid", "doc_id", "doc-id", "docno", "doc_no", "did", "pid", "passage_id", "passage-id", "corpus-id",
    "corpus_id", "qid", "q_id", "query_id", "query-id", "queryid", "topic", "topic_id", "topic-id",
)  # fmt: skip
TEXT_COLUMNS = ("text", "query", "contents", "content", "body", "passage", "document", "doc", "question", "query_text")
"""What tables of other tools call their columns: of PyTerrier, Anserini, ir_datasets, MTEB."""


class Record(NamedTuple):
    """One text of a file, and the line that holds it."""

    line: int
    id: str
    title: str
    text: str


def read_texts(path: Path, what: str) -> dict[str, str]:
    """Id → `title text`, joined and stripped as BEIR does, in the file's order.

    Args:
        path: `.jsonl` with `_id`, `text` and perhaps `title` on each line or in each object of one array, or `.tsv`:
            `id<TAB>text` on each line. A table of any other shape needs a first line that names its columns: an id
            (`ID_COLUMNS`), a text (`TEXT_COLUMNS`), and perhaps `title`, in any order; further columns are passed over.
            Either may end in `.gz`. Blank lines are skipped.
        what: "document" or "query", for messages.

    Raises DataError (`path:line: …`) for a line that is not of that form, an id twice, or an empty file. Texts may be
    empty.
    """
    texts: dict[str, str] = {}
    for record in with_progress(_records(path), f"Reading {path.name}", "texts"):
        fault = id_fault(record.id)
        if fault is None and record.id in texts:
            fault = f'the {what} "{record.id}" stands on line {line_of(path, record.id)} already; keep one of the two'
        text = f"{record.title} {record.text}".strip()
        if fault is None and not is_encodable(record.id + text):
            fault = f"the {what} {record.id!r} holds half a surrogate pair (\\ud800 to \\udfff), which is no text"
        if fault:
            raise DataError(f"{path}:{record.line}: {fault}")
        texts[record.id] = text
    if not texts:
        raise DataError(f"{path}:1: the file is empty; expected one {what} on each line")
    return texts


def _json_records(path: Path) -> Iterator[Record]:
    for position, row in json_values(path, START, '{"_id": "d1", "text": "…"}'):
        place = f"{path}:{position.number}"
        yield Record(
            position.number, _json_id(row, place), _json_text(row, "title", place), _json_text(row, "text", place)
        )


def _json_id(row: dict[str, Any], place: str) -> str:
    if "_id" not in row:
        raise DataError(f'{place}: no "_id"; expected an object like {{"_id": "d1", "text": "…"}}, found {_keys(row)}')
    value = row["_id"]
    # A whole number has one way to be written, and qrels files write it that way.
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f'{place}: the "_id" is {kind_of(value)}; expected a string')
    return str(value)


def _json_text(row: dict[str, Any], key: str, place: str) -> str:
    value = row.get(key)
    if key == "title" and value is None:
        return ""
    if key not in row:
        raise DataError(f'{place}: no "text"; expected an object like {{"_id": "d1", "text": "…"}}, found {_keys(row)}')
    if not isinstance(value, str):
        raise DataError(f'{place}: the "{key}" is {kind_of(value)}; expected a string')
    return value


def _table_records(path: Path) -> Iterator[Record]:
    names: list[str] = []
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        cells = line.split("\t")
        if not names:
            header = _header(cells)
            names = header or ["id", "text"]
            if header:
                continue
            if all(cell.strip().lower() in {*ID_COLUMNS, *TEXT_COLUMNS, "title"} for cell in cells):
                raise DataError(
                    f"{path}:{number}: `{line.strip()}` names columns, but not one id and one text; "
                    f"expected a header such as id<TAB>text or docid<TAB>title<TAB>text"
                )
        if len(cells) != len(names):
            raise DataError(
                f"{path}:{number}: {plural(len(cells), 'tab-separated column')}; expected {len(names)}: "
                + "<TAB>".join(names)
                + ("" if header else " (a first line may name other columns, such as id<TAB>title<TAB>text)")
            )
        row = dict(zip(names, cells, strict=True))
        yield Record(number, row["id"], row.get("title", ""), row["text"])


def _header(cells: list[str]) -> list[str]:
    """What the columns hold, if these cells name them: one an id and one a text; nothing if they are data."""
    names = [cell.strip().lower() for cell in cells]
    texts = ["text"] if "text" in names else [name for name in names if name in TEXT_COLUMNS]
    names = ["id" if name in ID_COLUMNS else "text" if name in texts else name for name in names]
    named = names.count("id") == 1 and names.count("text") == 1 and names.count("title") <= 1
    return names if named else []


def line_of(path: Path, wanted: str) -> int:
    """The first line of `path` that holds the text with the id `wanted`, which is known to be there."""
    return next(record.line for record in _records(path) if record.id == wanted)


def _records(path: Path) -> Iterator[Record]:
    return _table_records(path) if path.name.removesuffix(".gz").endswith(".tsv") else _json_records(path)


def _keys(row: dict[str, Any]) -> str:
    return ", ".join(f'"{key}"' for key in list(row)[:6]) or "no keys"
