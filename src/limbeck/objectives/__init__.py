"""Training objectives: pure functions from (scores, targets, mask) to a loss. No model, no tokeniser, no I/O.

>>> import torch
>>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
>>> loss = parse("InfoNCE(temperature=0.5)")(scores, labels, torch.ones(1, 3, dtype=torch.bool))
>>> round(loss.item(), 4)
0.0509

The classes themselves live in `pointwise`, `pairwise`, `listwise` and `ndcg`; all of them can be imported from here.
"""

from typing import Any

from limbeck.objectives.description import Description, descriptions
from limbeck.objectives.grammar import Sum, classes, names, parse
from limbeck.objectives.objective import SIGNALS, Objective, Single, Targets

__all__ = ["SIGNALS", "Description", "Objective", "Single", "Sum", "Targets", "descriptions", "names", "parse"]


def __getattr__(name: str) -> Any:
    for cls in classes().values():
        if cls.__name__ == name:
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
