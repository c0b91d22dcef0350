"""A bi-encoder: texts are embedded one by one, a candidate's score is the cosine to its query."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import DataError, nearest
from limbeck.models.cost import CPU_SCORING_TOKENS
from limbeck.models.sentence_transformers import SentenceLayout, read_sentence_layout
from limbeck.models.sources import resolve
from limbeck.models.text_encoder import TextEncoder, read_text_model
from limbeck.runs import Run

GPU_TOKENS = 8192  # of one micro-batch, padding included


@dataclass(frozen=True)
class BiEncoder(TextEncoder):
    """A sentence-transformers checkpoint of texts' embeddings."""

    layout: SentenceLayout

    @classmethod
    def load(
        cls, name: str | os.PathLike[str], device: str | None = None, token_budget: int | None = None
    ) -> "BiEncoder":
        """Load a bi-encoder.

        Args:
            name: folder, Hub id or `package:NAME/PATH`.
            device: torch device; default CUDA where there is one, else CPU.
            token_budget: most tokens of one micro-batch, padding included; default 4,096 on a CPU, 8,192 elsewhere.

        Raises:
            MissingError: the model is not there; the text says how to get it.
            UsageError: its embeddings need what is not supported (see `read_sentence_layout`), or weights it lacks.
        """
        source = resolve(os.fspath(name))
        layout = read_sentence_layout(source)
        model, tokenizer, max_length = read_text_model(source, "AutoModel", device, layout.max_length)
        budget = token_budget or (CPU_SCORING_TOKENS if model.device.type == "cpu" else GPU_TOKENS)
        return cls(source, model, tokenizer, layout, max_length, budget)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return int(self.model.config.hidden_size)

    def encode(
        self,
        texts: Sequence[str],
        max_length: int | None = None,
        *,
        prompt: str = "",
        normalise: bool = True,
        progress: bool = False,
    ) -> NDArray[np.float32]:
        """Embeddings of texts, float32 [texts, dimension], in the texts' order.

        Args:
            texts: equal ones are computed once.
            max_length: cut at fewer tokens than the model's `max_length`.
            prompt: put before every text; `score` puts the checkpoint's own.
            normalise: whether to give embeddings the length 1.
            progress: show a bar on stderr if that is a terminal.

        Raises:
            UsageError: `max_length` is beyond the model.
            DataError: a text of which the tokeniser makes no token.
        """
        row = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        embeddings = np.empty((len(row), self.dimension), np.float32)
        for rows, input_ids, mask in self.micro_batches(list(row), self.shortened(max_length), prompt, progress):
            embeddings[rows] = self._embed(input_ids, mask, normalise)
        return embeddings[[row[text] for text in texts]]

    def score(
        self,
        collection: Collection,
        run: Run,
        scale: float = 1.0,
        progress: bool = True,
        embed: Callable[[str, Sequence[str]], NDArray[np.float32]] | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Cosine times `scale` of a run's candidates: query id → float32 [candidates], aligned with `run[id].docids`.

        Equal texts get equal scores. Queries and documents get the prompts that the checkpoint names for them.
        DataError for a query or a document whose text the collection lacks.

        Args:
            embed: embeddings of texts that are each a "query" or a "document"; None: by `encode`.
        """
        query_text = {query_id: _text(collection, "query", query_id) for query_id in run}
        docids = list(dict.fromkeys(docid for ranking in run.values() for docid in ranking.docids))
        document_text = [_text(collection, "document", docid) for docid in docids]
        prompts = self.layout.prompts
        embed = embed or (lambda kind, texts: self.encode(texts, prompt=prompts[kind], progress=progress))
        queries, documents = embed("query", list(query_text.values())), embed("document", document_text)
        row = {docid: number for number, docid in enumerate(docids)}
        scores = {}
        for query, (query_id, ranking) in zip(queries, run.items(), strict=True):
            candidates = documents[[row[docid] for docid in ranking.docids]]
            scores[query_id] = (products(candidates, query) * scale).astype(np.float32)
        return scores

    @torch.inference_mode()
    def _embed(self, input_ids: torch.Tensor, mask: torch.Tensor, normalise: bool) -> NDArray[np.float32]:
        states = self.model(input_ids=input_ids, attention_mask=mask).last_hidden_state
        if self.layout.pooling == "cls":
            pooled = states[:, 0]
        else:
            pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        pooled = pooled.float()
        embeddings: NDArray[np.float32] = (
            (torch.nn.functional.normalize(pooled, dim=1) if normalise else pooled).cpu().numpy()
        )
        return embeddings


def products(embeddings: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Inner products [n] of embeddings [n, dimension] with a query's, equal for equal embeddings.

    Not `embeddings @ query`: BLAS rounds by place, so that equal texts would get unequal scores.
    """
    summed: NDArray[np.float64] = (embeddings.astype(np.float64) * query).sum(axis=1)
    return summed


def _text(collection: Collection, kind: str, name: str) -> str:
    texts = collection.queries if kind == "query" else collection.documents
    if name not in texts:
        hint = nearest(name, texts) if kind == "query" else "; leave such candidates out, as `candidates_to_teach` does"
        raise DataError(f'collection {collection.name} has no text of {kind} "{name}", expected one to embed{hint}')
    return texts[name]
