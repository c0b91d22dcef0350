"""What is known of things that studies fetch, from `known_downloads.yaml`: from where, of what size, on what terms."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any

import yaml

from limbeck.lists.formats import find_format, format_names


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
    return yaml.safe_load((files("limbeck.study.config") / "known_downloads.yaml").read_text(encoding="utf-8"))
