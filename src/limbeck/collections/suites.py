"""Named suites of test collections, and what is known of single ones, from `suites.yaml`."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from limbeck.core.errors import MissingError


@cache
def suites() -> Mapping[str, tuple[str, ...]]:
    """Suite → ids of its members."""
    return {name: tuple(members) for name, members in _data()["suites"].items()}


def expand_suites(names: Sequence[str]) -> list[str]:
    """Collections' names, with each suite's members in its place; what several suites have in common occurs once.

    >>> expand_suites(["trec-dl", "in-domain"])[1:]
    ['msmarco-passage/trec-dl-2020/judged', 'msmarco-passage/dev/small']
    """
    expanded: list[str] = []
    of_suites: set[str] = set()
    for name in names:
        if name in suites():
            expanded += [member for member in suites()[name] if member not in expanded]
            of_suites.update(suites()[name])
        elif name not in of_suites:
            expanded.append(name)
    return expanded


def relevance_level(dataset_id: str) -> int:
    """The smallest grade that counts as relevant in binary measures."""
    return next((level for ids, level in _data()["relevance_levels"].items() if fnmatchcase(dataset_id, ids)), 1)


def has_queries_in_corpus(dataset_id: str) -> bool:
    """Whether the document whose id is the query's own must be left out of its ranking."""
    return any(fnmatchcase(dataset_id, ids) for ids in _data()["queries_in_corpus"])


def require_licensed_corpus(dataset_id: str) -> None:
    """Raise MissingError where a corpus under a licence is not where it must be put by hand."""
    import ir_datasets

    for ids, corpus in _data()["licensed"].items():
        folder = Path(ir_datasets.util.home_path()) / corpus["folder"]
        if fnmatchcase(dataset_id, ids) and not folder.exists():
            raise MissingError(
                f"{dataset_id}: its documents are under a licence and cannot be fetched. Ask for them at "
                f"{corpus['source']} and put them into {folder}, so that it holds {corpus['holds']}"
            )


@cache
def _data() -> Any:
    return yaml.safe_load((files("limbeck.collections") / "suites.yaml").read_text(encoding="utf-8"))
