"""The demo study, as it is for the built-in collection, or for another one with its queries split in three."""

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from limbeck.collections import load_collection
from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import write_text

FEWEST_QUERIES = 10
MOST_SENTENCES = 2000


def demo_study(collection: str, output: Path) -> Path:
    """Write the demo's study file into `output` and return its path.

    For another collection than `demo`: where FOLDER has the splits train and test, four fifths of the training queries
    train, one fifth validates, and test is test. Otherwise the queries are dealt in ten folds: five train, one
    validates, four test. Of the documents' sentences, folds of about `MOST_SENTENCES` are taken.

    Raises:
        DataError: too few judged queries to split.
        MissingError, UsageError: no such collection.
    """
    template = _study_file("demo.yaml").read_text()
    path = output / "demo.yaml"
    text = template if collection == "demo" else _adapted(yaml.safe_load(template), collection)
    write_text(path, text)
    return path


def _adapted(study: dict[str, Any], collection: str) -> str:
    place = os.path.abspath(collection) if Path(collection).exists() else collection
    train, valid, test = _split(place)
    sentences = f"{place}~sentences"
    parts = -(-len(load_collection(sentences).query_ids) // MOST_SENTENCES)
    if parts > 1:
        sentences += f"@1/{parts}"
    study["collections"] = {"train": [train, sentences], "test": test}
    study["validation"] = {"collections": valid, "depth": study["evaluation"]["depth"], "every": 100}
    for source in study["lists"].values():
        # The built-in collection has a log of queries beside its training queries.
        if "collections" in source:
            source["collections"] = train
    return yaml.safe_dump(study, sort_keys=False)


def _split(collection: str) -> tuple[str, str, str]:
    try:
        load_collection(f"{collection}/test"), load_collection(f"{collection}/train")
        return f"{collection}/train@1-4/5", f"{collection}/train@5/5", f"{collection}/test"
    except (UsageError, MissingError):
        pass
    found = load_collection(collection)
    if not found.qrels or len(found.query_ids) < FEWEST_QUERIES:
        raise DataError(
            f"{collection} has {len(found.qrels)} judged queries; the demo needs at least {FEWEST_QUERIES} to train, "
            "validate and test on different ones"
        )
    return f"{collection}@1-5/10", f"{collection}@6/10", f"{collection}@7-10/10"


def _study_file(name: str) -> Path:
    """A study that is shipped: inside the installed package, or beside the sources of a checkout."""
    packaged = Path(str(files("limbeck"))) / "studies" / name
    return packaged if packaged.is_file() else Path(__file__).parents[3] / "studies" / name
