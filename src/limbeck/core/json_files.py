"""JSON that may be damaged, or made by others: read within bounds, held against a schema, every fault with its place.

limbeck's own files are read by `read_json` and `read_json_lines`; text that came from elsewhere (a server, a user's
file) by `parse_json`, which both of them use. `key_of` is the content key of what JSON can hold.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeVar

from limbeck.core.errors import DataError, MissingError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Record = TypeVar("Record")

MAX_DEPTH = 100
"""Arrays and objects inside one another. Nothing that limbeck reads has more than ten; Python's own limit is 1,000."""
MAX_DIGITS = 40
"""Of a whole number: a random generator's 128-bit state has 39. A float holds every such number."""

Schema: TypeAlias = "type | tuple[Schema, ...] | list[Schema] | Mapping[str | EllipsisType, Schema] | None"
"""What a value must be.

`str`, `bool`, `dict`, `list`, `object` (anything) and None mean themselves; `int` is a whole number of 64 bits and no
bool, `float` any number. A tuple lists alternatives, `[schema]` is an array of such values. A mapping is an object with
those keys, `"key?"` being one that may be absent, `...` standing for all others; keys that are not named are allowed.

    {"measures": [str], "values": {...: {...: float}}, "seed?": (int, None)}
"""


class _Fault(ValueError):
    """What is wrong with a text, without its place."""


def read_json(path: Path, schema: Schema, remedy: str) -> Any:
    """The content of a JSON file.

    Args:
        remedy: what to do about a damaged or absent file, as in "remove it and run again".

    Raises:
        MissingError: no such file, or it cannot be read.
        DataError: `path:line: …` or `path: KEY …` where it is no UTF-8, no JSON, out of bounds or not of the schema.
    """
    with _open(path, remedy) as stream:
        content = stream.read()
    return parse_json(content, str(path), schema, remedy=remedy)


def read_json_lines(path: Path, schema: Schema, remedy: str) -> Iterator[tuple[int, Any]]:
    """(line number from 1, value) of each line of a file that limbeck appends to.

    A last line without its end was being written when its process was killed, or is being written now: it is passed
    over. Errors are those of `read_json`; their place is always `path:line`.
    """
    with _open(path, remedy) as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield number, parse_json(line, f"{path}:{number}", schema, remedy=remedy, one_line=True)


_adapters: dict[type, Any] = {}


def _adapter(kind: type[Record]) -> "TypeAdapter[Record]":
    """Made once for a kind: that takes longer than reading many a file."""
    from pydantic import TypeAdapter

    found: TypeAdapter[Record] = _adapters.get(kind) or _adapters.setdefault(kind, TypeAdapter(kind))
    return found


def read_record(path: Path, kind: type[Record], remedy: str) -> Record:
    """A JSON file as a dataclass. DataError names the key that is absent or holds something else; see `read_json`."""
    from pydantic import ValidationError

    found = read_json(path, object, remedy)
    try:
        # As JSON, not as Python's values: an array is a tuple then, and nothing else is converted.
        return _adapter(kind).validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"{part}: " for part in [".".join(map(str, first["loc"]))] if part)
        raise DataError(f"{path}: {place}{first['msg']}; {remedy}") from None


def parse_json(
    text: str | bytes,
    place: str,
    schema: Schema = object,
    *,
    remedy: str = "",
    max_bytes: int | None = None,
    one_line: bool = False,
    lone_surrogates: bool = False,
) -> Any:
    """The value of a JSON text.

    Refused are: bytes that are not UTF-8, what is not JSON, nesting deeper than `MAX_DEPTH`, whole numbers of more than
    `MAX_DIGITS` digits, NaN and infinity, also as 1e999. So what is returned can be walked, printed and computed with.

    Args:
        place: where the text stands, for messages: a file, `file:line`, or "the answer of HOST".
        max_bytes: the longest text that is read at all.
        one_line: whether `place` names the line already.
        lone_surrogates: whether strings may hold half a surrogate pair, which cannot be written as UTF-8.

    Raises DataError, which begins with `place` and ends with `remedy`.
    """
    end = f"; {remedy}" if remedy else ""
    if max_bytes is not None and len(text) > max_bytes:
        raise DataError(f"{place}: {len(text):,} bytes of JSON; expected at most {max_bytes:,}{end}")
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        value = _DECODER.decode(decoded)
        _check_depth(value, decoded)
        if not lone_surrogates and "\\u" in decoded:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        line = "" if one_line else f":{number}"
        raise DataError(f"{place}{line}: not UTF-8 text (byte 0x{error.object[error.start]:02x}){end}") from None
    except UnicodeEncodeError:
        raise DataError(f"{place}: half a surrogate pair (\\ud800 to \\udfff), which is no text{end}") from None
    except json.JSONDecodeError as error:
        line = "" if one_line else f":{error.lineno}"
        raise DataError(f"{place}{line}: not JSON ({error.msg}, column {error.colno}){end}") from None
    except RecursionError:
        raise DataError(f"{place}: {_TOO_DEEP}{end}") from None
    except _Fault as fault:
        raise DataError(f"{place}: {fault}{end}") from None
    if found := fault_of(value, schema):
        raise DataError(f"{place}: {found}{end}")
    return value


def fault_of(value: Any, schema: Schema, key: str = "") -> str | None:
    """What keeps a value from being of a schema, beginning with the key at which it stands, or None.

    >>> fault_of({"step": 3, "loss": "low"}, {"step": int, "loss": float})
    '"loss": a string, expected a number'
    >>> fault_of({"runs": [{"path": "a"}, {}]}, {"runs": [{"path": str}]})
    '"runs[1].path" is missing'
    """
    if isinstance(schema, tuple):
        faults = [fault_of(value, alternative, key) for alternative in schema]
        if None in faults:
            return None
        # Of the alternatives that are of the right kind, the inner fault says more than the list of kinds.
        inner = [fault for fault, alternative in zip(faults, schema, strict=True) if _is_kind(value, alternative)]
        expected = " or ".join(_kind_of_schema(alternative) for alternative in schema)
        return inner[0] if len(inner) == 1 else f"{_at(key)}{kind_of(value)}, expected {expected}"
    if not _is_kind(value, schema):
        return f"{_at(key)}{kind_of(value)}, expected {_kind_of_schema(schema)}"
    if isinstance(schema, list):
        found = (fault_of(item, schema[0], f"{key}[{number}]") for number, item in enumerate(value))
        return next((fault for fault in found if fault), None)
    if isinstance(schema, Mapping):
        return _object_fault(value, schema, key)
    return None


def kind_of(value: Any) -> str:
    """What a JSON value is, as people say it."""
    if isinstance(value, bool):
        return "true or false"
    if type(value) is int and not -(2**63) <= value < 2**63:
        return f"a whole number of {len(str(abs(value)))} digits"
    kinds = {"dict": "an object", "list": "an array", "str": "a string", "NoneType": "null", "int": "a whole number"}
    return kinds.get(type(value).__name__, "a number")


def _object_fault(value: dict[str, Any], schema: Mapping[str | EllipsisType, Schema], key: str) -> str | None:
    named = {name: inner for name, inner in schema.items() if isinstance(name, str)}
    for name, inner in named.items():
        plain, inside = name.removesuffix("?"), _inside(key, name.removesuffix("?"))
        if plain in value:
            if fault := fault_of(value[plain], inner, inside):
                return fault
        elif plain == name:
            return f'"{inside}" is missing'
    if ... in schema:
        known = {name.removesuffix("?") for name in named}
        others = (fault_of(item, schema[...], _inside(key, name)) for name, item in value.items() if name not in known)
        return next((fault for fault in others if fault), None)
    return None


def _inside(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _at(key: str) -> str:
    return f'"{key}": ' if key else ""


_KINDS: dict[object, str] = {
    str: "a string", int: "a whole number", float: "a number", bool: "true or false", None: "null", dict: "an object",
    list: "an array", object: "any value",
}  # fmt: skip


def _is_kind(value: Any, schema: Schema) -> bool:
    if schema is object:
        return True
    if schema is float:
        return type(value) in (int, float)
    if schema is int:
        return type(value) is int and -(2**63) <= value < 2**63
    if isinstance(schema, Mapping | list):
        return type(value) is (list if isinstance(schema, list) else dict)
    return value is None if schema is None else type(value) is schema


def _kind_of_schema(schema: Schema) -> str:
    if isinstance(schema, Mapping | list):
        return _KINDS[list if isinstance(schema, list) else dict]
    return _KINDS[schema]


def _open(path: Path, remedy: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file; {remedy}") from None
    except OSError as error:
        raise MissingError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None


_TOO_DEEP = f"more than {MAX_DEPTH} arrays and objects inside one another"


def _check_depth(value: Any, text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level, depth = [value], 0
    while level := [
        inner
        for item in level
        if isinstance(item, dict | list)
        for inner in (item.values() if isinstance(item, dict) else item)
    ]:
        depth += 1
        if depth > MAX_DEPTH:
            raise _Fault(_TOO_DEEP)


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Fault(f"a whole number of {len(digits):,} digits; expected at most {MAX_DIGITS}")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Fault(f"the number {digits[:20]} is beyond what a 64-bit float holds")
    return value


def _refuse_constant(name: str) -> Any:
    raise _Fault(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_number, parse_constant=_refuse_constant)


def key_of(description: Any, digits: int = 12) -> str:
    """The first hex `digits` of SHA-256 over plain JSON values, whatever the order of a mapping's keys.

    The text that is hashed is JSON in UTF-8 with sorted keys and no spaces; lone surrogates, which JSON files may hold,
    are taken as they are. 12 digits tell some thousand descriptions of one study apart (a collision among a million has
    odds of 1 in 500); whatever is kept in a store that many studies share takes 16, and a paid answer 32.

    >>> key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})
    True
    """
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:digits]
