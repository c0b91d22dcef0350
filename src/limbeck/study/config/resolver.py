"""What the names in a study file stand for, and descriptions of it that do not depend on names.

And what is known of published things that studies fetch (`known_downloads.yaml`): from where, of what size and terms.
"""

import dataclasses
import hashlib
import os.path
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any, cast

from limbeck.collections import Collection, load_collection
from limbeck.collections.beir import is_collection_folder
from limbeck.collections.collection import merge
from limbeck.collections.load import WITHOUT, other_collection, without_suffixes
from limbeck.core.errors import LimbeckError, UsageError
from limbeck.core.yaml_file import read_yaml
from limbeck.lists import Conversion, Sample, find_format, format_names
from limbeck.models.sources import ModelSource, resolve
from limbeck.retrieval import KINDS, Retriever
from limbeck.runs import Fusion
from limbeck.study.config.derived_sections import BM25Parameters, FirstStage
from limbeck.study.config.schema import SPECIAL, StudyConfig

BM25_NAME = "bm25"
DEPTH = 100
"""Candidates of lists from a first stage that state no depth of their own."""


class Sources:
    """A study's names, resolved from the folder of its file. Each thing is loaded once, and only when asked for."""

    def __init__(self, config: StudyConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self._collections: dict[str, Collection] = {}
        self._digests: dict[Path, str] = {}
        self._models: dict[str, ModelSource] = {}

    def file(self, name: str) -> Path:
        """A file or folder, relative to the study file's folder."""
        return self.folder / os.path.expanduser(name)

    def place(self, name: str) -> str:
        """A collection's name with its folder made absolute, if it is one; what `load_collection` is to be given."""
        whole = str(self.file(name))
        # What ends the name is asked of the folder that it means, which may itself be called x@2024.
        base = name[: len(name) - len(whole) + len(without_suffixes(whole))]
        if (rest := name[len(base) :]).startswith(WITHOUT):
            other = other_collection(name)
            return f"{self.place(base)}{WITHOUT}{self.place(other)}{rest[len(WITHOUT) + len(other) :]}"
        if base == "demo" or base.startswith("demo/"):
            return name
        path = self.file(base)
        if path.is_dir() or is_collection_folder(path.parent) or base.startswith((".", "/", "~")):
            return os.path.normpath(path) + name[len(base) :]
        return name

    def is_local(self, name: str) -> bool:
        """Whether loading this collection fetches nothing."""
        place = self.place(name)
        return place.startswith("/") or without_suffixes(place).split("/")[0] == "demo"

    def collection(self, name: str) -> Collection:
        """A collection, under the name that the study gives it. Raises what `load_collection` raises."""
        if name not in self._collections:
            found, terms = load_collection(self.place(name)), self.config.collections
            self._collections[name] = replace(
                found,
                name=name,
                drop_query_document=found.drop_query_document and terms.own_document == "remove",
                relevance_level=terms.relevance or found.relevance_level,
            )
        return self._collections[name]

    @cached_property
    def training(self) -> Collection:
        """All training collections as one."""
        return merge([self.collection(name) for name in self.config.collections.train])

    def model(self, name: str) -> ModelSource:
        """Where a model is; its `path` is what to load. Raises MissingError for an absent folder or package."""
        if name not in self._models:
            local = not name.startswith("package:") and (self.file(name).is_dir() or name.startswith((".", "/", "~")))
            self._models[name] = resolve(os.path.normpath(self.file(name)) if local else name)
        return self._models[name]

    def is_found(self, name: str) -> bool:
        """Whether a model is at hand, or of the Hub."""
        try:
            return bool(self.model(name))
        except LimbeckError:
            return False

    def model_name(self, name: str) -> str:
        """A model's name, with its folder made absolute if it is one."""
        return self.model(name).name

    def weights(self, name: str) -> str:
        """What stands for a model: a digest of its weights, configuration and vocabulary, or its Hub id."""
        source = self.model(name)
        if source.sha256 is None:
            return f"hub:{source.path}{f'@{source.revision}' if source.revision else ''}"
        digest = hashlib.sha256(source.sha256.encode())
        folder = Path(source.path)
        for file in sorted(file for file in folder.rglob("*") if file.suffix in (".json", ".txt", ".model")):
            digest.update(f"{file.relative_to(folder)} {self.digest(file)}\n".encode())
        return digest.hexdigest()[:16]

    def first_stage(self, name: str) -> FirstStage:
        """A first stage by name; `bm25` is known without being described."""
        if name in self.config.first_stages:
            return self.config.first_stages[name]
        return FirstStage(bm25=BM25Parameters())

    def retriever(self, name: str) -> Retriever | None:
        """What finds a first stage's candidates, or None for one of given runs or fused ones."""
        stage = self.first_stage(name)
        kind = next((kind for kind in KINDS if getattr(stage, kind, None) is not None), None)
        if kind is None:
            return None
        settings = getattr(stage, kind).model_dump(exclude={"sha256"})
        if "model" in settings:
            settings["model"] = self.model_name(settings["model"])
        return KINDS[kind](**settings)

    def fusion(self, name: str) -> Fusion | None:
        """How a first stage fuses the ones that its `fuse` names, or None for one that fuses nothing."""
        parameters = self.first_stage(name).fuse
        if parameters is None:
            return None
        return Fusion(parameters.method, parameters.k, tuple(parameters.weights))

    def fused(self, name: str) -> list[str]:
        """The first stages that a first stage is made of: those that it fuses, or itself alone."""
        parameters = self.first_stage(name).fuse
        return parameters.stages if parameters else [name]

    def stage_description(self, name: str) -> str:
        """A first stage in words."""
        fusion = self.fusion(name)
        return f"{fusion} of {', '.join(self.fused(name))}" if fusion else str(self.retriever(name) or "given runs")

    def run_file(self, first_stage: str, collection: str) -> Path:
        """The run file that a first stage of given runs names for a collection."""
        runs = self.first_stage(first_stage).runs or {}
        for name, path in runs.items():
            if self.place(name) == self.place(collection):
                return self.file(path)
        raise UsageError(
            f'first stage "{first_stage}" has no run for {collection}; expected one under first_stages.'
            f"{first_stage}.runs (it has {', '.join(runs) or 'none'})"
        )

    def list_file(self, lists: str, collection: str) -> Path:
        """The file of a list source for a training collection; the lone file is every collection's."""
        paths = self.config.lists[lists].path or {}
        for name, path in paths.items():
            if not name or self.place(name) == self.place(collection):
                return self.file(path)
        raise UsageError(
            f'lists "{lists}" have no file for {collection}; expected one under lists.{lists}.path '
            f"(it has {', '.join(paths) or 'none'})"
        )

    def listed(self, name: str) -> list[str]:
        """The training collections that a list source makes lists of."""
        return self.config.lists[name].collections or self.config.collections.train

    def candidates(self, first_stage: str, collection: str) -> dict[str, Any]:
        """What decides a first stage's candidates on a collection."""
        fusion, retriever = self.fusion(first_stage), self.retriever(first_stage)
        if fusion:
            parts = [self.candidates(part, collection) for part in self.fused(first_stage)]
            return {"fusion": dataclasses.asdict(fusion), "of": parts}
        if retriever:
            described = dataclasses.asdict(cast(Any, retriever))
            if "model" in described:
                described["model"] = self.weights(described["model"])
            return {type(retriever).__name__.lower(): described}
        return {"run": self.digest(self.run_file(first_stage, collection))}

    def lists(self, name: str, contents: bool = True) -> dict[str, Any]:
        """What decides the content of a list source; without `contents`, as far as the study file says it."""
        source = self.config.lists[name]
        if source.format == "limbeck":
            return {"lists": self.digest(self.list_file(name, ""))} if contents else {}
        described: dict[str, Any] = {
            "parts": [
                {
                    "collection": self.collection(collection).fingerprint,
                    "candidates": {"run": self.digest(self.list_file(name, collection))}
                    if source.path
                    else self.candidates(source.first_stage or BM25_NAME, collection),
                }
                for collection in self.listed(name)
                if contents
            ],
            "depth": self.depth(name),
            "labels": source.labels,
            "signal": source.signal,
        }
        if source.path:
            described["format"] = source.format
        if not source.add_positives:
            described["add_positives"] = False
        if source.corpus_negatives:
            described["corpus_negatives"] = source.corpus_negatives
        if source.teacher:
            described["teacher"] = self.teacher(source.teacher)
        return described

    def teacher(self, name: str) -> dict[str, Any]:
        """What decides a teacher's signals."""
        return self.config.teachers[name].declared.describe(self)

    @property
    def scoring_teachers(self) -> list[str]:
        """The teachers that are measured on the test collections: an LLM would have to be paid for that."""
        return [name for name, teacher in self.config.teachers.items() if teacher.declared.gives == "scores"]

    def conversion(self, name: str) -> Conversion:
        """What is made of a list source's published file. Raises UsageError for what cannot be."""
        source = self.config.lists[name]
        signals = None
        # Runs carry more than a study may want of them; other formats are taken as they are.
        if find_format(source.format).keep is not None and (source.signal or source.labels or source.teacher):
            kept = {"order": {"teacher_order"}, "scores": {"teacher_scores", "teacher_order"}}
            # A teacher's own order takes the place of the run's.
            signals = frozenset(kept.get(source.signal or "", () if source.labels else {"teacher_order"}))
        labels = source.labels is not None
        return Conversion(
            format=source.format,
            depth=source.depth,
            signals=signals,
            labels=labels,
            add_positives=source.add_positives,
            checksum=source.checksum,
            corpus_negatives=source.corpus_negatives or 0,
        )

    def depth(self, name: str) -> int | None:
        """How many candidates a list source takes; None for all that its run file has."""
        source = self.config.lists[name]
        return source.depth or (None if source.path else DEPTH)

    def sample(self, name: str) -> Sample:
        """The sample of a list source. Raises UsageError for one that cannot be."""
        given = self.config.lists[name].sample
        return Sample.parse(given) if isinstance(given, str) else Sample.from_mapping(given)

    def digest(self, path: Path) -> str:
        """16 hex digits of SHA-256 over a file's bytes."""
        if path not in self._digests:
            with path.open("rb") as stream:
                self._digests[path] = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
        return self._digests[path]


@dataclass(frozen=True)
class PublishedFile:
    """Where a file is published under its name, its size in bytes where that is known, and its terms."""

    url: str
    bytes: int | None
    terms: str


def published_file(path: str) -> PublishedFile | None:
    """What is known of a file by the name at the end of its path."""
    name = PurePath(path).name
    for source in known_downloads()["files"]:
        if name in source["bytes"]:
            return PublishedFile(source["url"].format(name=name), source["bytes"][name], source["terms"])
    return None


def published_md5(list_format: str, path: str) -> str | None:
    """The published MD5 of a list file, by its format and the name at the end of its path."""
    return find_format(list_format).md5.get(PurePath(path).name) if list_format in format_names() else None


@dataclass(frozen=True)
class TextTokens:
    """Mean lengths of a collection's texts in tokens, special ones excluded; `measured`, or else estimated."""

    query: float
    passage: float
    measured: bool

    def of_pair(self, query_tokens: int, passage_tokens: int | None, max_length: int) -> int:
        """Mean length of a pair, special tokens included, cut as a backbone cuts it."""
        query, passage = min(self.query, query_tokens), min(self.passage, passage_tokens or self.passage)
        return round(min(query + passage + SPECIAL, max_length))


def text_tokens(collection: str) -> TextTokens | None:
    """The mean lengths of a published collection's texts, where they are known."""
    for kind, lengths in known_downloads()["text_tokens"].items():
        for ids, (query, passage) in lengths.items():
            if fnmatchcase(collection, ids):
                return TextTokens(query, passage, kind == "measured")
    return None


@cache
def known_downloads() -> Any:
    """What `known_downloads.yaml` holds."""
    return read_yaml((files("limbeck.study.config") / "known_downloads.yaml").read_text(encoding="utf-8")).values
