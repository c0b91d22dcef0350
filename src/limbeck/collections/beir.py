"""A collection in a folder: BEIR's layout, or TREC files beside a corpus."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from limbeck.collections.collection import Collection
from limbeck.collections.qrels import Judgments, read_qrels, write_qrels
from limbeck.collections.text_files import line_of, read_texts
from limbeck.core.errors import DataError, MissingError, UsageError, nearest
from limbeck.core.files import replace_folder, sync, temporary_folder, wrap_write_errors, write_json
from limbeck.core.json_files import fault_of, read_json

CORPUS = ("corpus.jsonl", "corpus.tsv", "collection.tsv")
QUERIES = ("queries.jsonl", "queries.tsv")
QRELS_SUFFIXES = (".tsv", ".txt", ".qrels")
UNREAD_SUFFIXES = ("", ".csv", ".json", ".jsonl", ".parquet", ".qrel", ".trec", ".zip", ".bz2", ".xz", ".zst")
"""Of files among the judgments that look meant, and are named where judgments are not found."""
SETTINGS = "limbeck.json"


class Settings(NamedTuple):
    """What a folder's `limbeck.json` may say; the names and meanings are those of `Collection`."""

    relevance_level: int = 1
    drop_query_document: bool = False


def is_collection_folder(folder: Path) -> bool:
    """Whether `folder` holds a corpus under one of the names that are read."""
    return bool(_present(folder, CORPUS))


def load_folder(name: str, folder: Path, split: str | None) -> Collection:
    """Load a collection from a folder.

    The folder holds one corpus (`corpus.jsonl`, `corpus.tsv` or `collection.tsv`), one file of queries
    (`queries.jsonl` or `queries.tsv`), and any number of judgment files, each of them a split: `qrels/SPLIT.tsv`,
    `qrels.SPLIT.tsv`, or a lone `qrels.tsv`, which is the split `qrels`; `.txt` and `.qrels` do as well as `.tsv`. All
    may be gzipped and end in `.gz`. `limbeck.json` may set `relevance_level` and `drop_query_document`.

    Judged documents without text are usual where judgments were pooled over a larger corpus, and empty documents occur
    in the oldest collections (two in Cranfield, one of them judged relevant). Both are kept, for evaluation needs
    them, and counted in the warnings.

    A folder with neither queries nor judgments is a collection of documents, without any query.

    Args:
        name: the collection's name in all output.
        split: one of the splits, or None: `test` if there is one, else the only one, else all queries unjudged.

    Raises:
        MissingError: no corpus, or judgments and no queries.
        UsageError: no such split, or several and none chosen.
        DataError: a malformed file; two files that claim to be the same thing; an empty query, or nothing but empty
            documents; judgments of unknown queries, or of unknown documents only.
    """
    corpus = _only(folder, CORPUS, "corpus")
    settings = _settings(folder / SETTINGS)
    splits, unread = _splits(folder)
    qrels_file = _choose(name, splits, split, unread)
    judgments = read_qrels(qrels_file) if qrels_file else None
    warnings: tuple[str, ...] = ()
    if judgments and not judgments.grades:
        warnings, judgments = (f"{judgments.path}: holds no judgments, so no run can be measured on them",), None
    elif not judgments and unread:
        warnings = (f"{name}: no judgments are read{_unread(unread)}",)
    queries: dict[str, str] = {}
    if judgments or _present(folder, QUERIES):
        queries_file = _only(folder, QUERIES, "queries")
        queries = read_texts(queries_file, "query")
        _refuse_empty_queries(queries, queries_file)
        if judgments:
            _check_queries(judgments, queries, queries_file)
    documents = read_texts(corpus, "document")
    warnings += _empty_warnings(documents, corpus)
    if judgments:
        warnings += _unknown_warnings(judgments, documents, corpus)
    return Collection(
        name=name,
        documents=documents,
        queries=queries,
        qrels=judgments.grades if judgments else {},
        query_ids=tuple(query_id for query_id in queries if judgments is None or query_id in judgments.grades),
        warnings=warnings,
        relevance_level=settings.relevance_level,
        drop_query_document=settings.drop_query_document,
    )


def _present(folder: Path, names: tuple[str, ...]) -> list[Path]:
    return [folder / f"{name}{end}" for name in names for end in ("", ".gz") if (folder / f"{name}{end}").is_file()]


def _only(folder: Path, names: tuple[str, ...], what: str) -> Path:
    found = _present(folder, names)
    if not found:
        options = ", ".join(names)
        stems = {name.split(".")[0] for name in names} | {f"{what}s", "documents" if what == "corpus" else "topics"}
        meant = [path.name for path in sorted(folder.iterdir()) if path.name.split(".")[0].lower() in stems]
        hint = f" (there is {', '.join(meant[:4])}, which is not read under that name)" if meant else ""
        for path in (folder / f"{name}{end}" for name in names for end in ("", ".gz")):
            if path.is_symlink() or path.exists():
                hint = f" ({path.name} is {'no file' if path.exists() else 'a link to a file that is not there'})"
        raise MissingError(f"{folder}: no {what} in this folder; expected one of {options}, with or without .gz{hint}")
    if len(found) > 1:
        raise DataError(f"{folder}: {_names(found)} all claim to be the {what}; keep one of them")
    return found[0]


def _splits(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Split → judgment file; and the files beside them that look meant but have another ending."""
    found: dict[str, Path] = {}
    unread: list[Path] = []
    beside = [path for path in folder.iterdir() if path.name.startswith("qrels.")]
    inside = list((folder / "qrels").iterdir()) if (folder / "qrels").is_dir() else []
    for path in sorted(beside + inside):
        if not path.is_file() or path.name.startswith("."):
            continue
        stem = path.name.removesuffix(".gz")
        suffix = next((end for end in QRELS_SUFFIXES if stem.endswith(end)), None)
        if suffix is None:
            unread += [path] if path.suffix.lower() in UNREAD_SUFFIXES else []
            continue
        split = stem.removesuffix(suffix)
        if path.parent == folder:
            split = split.removeprefix("qrels.")
        if split in found:
            both = _names([found[split], path], folder)
            raise DataError(f'{folder}: {both} all claim to be the judgments of "{split}"; keep one of them')
        found[split] = path
    return found, unread


def _unread(paths: list[Path]) -> str:
    if not paths:
        return ""
    names = " and ".join(f"qrels/{path.name}" if path.parent.name == "qrels" else path.name for path in paths[:4])
    return f"; {names} may be meant, but is not read: columns of tabs or spaces in {', '.join(QRELS_SUFFIXES)} are"


def _choose(name: str, splits: dict[str, Path], split: str | None, unread: list[Path]) -> Path | None:
    known = ", ".join(splits) or "none"
    if split is not None:
        if split not in splits:
            meant = _unread([path for path in unread if split in path.name])
            raise UsageError(f'{name}: no split "{split}"; there are: {known}{nearest(split, splits)}{meant}')
        return splits[split]
    if "test" in splits or len(splits) < 2:
        return splits.get("test") or next(iter(splits.values()), None)
    example = f"{name}/{next(iter(splits))}"
    raise UsageError(f"{name}: several splits and none called test: {known}; choose one, as in {example}")


def _settings(path: Path) -> Settings:
    if not path.exists():
        return Settings()
    given = read_json(path, dict, 'such as {"relevance_level": 2}')
    for key, value in given.items():
        if key not in Settings._fields:
            known = ", ".join(Settings._fields)
            raise DataError(f'{path}:1: unknown key "{key}"; known are {known}{nearest(key, Settings._fields)}')
        if fault := fault_of(value, type(Settings._field_defaults[key]), key):
            raise DataError(f"{path}: {fault}")
    settings = Settings(**given)
    if settings.relevance_level < 1:
        raise DataError(f'{path}:1: "relevance_level" is {settings.relevance_level}; expected 1 or more')
    return settings


def _refuse_empty_queries(queries: dict[str, str], path: Path) -> None:
    empty = next((query_id for query_id, text in queries.items() if not text), None)
    if empty is not None:
        raise DataError(f'{path}:{line_of(path, empty)}: the query "{empty}" is empty; give it a text or remove it')


def _check_queries(judgments: Judgments, queries: dict[str, str], queries_file: Path) -> None:
    unknown = [query_id for query_id in judgments.grades if query_id not in queries]
    if unknown:
        more = f" ({len(unknown):,} such queries in all)" if len(unknown) > 1 else ""
        raise DataError(
            f'{judgments.path}:{judgments.query_lines[unknown[0]]}: query "{unknown[0]}" is judged but is not in '
            f"{queries_file}{more}; add the query there, or remove its judgments"
        )


def _empty_warnings(documents: dict[str, str], corpus: Path) -> tuple[str, ...]:
    empty = [docid for docid, text in documents.items() if not text]
    if not empty:
        return ()
    first = f"{corpus}:{line_of(corpus, empty[0])}"
    if len(empty) == len(documents):
        raise DataError(f'{first}: every document is empty, title and text; expected texts under "text"')
    return (
        f'{first}: {len(empty):,} of {len(documents):,} documents are empty, title and text (first: "{empty[0]}"); '
        f"no first stage will find them",
    )


def _unknown_warnings(judgments: Judgments, documents: dict[str, str], corpus: Path) -> tuple[str, ...]:
    judged = judgments.document_lines
    unknown = next((docid for docid in judged if docid not in documents), None)
    if unknown is None:
        return ()
    first = f"{judgments.path}:{judged[unknown]}"
    if not any(docid in documents for docid in judged):
        raise DataError(
            f'{first}: document "{unknown}" is judged but is not in {corpus.name}, nor is any other judged document; '
            f"the judgments and the corpus are of different collections, or write their ids differently"
        )
    pairs = sum(docid not in documents for grades in judgments.grades.values() for docid in grades)
    total = sum(len(grades) for grades in judgments.grades.values())
    return (
        f"{first}: {pairs:,} of {total:,} judgments are of documents without text in {corpus.name} (first: "
        f'"{unknown}"); they count in evaluation, but nothing can retrieve or score these documents',
    )


def _names(paths: list[Path], folder: Path | None = None) -> str:
    return " and ".join(str(path.relative_to(folder)) if folder else path.name for path in paths)


MADE = "made.json"
"""Says how limbeck made a folder; one without it is somebody's own, and is never written over."""


def write_collection(
    folder: Path,
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, int]],
    made: Mapping[str, Any],
) -> None:
    """Write a collection whose only split is `train`, whole or not at all; `made` says how it was made.

    A folder that this wrote before is replaced. UsageError for any other that is there and not empty; MissingError
    where it cannot be written.
    """
    check_own(folder)
    with wrap_write_errors(folder), temporary_folder(folder) as aside:
        for name, texts in (("corpus", documents), ("queries", queries)):
            with (aside / f"{name}.jsonl").open("w", encoding="utf-8") as file:
                for text_id, text in texts.items():
                    file.write(json.dumps({"_id": text_id, "text": text}, ensure_ascii=False) + "\n")
        sync(aside)
        write_qrels(qrels, aside / "qrels" / "train.tsv")
        write_json(aside / MADE, dict(made))
        replace_folder(aside, folder)


def check_own(folder: Path) -> None:
    """UsageError for what `write_collection` does not write over."""
    if folder.exists() and not (folder / MADE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is there, and was not made by limbeck; name a new folder")
