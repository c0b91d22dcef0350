"""Promises that every objective keeps: `text` runs over all of them, with parameters and sums."""

import pytest
import torch

from limbeck.core.errors import UsageError
from limbeck.objectives import parse
from limbeck.objectives.grammar import classes

POINTWISE = ("BCE", "MSE")
TAKES_TIES = (*POINTWISE, "MarginMSE", "ListNet", "KL")


def loss_and_gradient(objective, scores, targets, mask):
    scores = scores.detach().clone().requires_grad_()
    loss = objective(scores, targets, mask)
    (gradient,) = torch.autograd.grad(loss, scores)
    return loss.detach(), gradient


def test_gradients_are_those_of_the_value(objective, batch):
    scores, targets, mask = batch()
    assert torch.autograd.gradcheck(lambda s: objective(s, targets, mask), scores.requires_grad_())


@pytest.mark.parametrize("filler", [0.0, 1e30, float("inf"), float("-inf"), float("nan")])
def test_padding_changes_neither_value_nor_gradient(objective, batch, filler):
    scores, targets, mask = batch()
    loss, gradient = loss_and_gradient(objective, scores, targets, mask)

    def padded(values):
        filled = torch.where(mask, values.double(), filler)
        return torch.cat([filled, torch.full((len(mask), 3), filler, dtype=torch.float64)], 1)

    longer = torch.cat([mask, torch.zeros(len(mask), 3, dtype=torch.bool)], 1)
    moved = {name: padded(values) for name, values in targets.items()}
    padded_loss, padded_gradient = loss_and_gradient(objective, padded(scores), moved, longer)
    torch.testing.assert_close(padded_loss, loss)
    torch.testing.assert_close(padded_gradient[:, :-3], gradient)
    assert (padded_gradient[~longer] == 0).all()


def test_the_loss_of_a_batch_is_the_mean_of_its_usable_lists(objective, batch):
    scores, targets, mask = batch()
    alone = [
        objective(scores[i : i + 1], {k: v[i : i + 1] for k, v in targets.items()}, mask[i : i + 1]) for i in range(4)
    ]
    torch.testing.assert_close(objective(scores, targets, mask), torch.stack(alone).mean())


@pytest.mark.parametrize("student_ties", [False, True])
def test_the_order_in_which_passages_are_stored_does_not_matter(objective, batch, student_ties):
    scores, targets, mask = batch(passages=9)
    if student_ties:
        scores = scores.round()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    loss, gradient = loss_and_gradient(objective, scores, targets, mask)
    moved = {name: values[:, order] for name, values in targets.items()}
    moved_loss, moved_gradient = loss_and_gradient(objective, scores[:, order], moved, mask[:, order])
    torch.testing.assert_close(moved_loss, loss)
    torch.testing.assert_close(moved_gradient, gradient[:, order])


def test_lists_without_a_usable_signal_give_zero_with_zero_gradient(text, objective):
    """One passage, no passage, and (but for objectives that read a tie) nothing but ties."""
    if text in POINTWISE:
        pytest.skip("a pointwise objective uses every passage")
    mask = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 1]]).bool()
    lists = slice(0, 2 if text.split("(")[0] in TAKES_TIES or "+" in text else 3)
    tied = torch.ones(3, 3)[lists]
    targets = {"labels": tied, "teacher_order": tied, "teacher_scores": tied}
    loss, gradient = loss_and_gradient(
        objective, torch.tensor([[0.3, -1.0, 2.0]]).expand(3, 3)[lists], targets, mask[lists]
    )
    assert loss.item() == 0
    assert (gradient == 0).all()


def test_an_unusable_list_neither_adds_to_the_mean_nor_poisons_it(text, objective, batch):
    if text in POINTWISE:
        pytest.skip("a pointwise objective uses every passage")
    scores, targets, mask = batch()
    loss, gradient = loss_and_gradient(objective, scores, targets, mask)
    more = {name: torch.cat([values, torch.ones_like(values[:2])]) for name, values in targets.items()}
    single = torch.zeros_like(mask[:2])
    single[0, 3] = True
    more_loss, more_gradient = loss_and_gradient(
        objective, torch.cat([scores, scores[:2]]), more, torch.cat([mask, single])
    )
    torch.testing.assert_close(more_loss, loss)
    torch.testing.assert_close(more_gradient[:4], gradient)
    assert (more_gradient[4:] == 0).all()


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
@pytest.mark.parametrize("name", ["Hinge", "InfoNCE", "ApproxNDCG", "LambdaRank", "NDCGLoss2pp"])
def test_labels_that_do_not_contrast_are_no_signal(name, labels):
    loss, gradient = loss_and_gradient(
        parse(name), torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([labels]), torch.ones(1, 3)
    )
    assert loss.item() == 0
    assert (gradient == 0).all()


def test_tied_targets_are_neither_pulled_apart_nor_together():
    scores, order, mask = torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([[2, 2, 1]]), torch.ones(1, 3)
    for name in ("RankNet", "ListMLE", "LambdaRank(signal=teacher_order)"):
        _, gradient = loss_and_gradient(parse(name), scores, order, mask)
        # The student has passage 1 lower, so it alone asks for more: nothing takes from passage 0 in its favour.
        assert (gradient[0, :2] < 0).all(), name


@pytest.mark.parametrize("labels", [[1, 0], [1, 0, 0, 0], [0, 1, 1]])
@pytest.mark.parametrize("name", ["LambdaRank", "NDCGLoss2pp(mu=0)", "NDCGLoss2pp"])
def test_a_student_that_scores_all_alike_still_learns(name, labels):
    targets = torch.tensor([labels])
    _, gradient = loss_and_gradient(parse(name), torch.zeros(targets.shape), targets, torch.ones(targets.shape))
    assert (gradient[targets > 0] < 0).all()
    assert (gradient[targets == 0] > 0).all()


def test_the_loss_of_an_unusable_list_is_finite_before_it_is_dropped():
    empty = torch.zeros(2, 3)
    for cls in classes().values():
        loss, usable = cls().per_list(empty, empty, torch.tensor([[0, 0, 0], [1, 0, 0]]).bool())
        assert loss.isfinite().all(), cls.name
        assert not usable[0], cls.name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_scores_are_computed_in_float32(objective, batch, dtype):
    scores, targets, mask = batch(dtype=dtype)
    loss = objective(scores.requires_grad_(), targets, mask)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, objective(scores.float(), targets, mask))
    assert torch.autograd.grad(loss, scores)[0].dtype == dtype


def test_float64_scores_stay_float64(objective, batch):
    assert objective(*batch()).dtype == torch.float64


def test_far_apart_scores_stay_finite(objective, batch):
    scores, targets, mask = batch(dtype=torch.float32)
    loss, gradient = loss_and_gradient(objective, 1e4 * scores, targets, mask)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_grades_above_one_are_certain_relevance_to_bce():
    scores, mask = torch.tensor([[9.0, -9.0]]), torch.ones(1, 2)
    graded, binary = (parse("BCE")(scores, torch.tensor([labels]), mask) for labels in ([3, 0], [1, 0]))
    assert graded == binary >= 0


def test_a_missing_signal_is_named(batch):
    scores, targets, mask = batch()
    with pytest.raises(UsageError, match=r"RankNet reads teacher_order; the targets hold labels"):
        parse("RankNet")(scores, {"labels": targets["labels"]}, mask)
    with pytest.raises(UsageError, match="mapping"):
        parse("RankNet + InfoNCE")(scores, targets["labels"], mask)


def test_shapes_that_differ_are_refused(batch):
    scores, targets, mask = batch()
    with pytest.raises(UsageError, match=r"\(4, 7\), \(4, 6\) and \(4, 7\)"):
        parse("MSE")(scores, targets["teacher_scores"][:, :6], mask)
