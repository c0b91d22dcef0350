"""Exits: each is an ordinary cross-encoder of fewer layers, and is trained as that cross-encoder would be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from limbeck.core.errors import UsageError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.training.step import backward, read_step

Folder = Callable[[str], Path]
Texts = list[tuple[str, str]]
CASES = [
    *((family, False) for family in ("bert", "roberta", "electra", "modernbert", "mpnet", "distilbert")),
    *((family, False) for family in ("deberta-v3", "deberta-v2-conv")),
    *((family, True) for family in ("bert", "roberta", "electra", "modernbert")),
]


def load(folder: Path, packed: bool = False) -> CrossEncoder:
    """With exits behind the first and second of three layers, whose heads are moved apart from the last one's."""
    encoder = CrossEncoder.load(folder, device="cpu", packed=packed, exits=(2, 1), dropout=0.0)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(5)
        for weight in encoder.model.exits.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return encoder


def plain(folder: Path) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder).double().eval()


@pytest.mark.parametrize(("family", "packed"), CASES)
def test_an_exit_saved_scores_in_plain_transformers_as_it_did_in_the_whole_model(
    family: str, packed: bool, family_folder: Folder, some_pairs: Texts, tmp_path: Path
) -> None:
    encoder = load(family_folder(family), packed)
    pairs, queries, passages = encoder.stored(some_pairs)
    batch = encoder.read(pairs, queries, passages)
    for depth in encoder.exits:
        encoder.exit(depth).save(tmp_path / str(depth))
    encoder.save(tmp_path / "3")
    encoder.model.double()
    with torch.inference_mode():
        found = encoder.forward_all(batch)
        expected = [plain(tmp_path / str(depth))(**pairs.batch(queries, passages)).logits[:, 0] for depth in (1, 2, 3)]
    assert encoder.exits == (1, 2)
    torch.testing.assert_close(found, torch.stack(expected, 1), rtol=0, atol=1e-9)
    assert (found.std(0) > 1e-3).all()
    assert not torch.allclose(found[:, 0], found[:, 1])
    own = CrossEncoder.load(tmp_path / "1", device="cpu")
    assert own.model.config.num_hidden_layers == 1
    np.testing.assert_allclose(own.score(some_pairs), found[:, 0].numpy(), atol=1e-5)
    assert own.parameters < encoder.parameters
    assert encoder.parameters == CrossEncoder.load(tmp_path / "3", device="cpu").parameters


def test_sentence_transformers_reads_an_exit(bert: Path, some_pairs: Texts, tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    exit = load(bert).exit(1)
    exit.save(tmp_path / "exit")
    peer = sentence_transformers.CrossEncoder(str(tmp_path / "exit"), device="cpu")
    short = [pair for pair in some_pairs if len(pair[1].split()) < 30]
    np.testing.assert_allclose(peer.predict(short), exit.score(short), atol=1e-5)


@pytest.mark.parametrize(("family", "packed"), [("bert", False), ("bert", True), ("modernbert", True)])
@pytest.mark.parametrize("kept", [1, 10**9])
def test_a_step_adds_up_the_gradients_of_the_models_that_the_exits_are(
    family: str, packed: bool, kept: int, family_folder: Folder, some_pairs: Texts, tmp_path: Path
) -> None:
    """Plain autograd over three ordinary models of transformers, against one pass in micro-batches of few tokens."""
    encoder = load(family_folder(family), packed)
    pairs, queries, passages = encoder.stored(some_pairs)
    target = torch.linspace(-1, 1, len(some_pairs), dtype=torch.float64)

    def loss_of(scores: torch.Tensor) -> torch.Tensor:
        """Of all pairs together, so that no micro-batch alone knows its gradient."""
        return -(scores.log_softmax(0) * target.softmax(0)[:, None]).sum()

    expected: dict[str, torch.Tensor] = {}
    for depth in (1, 2, 3):
        exit = encoder.exit(depth) if depth < 3 else encoder
        exit.save(tmp_path / str(depth))
        model = plain(tmp_path / str(depth))
        loss_of(model(**pairs.batch(queries, passages)).logits).backward()
        for name, weight in model.named_parameters():
            own = f"exits.heads.{depth}.{name}"
            place = own if own in dict(encoder.model.named_parameters()) else name
            if weight.grad is not None:
                expected[place] = expected.get(place, torch.zeros_like(weight)) + weight.grad
    encoder.model.double().train()
    result = backward(
        encoder,
        read_step(encoder, pairs, queries, passages, 40),
        loss_of,
        seed=(1,),
        max_tokens_without_grad_cache=kept,
    )
    assert result.micro_batches > 2
    assert result.single_pass == (kept > 1)
    assert result.scores.shape == (len(some_pairs), 3)
    found = {name: weight.grad for name, weight in encoder.model.named_parameters() if weight.grad is not None}
    assert any(name.startswith("exits.") for name in found)
    assert found.keys() == expected.keys()
    tolerance = 1e-9 if family == "bert" else 1e-7  # transformers turns ModernBERT's queries and keys in float32
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-7, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    ("exits", "told"),
    [((3,), "each from 1 to 2"), ((1, 1), "different numbers"), ((0,), "each from 1 to 2")],
)
def test_exits_lie_before_the_last_layer(exits: tuple[int, ...], told: str, bert: Path) -> None:
    with pytest.raises(UsageError, match=told):
        CrossEncoder.load(bert, device="cpu", exits=exits)


def test_what_is_no_exit_is_named_with_those_there_are(bert: Path) -> None:
    with pytest.raises(UsageError, match="no exit behind layer 3; it has 1, 2"):
        load(bert).exit(3)
    with pytest.raises(UsageError, match="neither compiled nor divided"):
        CrossEncoder.load(bert, device="cpu", exits=(1,), compiled=True)
