"""Published files: read into lists, streamed, in bounded memory and resumed where it was stopped; and written."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.collections import Collection
from limbeck.collections.text_files import START
from limbeck.core.errors import DataError, MissingError, UsageError, plural
from limbeck.core.progress import say, with_status
from limbeck.lists.align import FitRows
from limbeck.lists.candidates import Candidates, check_depth, require_judgments
from limbeck.lists.formats import Format, RawList, find_format, writable_format_names
from limbeck.lists.lists import SIGNALS, TEXTS_KEY, Lists, check_target
from limbeck.lists.shards import Shards, open_parts, signals_of, table_of
from limbeck.lists.signals import only_signals
from limbeck.lists.stored import is_large, open_lists

PASSAGES_PER_PART = 500_000
"""Passages, counted in every list, after which a part is written: what is in memory, and what an interruption costs."""


@dataclass(frozen=True)
class Conversion:
    """What is made of a published file.

    Attributes:
        format: its format's name; see `format_names`.
        depth: only the first so many passages of each list.
        signals: the signals that are kept; None: those that the format keeps.
        labels: take labels from the collection's judgments.
        add_positives: with labels as the only signal, put positives that a list lacks at its end. Beside a teacher's
            signal they are left out: the teacher gave them neither score nor place.
        checksum: MD5 or SHA-256 that the file must have; None: the published one, where the file's name tells it.
        corpus_negatives: passages of the whole collection put behind each list's own, as easy negatives; where labels
            of judgments are the only signal.
    """

    format: str
    depth: int | None = None
    signals: frozenset[str] | None = None
    labels: bool = False
    add_positives: bool = True
    checksum: str | None = None
    corpus_negatives: int = 0

    def __post_init__(self) -> None:
        find_format(self.format)
        check_depth(self.depth)
        if unknown := sorted((self.signals or frozenset()) - set(SIGNALS)):
            raise UsageError(f'"{unknown[0]}" is no signal; expected some of {", ".join(SIGNALS)}')
        if self.checksum and not (
            len(self.checksum) in (32, 64) and set(self.checksum.lower()) <= set("0123456789abcdef")
        ):
            raise UsageError(f'checksum is "{self.checksum}", expected an MD5 (32 hex digits) or SHA-256 (64)')


def provided_signals(source: str | Path, conversion: Conversion) -> frozenset[str]:
    """The signals that a conversion gives, from the first list of the file. Raises what reading it raises."""
    return frozenset(_kept_signals(Path(source), _first_row(Path(source), conversion), conversion))


def convert(
    source: str | Path,
    output: str | Path,
    conversion: Conversion,
    collection: Collection | None = None,
    console: Console | None = None,
) -> None:
    """Write the lists of a published file to `output`, whole or not at all.

    Stopped at any moment, the same call goes on from the last part of 500,000 passages. Metadata says which file the
    lists are of, and counts what was left out or added (see `FitRows`).

    Raises:
        MissingError: no such file, or no folder for the output.
        UsageError: a conversion that needs a collection without one; signals that the file has not; another process is
            writing `output`.
        DataError: another checksum than expected; `path:line: …` for whatever is not of the format; no list is left.
    """
    source, output = Path(source), Path(output)
    console = console or Console(quiet=True)
    form = find_format(conversion.format)
    _check(source, output, conversion, form, collection)
    with open_parts(output, _job(source, conversion, collection)) as parts:
        if parts.count:
            say(console, f"{source.name}: goes on after {plural(parts.lists, 'list')}")
        else:
            _verify(source, conversion.checksum or form.md5.get(source.name))
        fit = _fit_rows(source, form, conversion, collection)
        fit.counts.update(parts.counts)
        _write_parts(source, form, conversion, fit, parts, console)
        if not parts.lists:
            left_out = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in fit.counts.items() if count)
            raise DataError(f"{source}: no list is left ({left_out or 'the file is empty'}); expected {form.about}")
        metadata = _metadata(source, conversion, form, collection, fit.counts)
        parts.join(output, metadata)
    if is_large(output):
        open_lists(output)  # prepared now, so that a training on them begins at once


def _write_parts(
    source: Path, form: Format, conversion: Conversion, fit: FitRows, parts: Shards, console: Console
) -> None:
    if parts.next is None:
        return
    first = _first_row(source, conversion)
    has, kept = signals_of(first), _kept_signals(source, first, conversion)
    seen = set(parts.query_ids()) if form.one_list_a_query else set()
    rows: list[RawList] = []
    passages = 0
    for row in with_status(form.read(source, parts.next), _how_far(source, parts), console, source.name):
        if passages >= PASSAGES_PER_PART:
            parts.write(table_of(source, rows, has, kept), row.place, fit.counts)
            rows, passages = [], 0
        fitted = fit(row)
        if fitted is None:
            continue
        if form.one_list_a_query:
            if fitted.query_id in seen:
                raise DataError(
                    f'{source}:{row.place.number}: query "{fitted.query_id}" has a list above already; expected all '
                    "its lines together: sort the file by query"
                )
            seen.add(fitted.query_id)
        rows.append(fitted)
        passages += len(fitted.passage_ids)
    if rows:
        parts.write(table_of(source, rows, has, kept), None, fit.counts)


def _first_row(source: Path, conversion: Conversion) -> RawList:
    """The first list that is not empty."""
    form = find_format(conversion.format)
    row = next((row for row in form.read(source, START) if row.passage_ids), None)
    if row is None:
        raise DataError(f"{source}:1: no lists in this file; expected {form.about}")
    return row


def _kept_signals(source: Path, row: RawList, conversion: Conversion) -> tuple[str, ...]:
    """The signals of the first row that the conversion keeps, and labels of judgments."""
    has = set(signals_of(row))
    wanted = conversion.signals if conversion.signals is not None else find_format(conversion.format).keep
    from_judgments = {"labels"} if conversion.labels else set()
    absent = sorted((wanted or frozenset()) - has - from_judgments)
    if absent:
        raise UsageError(
            f"{source}: has no {' and no '.join(absent)}, which {'are' if len(absent) > 1 else 'is'} asked for; "
            f"it has {', '.join(sorted(has)) or 'none'}"
        )
    kept = (has if wanted is None else set(wanted)) | from_judgments
    if not kept:
        raise UsageError(
            f"{source}: no signal is kept; expected some of {', '.join(sorted(has))}, or labels of judgments"
        )
    return tuple(name for name in SIGNALS if name in kept)


def _fit_rows(source: Path, form: Format, conversion: Conversion, collection: Collection | None) -> FitRows:
    if collection is None:
        return FitRows(None, conversion.depth, conversion.labels, form.is_text)
    candidates = Candidates(
        collection,
        conversion.depth,
        add_positives=_adds_positives(source, conversion),
        corpus_negatives=conversion.corpus_negatives,
        # Where looking texts up is dear, in ir_datasets' stores, training names one that is missing.
        check_texts=collection.documents_identity is None,
        unit="lists",
    )
    return FitRows(candidates, conversion.depth, conversion.labels, form.is_text)


def _adds_positives(source: Path, conversion: Conversion) -> bool:
    if not (conversion.labels and conversion.add_positives):
        return False
    return provided_signals(source, conversion) == {"labels"}


def _check(source: Path, output: Path, conversion: Conversion, form: Format, collection: Collection | None) -> None:
    if not source.is_file():
        raise MissingError(f"{source}: no such file; expected {form.about}")
    check_target(output)
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output}: is the file to be read; name another one to be written")
    if collection is None and (form.is_text or conversion.labels):
        why = "holds texts, whose ids a collection has" if form.is_text else "is to take labels from judgments"
        raise UsageError(f"{source}: {why}; name the collection")
    if collection is not None and conversion.labels:
        require_judgments(collection)
    if conversion.corpus_negatives and not (conversion.labels and provided_signals(source, conversion) == {"labels"}):
        raise UsageError("corpus_negatives have no teacher's signal; expected labels of judgments as the only signal")


def _job(source: Path, conversion: Conversion, collection: Collection | None) -> dict[str, Any]:
    stat = source.stat()
    options = {**asdict(conversion), "signals": None if conversion.signals is None else sorted(conversion.signals)}
    return {
        "version": 1,
        "source": [str(source.resolve()), stat.st_size, stat.st_mtime_ns],
        "collection": None if collection is None else collection.fingerprint,
        **options,
    }


def _verify(source: Path, checksum: str | None) -> None:
    if checksum is None:
        return
    name = "md5" if len(checksum) == 32 else "sha256"
    with source.open("rb") as file:
        found = hashlib.file_digest(file, name).hexdigest()
    if found != checksum.lower():
        raise DataError(
            f"{source}: its {name} is {found}, expected {checksum.lower()}: the file is damaged or incomplete, fetch "
            "it anew; one that you changed on purpose must have another name than the published file"
        )


def _metadata(
    source: Path, conversion: Conversion, form: Format, collection: Collection | None, counts: dict[str, int]
) -> dict[str, str]:
    metadata = {"format": conversion.format, "source": source.name, "source_bytes": str(source.stat().st_size)}
    if checksum := conversion.checksum or form.md5.get(source.name):
        metadata["source_checksum"] = checksum.lower()
    if collection is not None:
        metadata |= {
            "collection": collection.name,
            "collection_fingerprint": collection.fingerprint,
            TEXTS_KEY: collection.texts_fingerprint,
        }
        if conversion.labels:
            metadata["labels_from"] = f"judgments of {collection.name}"
    if conversion.corpus_negatives:
        metadata["corpus_negatives"] = str(conversion.corpus_negatives)
    if conversion.depth is not None:
        metadata["depth"] = str(conversion.depth)
    return metadata | {name: str(count) for name, count in sorted(counts.items())}


def _how_far(source: Path, parts: Shards) -> Callable[[int, RawList], str]:
    """From how many lists were read, and the last of them, to what is said."""
    size, began = source.stat().st_size, time.monotonic()

    def text(number: int, row: RawList) -> str:
        share = f", {row.place.offset / size:.0%}" if row.place.offset and source.suffix != ".gz" else ""
        rate = number / (time.monotonic() - began)
        return f"{source.name}: {plural(parts.lists, 'list')} written{share}, {rate:,.0f} a second"

    return text


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
