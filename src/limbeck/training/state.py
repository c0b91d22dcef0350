"""Where a training stands, as plain values beside its tensors."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from limbeck.errors import DataError
from limbeck.training.step import Work
from limbeck.training.watch import Watch


@dataclass
class State:
    """What a checkpoint holds beside tensors.

    Attributes:
        step: optimiser steps done.
        best_values: each validation set's best value so far.
        processes: how many trained together last.
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
    watch: Watch = field(default_factory=Watch)
    stages: list[dict[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, values: Mapping[str, Any], stages: int, folder: Path) -> "State":
        """The state that a checkpoint of a training's folder holds, for so many stages.

        Raises:
            DataError: it holds other values than this version of limbeck writes.
        """
        if set(values) != {value.name for value in fields(cls)}:
            raise DataError(f"{folder}: a checkpoint of another version of limbeck; remove the folder to train anew")
        state = cls(**{**values, "watch": Watch(**values["watch"])})
        state.stages = (state.stages + cls.started(stages).stages)[:stages]
        return state

    @classmethod
    def started(cls, stages: int) -> "State":
        """The state before the first step."""
        return cls(stages=[{"pairs": 0, "tokens": 0, "computed_tokens": 0} for _ in range(stages)])

    def count(self, stage: int, work: Work, cut_pairs: int) -> None:
        """Add one step's work."""
        self.step += 1
        totals = self.stages[stage]
        totals["pairs"] += work.pairs
        totals["tokens"] += work.tokens
        totals["computed_tokens"] += work.computed_tokens
        self.single_pass_steps += work.single_pass
        self.cut_pairs += cut_pairs

    def plain(self) -> dict[str, Any]:
        """The values as JSON knows them."""
        return asdict(self)
