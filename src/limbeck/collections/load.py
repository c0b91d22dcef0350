"""From a collection's name to the collection, and to what may end it: `~sentences`, `~without:…` and folds, `@1/5`."""

import hashlib
import os.path
import re
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from limbeck.collections.beir import is_collection_folder, load_folder
from limbeck.collections.collection import Collection, suites
from limbeck.collections.irds import load_irds
from limbeck.collections.qrels import EXPECTED, read_qrels
from limbeck.core.errors import DataError, MissingError, UsageError

DEMO = "demo"
WITHOUT = "~without:"
FOLDS = re.compile(r"(?P<base>.+)@(?P<folds>[^/@]*)/(?P<count>[^/@]*)")
EXPECTED_FOLDS = "expected @FOLDS/N, such as @1/5, @2-5/5 or @1,3-5/5, with folds counted from 1 to N"


def load_demo(name: str, split: str | None) -> Collection:
    """`demo`, with the splits `train`, `valid` and `test` (None: `test`)."""
    return load_folder(name, Path(str(files("limbeck.collections"))) / "demo_collection", split)


def load_qrels(path: str | Path) -> Collection:
    """Judgments alone as a collection without documents or texts: all that measuring a run needs.

    Raises MissingError for an absent file, DataError (`path:line: …`) for one that holds no judgments or is malformed.
    """
    judgments = read_qrels(Path(path)).grades
    if not judgments:
        raise DataError(f"{path}:1: no judgments in this file; {EXPECTED}")
    return Collection(str(path), {}, {}, judgments, tuple(judgments))


def load_collection(name: str) -> Collection:
    """Load a collection by name.

    Args:
        name: `demo`, `demo/train`, `demo/valid` or `demo/test`; FOLDER or FOLDER/SPLIT; or an ir_datasets id. Any of
            them may end in `~sentences`, for the documents' own sentences as queries, or in `~without:NAME`, for the
            queries that the collection NAME does not have, and then in folds, as in `@1/5` or `@2-5/5`. `demo` is
            always the built-in one: a folder of that name is `./demo`. A folder that exists is never taken for an
            ir_datasets id, nor the end of its name for folds or sentences.

    Raises:
        MissingError: nothing of that name, or it could not be fetched; no queries.
        UsageError: no such split, or folds that cannot be.
        DataError: malformed content, by file and line.
    """
    collection = load_documents(name)
    if not collection.queries:
        raise MissingError(
            f"{name}: has no queries, expected queries.jsonl or queries.tsv beside the corpus. Documents' own "
            f"sentences will do, as {name}{SUFFIX}, or have an LLM make some: `limbeck teach queries`"
        )
    return collection


def load_documents(name: str) -> Collection:
    """As `load_collection`, for the documents' sake: a folder without queries will do."""
    if name in suites() and not Path(name).is_dir():
        members = ", ".join(suites()[name])
        raise UsageError(f"{name}: is a suite of {len(suites()[name])} collections; expected one of them: {members}")
    if not name:
        raise UsageError("the collection's name is empty; expected demo, FOLDER, FOLDER/SPLIT or an ir_datasets id")
    whole, folds = split_folds(name)
    kept, _, other = whole.partition(WITHOUT)
    base = _without_sentences(kept)
    collection = _load(base)
    if base != kept:
        collection = sentence_queries(replace(collection, name=kept))
    if other:
        collection = _without_queries(collection, _load(other))
    if folds:
        collection = keep_folds(collection, folds)
    return replace(collection, name=name)


def is_local(name: str) -> bool:
    """Whether a name is the built-in collection's or that of a folder here, so that loading it fetches nothing."""
    base = without_suffixes(name)
    folder = Path(os.path.expanduser(base))
    return base.split("/")[0] == DEMO or (bool(base) and (folder.is_dir() or is_collection_folder(folder.parent)))


def _without_queries(collection: Collection, other: Collection) -> Collection:
    """The queries and judgments that another collection does not have, by their ids.

    Raises UsageError where no query is left, or where the two have none in common: then one of them is not what it was
    taken for.
    """
    gone = set(other.query_ids)
    left = [query_id for query_id in collection.query_ids if query_id not in gone]
    if not left or len(left) == len(collection.query_ids):
        found = "all" if not left else "none"
        raise UsageError(
            f"{collection.name}{WITHOUT}{other.name}: {found} of its {len(collection.query_ids)} queries are in "
            f"{other.name}; expected some, as in msmarco-passage/dev/judged{WITHOUT}msmarco-passage/dev/small"
        )
    judged = {query_id: collection.qrels[query_id] for query_id in left if query_id in collection.qrels}
    return replace(collection, query_ids=tuple(left), qrels=judged)


def other_collection(name: str) -> str:
    """The collection whose queries a name leaves out, or nothing."""
    return split_folds(name)[0].partition(WITHOUT)[2]


def without_suffixes(name: str) -> str:
    """A collection's name without `~sentences`, `~without:…` and folds, even ones that cannot be.

    `load_collection` refuses those.

    >>> without_suffixes("scifact/train~sentences@1/5")
    'scifact/train'
    """
    try:
        whole = split_folds(name)[0]
    except UsageError:
        whole = name.rpartition("@")[0]
    return _without_sentences(whole.partition(WITHOUT)[0])


def _without_sentences(name: str) -> str:
    return name if os.path.isdir(os.path.expanduser(name)) else name.removesuffix(SUFFIX)


def _load(name: str) -> Collection:
    if name == DEMO or name.startswith(f"{DEMO}/"):
        return load_demo(name, name.removeprefix(DEMO).removeprefix("/") or None)
    # Unlike Path.expanduser, this leaves the home of an unknown user as it is.
    folder = Path(os.path.expanduser(name))
    if folder.is_dir():
        return load_folder(name, folder, None)
    if is_collection_folder(folder.parent):
        return load_folder(str(Path(name).parent), folder.parent, folder.name)
    if name.startswith((".", "/", "~")):
        raise MissingError(f"{name}: no such folder; expected FOLDER or FOLDER/SPLIT with a corpus in it")
    return load_irds(name)


@dataclass(frozen=True)
class Folds:
    """Some of `count` equal parts of a split's queries; `chosen` counts from 1."""

    chosen: frozenset[int]
    count: int


def split_folds(name: str) -> tuple[str, Folds | None]:
    """A collection's name without its folds, and the folds. A folder that is there, such as `trec@2024`, has none.

    >>> split_folds("scifact/train@2-3/3")[0]
    'scifact/train'

    Raises UsageError for a suffix that begins like one of folds but is none.
    """
    match = FOLDS.fullmatch(name)
    if match is None or not re.match(r"[0-9,-]", match["folds"]):
        return name, None
    if any(os.path.isdir(os.path.expanduser(path)) for path in (name, f"{match['base']}@{match['folds']}")):
        return name, None
    if not re.fullmatch(r"[0-9]{1,9}", match["count"]) or int(match["count"]) < 1:
        raise UsageError(f'{name}: "{match["count"]}" is no number of folds; {EXPECTED_FOLDS}')
    count = int(match["count"])
    chosen: set[int] = set()
    for part in match["folds"].split(","):
        bounds = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (0, 0)
        if not 1 <= first <= last <= count:
            raise UsageError(f'{name}: "{part}" names no folds of {count}; {EXPECTED_FOLDS}')
        chosen.update(range(first, last + 1))
    return match["base"], Folds(frozenset(chosen), count)


def keep_folds(collection: Collection, folds: Folds) -> Collection:
    """The same collection with only the queries and judgments of some folds.

    Queries are sorted by the SHA-256 of their id and dealt out like cards, so folds differ in size by one query at
    most, do not depend on the order of any file, and are the same everywhere.

    Raises UsageError where no query is left.
    """
    dealt = sorted(collection.query_ids, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())
    kept = {query_id for position, query_id in enumerate(dealt) if position % folds.count + 1 in folds.chosen}
    if not kept:
        raise UsageError(
            f"{collection.name}: no query is left in the chosen folds of {folds.count}: "
            f"there are {len(dealt)} queries in all; choose fewer folds"
        )
    return replace(
        collection,
        query_ids=tuple(query_id for query_id in collection.query_ids if query_id in kept),
        qrels={query_id: grades for query_id, grades in collection.qrels.items() if query_id in kept},
    )


# Sentences of the documents as queries, for a collection that has none, or too few to learn from.

SUFFIX = "~sentences"
FEWEST_WORDS = 4
"""A shorter piece between full stops says too little to search for."""

_END = re.compile(r"(?<=[.!?])\s+")


def sentence_queries(collection: Collection) -> Collection:
    """The same documents with each of their sentences as a query, whose judged answer is the document it comes from.

    The inverse cloze task of Lee et al. 2019, "Latent Retrieval for Weakly Supervised Open Domain Question Answering",
    section 4, with the sentence left in its document.

    The query of document `d`'s third sentence is `d~3`. A text is cut behind `.`, `!` and `?` before a blank; pieces of
    fewer than `FEWEST_WORDS` words are no queries, and documents without any query are counted in a warning. The
    collection's own queries and judgments are left out, whatever the split; merge it with the collection to train on
    both.

    Raises UsageError where no document has a sentence.
    """
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    without = 0
    for docid, text in collection.documents.items():
        before = len(queries)
        for number, sentence in enumerate(_END.split(text), 1):
            if len(sentence.split()) >= FEWEST_WORDS:
                queries[f"{docid}~{number}"] = sentence
                qrels[f"{docid}~{number}"] = {docid: 1}
        without += len(queries) == before
    if not queries:
        raise UsageError(f"{collection.name}: no document has a sentence of {FEWEST_WORDS} or more words")
    warning = (
        f"{collection.name}: documents without a sentence of {FEWEST_WORDS} or more words, and so without a query: "
        f"{without:,}"
    )
    return replace(
        collection,
        queries=queries,
        qrels=qrels,
        query_ids=tuple(queries),
        warnings=(warning,) if without else (),
        relevance_level=1,
        drop_query_document=False,
    )
