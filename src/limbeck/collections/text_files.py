"""Plain or gzipped UTF-8 text files: numbered lines, JSON values, the one rule for ids, and texts by id.

Every reader of text files starts here. Texts are JSON lines as BEIR has them, or tables as MS MARCO has them.
"""

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from limbeck.core.errors import DataError, MissingError, plural
from limbeck.core.json_files import kind_of, parse_json
from limbeck.core.progress import with_progress

UNFIT_IN_ID = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff]")
LONGEST_LINE = 1 << 28
"""Bytes: what is longer is no file of lines, and would be read into memory whole."""


class Position(NamedTuple):
    """Where something stands in a file: its line or row, from 1, and for text the byte at which that line begins."""

    number: int = 1
    offset: int = 0


START = Position()
GZIP_BYTES = b"\x1f\x8b"
_BINARY = re.compile(
    rb"(?P<bzip2>BZh[1-9]1AY&SY)|(?P<xz>\xfd7zXZ\x00)|(?P<Zstandard>\x28\xb5\x2f\xfd)|(?P<ZIP>PK\x03\x04)|(?P<Parquet>PAR1\x15)"
)
"""How files begin that are no text, whatever they are called."""


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a text file; see `placed_lines`."""
    for place, line in placed_lines(path):
        yield place.number, line


def placed_lines(path: Path, start: Position = START) -> Iterator[tuple[Position, str]]:
    """(place, line without its end) of a text file from `start` on, gunzipped where the name ends in `.gz`.

    Lines end at `\\n` or `\\r\\n` only, never at the rarer separators of Unicode. A leading byte order mark is dropped.
    Offsets count bytes after gunzipping. Raises MissingError for an absent file, DataError (`path:line: …`) for bytes
    that are not UTF-8, gzip data under a name without `.gz` or the reverse, and a line longer than `LONGEST_LINE`.
    """
    number, offset = start.number - 1, start.offset
    try:
        with open_bytes(path) as file:
            if offset:
                file.seek(offset)
            for number, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start.number):
                if len(raw) == LONGEST_LINE:
                    raise DataError(
                        f"{path}:{number}: a line of {LONGEST_LINE >> 20} MiB or more; expected short lines"
                    )
                if number == 1 and raw.startswith(GZIP_BYTES):
                    how = f"under a name without .gz; rename it to {path.name}.gz, or gunzip it"
                    if path.name.endswith(".gz"):
                        how = "inside gzip data; unpack it once"
                    raise DataError(f"{path}:1: is gzip data (its first bytes are 1f 8b) {how}")
                if number == 1 and (found := _BINARY.match(raw)):
                    raise DataError(f"{path}:1: is {found.lastgroup} data; expected text in UTF-8, plain or gzipped")
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield Position(number, offset), line.rstrip("\r\n")
                offset += len(raw)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: not UTF-8 text ({error.reason}); convert the file to UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}:{number + 1}: broken gzip data ({error}); fetch or write the file anew") from None


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, gunzipped where the name ends in `.gz`."""
    try:
        return cast(BinaryIO, gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb"))
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise MissingError(f"{path}: is a folder, not a file") from None
    except PermissionError:
        raise MissingError(f"{path}: may not be read by this user; change its permissions") from None


def json_values(path: Path, start: Position, expected: str, kind: type = dict) -> Iterator[tuple[Position, Any]]:
    """(place, value) of each line from `start` on that is not blank; of each element where the file is one JSON array.

    Args:
        expected: one line as it should be, for messages.
        kind: what each value must be. Only objects are looked for inside an array.

    Raises DataError (`path:line: …`) for what is no JSON, beyond the bounds of `parse_json`, or not of that kind.
    """
    remedy = f"expected `{expected}` on each line"
    if kind is dict and _is_array(path):
        yield from _array_elements(path, start, remedy)
        return
    for place, line in placed_lines(path, start):
        if line.strip():
            yield place, parse_json(line, f"{path}:{place.number}", kind, remedy=remedy, one_line=True)


def _is_array(path: Path) -> bool:
    with open_bytes(path) as file:
        try:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return False  # told with its line by who reads the lines


def _array_elements(path: Path, start: Position, remedy: str) -> Iterator[tuple[Position, Any]]:
    """The elements of a file that is one JSON array. Their positions count characters, not bytes."""
    text = "\n".join(line for _, line in placed_lines(path))
    decoder, at, line, last = json.JSONDecoder(), text.index("[") + 1, 1, 0
    while True:
        at = _behind_space(text, at)
        line, last = line + text.count("\n", last, at), at
        if text.startswith("]", at):
            break
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number or nesting without bound"
            raise DataError(f"{path}:{line}: an array of JSON values that breaks off here ({reason})") from None
        if at >= start.offset:
            yield Position(line, at), parse_json(text[at:end], f"{path}:{line}", dict, remedy=remedy, one_line=True)
        at = _behind_space(text, end)
        if text.startswith(",", at):
            at += 1
        elif not text.startswith("]", at):
            line += text.count("\n", last, at)
            raise DataError(f"{path}:{line}: an array of JSON values that breaks off here (expected a comma or `]`)")
    if text[at + 1 :].strip():
        raise DataError(f"{path}:{line}: text behind the end of the array; expected one array, or one object a line")


_SPACE = re.compile(r"[ \t\r\n]*")


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def finite_number(text: str) -> float | None:
    """The finite number that a text writes in ASCII, or None: Python alone reads 1_000 and digits of other scripts."""
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def id_fault(text: str) -> str | None:
    """What makes `text` no id, or None. Ids stand in whitespace-separated files, so they can hold no whitespace."""
    if not text:
        return "the id is empty"
    if unfit := UNFIT_IN_ID.search(text):
        what = "whitespace" if unfit[0].isspace() or unfit[0] == "\ufeff" else f"a control character ({unfit[0]!r})"
        return f"the id {text!r} holds {what}, which run and judgment files cannot carry"
    return None


def first_repeated(ids: Sequence[str]) -> int | None:
    """The place of the first id that stands among those before it already; None where each stands once."""
    if len(set(ids)) == len(ids):
        return None
    return next(place for place, each in enumerate(ids) if each in ids[:place])


def is_encodable(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON can smuggle in lone halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
