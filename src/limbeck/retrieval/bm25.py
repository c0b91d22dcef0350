"""BM25, the lexical first stage."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import UsageError, nearest
from limbeck.core.progress import with_progress, with_total_progress
from limbeck.retrieval.search import best, require_depth
from limbeck.retrieval.words import TOKENIZERS, Tokenizer, normal, splitter
from limbeck.runs import Ranking, Run, rank

STOPWORDS = (
    "english",
    "english_plus",
    "chinese",
    "danish",
    "dutch",
    "french",
    "german",
    "italian",
    "korean",
    "norwegian",
    "portuguese",
    "russian",
    "spanish",
    "swedish",
    "turkish",
)


@dataclass(frozen=True)
class BM25:
    """BM25 with Lucene's non-negative idf (Kamphuis et al. 2020), over terms that `limbeck.retrieval.words` makes.

    The defaults of k1 and b are those with which MS MARCO and BEIR baselines are published.

    Attributes:
        k1: how slowly repeated words saturate, ≥ 0.
        b: how far long documents are discounted, 0 to 1.
        stemmer: a language or algorithm of Snowball (`english`, `german`, `porter`, …), or None.
        stopwords: whose stopwords are left out of documents and queries (one of `STOPWORDS`), or None.
        tokenizer: `script`, `words` or `whitespace`; see `limbeck.retrieval.words.splitter`.

    Raises UsageError for any other value.
    """

    k1: float = 0.9
    b: float = 0.4
    stemmer: str | None = "english"
    stopwords: str | None = "english"
    tokenizer: Tokenizer = "script"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.k1) and self.k1 >= 0):
            raise UsageError(f"BM25: k1 is {self.k1}; expected 0 or more")
        if not 0 <= self.b <= 1:
            raise UsageError(f"BM25: b is {self.b}; expected a number from 0 to 1")
        if self.tokenizer not in TOKENIZERS:
            raise UsageError(
                f'BM25: no tokenizer "{self.tokenizer}"; expected {", ".join(TOKENIZERS)}'
                f"{nearest(self.tokenizer, TOKENIZERS)}"
            )
        for what, given, known in (
            ("stemmer", self.stemmer, Stemmer.algorithms()),
            ("stopwords", self.stopwords, STOPWORDS),
        ):
            if given is not None and given not in known:
                raise UsageError(
                    f'BM25: no {what} "{given}"; expected none, or one of {", ".join(known)}{nearest(given, known)}'
                )

    def retrieve(self, collection: Collection, depth: int = 100, progress: bool = True) -> Run:
        """The best `depth` documents for each of the collection's `query_ids`.

        Only documents that share a word with the query are returned, so rankings may be shorter, and a query that
        shares none is not in the run. Ties are cut by the run's own rule. A query's own document is left out where
        the collection says so. The same input gives the same run.

        Args:
            depth: ≥ 1.
            progress: whether to show progress on stderr, where that is a terminal.
        """
        require_depth("BM25", depth)
        tokenizer = self._tokenizer()
        docids: list[str] = []
        texts = _texts(collection, docids, progress)
        # An empty token would make empty documents the answer to queries of stopwords alone.
        tokens = list(tokenizer.streaming_tokenize(texts, allow_empty=False))
        vocabulary = tokenizer.get_vocab_dict()
        if not vocabulary:
            return Run("bm25", {}, tag="bm25")
        index = bm25s.BM25(k1=self.k1, b=self.b, method="lucene")
        index.index((tokens, vocabulary), create_empty_token=False, show_progress=False)
        positions = {docid: i for i, docid in enumerate(docids)} if collection.drop_query_document else {}
        rankings: dict[str, Ranking] = {}
        shown_ids = with_total_progress(
            collection.query_ids, "BM25: retrieving", "queries", len(collection.query_ids), progress
        )
        for query_id in shown_ids:
            [query] = tokenizer.streaming_tokenize([collection.queries[query_id]], False, allow_empty=False)
            scores = index.get_scores_from_ids(query)
            if query_id in positions:
                scores[positions[query_id]] = 0
            rankings[query_id] = _best(docids, scores, depth)
        return Run("bm25", rankings, tag="bm25")

    def _tokenizer(self) -> Any:
        tokenizer = bm25s.tokenization.Tokenizer(
            lower=False,  # `splitter` folds case
            splitter=splitter(self.tokenizer),
            stopwords=self.stopwords,
            stemmer=Stemmer.Stemmer(self.stemmer) if self.stemmer else None,
        )
        tokenizer.stopwords = [normal(word) for word in tokenizer.stopwords]
        return tokenizer


def _best(docids: list[str], scores: NDArray[Any], depth: int) -> Ranking:
    hits = np.flatnonzero(scores > 0)
    hits = hits[best(scores[hits], depth)]
    return rank([docids[i] for i in hits], scores[hits]).cut(depth)


def _texts(collection: Collection, docids: list[str], progress: bool) -> Iterator[str]:
    items: Iterable[tuple[str, str]] = collection.documents.items()
    for docid, text in with_progress(items, "BM25: indexing", "documents") if progress else items:
        docids.append(docid)
        yield text
