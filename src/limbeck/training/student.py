"""The student: an encoder in training, its optimiser, and the best weights so far."""

from collections.abc import Mapping

import torch

from limbeck.encoder import CrossEncoder, part_like, whole
from limbeck.training.plan import TrainingPlan


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
        return whole(norm)

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
        model.load_state_dict({name: part_like(own, weights[name]) for name, own in model.state_dict().items()})
        self.best = groups.get("best", {})
        for path, value in groups.get("optimizer", {}).items():
            key, _, name = path.partition("/")
            self.optimizer.state[self.weights[name]][key] = part_like(self.weights[name], value)

    def _gathered(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        gathered = {}
        for name, tensor in tensors.items():
            complete = whole(tensor.detach())
            if self.encoder.processes.is_first:
                gathered[name] = complete.cpu() if self.encoder.sharded else complete
        return gathered
