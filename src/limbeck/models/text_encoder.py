"""A transformer that reads one text at a time: what bi-encoders and SPLADE encoders have in common."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from limbeck.core.devices import default_device, keep_freed_memory
from limbeck.core.errors import DataError, UsageError
from limbeck.models.checkpoint import read_text_transformer
from limbeck.models.pair_input import first_position
from limbeck.models.sentence_transformers import SentenceLayout, SpladeLayout
from limbeck.models.sources import ModelSource
from limbeck.tokens.batching import micro_batches
from limbeck.tokens.store import tokenizer_fingerprint

_TEXTS_PER_CALL = 2048  # bounds what the tokeniser keeps as Python objects
# Limits above it are the tokeniser's way to say that it knows none.
_UNKNOWN_LIMIT = 1_000_000


@dataclass
class TextCuts:
    """How many texts were encoded, and of how many the end was lost, because they are longer than is read of them."""

    texts: int = 0
    cut: int = 0

    def say(self, what: str, console: Console) -> None:
        """One line, where there is something to say; then it counts anew."""
        if self.cut:
            console.print(
                f"{what}: of {self.texts:,} texts encoded, {self.cut:,} were cut at their end", style="yellow",
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip
        self.texts = self.cut = 0


@dataclass(frozen=True)
class TextEncoder:
    """A checkpoint, run with transformers alone, in float32 and without dropout.

    Attributes:
        layout: how the checkpoint wants its texts and outputs treated.
        max_length: longest text in tokens, special ones included; longer ones are cut at their end.
        token_budget: most tokens of one micro-batch. Outputs do not depend on it but for rounding.
        cuts: counted while texts are encoded.
    """

    source: ModelSource
    model: Any
    tokenizer: Any
    layout: SentenceLayout | SpladeLayout
    max_length: int
    token_budget: int
    cuts: TextCuts = field(default_factory=TextCuts, compare=False, kw_only=True)

    @property
    def name(self) -> str:
        """The name that it was loaded by."""
        return self.source.name

    @property
    def version(self) -> str:
        """`sha256:` and the digest of local weights, or `revision:` and the commit of a Hub model."""
        return self.source.version(self.model.config)

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides what it makes of a text cut at a given length, as JSON holds it."""
        return {
            "weights": self.version,
            # A revision may be unknown, and is a revision of something.
            "hub": self.name if self.source.kind == "hub" else None,
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            "layout": dataclasses.asdict(self.layout),
        }

    def shortened(self, max_length: int | None) -> int:
        """The length in tokens to cut at: `max_length`, or the model's own for None.

        Raises:
            UsageError: it is beyond the model.
        """
        if max_length is not None and not 1 <= max_length <= self.max_length:
            raise UsageError(f"{self.name}: max_length is {max_length}, expected 1 to {self.max_length} tokens")
        return max_length or self.max_length

    def micro_batches(
        self, texts: Sequence[str], max_length: int, prompt: str, progress: bool
    ) -> Iterator[tuple[NDArray[np.intp], torch.Tensor, torch.Tensor]]:
        """Rows of `texts`, their padded token ids and the attention mask [texts, tokens], on the model's device."""
        tokens = list(self._tokens(texts, max_length, prompt))
        for rows in _with_bar(micro_batches([len(ids) for ids in tokens], self.token_budget), len(texts), progress):
            longest = max(len(tokens[row]) for row in rows)
            input_ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id or 0, dtype=torch.long)
            mask = torch.zeros((len(rows), longest), dtype=torch.long)
            for place, row in enumerate(rows):
                input_ids[place, : len(tokens[row])] = torch.from_numpy(tokens[row])
                mask[place, : len(tokens[row])] = 1
            yield rows, input_ids.to(self.model.device), mask.to(self.model.device)

    def _tokens(self, texts: Sequence[str], max_length: int, prompt: str) -> Iterator[NDArray[np.int32]]:
        for start in range(0, len(texts), _TEXTS_PER_CALL):
            part = [prompt + text for text in texts[start : start + _TEXTS_PER_CALL]]
            if self.layout.lower_case:
                part = [text.lower() for text in part]
            encoded = self.tokenizer(
                part, truncation=True, max_length=max_length, return_attention_mask=False, verbose=False
            )
            self.cuts.texts += len(part)
            self.cuts.cut += sum(bool(each.overflowing) for each in encoded.encodings)
            for text, ids in zip(part, encoded["input_ids"], strict=True):
                if not ids:
                    raise DataError(f'{self.name}: its tokeniser makes no token of the text "{text}"')
                yield np.array(ids, dtype=np.int32)


def read_text_model(
    source: ModelSource, auto_class: str, device: str | None, limit: int | None
) -> tuple[Any, Any, int]:
    """Model, tokeniser and longest text in tokens: `limit` where the checkpoint names one that the model can take.

    Args:
        auto_class: the class of transformers that makes the model, such as AutoModel.
        device: torch device; default CUDA where there is one, else CPU.

    Raises:
        As `read_text_transformer`.
    """
    model, tokenizer = read_text_transformer(source, auto_class)
    model.to(device or default_device()).eval()
    if model.device.type == "cpu":
        keep_freed_memory()
    longest = _longest_text(model, tokenizer)
    return model, tokenizer, min(limit or longest, longest)


def _longest_text(model: Any, tokenizer: Any) -> int:
    """Tokens that the model has positions for."""
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length < _UNKNOWN_LIMIT else []
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions:
        limits.append(positions - first_position(model))
    return int(min(limits, default=512))


def _with_bar(batches: Sequence[NDArray[np.intp]], texts: int, progress: bool) -> Iterator[NDArray[np.intp]]:
    if not (progress and sys.stderr.isatty()):
        yield from batches
        return
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("embedding texts", total=texts)
        for batch in batches:
            yield batch
            bars.advance(bar, len(batch))
