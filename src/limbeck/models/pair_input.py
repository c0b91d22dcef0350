"""How pairs reach a model that was read: its pair template, its longest texts, its first position, and padding."""

from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core.errors import UsageError
from limbeck.models.checkpoint import Checkpoint
from limbeck.models.families import family_of
from limbeck.models.sources import ModelSource
from limbeck.tokens.pairs import Pairs, PairTemplate
from limbeck.tokens.store import TokenStore

LONGEST = 512  # default maximum pair length where the backbone allows more (ModernBERT: 8,192)
QUERY_TOKENS = 64  # default maximum query length


def template_of(found: Checkpoint) -> PairTemplate:
    """The pair template of a checkpoint, as its backbone takes it."""
    # A generic tokeniser makes token types for backbones (DistilBERT) that know none.
    takes = signature(found.model.base_model.forward).parameters
    return found.template if "token_type_ids" in takes else replace(found.template, token_types=None)


def lengths_of(
    found: Checkpoint,
    source: ModelSource,
    max_length: int | None,
    query_tokens: int | None,
    passage_tokens: int | None,
) -> tuple[int, int, int | None]:
    """Longest pair, query and passage (None: only the pair is limited): as asked for, as saved, or by default."""
    model, special_tokens = found.model, found.template.special_tokens
    limit, saved = longest_input(model, found.tokenizer), found.saved
    if query_tokens is None:
        query_tokens = saved.get("query_tokens", QUERY_TOKENS)
    needed = None if passage_tokens is None else query_tokens + passage_tokens + special_tokens
    if passage_tokens is None:
        passage_tokens = saved.get("passage_tokens")
    if max_length is None:
        # The tokeniser's limit is the length that a saved cross-encoder was trained at.
        max_length = needed or min(limit, found.tokenizer.model_max_length, found.max_length or LONGEST, LONGEST)
    for name, value in (("query_tokens", query_tokens), ("passage_tokens", passage_tokens)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value} leaves nothing of a {name.partition('_')[0]}; expected 1 or more")
    if max_length > limit:
        what = f"max_length {max_length}"
        if max_length == needed:
            what = f"query_tokens {query_tokens} and passage_tokens {passage_tokens} make a pair of {needed}, which"
        raise UsageError(f"{source.name}: {what} is beyond the backbone's {limit} tokens")
    if max_length < special_tokens + 2:
        raise UsageError(
            f"{source.name}: max_length {max_length} leaves no room for a query and a passage beside "
            f"{special_tokens} special tokens; expected {special_tokens + 2} or more"
        )
    return max_length, min(query_tokens, max_length - special_tokens - 1), passage_tokens


@torch.inference_mode()
def ignores_padding(found: Checkpoint, template: PairTemplate, max_length: int, source: ModelSource) -> bool:
    """Whether a short pair of plain words gets the same score with padding beside it, up to rounding.

    Raises:
        UsageError: the model cannot compute a sequence of such a length.
    """
    model, words = found.model, _plain_words(found)
    size = min(max_length - template.special_tokens, 12)
    places = np.array([0, 1, size // 2 + 1, size])
    store = TokenStore(np.array([b"0", b"1", b"2"]), np.arange(3), places, np.resize(words, size))
    pairs = Pairs(store, store, template, max_length, max_length)

    def scores(*passages: int) -> torch.Tensor:
        batch = pairs.batch(np.zeros(len(passages), np.int64), np.array(passages))
        logits: torch.Tensor = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
        return logits[:, 0]

    try:
        return torch.allclose(scores(0, 1)[:1], scores(0), rtol=1e-4, atol=1e-6)
    except (RuntimeError, ValueError, IndexError) as error:
        lengths = pairs.lengths(np.zeros(2, np.int64), np.arange(2)).tolist()
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(
            f"{source.name}: a {model.config.model_type} of this configuration cannot compute pairs of {lengths[0]} "
            f"and {lengths[1]} tokens ({reason}); choose another model"
        ) from None


def _plain_words(found: Checkpoint) -> NDArray[np.int64]:
    """Token ids [up to 12] that mark nothing. BART's head, for one, counts the ends of sequences in a row."""
    named = [id for name, id in found.model.config.to_dict().items() if name.endswith("token_id")]
    marks = {*found.tokenizer.all_special_ids}.union(*(id if isinstance(id, list) else [id] for id in named))
    rows = found.model.get_input_embeddings().weight.shape[0]
    return np.array([id for id in range(min(rows, 12 + len(marks))) if id not in marks][:12], np.int64)


def score_by_ends(model: Any, batch: dict[str, Any]) -> torch.Tensor | None:
    """Scores [pairs] of rows with ends of sequences in unequal number, in groups of equal number; None for no such."""
    counts = (batch["input_ids"] == model.config.eos_token_id).sum(1)
    groups = [(counts == count).nonzero()[:, 0] for count in counts.unique()]
    if len(groups) < 2:
        return None
    parts = [model(**{name: tensor[rows] for name, tensor in batch.items()}).logits[:, 0] for rows in groups]
    return torch.cat(parts)[torch.cat(groups).argsort()]


def longest_input(model: Any, tokenizer: Any) -> int:
    """Tokens that a model has positions for; where it knows no limit, the tokeniser's."""
    positions = getattr(model.config, "max_position_embeddings", None)
    # XLNet says -1: its positions are relative.
    if not positions or positions < 0:
        return int(tokenizer.model_max_length)
    return int(positions - first_position(model))


def first_position(model: Any) -> int:
    """Position of a sequence's first token: RoBERTa and MPNet count from behind the padding's."""
    if family_of(model).positions_after_padding:
        return int(model.config.pad_token_id) + 1
    # Of other architectures that do so, embeddings know it themselves.
    padding = getattr(getattr(model.base_model, "embeddings", None), "padding_idx", None)
    return 0 if padding is None or family_of(model).ignores_padding else int(padding) + 1
