"""What a cell computes: pairs, tokens and floating-point operations, counted without data and without weights."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from limbeck.collections.folds import split_folds
from limbeck.collections.load import without_suffixes
from limbeck.models.flops import training_flops
from limbeck.study.config.schema import Stage
from limbeck.study.config.study import Study
from limbeck.study.plan.architecture import architecture_of
from limbeck.study.plan.downloads import pair_tokens
from limbeck.study.plan.plan import stated_steps
from limbeck.study.plan.training_conditions import pairs_trained_on


@dataclass(frozen=True)
class CostEstimate:
    """An amount of pairs to train on, or to score.

    Attributes:
        pairs: None where the number of lists or queries is not known before they are there.
        tokens: special ones included; where a collection's lengths were not measured, as many as the model reads.
        flops: as `training_flops` counts them, a third of it for scoring; None for an unknown model.
        exact: whether so many pairs are to be expected; else they are the most that it can be.
        measured: whether lengths were measured; else tokens are the most that they can be.
    """

    pairs: int | None
    tokens: int | None
    flops: float | None
    exact: bool = True
    measured: bool = True

    def __add__(self, other: "CostEstimate") -> "CostEstimate":
        return CostEstimate(
            _sum(self.pairs, other.pairs),
            _sum(self.tokens, other.tokens),
            _sum(self.flops, other.flops),
            self.exact and other.exact,
            self.measured and other.measured,
        )


NONE = CostEstimate(0, 0, 0.0)
UNKNOWN = CostEstimate(None, None, None, exact=False, measured=False)


class CostModel:
    """The work of a study's cells. The arithmetic of a model is that of its shape; its weights are not needed."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._models: dict[str, Any] = {}
        self.flops_of_pair = cache(self._flops_of_pair)

    def training(self, backbone: str, recipe: str) -> CostEstimate:
        """All optimiser steps of a recipe."""
        return sum((self.stage(backbone, stage) for stage in self.study.config.recipes[recipe]), NONE)

    def stage(self, backbone: str, stage: Stage) -> CostEstimate:
        """All optimiser steps of one stage."""
        pairs, exact = pairs_trained_on(self.study, backbone, stage)
        return self._work(backbone, self.study.sources.listed(stage.lists), pairs, exact, 1.0)

    def validation(self, backbone: str, recipe: str) -> CostEstimate:
        """All validations of a cell: every so many steps, and at the end of each stage."""
        validation = self.study.config.validation
        if validation is None:
            return NONE
        steps, others = 0, 0
        for stage in self.study.config.recipes[recipe]:
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
        return sum((self.evaluation_of(backbone, name) for name in self.study.config.collections.test), NONE)

    def evaluation_of(self, backbone: str, collection: str) -> CostEstimate:
        """Re-ranking of one test collection."""
        queries, depth = self.queries(collection), self.study.config.evaluation.depth
        return self._work(backbone, [collection], None if queries is None else queries * depth, True, 1 / 3)

    def queries(self, name: str) -> int | None:
        """Queries of a collection: counted where it is on this machine, else as ir_datasets publishes it."""
        if self.study.sources.is_local(name):
            return len(self.study.sources.collection(name).query_ids)
        import ir_datasets

        whole, folds = split_folds(name)
        if whole != without_suffixes(name):
            return None
        try:
            count = ir_datasets.load(whole).queries_metadata().get("count")
        except KeyError:  # a folder that is not here yet
            return None
        if count is None:
            return None
        return round(count * len(folds.chosen) / folds.count) if folds else int(count)

    def model(self, backbone: str) -> Any:
        """A backbone's model without weights; None for one that limbeck does not know."""
        if backbone not in self._models:
            stated = self.study.config.backbones[backbone]
            found = architecture_of(stated, self.study.sources)
            self._models[backbone] = found and found.model(stated.layers)
        return self._models[backbone]

    def _work(
        self, backbone: str, collections: list[str], pairs: int | None, exact: bool, share: float
    ) -> CostEstimate:
        if pairs is None:
            return UNKNOWN
        longest = self.study.config.backbones[backbone].max_length
        measured = [pair_tokens(name) for name in collections]
        length = max(min(tokens or longest, longest) for tokens in measured)
        flops = self.flops_of_pair(backbone, length)
        total = None if flops is None else pairs * flops * share
        return CostEstimate(pairs, pairs * length, total, exact, None not in measured)

    def _flops_of_pair(self, backbone: str, tokens: int) -> float | None:
        model = self.model(backbone)
        return None if model is None else training_flops(model, [tokens])


def _sum(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a + b
