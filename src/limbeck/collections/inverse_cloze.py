"""Sentences of the documents as queries: the `~sentences` that may end a collection's name.

The inverse cloze task of Lee et al. 2019, "Latent Retrieval for Weakly Supervised Open Domain Question Answering",
section 4, with the sentence left in its document. Queries for a collection that has none, or too few to learn from.
"""

import re
from dataclasses import replace

from limbeck.collections.collection import Collection
from limbeck.core.errors import UsageError

SUFFIX = "~sentences"
FEWEST_WORDS = 4
"""A shorter piece between full stops says too little to search for."""

_END = re.compile(r"(?<=[.!?])\s+")


def sentence_queries(collection: Collection) -> Collection:
    """The same documents with each of their sentences as a query, whose judged answer is the document it comes from.

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
