"""What limbeck knows of published things: backbones by a short name (`backbones.yaml`), and what studies fetch
(`known_downloads.yaml`): from where, of what size, on what terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from limbeck.core.yaml_file import read_yaml
from limbeck.lists.formats import find_format, format_names


@dataclass(frozen=True)
class KnownBackbone:
    """A backbone's Hub id, how it is trained where a study does not say, and what is known of it (see the file)."""

    model: str
    learning_rate: float
    batch: int
    precisions: list[str]
    parameters: str
    licence: str
    architecture: str
    tokenizer: str
    shape: dict[str, Any]
    positions: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The keys of a study's backbone."""
        return {name: getattr(self, name) for name in ("model", "learning_rate", "batch", "precisions")}


@cache
def known_backbones() -> Mapping[str, KnownBackbone]:
    """Short name → backbone."""
    document = read_yaml((files("limbeck.study.config") / "backbones.yaml").read_text(encoding="utf-8"))
    return {name: KnownBackbone(**values) for name, values in document.values.items()}


def with_known(value: Any) -> Any:
    """The `backbones` of a study file, those of known names filled in; what is given there wins."""
    if not isinstance(value, dict):
        return value
    filled = {}
    for name, given in value.items():
        known = known_backbones().get(name)
        if known is not None and (given is None or (isinstance(given, dict) and "model" not in given)):
            filled[name] = {**known.settings, **(given or {})}
        else:
            filled[name] = given
    return filled


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


SPECIAL = 3
"""Special tokens of a pair."""


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
