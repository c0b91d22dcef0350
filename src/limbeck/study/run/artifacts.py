"""What cells share, made once and kept: first-stage runs, teachers' signals, training lists."""

import gzip
import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError, MissingError, plural
from limbeck.core.files import atomic_write
from limbeck.core.json_files import Schema, key_of, parse_json
from limbeck.core.progress import say
from limbeck.lists import (
    Lists,
    concatenate,
    convert,
    lists_from_run,
    lists_from_signals,
    open_lists,
    read_lists,
    run_in_order,
    write_lists,
)
from limbeck.runs import Run, rank, read_run, write_run
from limbeck.study.config.resolver import BM25_NAME, DEPTH, Sources
from limbeck.study.config.schema import ListSource
from limbeck.study.run.store import REMEDY, Store
from limbeck.teachers.kinds import Taught, Workplace

FORMAT = 1


PAIRS_OF_SHARD = 1_000_000
"""Pairs of query and passage that one node scores, as a teacher or of a test collection."""


def run_key(sources: Sources, first_stage: str, collection: str, depth: int) -> str:
    """What a first stage's candidates are kept under."""
    return key_of(
        {
            "format": FORMAT,
            "collection": sources.collection(collection).fingerprint,
            "candidates": sources.candidates(first_stage, collection),
            "depth": depth,
        }
    )


def lists_key(sources: Sources, name: str) -> str:
    """What the lists of a source are kept under."""
    return key_of({"format": FORMAT, **sources.lists(name)})


def taught_keys(sources: Sources, name: str, collection: str) -> list[str]:
    """What the shards of a teacher's work on a source's lists of one collection are kept under.

    An LLM's work is not divided, because its budget is one; nor are published lists, whose number is not known before.
    """
    source = sources.config.lists[name]
    shards = 1
    if not source.path and sources.config.teachers[source.teacher or ""].declared.keeps != "calls":
        pairs = len(sources.collection(collection).query_ids) * (sources.depth(name) or DEPTH)
        shards = max(1, math.ceil(pairs / PAIRS_OF_SHARD))
    described = [lists_key(sources, name), sources.collection(collection).fingerprint]
    return [key_of(["teach", described, shard, shards]) for shard in range(shards)]


class Materials:
    """A study's runs and lists, from `store` where they are there already, else made and put there."""

    def __init__(self, sources: Sources, store: Store, console: Console) -> None:
        self.sources = sources
        self.store = store
        self.console = console
        self._lists: dict[str, Lists] = {}

    def run(self, first_stage: str, collection: str, depth: int) -> Run:
        """A first stage's first `depth` candidates for a collection's queries."""
        fusion, retriever = self.sources.fusion(first_stage), self.sources.retriever(first_stage)
        if not (fusion or retriever):
            return replace(read_run(self.sources.run_file(first_stage, collection)).cut(depth), name=first_stage)
        loaded = self.sources.collection(collection)
        path = self.store.run(run_key(self.sources, first_stage, collection, depth))
        if not path.exists():
            say(self.console, f"{first_stage}: {plural(depth, 'candidate')} for {collection}")
            if fusion:
                parts = [self.run(name, collection, depth) for name in self.sources.fused(first_stage)]
                write_run(fusion.fuse(parts).cut(depth), path)
            elif retriever:
                write_run(retriever.retrieve(loaded, depth), path)
        return replace(read_run(path), name=first_stage)

    def teacher_run(self, name: str, collection: str, run: Run) -> Run:
        """A run's candidates of the collection's split, re-ranked by a teacher that scores."""
        loaded = self.sources.collection(collection)
        wanted = {query_id: run[query_id] for query_id in loaded.query_ids if query_id in run}
        candidates = Run(run.name, wanted, run.tag)
        scores = teach(self.sources, self.store, name, loaded, candidates, self.console).signals
        return Run(name, {query_id: rank(candidates[query_id].docids, found) for query_id, found in scores.items()})

    def lists(self, name: str) -> Lists:
        """A list source's training lists, of all training collections."""
        key = lists_key(self.sources, name)
        if key not in self._lists:
            path = self.store.lists(key)
            if self.sources.config.lists[name].format == "limbeck":
                self._lists[key] = self._ready(name)
            else:
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    say(self.console, f"lists {name}")
                    self._make(name, path)
                self._lists[key] = open_lists(path)
        return self._lists[key]

    def _ready(self, name: str) -> Lists:
        path = self.sources.list_file(name, "")
        lists = open_lists(path)
        queries = self.sources.training.queries
        absent = next((query_id for query_id in lists.query_ids if query_id not in queries), None)
        if absent is not None:
            raise DataError(
                f'{path}: query "{absent}" is not in {self.sources.training.name}; '
                "expected lists of the study's training collections"
            )
        return lists

    def _make(self, name: str, path: Path) -> None:
        source, collections = self.sources.config.lists[name], self.sources.listed(name)
        if source.path and len(collections) == 1 and not source.teacher:
            # What is published may be too large for anything but a stream.
            self._convert(name, collections[0], path)
        else:
            parts = [self._part(name, source, collection, path) for collection in collections]
            write_lists(concatenate(parts), path)

    def _part(self, name: str, source: ListSource, collection: str, path: Path) -> Lists:
        lists = self._untaught(name, collection, path)
        if not source.teacher:
            return lists
        signals: dict[str, Any] = {}
        taught: dict[str, Any] = {}
        for shard, key in enumerate(taught_keys(self.sources, name, collection)):
            if not self.store.taught(key).exists():
                self.teach(name, collection, shard)
            taught = _read_taught(self.store.taught(key))
            signals |= {query_id: np.array(values) for query_id, values in taught["signals"].items()}
        gives = self.sources.config.teachers[source.teacher].declared.gives
        return lists_from_signals(gives, lists, signals, taught["teacher"], taught["details"])

    def teach(self, name: str, collection: str, shard: int) -> Path:
        """Have a list source's teacher score or order its shard of one collection's lists, the positives added to them
        as well; the file with what it gave."""
        source, loaded = self.sources.config.lists[name], self.sources.collection(collection)
        keys = taught_keys(self.sources, name, collection)
        path = self.store.taught(keys[shard])
        lists = self._untaught(name, collection, path.with_suffix(".parquet"))
        candidates = run_in_order(lists, "candidates", None if source.path else self._first_stage(name, collection))
        mine = {query_id: candidates[query_id] for query_id in list(candidates)[shard :: len(keys)]}
        wanted, teacher = replace(candidates, rankings=mine), source.teacher or ""
        given = teach(self.sources, self.store, teacher, loaded, wanted, self.console)
        signals = {query_id: values.tolist() for query_id, values in given.signals.items()}
        found = {"teacher": given.teacher, "details": given.details, "signals": signals}
        with atomic_write(path) as stream:
            stream.write(json.dumps(found, ensure_ascii=False).encode())
        return path

    def _untaught(self, name: str, collection: str, path: Path) -> Lists:
        """A source's lists of one collection before a teacher sees them; `path` is whose neighbour may be written."""
        source, loaded = self.sources.config.lists[name], self.sources.collection(collection)
        if source.path:
            part = path.with_name(f"{path.stem}-{key_of(collection)}.parquet")
            part.parent.mkdir(parents=True, exist_ok=True)
            self._convert(name, collection, part)
            lists = read_lists(part)
            part.unlink()
            return lists
        return lists_from_run(
            loaded,
            self._first_stage(name, collection),
            source.depth,
            labels=source.labels is not None,
            order=False,
            add_missing_positives=source.add_positives,
            corpus_negatives=source.corpus_negatives or 0,
        )

    def _first_stage(self, name: str, collection: str) -> Run:
        """What finds the candidates of a list source that is no file."""
        first_stage = self.sources.config.lists[name].first_stage or BM25_NAME
        return self.run(first_stage, collection, self.sources.depth(name) or DEPTH)

    def _convert(self, name: str, collection: str, path: Path) -> None:
        file = self.sources.list_file(name, collection)
        convert(file, path, self.sources.conversion(name), self.sources.collection(collection), self.console)


def _read_taught(path: Path) -> dict[str, Any]:
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged ({error}); {REMEDY}") from None
    schema: Schema = {"teacher": str, "details": {...: str}, "signals": {...: [float]}}
    found: dict[str, Any] = parse_json(content, str(path), schema, remedy=REMEDY)
    return found


def teach(
    sources: Sources, store: Store, name: str, collection: Collection, candidates: Run, console: Console
) -> Taught:
    """What a teacher gives of candidates. It is loaded anew, and takes no memory from what is trained later.

    Calls of an LLM are kept: run again, the study goes on and pays for none twice. Queries without a usable answer are
    left out, and said. MissingError where calls ended early, as when the budget is spent; DataError where no answer was
    usable.
    """
    calls = store.teachers / f"{key_of(sources.teacher(name))}.calls.jsonl"

    def warn(text: str) -> None:
        say(console, f"teacher {name}: {text}")

    place = Workplace(store.teachers, calls, console, warn, sources)
    taught = sources.config.teachers[name].declared.teach(collection, candidates, place)
    if taught.outcome is None:
        return taught
    if taught.outcome.stopped:
        left = plural(len(taught.outcome.unfinished), "query")
        raise MissingError(
            f"teacher {name}: stopped: {taught.outcome.stopped}; {left} left; the same command goes on "
            f"from the calls in {calls}"
        )
    if not taught.signals:
        raise DataError(f"teacher {name}: no answer was usable; look at them in {calls}")
    if taught.outcome.excluded:
        warn(f"{plural(len(taught.outcome.excluded), 'query')} left out, as no usable answer came")
    return taught
