"""SPLADE, the learned sparse first stage."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.sparse import load_npz, save_npz

from limbeck.collections import Collection
from limbeck.core.options import Count
from limbeck.retrieval.search import Hits, require_depth, search
from limbeck.runs import Run

if TYPE_CHECKING:
    from limbeck.retrieval.search import Encoded


@dataclass(frozen=True)
class Splade:
    """Inner products of term weights, exact, through an inverted index (Formal et al. 2021, arXiv 2109.10086).

    Attributes:
        model: folder, Hub id or `package:NAME/PATH` of a checkpoint of sentence-transformers' SparseEncoder, or of a
            plain masked language model trained as SPLADE.
        max_length: longest text in tokens; None: the model's own.
    """

    model: str
    max_length: Count | None = None

    def retrieve(self, collection: Collection, depth: int = 100, progress: bool = True) -> Run:
        """The best `depth` documents for each of the collection's `query_ids`.

        Only documents that share a term with the query are returned. Weights are kept in limbeck's cache, so that the
        same documents are encoded once for each model; encoding that was interrupted goes on.

        Args:
            depth: ≥ 1.
            progress: whether to show progress on stderr.

        Raises MissingError or UsageError for a model that cannot be had or used (see `SpladeEncoder.load`).
        """
        require_depth("SPLADE", depth)
        from limbeck.retrieval.search import PART

        queries, documents = self._encoded(collection, progress)
        return search(
            "splade",
            collection,
            queries=queries,
            documents=documents,
            part_size=PART,
            compare=compare_terms,
            depth=depth,
            progress=progress,
        )

    def encode(self, collection: Collection, shard: int, shards: int) -> None:
        """Put one of so many shares of a collection's documents, from 0, into the cache, for `retrieve` to find."""
        self._encoded(collection, True, (shard, shards))

    def _encoded(
        self, collection: Collection, progress: bool, shard: tuple[int, int] | None = None
    ) -> "tuple[Encoded, Encoded]":
        # Here, because torch takes seconds to import, and BM25 does without.
        from limbeck.models.splade import SpladeEncoder
        from limbeck.retrieval.search import Form, encoded_collection

        form = Form("npz", partial(save_npz, compressed=False), load_npz)
        encoder = SpladeEncoder.load(self.model)
        max_length = encoder.shortened(self.max_length)

        def encode(kind: str, texts: list[str]) -> Any:
            weights = encoder.encode(texts, max_length, prompt=encoder.layout.prompts[kind])
            # Documents as terms by documents, an inverted index: each row is a term's postings.
            return weights.T.tocsr() if kind == "document" else weights

        identity = {**encoder.identity, "max_length": max_length}
        found = encoded_collection(
            "SPLADE", collection, identity=identity, encode=encode, form=form, progress=progress, shard=shard
        )
        if progress:
            encoder.cuts.say(f"SPLADE, {max_length} tokens", Console(stderr=True))
        return found


def compare_terms(queries: Any, index: Any, floor: NDArray[np.float32]) -> Hits:
    """Term at a time: scipy adds up, for each query, the postings of its terms times their weights.

    Always in the order of the query's terms, so that equal weights get equal scores wherever they stand.
    """
    scores = queries @ index
    for query, (start, end) in enumerate(pairwise(scores.indptr.tolist())):
        columns, values = scores.indices[start:end], scores.data[start:end]
        kept = values >= floor[query]
        if kept.any():
            yield query, columns[kept], values[kept]
