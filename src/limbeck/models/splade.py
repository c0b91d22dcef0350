"""A SPLADE encoder: a text's weight for each term of the vocabulary, from a masked language model's logits."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, vstack

from limbeck.models.sentence_transformers import (
    SpladeLayout,
    read_splade_layout,
)
from limbeck.models.sources import resolve
from limbeck.models.text_encoder import TextEncoder, read_text_model

LOGITS = 1 << 25  # of one micro-batch; 128 MiB, and twice that while they are pooled


@dataclass(frozen=True)
class SpladeEncoder(TextEncoder):
    """A checkpoint of sentence-transformers' SparseEncoder, or a plain masked language model trained as SPLADE."""

    layout: SpladeLayout

    @classmethod
    def load(
        cls, name: str | os.PathLike[str], device: str | None = None, token_budget: int | None = None
    ) -> "SpladeEncoder":
        """Load a SPLADE encoder.

        Args:
            name: folder, Hub id or `package:NAME/PATH`.
            device: torch device; default CUDA where there is one, else CPU.
            token_budget: most tokens of one micro-batch, padding included; by default as many as give `LOGITS` logits.

        Raises:
            MissingError: the model is not there; the text says how to get it.
            UsageError: its weights need what is not supported (see `read_splade_layout`), or it has no head that gives
                logits of terms.
        """
        source = resolve(os.fspath(name))
        layout = read_splade_layout(source)
        model, tokenizer, max_length = read_text_model(source, "AutoModelForMaskedLM", device, layout.max_length)
        budget = token_budget or max(1, LOGITS // model.config.vocab_size)
        return cls(source, model, tokenizer, layout, max_length, budget)

    @property
    def vocabulary(self) -> int:
        """How many terms there are."""
        return int(self.model.config.vocab_size)

    def encode(
        self, texts: Sequence[str], max_length: int | None = None, *, prompt: str = "", progress: bool = False
    ) -> Any:
        """Term weights of texts, a float32 `csr_array` [texts, vocabulary] without zeros, in the texts' order.

        Args:
            texts: equal ones are computed once.
            max_length: cut at fewer tokens than the model's `max_length`.
            prompt: put before every text.
            progress: show a bar on stderr if that is a terminal.

        Raises:
            UsageError: `max_length` is beyond the model.
            DataError: a text of which the tokeniser makes no token.
        """
        row = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        order, parts = [np.zeros(0, np.intp)], [csr_array((0, self.vocabulary), dtype=np.float32)]
        for rows, input_ids, mask in self.micro_batches(list(row), self.shortened(max_length), prompt, progress):
            order.append(rows)
            parts.append(csr_array(self._weights(input_ids, mask).cpu().numpy()))
        place = np.argsort(np.concatenate(order))
        return vstack(parts, format="csr")[np.array([place[row[text]] for text in texts], np.intp)]

    @torch.inference_mode()
    def _weights(self, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Weights [texts, vocabulary]: log(1 + relu(logit)), pooled over the tokens that are no padding."""
        logits = self.model(input_ids=input_ids, attention_mask=mask).logits.float()
        if self.layout.pooling == "max":
            # The function only rises, so that it may wait for the maximum: one logarithm for each text and term.
            return self._activation(logits.masked_fill_(mask[:, :, None] == 0, -torch.inf).amax(1))
        return (self._activation(logits) * mask[:, :, None]).sum(1)

    def _activation(self, logits: torch.Tensor) -> torch.Tensor:
        weights = logits.relu().log1p()
        return weights.log1p() if self.layout.activation == "log1p_relu" else weights
