from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.objectives import names, parse

EVERY = [
    *names(),
    "Hinge(margin=0.2)",
    "InfoNCE(temperature=0.5)",
    "KL(temperature=2.0)",
    "ADR-MSE(temperature=0.1)",
    "LambdaRank(signal=teacher_order)",
    "NDCGLoss2pp(signal=teacher_order,mu=2)",
    "RankNet + 0.1*InfoNCE + 2*MarginMSE",
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "text" in metafunc.fixturenames:
        metafunc.parametrize("text", EVERY)


@pytest.fixture
def objective(text: str):
    return parse(text)


@pytest.fixture
def batch() -> Callable[..., tuple[Tensor, dict[str, Tensor], Tensor]]:
    """Ragged lists with graded labels, tied orders and teacher scores: (scores, targets by signal, mask)."""

    def make(lists: int = 4, passages: int = 7, seed: int = 0, dtype: torch.dtype = torch.float64):
        random = torch.Generator().manual_seed(seed)
        scores = torch.randn(lists, passages, generator=random, dtype=torch.float64).to(dtype)
        labels = torch.randint(0, 4, (lists, passages), generator=random)
        labels[:, 0], labels[:, 1] = 0, 1
        order = torch.randint(1, 6, (lists, passages), generator=random)
        order[:, 0], order[:, 1] = 1, 5
        teacher = 3 * torch.randn(lists, passages, generator=random, dtype=torch.float64)
        lengths = torch.randint(2, passages + 1, (lists, 1), generator=random)
        lengths[0] = passages
        mask = torch.arange(passages) < lengths
        return scores, {"labels": labels, "teacher_order": order, "teacher_scores": teacher}, mask

    return make
