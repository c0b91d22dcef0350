"""Lists written in a published format, for other tools; what the format cannot carry is counted."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.lists.formats import find_format, writable_format_names
from limbeck.lists.lists import Lists
from limbeck.lists.parquet import check_target
from limbeck.lists.signals import only_signals


@dataclass(frozen=True)
class Exported:
    """The file that was written, and what it could not carry, in words, with how often."""

    path: Path
    lost: Mapping[str, int]


def export(
    lists: Lists,
    format_name: str,
    output: str | Path,
    collection: Collection | None = None,
    signals: frozenset[str] | None = None,
) -> Exported:
    """Write lists as a file of a published format. Reading it back gives the lists, but for what is counted as lost.

    Args:
        output: file to write; in a folder, or behind a `/` at its end, a format whose files have names of their own
            (`rank-distillm`) names it.
        signals: write these only, where a format could take others.

    Raises:
        UsageError: a format that is only read; signals that the lists have not, or that it needs; no collection where
            it holds texts.
        DataError: lists that it cannot hold, such as several of a query.
        MissingError: it cannot be written.
    """
    form, place = find_format(format_name), Path(output)
    if form.write is None:
        raise UsageError(f"{format_name} is only read; expected one of {', '.join(writable_format_names())}")
    if absent := sorted((signals or frozenset()) - lists.signals):
        raise UsageError(f"the lists have no {', no '.join(absent)}; they have {', '.join(sorted(lists.signals))}")
    if form.file_name and (place.is_dir() or str(output).endswith(os.sep)):
        place = place / form.file_name(lists)
        place.parent.mkdir(parents=True, exist_ok=True)
    check_target(place)
    kept = lists if signals is None else only_signals(lists, signals)
    lost = form.write(kept, place, collection)
    return Exported(place, {what: count for what, count in lost.items() if count})
