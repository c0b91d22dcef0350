"""What a cell computes: pairs, tokens and floating-point operations, counted without data and without weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from limbeck.collections.load import WITHOUT, other_collection, split_folds, without_suffixes
from limbeck.models.cost import CPU_GRAPH_TOKENS, CPU_TRAINING_TOKENS, graph_bytes, training_flops
from limbeck.study.config.resolver import Sources, TextTokens, text_tokens
from limbeck.study.config.schema import Exit, Stage, longest_pair
from limbeck.study.config.study import Study
from limbeck.study.plan.architecture import architecture_of, encoder_architecture
from limbeck.study.plan.plan import stated_steps
from limbeck.study.plan.training_conditions import pairs_trained_on

TOKENS_PER_WORD = 1.5
"""1.45 in MS MARCO, 1.57 in SciFact."""
LOOKED_AT = 1000
"""Texts whose words are counted."""
ENCODED = 512
SINGLE = 2
"""Special tokens of a text by itself."""


@dataclass(frozen=True)
class CostEstimate:
    """An amount of pairs to train on or to score, or of texts to encode.

    Attributes:
        pairs: None where the number of lists, queries or documents is not known before they are there.
        tokens: special ones included.
        flops: as `training_flops` counts them, a third of it for scoring; None for an unknown model.
        exact: whether so many pairs are to be expected; else they are the most that it can be.
        measured: whether lengths were measured.
        bounded: whether lengths are not even estimated: tokens are the most that they can be.
    """

    pairs: int | None
    tokens: int | None
    flops: float | None
    exact: bool = True
    measured: bool = True
    bounded: bool = False

    def __add__(self, other: "CostEstimate") -> "CostEstimate":
        return CostEstimate(
            pairs=_sum(self.pairs, other.pairs),
            tokens=_sum(self.tokens, other.tokens),
            flops=_sum(self.flops, other.flops),
            exact=self.exact and other.exact,
            measured=self.measured and other.measured,
            bounded=self.bounded or other.bounded,
        )


NONE = CostEstimate(0, 0, 0.0)
UNKNOWN = CostEstimate(None, None, None, exact=False, measured=False, bounded=True)


class CostModel:
    """The work of a study's cells. The arithmetic of a model is that of its shape; its weights are not needed."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._models: dict[str, Any] = {}
        self._lengths: dict[str, TextTokens] = {}
        self.flops_of_pair = cache(self._flops_of_pair)

    def training(self, backbone: str, recipe: str) -> CostEstimate:
        """All optimiser steps of a recipe."""
        return sum((self.stage(backbone, stage) for stage in self.study.config.recipes[recipe]), NONE)

    def stage(self, backbone: str, stage: Stage) -> CostEstimate:
        """All optimiser steps of one stage. An exit is trained with the backbone that it is of."""
        if isinstance(self.study.config.backbones[backbone], Exit):
            return NONE
        pairs, exact = pairs_trained_on(self.study, backbone, stage)
        return self._work(backbone, self.study.sources.listed(stage.lists), pairs, exact, 1.0)

    def validation(self, backbone: str, recipe: str) -> CostEstimate:
        """All validations of a cell: every so many steps, and at the end of each stage."""
        validation = self.study.config.validation
        if validation is None or isinstance(self.study.config.backbones[backbone], Exit):
            return NONE
        steps, others = 0, 0
        for stage in self.study.config.recipes[recipe]:  # none of what is not trained
            length = stated_steps(self.study, backbone, stage)
            if length is None:
                return UNKNOWN
            steps += length
            others += steps % validation.every != 0
        times = steps // validation.every + others
        total = NONE
        for name in validation.collections:
            queries = self.queries(name)
            pairs = None if queries is None else queries * validation.depth * times
            total += self._work(backbone, [name], pairs, True, 1 / 3)
        return total

    def evaluation(self, backbone: str) -> CostEstimate:
        """Re-ranking of all test collections, if every query has as many candidates as the depth allows."""
        once = sum((self.evaluation_of(backbone, name) for name in self.study.config.collections.test), NONE)
        return sum([once] * len(self.study.config.evaluation.first_stages), NONE)

    def evaluation_of(self, backbone: str, collection: str) -> CostEstimate:
        """Re-ranking of one test collection."""
        queries, depth = self.queries(collection), self.study.config.evaluation.depth
        return self._work(backbone, [collection], None if queries is None else queries * depth, True, 1 / 3)

    def first_stages(self) -> CostEstimate:
        """Encoding the documents of all collections for first stages that need it, each once."""
        config, sources = self.study.config, self.study.sources
        uses: list[tuple[str, Sequence[str]]]
        uses = [(name, config.collections.test) for name in config.evaluation.first_stages]
        if config.validation:
            uses.append((config.validation.first_stage or config.evaluation.first_stage, config.validation.collections))
        uses += [(each.first_stage, sources.listed(name)) for name, each in config.lists.items() if each.first_stage]
        encoded = {
            (part, documents_of(sources, name)): name
            for stage, names in uses
            for part in sources.fused(stage)
            if sources.first_stage(part).encoder
            for name in names
        }
        return sum((self.encoding(stage, name) for (stage, _), name in encoded.items()), NONE)

    def encoding(self, stage: str, collection: str) -> CostEstimate:
        """Encoding one collection's documents for a first stage."""
        parameters = self.study.sources.first_stage(stage).encoder
        count = self._documents(collection)
        if parameters is None or count is None:
            return UNKNOWN
        lengths = self.lengths(collection)
        longest = parameters.max_length or ENCODED
        tokens = longest if lengths is None else round(min(lengths.passage + SINGLE, longest))
        model = self._encoder(parameters.model)
        flops = None if model is None else training_flops(model, [tokens]) / 3
        if flops is not None and self.study.sources.first_stage(stage).splade:
            hidden = model.config.hidden_size
            flops += 2 * tokens * hidden * (hidden + model.config.vocab_size)  # the head over the vocabulary
        total = None if flops is None else count * flops
        measured = lengths is not None and lengths.measured
        return CostEstimate(
            pairs=count, tokens=count * tokens, flops=total, exact=True, measured=measured, bounded=lengths is None
        )

    def _documents(self, name: str) -> int | None:
        if self.study.sources.is_local(name):
            return len(self.study.sources.collection(name).documents)
        import ir_datasets

        try:
            count = ir_datasets.load(without_suffixes(name)).docs_metadata().get("count")
        except (KeyError, AttributeError):  # a folder that is not here yet
            return None
        return None if count is None else int(count)

    def _encoder(self, name: str) -> Any:
        """An encoder of first stages without its weights; None for one that is neither here nor known."""
        if name not in self._models:
            found = encoder_architecture(name, self.study.sources)
            self._models[name] = found and found.model()
        return self._models[name]

    def lengths(self, name: str) -> TextTokens | None:
        """Mean lengths of a collection's texts: as published, or estimated from the words of one that is here."""
        if not self.study.sources.is_local(name):
            return text_tokens(name)
        if name not in self._lengths:
            collection = self.study.sources.collection(name)
            queries = [collection.queries[each] for each in collection.query_ids[:LOOKED_AT]]
            passages = list(islice(collection.documents.values(), LOOKED_AT))
            query, passage = (_mean_words(texts) * TOKENS_PER_WORD for texts in (queries, passages))
            self._lengths[name] = TextTokens(query, passage, measured=False)
        return self._lengths[name]

    def queries(self, name: str) -> int | None:
        """Queries of a collection: counted where it is on this machine, else as ir_datasets publishes it."""
        if self.study.sources.is_local(name):
            return len(self.study.sources.collection(name).query_ids)
        import ir_datasets

        folds, other = split_folds(name)[1], other_collection(name)
        base = without_suffixes(name)
        if split_folds(name)[0] != (f"{base}{WITHOUT}{other}" if other else base):
            return None
        try:
            counts = [ir_datasets.load(each).queries_metadata().get("count") for each in filter(None, (base, other))]
        except KeyError:  # a folder that is not here yet
            return None
        if None in counts:
            return None
        count = counts[0] - sum(counts[1:])
        return round(count * len(folds.chosen) / folds.count) if folds else int(count)

    def model(self, backbone: str) -> Any:
        """A backbone's model without weights; None for one that limbeck does not know."""
        if backbone not in self._models:
            stated = self.study.config.backbones[backbone]
            found = architecture_of(stated, self.study.sources)
            self._models[backbone] = found and found.model(stated.layers)
        return self._models[backbone]

    def weights(self, backbone: str) -> int | None:
        """A backbone's weights outside of its embeddings; None for an unknown model."""
        model = self.model(backbone)
        if model is None:
            return None
        return int(sum(part.numel() for name, part in model.named_parameters() if "embeddings" not in name))

    def memory(self, backbone: str) -> int | None:
        """Bytes on the device in training; None for an unknown model. An estimate, within a factor of about 1.5.

        16 for each weight (weights, gradients and AdamW's two moments in 32 bits), and `graph_bytes` for all tokens
        whose graphs are alive at once, without the attention matrices, which fused attention does not keep. Where the
        study leaves the number of tokens to free memory, those of a CPU are counted: so much will do.
        """
        model = self.model(backbone)
        if model is None:
            return None
        optimizer = self.study.config.optimizer
        tokens = max(
            optimizer.token_budget or CPU_TRAINING_TOKENS, optimizer.max_tokens_without_grad_cache or CPU_GRAPH_TOKENS
        )
        weights = sum(part.numel() for part in model.parameters())
        return int(16 * weights) + tokens * graph_bytes(model.config, optimizer.precision)

    def _work(
        self, backbone: str, collections: list[str], pairs: int | None, exact: bool, share: float
    ) -> CostEstimate:
        if pairs is None:
            return UNKNOWN
        longest = longest_pair(self.study.config.backbones[backbone])
        reads = self.study.config.backbones[backbone]
        known = [self.lengths(name) for name in collections]
        length = max(
            longest if each is None else each.of_pair(reads.query_tokens, reads.passage_tokens, longest)
            for each in known
        )
        flops = self.flops_of_pair(backbone, length)
        total = None if flops is None else pairs * flops * share
        measured = all(each is not None and each.measured for each in known)
        return CostEstimate(
            pairs=pairs, tokens=pairs * length, flops=total, exact=exact, measured=measured, bounded=None in known
        )

    def _flops_of_pair(self, backbone: str, tokens: int) -> float | None:
        model = self.model(backbone)
        return None if model is None else training_flops(model, [tokens])


def documents_of(sources: Sources, name: str) -> str:
    """What stands for a collection's documents, which its splits share."""
    if sources.is_local(name):
        return sources.collection(name).documents_fingerprint
    import ir_datasets

    try:
        return str(ir_datasets.docs_parent_id(without_suffixes(name)))
    except KeyError:
        return name


def _mean_words(texts: Sequence[str]) -> float:
    return sum(len(text.split()) for text in texts) / max(1, len(texts))


def _sum(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a + b
