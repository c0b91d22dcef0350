"""Dense retrieval: a bi-encoder's embeddings, compared exhaustively."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.core.options import Count
from limbeck.retrieval.search import Hits, require_depth, search
from limbeck.runs import Run

if TYPE_CHECKING:
    from limbeck.retrieval.search import Encoded

SIMILARITIES = ("cosine", "dot")
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Dense:
    """Cosines or inner products of embeddings, exact: no approximate index stands between query and document.

    Attributes:
        model: folder, Hub id or `package:NAME/PATH` of a sentence-transformers bi-encoder.
        similarity: one of `SIMILARITIES`; None: what the checkpoint names, else cosine.
        max_length: longest text in tokens; None: the model's own.

    Raises UsageError for another similarity.
    """

    model: str
    similarity: str | None = None
    max_length: Count | None = None

    def __post_init__(self) -> None:
        if self.similarity is not None and self.similarity not in SIMILARITIES:
            raise UsageError(f'dense: no similarity "{self.similarity}"; expected {" or ".join(SIMILARITIES)}')

    def retrieve(self, collection: Collection, depth: int = 100, progress: bool = True) -> Run:
        """The best `depth` documents for each of the collection's `query_ids`.

        Embeddings are kept in limbeck's cache, so that the same documents are encoded once for each model; encoding
        that was interrupted goes on. Equal embeddings get equal scores.

        Args:
            depth: ≥ 1.
            progress: whether to show progress on stderr.

        Raises:
            MissingError, UsageError: a model that cannot be had or used (see `BiEncoder.load`), or that names another
                similarity while none is given here.
        """
        require_depth("dense", depth)
        from limbeck.models.bi_encoder import products
        from limbeck.retrieval.search import PART

        queries, documents = self._encoded(collection, progress)
        kept = depth + collection.drop_query_document

        def compare(query_part: Floats, document_part: Floats, floor: Floats) -> Hits:
            for query, columns in near_the_best(query_part, document_part, floor, kept):
                yield query, columns, products(document_part[columns], query_part[query]).astype(np.float32)

        return search(
            "dense",
            collection,
            queries=queries,
            documents=documents,
            part_size=PART,
            compare=compare,
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
        from limbeck.models.bi_encoder import BiEncoder
        from limbeck.retrieval.search import Form, encoded_collection

        encoder = BiEncoder.load(self.model)
        similarity = self.similarity or encoder.layout.similarity
        if similarity not in SIMILARITIES:
            raise UsageError(
                f"{self.model}: names the similarity {similarity}; supported are {' and '.join(SIMILARITIES)}: give "
                "one of them, or choose another model"
            )
        max_length, normalise = encoder.shortened(self.max_length), similarity == "cosine"
        found = encoded_collection(
            "dense",
            collection,
            identity={**encoder.identity, "max_length": max_length, "normalise": normalise},
            encode=lambda kind, texts: encoder.encode(
                texts, max_length, prompt=encoder.layout.prompts[kind], normalise=normalise
            ),
            form=Form("npy", np.save, np.load),
            progress=progress,
            shard=shard,
        )
        if progress:
            encoder.cuts.say(f"dense, {max_length} tokens", Console(stderr=True))
        return found


def near_the_best(
    queries: Floats, documents: Floats, floor: Floats, depth: int
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """For each query the documents that may be among its best: by BLAS, whose sums are off by its rounding.

    It rounds by place, so what comes near the floor, or the last of the best here, is kept to be compared exactly.
    """
    scores = queries @ documents.T
    # Twice the largest error of such a sum (Higham 2002, Section 3.1), and once that of rounding to float32.
    lengths = np.linalg.norm(queries, axis=1) * np.linalg.norm(documents, axis=1).max(initial=0)
    slack = np.finfo(np.float32).eps * (queries.shape[1] + 1) * lengths
    for query in np.flatnonzero(scores.max(axis=1) >= floor - slack):
        found = scores[query]
        near = np.flatnonzero(found >= floor[query] - slack[query])
        if len(near) > depth:
            last = np.partition(found[near], len(near) - depth)[len(near) - depth]
            near = near[found[near] >= last - slack[query]]
        yield int(query), near
