"""Small generated collections in BEIR's layout."""

import json
from itertools import product
from pathlib import Path
from random import Random

from limbeck.collections.suites import has_queries_in_corpus, relevance_level

WORDS = ["".join(parts) for parts in product("bdfklmnprst", "aeiou", ["n", "r", "st", "mo"])]
"""220 words of three or four letters."""


def text(draw: Random, length: int) -> str:
    """So many words."""
    return " ".join(draw.choices(WORDS, k=length))


DOCUMENTS = 20
QUERIES = 4
LONG = 600  # words of the one document that no backbone of 512 positions can read whole


def write_collection(name: str, number: int, folder: Path, training: bool) -> None:
    """Write documents of random words, queries of words from two documents each, and these two as their judgments.

    What is known of the real collection holds for the small one: grades that count as relevant, queries that are in the
    corpus. Ids are numbers, different in every collection of a study.

    Args:
        number: the collection's among those of the study.
        training: whether it is one to train on: with three times the queries, and one long document.
    """
    draw = Random(f"{number} {name}")
    first = 1000 * (number + 1)
    documents = {str(first + n): text(draw, draw.randint(8, 16)) for n in range(DOCUMENTS)}
    if training:
        documents[str(first + DOCUMENTS - 1)] = text(draw, LONG)
    own = has_queries_in_corpus(name)
    queries: dict[str, str] = {}
    judgments: list[str] = []
    for n in range(QUERIES * (3 if training else 1)):
        itself, *docids = draw.sample(sorted(set(documents) - set(queries)), 3)
        query_id = itself if own else str(first + 500 + n)
        words = [draw.choice(documents[docid].split()) for docid in docids for _ in range(2)]
        queries[query_id] = " ".join(words)
        grades = (relevance_level(name) + 1, relevance_level(name))
        judgments += [f"{query_id}\t{docid}\t{grade}" for docid, grade in zip(docids, grades, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    for file, texts in (("corpus.jsonl", documents), ("queries.jsonl", queries)):
        lines = [json.dumps({"_id": text_id, "text": words}) for text_id, words in texts.items()]
        _write_lines(folder / file, lines)
    _write_lines(folder / "qrels.tsv", ["query-id\tcorpus-id\tscore", *judgments])
    settings = {"relevance_level": relevance_level(name), "drop_query_document": own}
    _write_lines(folder / "limbeck.json", [json.dumps(settings)])


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
