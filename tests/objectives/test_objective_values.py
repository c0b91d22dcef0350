"""Values: against figures from two independent implementations, and against loops that spell the formulas out."""

import json
import math
from pathlib import Path

import pytest
import torch

from limbeck.objectives import parse

CASES = json.loads((Path(__file__).parent / "golden.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['objective']}, {case['case']}")
def test_values_agree_with_two_independent_implementations(case):
    scores, targets = (torch.tensor(case[key], dtype=torch.float64) for key in ("scores", "targets"))
    loss = parse(case["objective"])(scores, targets, torch.tensor(case["mask"]))
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)


def lists_of(scores, targets, mask):
    """Each list as plain Python numbers: [(scores, targets)]."""
    return [(s[m].tolist(), t[m].double().tolist()) for s, t, m in zip(scores, targets, mask.bool(), strict=True)]


def softplus(x):
    return math.log1p(math.exp(x))


def margin_mse(s, t):
    pairs = [(i, j) for i in range(len(s)) for j in range(i)]
    return sum(((s[i] - s[j]) - (t[i] - t[j])) ** 2 for i, j in pairs) / len(pairs)


def list_mle(s, t):
    total = 0.0
    for i in range(len(s)):
        rivals = [s[j] for j in range(len(s)) if j == i or t[j] < t[i]]
        total -= s[i] - math.log(sum(map(math.exp, rivals)))
    return total / len(s)


def info_nce(s, y):
    return -math.log(sum(math.exp(a) for a, b in zip(s, y, strict=True) if b > 0) / sum(map(math.exp, s)))


def bce(s, y):
    return sum(softplus(a) - min(b, 1) * a for a, b in zip(s, y, strict=True)) / len(s)


def approx_ndcg(s, y):
    dcg = 0.0
    for i in range(len(s)):
        rank = 1 + sum(1 / (1 + math.exp(s[i] - s[j])) for j in range(len(s)) if j != i)
        dcg += (2 ** y[i] - 1) / math.log2(1 + rank)
    ideal = sum((2**grade - 1) / math.log2(2 + k) for k, grade in enumerate(sorted(y, reverse=True)))
    return 1 - dcg / ideal


def lambda_loss(s, y, mu):
    order = sorted(range(len(s)), key=lambda i: -s[i])
    rank = {i: k + 1 for k, i in enumerate(order)}
    ideal = sum((2**grade - 1) / math.log2(2 + k) for k, grade in enumerate(sorted(y, reverse=True)))
    terms = []
    for i in range(len(s)):
        for j in range(len(s)):
            if y[i] > y[j]:
                gain = (2 ** y[i] - 2 ** y[j]) / ideal
                rho = abs(1 / math.log2(1 + rank[i]) - 1 / math.log2(1 + rank[j]))
                apart = abs(rank[i] - rank[j])
                delta = 1 / math.log2(1 + apart) - 1 / math.log2(2 + apart)
                terms.append(gain * (rho + mu * delta) * softplus(s[j] - s[i]))
    return sum(terms) / len(terms)


def reciprocal_ranks(t):
    """1 / (average rank) of an order."""
    return [1 / (1 + sum(o > v for o in t) + (t.count(v) - 1) / 2) for v in t]


NAIVE = {
    "BCE": bce,
    "MarginMSE": margin_mse,
    "ListMLE": list_mle,
    "InfoNCE": info_nce,
    "ApproxNDCG": approx_ndcg,
    "LambdaRank": lambda s, y: lambda_loss(s, y, mu=0),
    "NDCGLoss2pp": lambda s, y: lambda_loss(s, y, mu=10),
    "NDCGLoss2pp(mu=3)": lambda s, y: lambda_loss(s, y, mu=3),
    "NDCGLoss2pp(mu=0)": lambda s, y: lambda_loss(s, y, mu=0),
    "LambdaRank(signal=teacher_order)": lambda s, t: lambda_loss(s, reciprocal_ranks(t), mu=0),
    "NDCGLoss2pp(signal=teacher_order)": lambda s, t: lambda_loss(s, reciprocal_ranks(t), mu=10),
}


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("seed", range(5))
def test_vectorised_objectives_equal_a_loop_over_lists_and_passages(name, seed, batch):
    objective = parse(name)
    scores, targets, mask = batch(seed=seed)
    naive = [NAIVE[name](s, t) for s, t in lists_of(scores, targets[objective.signal], mask)]
    assert objective(scores, targets, mask).item() == pytest.approx(sum(naive) / len(naive), rel=1e-10)


def test_list_mle_without_ties_is_the_plackett_luce_likelihood():
    scores, order = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64), torch.tensor([[2, 3, 1]])
    e = scores[0].exp()
    likelihood = e[1] / e.sum() * e[0] / (e[0] + e[2])
    loss = parse("ListMLE")(scores, order, torch.ones(1, 3))
    torch.testing.assert_close(loss, -likelihood.log() / 3)


def test_margin_mse_memory_grows_with_passages_not_pairs():
    """50,000 passages: a pair matrix would take 10 GB."""
    scores = torch.randn(1, 50_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = parse("MarginMSE")(scores, torch.zeros_like(scores), torch.ones(1, 50_000))
    torch.testing.assert_close(loss, 2 * scores.var())


def test_info_nce_sums_the_probability_of_several_positives():
    """One positive found is enough: the loss is not the mean of the positives' losses."""
    loss = parse("InfoNCE")(torch.tensor([[9.0, -9.0, 0.0]]), torch.tensor([[1, 1, 0]]), torch.ones(1, 3))
    assert loss.item() < 1e-3


def test_a_sum_adds_weighted_parts_that_read_their_own_signals(batch):
    scores, targets, mask = batch()
    whole = parse("RankNet + 0.1*InfoNCE + 2*MSE")(scores, targets, mask)
    parts = [
        parse(name)(scores, targets[signal], mask)
        for name, signal in [("RankNet", "teacher_order"), ("InfoNCE", "labels"), ("MSE", "teacher_scores")]
    ]
    torch.testing.assert_close(whole, parts[0] + 0.1 * parts[1] + 2 * parts[2])


def test_kl_is_list_net_less_the_teachers_entropy_with_the_same_gradient(batch):
    scores, targets, mask = batch()
    scores.requires_grad_()
    kl, list_net = (parse(name)(scores, targets, mask) for name in ("KL", "ListNet"))
    assert parse("KL")(targets["teacher_scores"], targets, mask).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(loss, scores)[0] for loss in (kl, list_net)))
