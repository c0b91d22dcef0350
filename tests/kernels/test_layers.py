import pytest
import torch

from limbeck.kernels.layers import RowEmbedding


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
