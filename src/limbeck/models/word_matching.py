"""A BERT that ranks as BM25 does before it has learnt anything: heads of attention that match words, put in by hand.

Trained cross-encoders are found to compute a BM25 of their own: heads that attend to the query's words in the passage,
how often these occur, with saturation, and weights of rare words (Lu, Chen and Eickhoff 2025, arXiv 2502.04645). A
small backbone with few pairs to learn from does not get there. So the model is widened, and is given that circuit:

- Each word has a random code in the new dimensions, and the logarithm of its inverse document frequency.
- In the first layer a token attends to tokens of the other text with the same code, or else to [CLS]. A word that
  occurs n times there gets n / (n + `SATURATION`) of the attention: BM25's saturation, without lengths.
- In the last layer [CLS] attends to the query's words by their idf, and so has the weighted mean of those shares, which
  the scoring head reads.

All else computes what it did, up to what layer normalisation makes of the new dimensions, and everything is trained.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from limbeck.collections import Collection
from limbeck.core.errors import UsageError, plural
from limbeck.models.checkpoint import Checkpoint
from limbeck.models.sources import ModelSource, silence_transformers
from limbeck.tokens.pairs import PairTemplate

SATURATION = 0.2
"""BM25's k1. Smaller than usual, for layer normalisation makes some words' logits a little smaller than meant."""

SHARPNESS = 12.0
"""The logit of two equal words, where that of two that have nothing in common is 0."""

OTHER_TEXT = SHARPNESS / 2
"""What is added to a logit where the two tokens are of different texts, and taken off where they are of the same."""

RANGE = 8.0
"""The score is at most so much higher for a passage that has all words of the query."""

CODES = 1
"""Seed of the words' codes: students of other seeds start with the same."""

WORDS_OF, NORMS_OF, NORMS_TOKENS = 5000, 64, 128
"""Passages in which words are counted, and pairs, of so many tokens, on which layer normalisation is set right."""

IDF, SINK, TEXT, MATCH, FOUND, FILL, _FILL = range(-7, 0)
"""The last new dimensions: log idf, of the query's words; [CLS] alone; which text, -1 or 1; the attention that goes to
equal words; what [CLS] collects of it; and two that give every word the same mean and variance."""

CODE_SIZE, IDF_SIZE, SINK_SIZE, TEXT_SIZE, MATCH_SIZE, VARIANCE = 1.5, 0.5, 4.0, 2.0, 4.0, 3.0
"""Of the new dimensions, and the variance of all, where the variance of a backbone's own dimensions is 1."""

NO_WORD = -8.0
"""log idf of what is no word of the query."""


def match_words(found: Checkpoint, collection: Collection, source: ModelSource) -> Checkpoint:
    """Widen the checkpoint of a BERT by heads that match words, each weighted by its idf in a collection.

    Raises:
        UsageError: `fault_of` has something against it.
    """
    if fault := fault_of(found.model, found.template):
        raise UsageError(f"{source.name}: gets no heads that match words: it {fault}; leave match_words out")
    documents = collection.documents
    counted = [documents[docid] for docid in islice(documents, 0, None, max(1, len(documents) // WORDS_OF))]
    asked = list(islice(collection.queries.values(), NORMS_OF)) or ["what is it"]
    with torch.no_grad(), silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(CODES)
        wider = _Wider(found)
        wider.embed(_log_idf(found, counted))
        wider.match()
        wider.collect()
        wider.set_norms([(asked[i % len(asked)], counted[i % len(counted)]) for i in range(NORMS_OF)])
    return replace(found, model=wider.model)


def wider(size: int, heads: int) -> tuple[int, int]:
    """Hidden size and number of heads that a BERT has with heads that match words, as wide as its own."""
    width = size // heads
    more = math.ceil(48 / width)
    return size + more * width, heads + more


def fault_of(model: Any, template: PairTemplate) -> str | None:
    """Why a model gets no such heads, behind "it"; None where it can have them."""
    config, types = model.config, template.token_types
    width = config.hidden_size // getattr(config, "num_attention_heads", 1)
    if type(model).__name__ != "BertForSequenceClassification":
        return f"is a {config.model_type}; expected a BERT"
    if not template.prefix:
        return "begins a pair with the query itself; expected a token such as [CLS] before it"
    if types is None or types[1] == types[3]:
        return "is not told which tokens are the passage's"
    if config.num_hidden_layers < 2 or width < 8:
        return (
            f"has {plural(config.num_hidden_layers, 'layer')} and heads of {width}; expected 2 or more, and 8 or more"
        )
    return None


def _log_idf(found: Checkpoint, passages: Sequence[str]) -> torch.Tensor:
    """The logarithm of BM25's idf of each token of the vocabulary, [tokens]."""
    documents = np.zeros(found.model.config.vocab_size)
    for tokens in found.tokenizer(list(passages), add_special_tokens=False)["input_ids"]:
        documents[np.unique(np.asarray(tokens, np.int64))] += 1
    idf = np.log1p((len(passages) - documents + 0.5) / (documents + 0.5))
    return torch.from_numpy(np.log(idf)).float()


class _Wider:
    """A BERT with further dimensions and heads, beside the old one; it is given its weights in four steps.

    Attributes:
        own: number of the old dimensions; the new ones follow, those that hold a word's code first.
        code: how many these are.
    """

    def __init__(self, found: Checkpoint) -> None:
        self.old, self.template, self.tokenizer = found.model.eval(), found.template, found.tokenizer
        assert self.template.token_types is not None  # or `fault_of` says so
        _, self.query_type, _, self.passage_type, _ = self.template.token_types
        config = copy.deepcopy(self.old.config)
        self.own, width = config.hidden_size, config.hidden_size // config.num_attention_heads
        config.hidden_size, config.num_attention_heads = wider(config.hidden_size, config.num_attention_heads)
        self.code = min(width - 2, config.hidden_size - self.own - 7)
        self.model = type(self.old)(config).eval()
        self.layers = self.model.bert.encoder.layer
        self.root = math.sqrt(width)  # by which attention divides its logits
        for name, old in self.old.named_parameters():
            weight = self.model.get_parameter(name)
            nn.init.constant_(weight, 1.0 if name.endswith("LayerNorm.weight") else 0.0)
            weight[tuple(map(slice, old.shape))] = old
        for layer in self.layers:
            for part in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value):
                nn.init.normal_(part.weight[self.own :], std=0.02)
        nn.init.normal_(self.model.classifier.weight[:, self.own :], std=0.02)

    def embed(self, log_idf: torch.Tensor) -> None:
        """The new dimensions of words and of token types; normalised, they are as large as the constants above say."""
        old, new = self.old.bert.embeddings, self.model.bert.embeddings
        words, positions, types = (
            each.weight for each in (old.word_embeddings, old.position_embeddings, old.token_type_embeddings)
        )
        size = new.word_embeddings.embedding_dim
        wanted = torch.zeros(len(words), size - self.own)
        codes = torch.randn(len(words), self.code)
        codes -= codes.mean(1, keepdim=True)
        wanted[:, : self.code] = CODE_SIZE * math.sqrt(self.code) * nn.functional.normalize(codes, dim=1)
        wanted[:, IDF] = IDF_SIZE * log_idf
        first = self.template.prefix[0]
        marks = [*self.template.prefix, *self.template.middle, *self.template.suffix]
        if self.tokenizer.unk_token_id is not None:
            marks.append(self.tokenizer.unk_token_id)  # two unknown words are not the same
        wanted[marks, : self.code], wanted[marks, IDF] = 0.0, IDF_SIZE * NO_WORD
        wanted[first, SINK] = SINK_SIZE
        rest = size * VARIANCE - self.own - TEXT_SIZE**2 - wanted.square().sum(1)
        total = -wanted.sum(1)
        apart = (2 * rest - total**2).clamp_min(0).sqrt()
        wanted[:, FILL], wanted[:, _FILL] = (total + apart) / 2, (total - apart) / 2
        mean, deviation = _moments(words + positions.mean(0) + types.mean(0))
        deviation = (deviation**2 + positions.var(0).mean() + types.var(0).mean()).sqrt()
        mean[first], deviation[first] = _moments(words[first] + positions[0] + types[self.query_type])
        new.word_embeddings.weight[:, self.own :] = wanted * deviation + mean
        side = TEXT_SIZE * deviation.mean()
        new_types = new.token_type_embeddings.weight
        new_types[self.query_type, TEXT], new_types[self.passage_type, TEXT] = -side, side
        new.word_embeddings.weight[first, TEXT] += side  # [CLS] is of neither text
        new_types[self.passage_type, IDF] = IDF_SIZE * NO_WORD * deviation.mean()
        new.LayerNorm.weight[: self.own] *= math.sqrt(VARIANCE)
        new.LayerNorm.weight[self.own :] = math.sqrt(VARIANCE)

    def match(self) -> None:
        """The first layer: a word attends to its equals in the other text, or to [CLS]."""
        query, key, value, output = self._attention(self.layers[0])
        own, code, root = self.own, self.code, self.root
        for part in (query, key):
            part.weight[own : own + code + 2] = 0.0
            size = math.sqrt(SHARPNESS * root) / (CODE_SIZE * math.sqrt(code))
            part.weight[own : own + code, own : own + code] = size * torch.eye(code)
        key.weight[own + code, TEXT] = math.sqrt(OTHER_TEXT * root) / TEXT_SIZE
        query.weight[own + code, TEXT] = -key.weight[own + code, TEXT]
        key.weight[own + code + 1, SINK] = (SHARPNESS + OTHER_TEXT + math.log(SATURATION)) * root / SINK_SIZE
        query.bias[own + code + 1] = 1.0
        value.weight[own] = 0.0
        value.weight[own, TEXT] = 1.0 / TEXT_SIZE
        output.weight[MATCH, own] = MATCH_SIZE

    def collect(self) -> None:
        """The last layer and the scoring head: [CLS] attends to the words of the query, each by its idf."""
        query, key, value, output = self._attention(self.layers[-1])
        own, root = self.own, self.root
        for part in (query, key, value):
            part.weight[own] = 0.0
        query.bias[own] = 1.0
        key.weight[own, IDF] = root / IDF_SIZE
        value.weight[own, MATCH] = 1.0
        output.weight[FOUND, own] = 1.0
        self.model.bert.pooler.dense.weight[FOUND, FOUND] = 1.0 / MATCH_SIZE
        self.model.classifier.weight[0, FOUND] = RANGE

    def set_norms(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Let each layer normalisation leave the old dimensions as they were, and the new ones alone, on an average."""
        longest = min(NORMS_TOKENS, self.old.config.max_position_embeddings)
        cut = {"truncation": True, "max_length": longest, "padding": True}
        batch = self.tokenizer(*zip(*pairs, strict=True), **cut, return_tensors="pt")
        there = batch["attention_mask"].bool()
        first = torch.zeros_like(there)
        first[:, 0] = True  # alone is read of the last layer
        before: list[torch.Tensor] = []
        hooks = []
        for old, new in zip(self.old.bert.encoder.layer, self.layers, strict=True):
            kept = first if new is self.layers[-1] else there
            for name in ("attention.output.LayerNorm", "output.LayerNorm"):
                hooks.append(old.get_submodule(name).register_forward_pre_hook(self._keep(before, kept)))
                hooks.append(new.get_submodule(name).register_forward_pre_hook(self._set(before, kept)))
        self.old(**batch)
        self.model(**batch)
        for hook in hooks:
            hook.remove()

    def _keep(self, before: list[torch.Tensor], kept: torch.Tensor) -> Any:
        return lambda _norm, inputs: before.append(_moments(inputs[0][kept])[1])

    def _set(self, before: list[torch.Tensor], kept: torch.Tensor) -> Any:
        def hook(norm: nn.LayerNorm, inputs: tuple[torch.Tensor]) -> None:
            deviation = _moments(inputs[0][kept])[1]
            norm.weight[: self.own] *= (deviation / before.pop(0)).mean()
            norm.weight[self.own :] = deviation.mean()

        return hook

    def _attention(self, layer: Any) -> tuple[nn.Linear, ...]:
        own = layer.attention.self
        return own.query, own.key, own.value, layer.attention.output.dense


def _moments(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the last dimension, kept, as layer normalisation takes them."""
    return values.mean(-1, keepdim=True), values.std(-1, unbiased=False, keepdim=True)
