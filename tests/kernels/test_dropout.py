import pytest
import torch

from limbeck.kernels.dropout import FastDropout, dropout, use_fast_dropout


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
