"""How a tokeniser joins a query and a passage, so that a pair can be assembled from tokens that were made once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import UsageError

Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class PairTemplate:
    """The special tokens around a query and a passage, and the token types of the parts.

    A pair is `prefix + query + middle + passage + suffix`; `token_types` holds one type for each of these five parts,
    or is None for backbones that take none (RoBERTa, ModernBERT).
    """

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    token_types: tuple[int, int, int, int, int] | None
    pad_id: int

    @property
    def special_tokens(self) -> int:
        """Special tokens of one pair."""
        return len(self.prefix) + len(self.middle) + len(self.suffix)

    @classmethod
    def of(cls, tokenizer: Any) -> "PairTemplate":
        """Read the template off a transformers tokeniser by encoding a probe pair.

        Raises:
            UsageError: the tokeniser does not place the tokens of query and passage, each as encoded alone, in this
                order between fixed special tokens, so that pairs could not be assembled exactly.
        """
        probe, check = ("which probe", "an answer to it"), ("one more, shorter?", "Yes.")
        first, second = (_plain(tokenizer, text) for text in probe)
        encoded = tokenizer(*probe)
        ids = list(encoded["input_ids"])
        start = _find(ids, first, 0)
        split = _find(ids, second, start + len(first)) if start >= 0 else -1
        if split < 0:
            raise UsageError(
                f"{type(tokenizer).__name__}: it gives a text other tokens when the text is part of a pair"
            )
        end = split + len(second)
        prefix, middle, suffix = ids[:start], ids[start + len(first) : split], ids[end:]
        types = None
        if "token_type_ids" in tokenizer.model_input_names:
            given = encoded["token_type_ids"]
            types = (
                given[0],
                given[start],
                given[split - 1] if middle else 0,
                given[split],
                given[-1],
            )
        pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        template = cls(tuple(prefix), tuple(middle), tuple(suffix), types, pad_id)
        query, passage = (np.asarray(_plain(tokenizer, text)) for text in check)
        encoded = tokenizer(*check)
        same = template.assemble(query, passage).tolist() == list(encoded["input_ids"])
        if same and types:
            same = template.types(len(query), len(passage)).tolist() == list(encoded["token_type_ids"])
        if not same:
            raise UsageError(f"{type(tokenizer).__name__}: how it joins a pair depends on the texts")
        return template

    def assemble(self, query: Tokens, passage: Tokens) -> NDArray[np.int64]:
        """Token ids of one pair, [tokens]; `query` and `passage` without special tokens, already cut."""
        return np.concatenate([self.prefix, query, self.middle, passage, self.suffix]).astype(np.int64)

    def types(self, query_tokens: int, passage_tokens: int) -> NDArray[np.int64]:
        """Token types of one pair, [tokens]; zeros where the backbone takes none."""
        lengths = (len(self.prefix), query_tokens, len(self.middle), passage_tokens, len(self.suffix))
        return np.repeat(np.asarray(self.token_types or (0,) * 5, dtype=np.int64), lengths)


@dataclass(frozen=True)
class Wording:
    """What is done to a text before it is tokenised.

    Attributes:
        prompt: put before every query, as sentence-transformers does.
        lower_case: whether texts are put in lower case.
    """

    prompt: str = ""
    lower_case: bool = False

    def query(self, text: str) -> str:
        """A query as it is tokenised."""
        return self.passage(self.prompt + text)

    def passage(self, text: str) -> str:
        """A passage as it is tokenised."""
        return text.lower() if self.lower_case else text


UNCHANGED = Wording()


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _find(ids: list[int], part: list[int], start: int) -> int:
    positions = range(start, len(ids) - len(part) + 1)
    return next((i for i in positions if ids[i : i + len(part)] == part), -1)


def with_single_separator(tokenizer: Any) -> Any:
    """The tokeniser, joining a pair as `[CLS] query [SEP] passage [SEP]`; itself, if it does so already.

    It is saved as a generic tokeniser: RoBERTa's own class puts its two separators back when it is loaded.
    """
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    if len(PairTemplate.of(tokenizer).middle) <= 1:
        return tokenizer
    first, separator = tokenizer.cls_token, tokenizer.sep_token
    backend = tokenizer.backend_tokenizer
    backend.post_processor = TemplateProcessing(
        single=f"{first} $A {separator}",
        pair=f"{first} $A {separator} $B {separator}",
        special_tokens=[(first, tokenizer.cls_token_id), (separator, tokenizer.sep_token_id)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=tokenizer.model_input_names,
        model_max_length=tokenizer.model_max_length,
        **tokenizer.special_tokens_map,
    )
