"""The cross-encoder: a transformers sequence-classification model that reads query and passage together."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from limbeck.collections import Collection
from limbeck.core.devices import (
    ALONE,
    Precision,
    Processes,
    ahead,
    autocast,
    choose_precision,
    default_device,
    keep_freed_memory,
    to_device,
)
from limbeck.core.errors import UsageError
from limbeck.kernels.attention import Sequences, attention_path, has_flash, use_our_attention
from limbeck.kernels.layers import (
    compile_layers,
    compute_head_in_float32,
    first_token_only,
    project_together,
    touch_used_rows_only,
    use_fast_dropout,
)
from limbeck.models.checkpoint import read_checkpoint, write_checkpoint
from limbeck.models.cost import scoring_tokens, training_tokens
from limbeck.models.exits import Exits, exit_model, without_exits
from limbeck.models.families import Family, family_of
from limbeck.models.modular import ModularModel
from limbeck.models.pair_input import first_position, ignores_padding, lengths_of, score_by_ends, template_of
from limbeck.models.sources import ModelSource, resolve
from limbeck.models.word_matching import match_words
from limbeck.tokens.batching import filled_batches, micro_batches, shares
from limbeck.tokens.pairs import Pairs, PairTemplate, Rows
from limbeck.tokens.store import UNCHANGED, TokenStore, Wording


@dataclass
class CrossEncoder:
    """A backbone with a scoring head of one raw logit.

    Attributes:
        max_length: longest pair in tokens; the passage is cut to fit.
        query_tokens: longest query in tokens, beside the model's own prompt.
        passage_tokens: longest passage in tokens; None where only the pair is limited.
        packed: whether micro-batches reach the model packed, without padding (`limbeck.kernels.attention`), or padded.
        processes: those that score and train together, each a share of the pairs.
        sharded: whether the weights are divided among them; the backward pass itself then takes gradients together.
        wording: what is done to texts before they are tokenised: the model's own prompt, if it has one.
        calibration: how it was calibrated (`limbeck.evaluation.calibration`): its raw scores are then log-odds of
            relevance, and what it and sentence-transformers give as scores are probabilities. None: raw scores.
        pads: whether pairs of unequal length may share a padded micro-batch: not where padding would change scores.
    """

    model: Any
    tokenizer: Any
    template: PairTemplate
    max_length: int
    query_tokens: int
    source: ModelSource
    passage_tokens: int | None = None
    packed: bool = False
    processes: Processes = ALONE
    sharded: bool = False
    wording: Wording = UNCHANGED
    pads: bool = True
    calibration: Mapping[str, Any] | None = None

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str],
        layers: int | None = None,
        max_length: int | None = None,
        query_tokens: int | None = None,
        device: str | None = None,
        seed: int = 0,
        sha256: str | None = None,
        dropout: float | None = None,
        packed: bool | None = None,
        compiled: bool = False,
        processes: Processes = ALONE,
        sharded: bool = False,
        single_separator: bool = False,
        passage_tokens: int | None = None,
        new_head: bool = False,
        exits: Sequence[int] = (),
        words_of: Collection | None = None,
    ) -> "CrossEncoder":
        """Load a cross-encoder; with `new_head`, to train it, also a backbone, which then gets a new scoring head.

        Args:
            name: folder, Hub id or `package:NAME/PATH`.
            layers: keep only the first `layers` transformer layers.
            max_length: longest pair in tokens, at most what the backbone has positions for; default: what it was saved
                with, or the smaller of that and 512, or what `passage_tokens` needs.
            query_tokens: longest query in tokens; default: what it was saved with, or 64.
            passage_tokens: longest passage in tokens, cut by itself, however short its query is (arXiv 2603.03010
                has queries of 32 tokens and passages of 256, so has Rank-DistiLLM); default: what it was saved with,
                or as many as `max_length` leaves room for.
            new_head: whether a scoring head that the checkpoint lacks is drawn at random. Only training may: scores of
                such a head mean nothing.
            exits: numbers of layers behind which the pair is scored too, each by a head of its own, in training
                (`limbeck.models.exits`).
            words_of: a collection whose words the model gets heads of attention for that match them, weighted by their
                idf there (`limbeck.models.word_matching`); with `new_head` alone.
            device: torch device; default CUDA where there is one, else CPU.
            seed: initialises a new scoring head.
            sha256: refuse local weights whose digest does not begin with this.
            dropout: share of activations dropped in training, everywhere; default: as the configuration says.
            packed: whether to compute without padding; default where the backbone can, on CUDA. Changes speed, not
                scores.
            compiled: whether layers go through torch.compile. Changes speed, and what dropout drops.
            processes: those that will score and train together; each loads the model and calls the same methods.
            sharded: whether the weights are divided among the processes, for a model that fits no single device.
            single_separator: put one separator between query and passage where the tokeniser would put two; the
                saved tokeniser does so too.

        Raises:
            MissingError: the model is not there; the text says how to get it.
            DataError: the checkpoint cannot be read, lacks weights or holds others than the model takes.
            UsageError: no scoring head, `layers` or `max_length` beyond the backbone, a head that does not give one
                score, a model that comes with code of its own, or one that cannot compute sequences of any length.
        """
        source = resolve(os.fspath(name))
        if sha256 is not None:
            source.expect(sha256)
        found = read_checkpoint(source, layers, seed, dropout, new_head, single_separator)
        if words_of is not None and not new_head:
            raise UsageError(f"{source.name}: heads that match words change scores until they are trained; train it")
        if words_of is not None:
            found = match_words(found, words_of, source)
        model, tokenizer, template = found.model, found.tokenizer, template_of(found)
        family = family_of(model)
        if not isinstance(model, ModularModel) or model.layout.pooling == "cls":
            first_token_only(model)
        project_together(model)
        compute_head_in_float32(model)
        use_fast_dropout(model)
        lengths = lengths_of(found, source, max_length, query_tokens, passage_tokens)
        max_length, query_tokens, passage_tokens = lengths
        model.to(device or default_device()).eval()
        if model.device.type == "cpu":
            keep_freed_memory()
        if packed is None:
            packed = model.device.type == "cuda" and family.packs
        if family.packs:
            use_our_attention(model, packed)
        elif packed:
            raise UsageError(f"{source.name}: a {model.config.model_type} cannot be computed packed; leave packed out")
        pads = found.pads
        if not family.ignores_padding:
            tried = ignores_padding(found, template, max_length, source)
            pads = pads and tried and family.ignores_padding is None
        if exits and (compiled or sharded):
            raise UsageError(f"{source.name}: exits are trained neither compiled nor divided among processes")
        if exits:
            model.exits = Exits(model, exits, source)
        if compiled:
            compile_layers(model)
        if sharded:
            from limbeck.kernels.layers import shard  # torch's distributed tensors, which nobody else needs

            shard(model)
        else:
            touch_used_rows_only(model)
        return cls(
            model, tokenizer, template, max_length, query_tokens, source, passage_tokens, packed, processes, sharded,
            found.wording, pads, None if new_head or layers else found.saved.get("calibration"),
        )  # fmt: skip

    @cached_property
    def family(self) -> Family:
        """What is known of its architecture."""
        return family_of(self.model)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    def attention(self, precision: str = "fp32") -> str:
        """How this encoder computes, in words, when it trains with that precision."""
        return attention_path(self.model, self.packed, self.precision(precision).name, self.pads)

    @property
    def parameters(self) -> int:
        """Number of weights, without those of exits."""
        return sum(weight.numel() for weight in without_exits(dict(self.model.named_parameters())).values())

    @property
    def exits(self) -> tuple[int, ...]:
        """The numbers of layers behind which it is scored too, ascending."""
        return self.model.exits.depths if hasattr(self.model, "exits") else ()

    def pairs(self, queries: TokenStore, passages: TokenStore) -> Pairs:
        """Pairs of these stores as this encoder reads them."""
        prompt = self.tokenizer(self.wording.prompt, add_special_tokens=False)["input_ids"]
        longest = min(self.query_tokens + len(prompt), self.max_length - self.template.special_tokens - 1)
        return Pairs(queries, passages, self.template, self.max_length, longest, self.passage_tokens)

    def precision(self, asked: str) -> Precision:
        """What a precision comes to for this model on its device, and what is to be said about it."""
        return choose_precision(asked, self.device, self.family.fp16)

    def training_tokens(self, precision: str) -> tuple[int, int]:
        """Tokens of one micro-batch, and tokens whose graphs are kept at once, that suit this device now."""
        parts = self.processes.count if self.sharded else 1
        return training_tokens(self.model, self.precision(precision).name, self.packed, self.max_length, parts)

    def read(self, pairs: Pairs, query_rows: Rows, passage_rows: Rows) -> dict[str, Any]:
        """One micro-batch as the model takes it, on its device."""
        device = self.device
        options: dict[str, Any] = {}
        if self.packed:
            batch, lengths = pairs.packed(query_rows, passage_rows)
            options["sequences"] = Sequences(lengths, device).prepared(has_flash(device))
            options["position_ids"] = options["sequences"].positions[None] + first_position(self.model)
        else:
            batch = pairs.batch(query_rows, passage_rows)
        return {name: to_device(tensor, device) for name, tensor in batch.items()} | options

    def logits(self, pairs: Pairs, query_rows: Rows, passage_rows: Rows) -> torch.Tensor:
        """Raw scores of one micro-batch, [pairs]: float32, or float64 for weights in float64."""
        return self.forward(self.read(pairs, query_rows, passage_rows))

    def forward(self, batch: dict[str, Any]) -> torch.Tensor:
        """Raw scores [pairs] of a micro-batch that was read."""
        scores = score_by_ends(self.model, batch) if self.family.counts_ends else None
        if scores is None:
            scores = self.model(**batch).logits[:, 0]
        return _raw(scores)

    def forward_all(self, batch: dict[str, Any]) -> torch.Tensor:
        """Raw scores of a micro-batch that was read, for training: [pairs], or with exits [pairs, exits + 1].

        A column for each exit by depth, and last the whole model's.
        """
        return _raw(self.model.exits(self.model, batch)) if self.exits else self.forward(batch)

    def score(self, pairs: Sequence[tuple[str, str]], precision: str = "fp32") -> NDArray[np.floating[Any]]:
        """Scores of (query, passage) texts, [pairs], in their order.

        Raw ones in float32; of a calibrated model probabilities, in float64, so that high ones do not tie.
        """
        scores = self.score_rows(*self.stored(pairs), precision) if pairs else np.zeros(0, np.float32)
        return probabilities(scores) if self.calibration else scores

    def calibrate(self, slope: float, intercept: float, facts: Mapping[str, Any]) -> None:
        """Let raw scores be slope · score + intercept, log-odds of relevance: the head's last layer is changed.

        Args:
            facts: of the calibration, for the model's folder.

        Raises:
            UsageError: the slope would change the order; the head ends with no linear layer that has a bias.
        """
        probe = self.stored([("a query", "a passage"), ("what is it", "a longer passage of some more words")])
        before = self.score_rows(*probe)
        layer = _last_layer(self.model)
        fault = None
        if not slope > 0:
            fault = f"the slope {slope:.3g} would change the order; expected one above 0"
        elif layer is None:
            fault = "its head ends with no linear layer"
        elif layer.bias is None:
            fault = "its head has no bias to keep the intercept in"
        if layer is None or fault:
            raise UsageError(f"{self.source.name}: cannot be calibrated: {fault}")
        with torch.no_grad():
            layer.weight.mul_(slope)
            layer.bias.mul_(slope).add_(intercept)
        expected = slope * before.astype(np.float64) + intercept
        if not np.allclose(self.score_rows(*probe), expected, rtol=1e-3, atol=1e-3 * (1 + slope)):
            raise UsageError(
                f"{self.source.name}: cannot be calibrated: its head does more after its last linear layer"
            )
        self.calibration = dict(facts)

    def stored(self, pairs: Sequence[tuple[str, str]]) -> tuple[Pairs, Rows, Rows]:
        """(query, passage) texts tokenised in memory: pairs, and the rows of queries and of passages, [pairs] each."""
        queries, query_rows = self._stored([self.wording.query(query) for query, _ in pairs])
        passages, passage_rows = self._stored([self.wording.passage(passage) for _, passage in pairs])
        return self.pairs(queries, passages), query_rows, passage_rows

    def _stored(self, texts: Sequence[str]) -> tuple[TokenStore, Rows]:
        number = {text: str(i) for i, text in enumerate(dict.fromkeys(texts))}
        store = TokenStore.of({i: text for text, i in number.items()}, self.tokenizer)
        return store, store.rows([number[text] for text in texts])

    def score_rows(
        self,
        pairs: Pairs,
        query_rows: Rows,
        passage_rows: Rows,
        precision: str = "fp32",
        token_budget: int | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Raw scores of stored pairs, float32 [pairs], in their order. Several processes share the pairs among them.

        Args:
            token_budget: most tokens of one micro-batch; changes speed and memory, not scores. Default 4,096 on a CPU,
                on CUDA as many as free memory holds, up to 65,536.
            advance: called after each micro-batch with the number of pairs scored, those of other processes included.
        """
        scores = np.zeros(len(query_rows), np.float32)
        precision = self.precision(precision).name
        token_budget = token_budget or scoring_tokens(self.model, precision, self.packed, self.max_length)
        was_training = self.model.training
        self.model.eval()
        rounds = self.rounds(pairs.lengths(query_rows, passage_rows), token_budget)
        batches = ahead(lambda part: self.read(pairs, query_rows[part[0]], passage_rows[part[0]]), rounds, self.device)
        found = []
        try:
            with torch.inference_mode(), autocast(self.device, precision):
                for (index, _), batch in zip(rounds, batches, strict=True):
                    found.append(self.forward(batch))  # left on the device: asking for it would be waiting
                    if advance:
                        advance(len(index) * self.processes.count)
            if rounds:
                places = np.concatenate([index for index, _ in rounds])
                together = torch.cat(found).float().cpu().numpy()
                real = np.repeat([not idle for _, idle in rounds], [len(index) for index, _ in rounds])
                scores[places[real]] = together[real]
        finally:
            self.model.train(was_training)
        self.processes.add_up([torch.from_numpy(scores)])
        return scores

    def rounds(self, lengths: NDArray[np.int64], token_budget: int) -> list[tuple[NDArray[np.intp], bool]]:
        """This process's micro-batches of pairs with these lengths, and whether each is idle work.

        All processes get equally many, because a model divided among them computes on all at once; one that has fewer
        computes a pair again, for nothing. Each knows of all shares without asking, so that this may run in a thread.
        """

        def cut(share: NDArray[np.intp]) -> list[NDArray[np.intp]]:
            if self.packed:
                return filled_batches(lengths[share], token_budget)
            return micro_batches(lengths[share], token_budget, self.pads)

        dealt = shares(lengths, self.processes.count)
        parts = [cut(share) for share in dealt]
        own, rank = dealt[self.processes.rank], self.processes.rank
        idle = max(map(len, parts)) - len(parts[rank])
        return [(own[part], False) for part in parts[rank]] + [(np.zeros(1, np.intp), True)] * idle

    def rank(self, query: str, passages: Sequence[str], top_k: int | None = None) -> list[tuple[int, float]]:
        """(index, score) of passages, best first; of equal scores the earlier passage first."""
        scores = self.score([(query, passage) for passage in passages])
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [(int(i), float(scores[i])) for i in order]

    def as_pyterrier_transformer(self, text_field: str = "text", precision: str = "fp32") -> Any:
        """This model as a step of PyTerrier pipelines: `bm25 % 100 >> encoder.as_pyterrier_transformer()`.

        Args:
            text_field: the column with the passages.

        Raises:
            MissingError: PyTerrier (the extra `pyterrier`) is not installed.
        """
        from limbeck.models.pyterrier import pyterrier_transformer

        return pyterrier_transformer(self, text_field, precision)

    def save(self, path: str | os.PathLike[str], weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """Write a plain transformers checkpoint that scores the same in sentence-transformers' CrossEncoder.

        Of a calibrated model, its logit is the log-odds, and sentence-transformers puts it through a sigmoid.

        sentence-transformers cuts the longer of query and passage, one token at a time; so where a pair does not fit,
        scores agree as long as the query takes at most half of the room (and is not itself cut at `query_tokens`).

        The folder is written aside and renamed; an older model of that name is replaced only then. UsageError if
        something else than a model is there. With `weights`, a whole state of the model, those are written.
        """
        lengths = {"query_tokens": self.query_tokens, "passage_tokens": self.passage_tokens}
        own: dict[str, Any] = {name: value for name, value in lengths.items() if value is not None}
        if self.calibration:
            own["calibration"] = dict(self.calibration)
        if self.exits:
            weights = without_exits(weights or self.model.state_dict())
        write_checkpoint(self.model, self.tokenizer, self.max_length, own, Path(path), weights, self.wording)

    def exit(self, depth: int, weights: Mapping[str, torch.Tensor] | None = None) -> "CrossEncoder":
        """An exit as a cross-encoder of its own, of so many layers, for saving: it scores as that exit does.

        With `weights`, a whole state of the model, it has those. UsageError for a depth that is none of `exits`.
        """
        if depth not in self.exits:
            known = ", ".join(map(str, self.exits)) or "none"
            raise UsageError(f"{self.source.name}: has no exit behind layer {depth}; it has {known}")
        model = exit_model(self.model, depth, weights or self.model.state_dict(), self.source)
        return replace(self, model=model, calibration=None)


def _raw(scores: torch.Tensor) -> torch.Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def probabilities(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The sigmoid of raw scores, in float64, so that high ones do not tie."""
    found: NDArray[np.float64] = expit(scores.astype(np.float64))
    return found


def _last_layer(model: Any) -> torch.nn.Linear | None:
    """The linear layer behind the backbone that gives the one score."""
    head = (part for child in model.children() if child is not model.base_model for part in child.modules())
    found = [part for part in head if isinstance(part, torch.nn.Linear) and part.out_features == 1]
    return found[-1] if found else None
