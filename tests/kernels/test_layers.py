import pytest
import torch

from limbeck.kernels.layers import FastDropout, RowEmbedding, dropout, use_fast_dropout


def pair(padding: int | None) -> tuple[torch.nn.Embedding, torch.nn.Embedding]:
    plain = torch.nn.Embedding(9, 4, padding_idx=padding).double()
    rows = torch.nn.Embedding(9, 4, padding_idx=padding).double()
    rows.load_state_dict(plain.state_dict())
    rows.__class__ = RowEmbedding
    return plain, rows


@pytest.mark.parametrize("padding", [None, 0, 3])
def test_rows_and_gradients_are_torch_s_over_several_micro_batches(padding: int | None) -> None:
    plain, rows = pair(padding)
    draw = torch.Generator().manual_seed(1)
    for shape in ((2, 5), (7,), (3, 2)):
        tokens = torch.randint(0, 9, shape, generator=draw)
        slope = torch.randn(*shape, 4, dtype=torch.float64, generator=draw)
        expected, found = plain(tokens), rows(tokens)
        assert torch.equal(found, expected)
        expected.backward(slope)
        found.backward(slope)
    assert plain.weight.grad is not None
    assert rows.weight.grad is not None
    assert torch.allclose(rows.weight.grad, plain.weight.grad, atol=1e-14)
    assert float(rows.weight.grad.abs().sum()) > 1


def test_frozen_embeddings_and_scoring_get_no_gradient() -> None:
    _, rows = pair(None)
    with torch.no_grad():
        assert not rows(torch.tensor([1])).requires_grad
    rows.weight.requires_grad_(False)
    assert not rows(torch.tensor([1])).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_is_dropped_and_the_rest_scaled_up(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    values = torch.ones(400, 1001, dtype=dtype)
    found = dropout(values, share)
    kept = found != 0
    assert float(1 - kept.double().mean()) == pytest.approx(share, abs=0.004)
    assert torch.allclose(found[kept].double(), torch.tensor(1 / (1 - share)).double(), rtol=1e-2)
    # No place of the four that share one random number is dropped more often than another.
    for place in range(4):
        part = kept.flatten()[place::4].double()
        assert float(1 - part.mean()) == pytest.approx(share, abs=0.008)


def test_the_gradient_passes_where_values_do() -> None:
    torch.manual_seed(2)
    values = torch.randn(50, 7, dtype=torch.float64, requires_grad=True)
    found = dropout(values, 0.3)
    (slope,) = torch.autograd.grad(found.sum(), values)
    assert torch.equal(found, values * slope)


def test_equal_seeds_drop_the_same_and_others_do_not() -> None:
    values = torch.randn(1000)
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(dropout(values, 0.2))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_model_s_dropout_layers_draw_so_in_training_alone() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
    names = list(model.state_dict())
    use_fast_dropout(model)
    assert isinstance(model[1], FastDropout)
    assert list(model.state_dict()) == names
    values = torch.ones(100, 3)
    assert (model(values) == 0).any()
    assert torch.equal(model.eval()(values), model[0](values))
