"""What cells share, made once and kept: first-stage runs, teachers' signals, training lists."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.core.hashing import key_of
from limbeck.lists import (
    Lists,
    concatenate,
    convert,
    lists_from_orders,
    lists_from_run,
    lists_from_scores,
    read_lists,
    run_in_order,
    write_lists,
)
from limbeck.runs import Run, rank, read_run, write_run
from limbeck.study.config.resolver import BM25_NAME, DEPTH, Sources
from limbeck.study.config.schema import ListSource
from limbeck.study.run.store import Store
from limbeck.study.run.teachers import teacher_orders, teacher_scores

FORMAT = 1


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
        key = key_of(
            {
                "format": FORMAT,
                "collection": loaded.fingerprint,
                "candidates": self.sources.candidates(first_stage, collection),
                "depth": depth,
            }
        )
        path = self.store.run(key)
        if not path.exists():
            self.console.print(f"{first_stage}: {depth} candidates for {collection}", highlight=False)
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
        scores = teacher_scores(self.sources, self.store, name, loaded, candidates, self.console).scores
        return Run(name, {query_id: rank(candidates[query_id].docids, found) for query_id, found in scores.items()})

    def lists(self, name: str) -> Lists:
        """A list source's training lists, of all training collections."""
        key = self.lists_key(name)
        if key not in self._lists:
            path = self.store.lists(key)
            if self.sources.config.lists[name].format == "limbeck":
                self._lists[key] = self._ready(name)
            else:
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self.console.print(f"lists {name}", highlight=False)
                    self._make(name, path)
                self._lists[key] = read_lists(path)
        return self._lists[key]

    def lists_key(self, name: str) -> str:
        """What the lists of a source are kept under."""
        return key_of({"format": FORMAT, **self.sources.lists(name)})

    def _ready(self, name: str) -> Lists:
        path = self.sources.list_file(name, "")
        lists = read_lists(path)
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
        loaded = self.sources.collection(collection)
        if source.path:
            part = path.with_name(f"{path.stem}-{key_of(collection)}.parquet")
            self._convert(name, collection, part)
            lists = read_lists(part)
            part.unlink()
        else:
            run = self.run(source.first_stage or BM25_NAME, collection, self.sources.depth(name) or DEPTH)
            labels, add = source.labels is not None, source.add_positives
            lists = lists_from_run(
                loaded,
                run,
                source.depth,
                labels=labels,
                order=False,
                add_missing_positives=add,
                corpus_negatives=source.corpus_negatives or 0,
            )
        return self._taught(source.teacher, loaded, lists) if source.teacher else lists

    def _convert(self, name: str, collection: str, path: Path) -> None:
        file = self.sources.list_file(name, collection)
        convert(file, path, self.sources.conversion(name), self.sources.collection(collection), self.console)

    def _taught(self, teacher: str, collection: Collection, lists: Lists) -> Lists:
        """The lists with a teacher's scores and order, for the positives added to them as well."""
        candidates = run_in_order(lists, "candidates")
        if self.sources.config.teachers[teacher].llm:
            found = teacher_orders(self.sources, self.store, teacher, collection, candidates, self.console)
            return lists_from_orders(lists, found.orders, found.name, found.details)
        scored = teacher_scores(self.sources, self.store, teacher, collection, candidates, self.console)
        return lists_from_scores(lists, scored.scores, scored.name, scored.details)
