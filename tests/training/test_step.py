import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from limbeck.collections import Collection
from limbeck.lists import Lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import names, parse
from limbeck.tokens.pairs import Pairs, collection_pairs
from limbeck.training import step as step_module
from limbeck.training.step import Batch, StepResult, assemble_batch, backward, read_step, score_spread

WHOLE = 10**9
Gradients = dict[str, torch.Tensor]
Step = Callable[..., tuple[Gradients, StepResult]]


@pytest.fixture
def encoder(model: Path) -> CrossEncoder:
    loaded = CrossEncoder.load(model, new_head=True, max_length=28, seed=1, device="cpu")
    loaded.model.double()
    return loaded


@pytest.fixture
def pairs(encoder: CrossEncoder, collection: Collection) -> Pairs:
    return collection_pairs(encoder, collection)


def batch_of(pairs: Pairs, lists: Lists, objective: str) -> Batch:
    drawn = [(n, np.arange(len(lists.passage_ids[n]))) for n in range(len(lists))]
    return assemble_batch(pairs, lists, drawn, parse(objective).signals)


@pytest.fixture
def step(encoder: CrossEncoder, pairs: Pairs, lists: Lists) -> Step:
    def take(
        objective: str, token_budget: int, max_tokens_without_grad_cache: int, dropout: bool
    ) -> tuple[Gradients, StepResult]:
        batch = batch_of(pairs, lists, objective)
        encoder.model.train(dropout)
        encoder.model.zero_grad()
        work = backward(
            encoder, read_step(encoder, pairs, batch.query_rows, batch.passage_rows, token_budget),
            lambda scores: parse(objective)(batch.matrix(scores), batch.targets, batch.mask),
            seed=(1, 2, 3), max_tokens_without_grad_cache=max_tokens_without_grad_cache,
        )  # fmt: skip
        return {name: weight.grad.clone() for name, weight in encoder.model.named_parameters()}, work

    return take


def plain(encoder: CrossEncoder, pairs: Pairs, batch: Batch, objective: str) -> Gradients:
    """transformers alone: all pairs padded into one batch, in the order of their lists, and `loss.backward()`."""
    model = AutoModelForSequenceClassification.from_config(encoder.model.config).double().eval()
    model.load_state_dict(encoder.model.state_dict())
    logits = model(**pairs.batch(batch.query_rows, batch.passage_rows)).logits[:, 0]
    matrix = torch.zeros(batch.mask.shape, dtype=torch.float64).masked_scatter(batch.mask, logits)
    parse(objective)(matrix, batch.targets, batch.mask).backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


def assert_close(found: Gradients, expected: Gradients) -> None:
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert largest > 1e-6
    for name, gradient in expected.items():
        assert float((found[name] - gradient).abs().max()) < 1e-9 * largest, name


@pytest.mark.parametrize("objective", [*names(), "RankNet + 0.1*InfoNCE"])
def test_every_token_budget_gives_the_gradient_of_the_unsplit_step(
    objective: str, encoder: CrossEncoder, pairs: Pairs, lists: Lists, step: Step
) -> None:
    expected = plain(encoder, pairs, batch_of(pairs, lists, objective), objective)
    for budget in (1, 50, WHOLE):
        single, work = step(objective, budget, WHOLE, dropout=False)
        assert work.single_pass
        assert_close(single, expected)
        replayed, work = step(objective, budget, 1, dropout=False)
        assert work.single_pass == (work.micro_batches == 1)
        assert_close(replayed, expected)


@pytest.mark.parametrize("objective", names())
def test_a_replay_draws_the_same_dropout(objective: str, step: Step) -> None:
    single, once = step(objective, 60, WHOLE, dropout=True)
    replayed, twice = step(objective, 60, 1, dropout=True)
    assert (once.single_pass, twice.single_pass) == (True, False)
    assert once.micro_batches == twice.micro_batches > 2
    # To the last digit but one: torch chooses its products by whether a gradient is wanted.
    assert torch.allclose(once.scores, twice.scores, rtol=1e-12, atol=1e-12)
    assert torch.allclose(once.loss, twice.loss, rtol=1e-12)
    assert_close(replayed, single)


def test_micro_batches_draw_dropout_of_their_own(step: Step) -> None:
    with_dropout, _ = step("MSE", 60, 1, dropout=True)
    without, _ = step("MSE", 60, 1, dropout=False)
    assert any(not torch.allclose(with_dropout[name], gradient) for name, gradient in without.items())


def test_scores_and_counts_are_those_of_the_pairs_in_their_order(
    encoder: CrossEncoder, pairs: Pairs, lists: Lists, step: Step
) -> None:
    _, work = step("MSE", 60, 1, dropout=False)
    batch = batch_of(pairs, lists, "MSE")
    with torch.no_grad():
        expected = encoder.logits(pairs, batch.query_rows, batch.passage_rows)
    assert torch.allclose(work.scores, expected, atol=1e-12)
    lengths = pairs.lengths(batch.query_rows, batch.passage_rows)
    assert (work.pairs, work.tokens) == (22, lengths.sum())
    assert work.tokens <= work.computed_tokens


def test_packed_rows_are_computed_without_padding_and_counted_so(
    model: Path, collection: Collection, lists: Lists
) -> None:
    packed = CrossEncoder.load(model, new_head=True, max_length=28, device="cpu", packed=True)
    pairs = collection_pairs(packed, collection)
    batch = batch_of(pairs, lists, "MSE")
    inputs = read_step(packed, pairs, batch.query_rows, batch.passage_rows, token_budget=60)
    assert inputs.computed_tokens == inputs.lengths.sum()


def test_targets_stand_where_their_passages_stand(pairs: Pairs, lists: Lists, encoder: CrossEncoder) -> None:
    drawn = [(1, np.array([5, 0, 3])), (0, np.array([1])), (4, np.array([2, 4, 1, 0, 5]))]
    batch = assemble_batch(pairs, lists, drawn, frozenset({"labels", "teacher_order", "teacher_scores"}))
    assert batch.mask.sum(1).tolist() == [3, 1, 5]
    numbers = batch.matrix(torch.arange(1.0, 10.0))
    assert numbers.tolist() == [[1, 2, 3, 0, 0], [4, 0, 0, 0, 0], [5, 6, 7, 8, 9]]
    for signal, target in batch.targets.items():
        values = lists.values(signal)
        assert values is not None
        assert target[~batch.mask].abs().sum() == 0
        for row, (index, positions) in enumerate(drawn):
            assert target[row, : len(positions)].tolist() == [float(values[index][p]) for p in positions]
    passages = [lists.passage_ids[index][p] for index, positions in drawn for p in positions]
    queries = [lists.query_ids[index] for index, positions in drawn for _ in positions]
    assert batch.passage_rows.tolist() == pairs.passages.rows(passages).tolist()
    assert batch.query_rows.tolist() == pairs.queries.rows(queries).tolist()


def test_the_order_in_which_passages_are_drawn_changes_no_gradient(
    encoder: CrossEncoder, pairs: Pairs, lists: Lists
) -> None:
    def gradient(reverse: bool) -> Gradients:
        drawn = [(n, np.arange(len(lists.passage_ids[n]))[:: -1 if reverse else 1]) for n in range(len(lists))]
        batch = assemble_batch(pairs, lists, drawn[:: -1 if reverse else 1], frozenset({"teacher_scores"}))
        encoder.model.eval()
        encoder.model.zero_grad()
        backward(
            encoder, read_step(encoder, pairs, batch.query_rows, batch.passage_rows, token_budget=60),
            lambda scores: parse("MarginMSE")(batch.matrix(scores), batch.targets, batch.mask), (0,),
            max_tokens_without_grad_cache=1,
        )  # fmt: skip
        return {name: weight.grad.clone() for name, weight in encoder.model.named_parameters()}

    assert_close(gradient(True), gradient(False))


@pytest.fixture
def gradient_in(encoder: CrossEncoder, pairs: Pairs, lists: Lists) -> Callable[[str, float], Gradients]:
    """Gradients in a precision, of MarginMSE times a weight."""

    def take(precision: str, weight: float) -> Gradients:
        batch = batch_of(pairs, lists, "MarginMSE")
        encoder.model.eval()
        encoder.model.zero_grad()
        backward(
            encoder, read_step(encoder, pairs, batch.query_rows, batch.passage_rows, token_budget=60),
            lambda scores: weight * parse("MarginMSE")(batch.matrix(scores), batch.targets, batch.mask), (0,),
            precision,
        )  # fmt: skip
        return {name: weight.grad.clone() for name, weight in encoder.model.named_parameters()}

    return take


def test_small_gradients_are_not_lost_in_fp16(gradient_in: Callable[[str, float], Gradients]) -> None:
    full, half = gradient_in("fp32", 1e-7), gradient_in("fp16", 1e-7)
    for name, expected in full.items():
        if expected.abs().max() > 0:
            torch.testing.assert_close(
                half[name], expected, rtol=0.1, atol=0.03 * float(expected.abs().max()), msg=name
            )


def test_what_overflows_in_fp16_is_replayed_on_a_smaller_scale(
    encoder: CrossEncoder, gradient_in: Callable[[str, float], Gradients], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder.model.float()
    with torch.no_grad():
        encoder.model.classifier.weight *= 3e4
    full, half = gradient_in("fp32", 1.0), gradient_in("fp16", 1.0)
    found, expected = (torch.cat([each.flatten() for each in gradients.values()]) for gradients in (half, full))
    assert float((found - expected).norm() / expected.norm()) < 0.02
    monkeypatch.setattr(step_module, "FP16_EXPONENTS", step_module.FP16_EXPONENTS[:1])
    assert not all(bool(gradient.isfinite().all()) for gradient in gradient_in("fp16", 1.0).values())


def test_spread_counts_passages_only() -> None:
    mask = torch.tensor([[True, True, False], [True, True, True]])
    same = torch.tensor([[2.0, 2.0, 99.0], [-1.0, -1.0, -1.0]])
    assert score_spread(same, mask) == 0
    assert score_spread(torch.tensor([[1.0, 3.0, 99.0], [0.0, 0.0, 0.0]]), mask) == pytest.approx(0.5)
    assert math.isnan(score_spread(torch.ones(2, 1), torch.ones(2, 1, dtype=torch.bool)))
