import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from limbeck.kernels import attention


@pytest.mark.parametrize("masked", [False, True])
def test_plain_products_give_what_torch_gives(masked: bool) -> None:
    torch.manual_seed(1)
    query, key, value = (torch.randn(3, 2, 7, 4, requires_grad=True) for _ in range(3))
    mask = (torch.arange(7) < torch.tensor([7, 2, 5])[:, None])[:, None, None] if masked else None
    expected = scaled_dot_product_attention(query, key, value, mask)
    # So small a share drops nothing, but takes the path of dropout.
    found = attention.attended(query, key, value, mask, None, 1e-9, True)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), (query, key, value)),
        torch.autograd.grad(expected.square().sum(), (query, key, value)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_bf16_training_stays_near_torch_s_attention() -> None:
    torch.manual_seed(2)
    query, key, value = (torch.randn(2, 2, 9, 8, dtype=torch.bfloat16) for _ in range(3))
    found = attention.attended(query, key, value, None, None, 0.0, True)
    expected = attention.attended(query.float(), key.float(), value.float(), None, None, 0.0, True)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.03)


def test_a_query_that_sees_no_key_gives_no_nan() -> None:
    query, key, value = (torch.randn(1, 1, 3, 4, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])[None, None]
    found = attention.attended(query, key, value, mask, None, 0.1, True)
    gradients = torch.autograd.grad(found[:, :, :2].sum(), (query, key, value))
    assert all(bool(gradient.isfinite().all()) for gradient in (found, *gradients))


def test_dropout_drops_attention_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "dropped", lambda weights, share: weights * (1 - share))
    query, key, value = (torch.randn(2, 2, 5, 4) for _ in range(3))
    found = attention.attended(query, key, value, None, None, 0.25, True)
    torch.testing.assert_close(found, 0.75 * scaled_dot_product_attention(query, key, value))
