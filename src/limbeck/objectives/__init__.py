"""Training objectives: pure functions from (scores, targets, mask) to a loss. No model, no tokeniser, no I/O.

>>> import torch
>>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
>>> loss = parse("InfoNCE(temperature=0.5)")(scores, labels, torch.ones(1, 3, dtype=torch.bool))
>>> round(loss.item(), 4)
0.0509

An objective is a class of `pointwise`, `pairwise`, `listwise` or `ndcg` that its module lists in `__all__`; each is
imported from here by name.
"""

from limbeck.objectives.grammar import Sum, classes, names, parse
from limbeck.objectives.listwise import *
from limbeck.objectives.ndcg import *
from limbeck.objectives.objective import SIGNALS, Objective, Single, Targets
from limbeck.objectives.pairwise import *
from limbeck.objectives.pointwise import *

__all__ = ["SIGNALS", "Objective", "Single", "Sum", "Targets", "classes", "names", "parse"]
__all__ += [cls.__name__ for cls in classes().values()]
