"""A bi-encoder as teacher: texts are embedded one by one, a candidate's score is the cosine to its query."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from limbeck.collections import Collection
from limbeck.collections.progress import bar
from limbeck.encoder import ModelSource, micro_batches, quiet, resolve
from limbeck.errors import DataError, MissingError, UsageError, nearest
from limbeck.runs import Run
from limbeck.teachers.sentence_layout import SentenceLayout, read_sentence_layout

TOKEN_BUDGET = 8192  # tokens of one micro-batch, padding included
_TEXTS_PER_CALL = 2048  # bounds what the tokeniser keeps as Python objects
# Limits above it are the tokeniser's way to say that it knows none.
_UNKNOWN_LIMIT = 1_000_000


@dataclass(frozen=True)
class BiEncoder:
    """A sentence-transformers checkpoint, run with transformers alone, in float32 and without dropout.

    Attributes:
        layout: pooling, case and prompts of the checkpoint.
        max_length: longest text in tokens, special ones included; longer ones are cut at their end.
        token_budget: most tokens of one micro-batch. Embeddings do not depend on it but for rounding.
    """

    source: ModelSource
    model: Any
    tokenizer: Any
    layout: SentenceLayout
    max_length: int
    token_budget: int = TOKEN_BUDGET

    @classmethod
    def load(
        cls, name: str | os.PathLike[str], device: str | None = None, token_budget: int = TOKEN_BUDGET
    ) -> "BiEncoder":
        """Load a bi-encoder.

        Args:
            name: folder, Hub id or `package:NAME/PATH`.
            device: torch device; default CUDA where there is one, else CPU.
            token_budget: most tokens of one micro-batch, padding included.

        Raises:
            MissingError: the model is not there; the text says how to get it.
            UsageError: its embeddings need what is not supported (see `read_sentence_layout`), or weights it lacks.
        """
        from transformers import AutoModel, AutoTokenizer

        source = resolve(os.fspath(name))
        layout = read_sentence_layout(source)
        # A pooler that the checkpoint lacks is initialised at random.
        with quiet(), torch.random.fork_rng(devices=[]):
            try:
                tokenizer = AutoTokenizer.from_pretrained(source.path)
                model, loading = AutoModel.from_pretrained(source.path, dtype=torch.float32, output_loading_info=True)
            except (OSError, ValueError) as error:
                raise MissingError(f"{source.name}: {str(error).splitlines()[0]}") from error
        # The pooler of BERT-like models is not used here, and often not stored.
        absent = sorted(key for key in loading["missing_keys"] if "pooler" not in key)
        if absent:
            raise UsageError(
                f"{source.name}: {len(absent)} weights of the {model.config.model_type} are not in the checkpoint, the "
                f"first is {absent[0]}; expected an encoder's complete weights"
            )
        limit = _longest_text(model, tokenizer)
        model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        return cls(source, model, tokenizer, layout, min(layout.max_length or limit, limit), token_budget)

    @property
    def name(self) -> str:
        """The name that it was loaded by."""
        return self.source.name

    @property
    def version(self) -> str:
        """`sha256:` and the digest of local weights, or `revision:` and the commit of a Hub model."""
        return self.source.version(self.model.config)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return int(self.model.config.hidden_size)

    def encode(
        self, texts: Sequence[str], max_length: int | None = None, *, prompt: str = "", progress: bool = False
    ) -> NDArray[np.float32]:
        """Embeddings of texts, float32 [texts, dimension], of length 1, in the texts' order.

        Args:
            texts: equal ones are computed once.
            max_length: cut at fewer tokens than the model's `max_length`.
            prompt: put before every text; `score` puts the checkpoint's own.
            progress: show a bar on stderr if that is a terminal.

        Raises:
            UsageError: `max_length` is beyond the model.
            DataError: a text of which the tokeniser makes no token.
        """
        if max_length is not None and not 1 <= max_length <= self.max_length:
            raise UsageError(f"{self.name}: max_length is {max_length}, expected 1 to {self.max_length} tokens")
        row = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        tokens = list(self._tokens(list(row), max_length or self.max_length, prompt))
        embeddings = np.empty((len(row), self.dimension), np.float32)
        batches = micro_batches([len(ids) for ids in tokens], self.token_budget)
        with bar(Console(stderr=True) if progress else None, "Embed texts", len(row)) as advance:
            for batch in batches:
                embeddings[batch] = self._embed([tokens[number] for number in batch])
                advance(len(batch))
        return embeddings[[row[text] for text in texts]]

    def score(
        self, collection: Collection, run: Run, scale: float = 1.0, progress: bool = True
    ) -> dict[str, NDArray[np.float32]]:
        """Cosine times `scale` of a run's candidates: query id → float32 [candidates], aligned with `run[id].docids`.

        Equal texts get equal scores. Queries and documents get the prompts that the checkpoint names for them.
        DataError for a query or a document whose text the collection lacks.
        """
        query_text = {query_id: _text(collection, "query", query_id) for query_id in run}
        docids = list(dict.fromkeys(docid for ranking in run.values() for docid in ranking.docids))
        document_text = [_text(collection, "document", docid) for docid in docids]
        prompts = self.layout.prompts
        queries = self.encode(list(query_text.values()), prompt=prompts["query"])
        documents = self.encode(document_text, prompt=prompts["document"], progress=progress)
        row = {docid: number for number, docid in enumerate(docids)}
        scores = {}
        for query, (query_id, ranking) in zip(queries, run.items(), strict=True):
            candidates = documents[[row[docid] for docid in ranking.docids]].astype(np.float64)
            # Not `candidates @ query`: BLAS rounds by place, so that equal texts would get unequal scores.
            scores[query_id] = ((candidates * query).sum(axis=1) * scale).astype(np.float32)
        return scores

    def _tokens(self, texts: Sequence[str], max_length: int, prompt: str) -> Iterator[NDArray[np.int32]]:
        for start in range(0, len(texts), _TEXTS_PER_CALL):
            part = [prompt + text for text in texts[start : start + _TEXTS_PER_CALL]]
            if self.layout.lower_case:
                part = [text.lower() for text in part]
            encoded = self.tokenizer(
                part, truncation=True, max_length=max_length, return_attention_mask=False, verbose=False
            )
            for text, ids in zip(part, encoded["input_ids"], strict=True):
                if not ids:
                    raise DataError(f'{self.name}: its tokeniser makes no token of the text "{text}"')
                yield np.array(ids, dtype=np.int32)

    @torch.inference_mode()
    def _embed(self, tokens: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """Embeddings [texts, dimension] of token ids, as one padded micro-batch."""
        longest = max(len(ids) for ids in tokens)
        padding = self.tokenizer.pad_token_id or 0
        input_ids = torch.full((len(tokens), longest), padding, dtype=torch.long)
        mask = torch.zeros((len(tokens), longest), dtype=torch.long)
        for number, ids in enumerate(tokens):
            input_ids[number, : len(ids)] = torch.from_numpy(ids)
            mask[number, : len(ids)] = 1
        device = self.model.device
        mask = mask.to(device)
        states = self.model(input_ids=input_ids.to(device), attention_mask=mask).last_hidden_state
        if self.layout.pooling == "cls":
            pooled = states[:, 0]
        else:
            pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        normalised: NDArray[np.float32] = torch.nn.functional.normalize(pooled.float(), dim=1).cpu().numpy()
        return normalised


def _text(collection: Collection, kind: str, name: str) -> str:
    texts = collection.queries if kind == "query" else collection.documents
    if name not in texts:
        hint = nearest(name, texts) if kind == "query" else "; leave such candidates out, as `candidates_to_teach` does"
        raise DataError(f'collection {collection.name} has no text of {kind} "{name}", expected one to embed{hint}')
    return texts[name]


def _longest_text(model: Any, tokenizer: Any) -> int:
    """Tokens that the model has positions for."""
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length < _UNKNOWN_LIMIT else []
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions:
        # RoBERTa and MPNet count positions from behind the padding's.
        padding = getattr(getattr(model, "embeddings", None), "padding_idx", None)
        limits.append(positions if padding is None else positions - padding - 1)
    return int(min(limits, default=512))
