"""Where a training stands: its weights and optimiser, its learning rate, and plain values beside them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from limbeck.core.devices import Processes
from limbeck.core.errors import DataError
from limbeck.core.json_files import Schema, fault_of
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.training.plan import TrainingPlan
from limbeck.training.step import StepResult
from limbeck.training.stopping import DivergenceMonitor


@dataclass
class State:
    """What a checkpoint holds beside tensors.

    Attributes:
        step: optimiser steps done.
        best_values: each validation set's best value so far.
        processes: how many trained together last.
        token_budget, graph_tokens: tokens of a micro-batch, and tokens whose graphs are kept at once, before any is
            halved because memory ran out; 0 before they are chosen.
        compiled: whether the layers are; None before that is chosen.
        stages: pairs, tokens and computed_tokens of each stage.
    """

    step: int = 0
    validation_due: bool = False
    best_step: int = 0
    best_value: float | None = None
    best_values: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    single_pass_steps: int = 0
    cut_pairs: int = 0
    processes: int = 1
    token_budget: int = 0
    graph_tokens: int = 0
    compiled: bool | None = None
    watch: DivergenceMonitor = field(default_factory=DivergenceMonitor)
    stages: list[dict[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, values: Mapping[str, Any], stages: int, folder: Path) -> "State":
        """The state that a checkpoint of a training's folder holds, for so many stages.

        Raises:
            DataError: it holds other values than this version of limbeck writes.
        """
        fault = fault_of(values, _SCHEMA)
        if fault or set(values) != {value.name for value in fields(cls)}:
            reason = f" ({fault})" if fault else ""
            raise DataError(
                f"{folder}: a checkpoint of another version of limbeck{reason}; remove the folder to train anew"
            )
        state = cls(**{**values, "watch": DivergenceMonitor(**values["watch"])})
        state.stages = (state.stages + cls.started(stages).stages)[:stages]
        return state

    @classmethod
    def started(cls, stages: int) -> "State":
        """The state before the first step."""
        return cls(stages=[{"pairs": 0, "tokens": 0, "computed_tokens": 0} for _ in range(stages)])

    def count(self, stage: int, work: StepResult, cut_pairs: int) -> None:
        """Add one step's work."""
        self.step += 1
        totals = self.stages[stage]
        totals["pairs"] += work.pairs
        totals["tokens"] += work.tokens
        totals["computed_tokens"] += work.computed_tokens
        self.single_pass_steps += work.single_pass
        self.cut_pairs += cut_pairs

    def judge(self, values: Mapping[str, float], best_so_far: bool) -> tuple[float, bool]:
        """The mean over validation sets, or over the best of each so far; and whether no step before had a higher one.

        If so, it is the best from now on.
        """
        self.best_values |= {name: max(value, self.best_values.get(name, value)) for name, value in values.items()}
        judged = self.best_values if best_so_far else values
        value = sum(judged.values()) / len(judged)
        best = self.best_value is None or value > self.best_value
        if best:
            self.best_step, self.best_value = self.step, value
        return value, best

    def plain(self) -> dict[str, Any]:
        """The values as JSON knows them."""
        return asdict(self)


_SCHEMA: Schema = {
    "step": int,
    "validation_due": bool,
    "best_step": int,
    "best_value": (float, None),
    "best_values": {...: float},
    "seconds": float,
    "single_pass_steps": int,
    "cut_pairs": int,
    "processes": int,
    "token_budget": int,
    "graph_tokens": int,
    "compiled": (bool, None),
    "watch": {"collapsed_steps": int, "stuck_steps": int, "loss": (float, None), "equal_loss": (float, None)},
    "stages": [{"pairs": int, "tokens": int, "computed_tokens": int}],
}


def load_student(plan: TrainingPlan, processes: Processes, sharded: bool) -> CrossEncoder:
    """The backbone of a plan with a new head, as it is before the first step."""
    backbone = plan.backbone
    return CrossEncoder.load(
        backbone.model,
        layers=backbone.layers,
        exits=backbone.exits,
        max_length=backbone.pair_tokens,
        query_tokens=backbone.query_tokens,
        passage_tokens=backbone.passage_tokens,
        seed=plan.seed,
        dropout=backbone.dropout,
        sha256=backbone.sha256,
        single_separator=backbone.single_separator,
        processes=processes,
        sharded=sharded,
        new_head=True,
        words_of=plan.collection if backbone.match_words else None,
    )


class Student:
    """What a training changes. All processes call its methods together; the tensors it gives are whole."""

    def __init__(self, plan: TrainingPlan, encoder: CrossEncoder) -> None:
        self.encoder, self.weight_decay = encoder, plan.settings.weight_decay
        self.weights = dict(encoder.model.named_parameters())
        self.best: Mapping[str, torch.Tensor] = {}
        self.begin_stage()

    def begin_stage(self) -> None:
        """A fresh optimiser: AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
        self.optimizer = torch.optim.AdamW(
            self.weights.values(), lr=0.0, weight_decay=self.weight_decay, eps=1e-8, fused=True
        )

    def update(self, rate: float, clip: float) -> torch.Tensor:
        """Take an optimiser step with the gradients at hand; the gradient norm before clipping, a scalar."""
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), clip or float("inf"))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return self._whole(norm)

    def keep_as_best(self) -> None:
        """Remember the weights of now as the best ones."""
        self.best = {name: tensor.clone() for name, tensor in self._gathered(self.encoder.model.state_dict()).items()}

    def result(self) -> Mapping[str, torch.Tensor]:
        """The best weights, or those of now where none were kept; empty but for the first process."""
        last = self._gathered(self.encoder.model.state_dict())  # all processes, also those that have no best
        return self.best or last

    def tensors(self) -> dict[str, Mapping[str, torch.Tensor]]:
        """All that a checkpoint must hold, by group; empty groups left out, all of them but for the first process."""
        moments = {
            f"{key}/{name}": value
            for name, weight in self.weights.items()
            for key, value in self.optimizer.state.get(weight, {}).items()
        }
        groups = {
            "weights": self._gathered(self.encoder.model.state_dict()),
            "optimizer": self._gathered(moments),
            "best": self.best,
        }
        return {group: tensors for group, tensors in groups.items() if tensors}

    def restore(self, groups: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        """Go back to what `tensors` gave."""
        model, weights = self.encoder.model, groups["weights"]
        model.load_state_dict({name: self._part(own, weights[name]) for name, own in model.state_dict().items()})
        self.best = groups.get("best", {})
        for path, value in groups.get("optimizer", {}).items():
            key, _, name = path.partition("/")
            self.optimizer.state[self.weights[name]][key] = self._part(self.weights[name], value)

    def _gathered(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        gathered = {}
        for name, tensor in tensors.items():
            complete = self._whole(tensor.detach())
            if self.encoder.processes.is_first:
                gathered[name] = complete.cpu() if self.encoder.sharded else complete
        return gathered

    def _whole(self, tensor: torch.Tensor) -> torch.Tensor:
        """All of a tensor of which this process may hold a part; all processes ask together."""
        if not self.encoder.sharded:
            return tensor
        from torch.distributed.tensor import DTensor  # which nobody else needs

        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def _part(self, weight: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
        """What this process holds of a whole tensor, divided as `weight` is."""
        if not self.encoder.sharded:
            return tensor
        from torch.distributed.tensor import DTensor, distribute_tensor

        if not isinstance(weight, DTensor) or tensor.shape != weight.shape:
            return tensor
        return distribute_tensor(tensor.to(weight.device), weight.device_mesh, weight.placements)


def learning_rate(peak: float, step: int, steps: int, warmup: float, schedule: str = "linear") -> float:
    """Linear warm-up to `peak`, then linear decay to zero behind the last step, or `peak` for good.

    Args:
        step: from 0.
        warmup: share of `steps` when below 1, else a number of steps.
        schedule: "linear" or "constant": how the rate goes on behind the warm-up.
    """
    rising = warmup_steps(steps, warmup)
    if step < rising:
        return peak * (step + 1) / rising
    return peak if schedule == "constant" else peak * (steps - step) / max(1, steps - rising)


def warmup_steps(steps: int, warmup: float) -> int:
    """For how many of the steps the rate rises."""
    return min(steps, round(warmup * steps) if warmup < 1 else int(warmup))
