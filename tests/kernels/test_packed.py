from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from limbeck.core.errors import UsageError
from limbeck.kernels.attention import Sequences
from limbeck.models.cross_encoder import CrossEncoder

PACKED = ("bert", "roberta", "electra", "modernbert")
Folder = Callable[[str], Path]
Texts = list[tuple[str, str]]


def load(folder: Path, packed: bool) -> CrossEncoder:
    encoder = CrossEncoder.load(folder, device="cpu", packed=packed)
    encoder.model.double()
    return encoder


@pytest.mark.parametrize("family", PACKED)
def test_packed_scores_are_those_of_plain_transformers(family: str, family_folder: Folder, some_pairs: Texts) -> None:
    encoder = load(family_folder(family), packed=True)
    pairs, query_rows, passage_rows = encoder.stored(some_pairs)
    plain = AutoModelForSequenceClassification.from_pretrained(family_folder(family)).double().eval()
    with torch.inference_mode():
        expected = plain(**pairs.batch(query_rows, passage_rows)).logits[:, 0]
        found = encoder.logits(pairs, query_rows, passage_rows)
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_both_poolings_of_modernbert(
    pooling: str, family_folder: Folder, some_pairs: Texts, tmp_path: Path, edit: Callable[..., None]
) -> None:
    encoder = CrossEncoder.load(family_folder("modernbert"), device="cpu")
    encoder.save(tmp_path / "model")
    edit(tmp_path / "model" / "config.json", classifier_pooling=pooling)
    padded, packed = (load(tmp_path / "model", packed).score(some_pairs) for packed in (False, True))
    np.testing.assert_allclose(packed, padded, atol=1e-6)


@pytest.mark.parametrize("family", PACKED)
def test_packed_gradients_are_those_of_plain_transformers(
    family: str, family_folder: Folder, some_pairs: Texts
) -> None:
    encoder = load(family_folder(family), packed=True)
    pairs, query_rows, passage_rows = encoder.stored(some_pairs)
    plain = AutoModelForSequenceClassification.from_pretrained(family_folder(family)).double().eval()
    plain(**pairs.batch(query_rows, passage_rows)).logits.square().sum().backward()
    encoder.logits(pairs, query_rows, passage_rows).square().sum().backward()
    for (name, expected), found in zip(plain.named_parameters(), encoder.model.parameters(), strict=True):
        if expected.grad is None:
            assert found.grad is None, name
        else:
            torch.testing.assert_close(found.grad, expected.grad, rtol=1e-7, atol=1e-9, msg=name)


@pytest.mark.parametrize("family", PACKED)
def test_packed_neighbours_do_not_influence_each_other(family: str, family_folder: Folder, some_pairs: Texts) -> None:
    encoder = load(family_folder(family), packed=True)
    pairs, query_rows, passage_rows = encoder.stored(some_pairs)
    with torch.inference_mode():
        together = encoder.logits(pairs, query_rows, passage_rows)
        for i in range(len(some_pairs)):
            alone = encoder.logits(pairs, query_rows[i : i + 1], passage_rows[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-9)
            after = encoder.logits(pairs, np.roll(query_rows, 5), np.roll(passage_rows, 5))
    torch.testing.assert_close(after.roll(-5), together, rtol=0, atol=1e-9)


def test_a_family_that_cannot_be_packed_is_refused(family_folder: Folder) -> None:
    with pytest.raises(UsageError, match="deberta-v2 cannot be computed packed"):
        CrossEncoder.load(family_folder("deberta-v3"), device="cpu", packed=True)


def test_padding_a_packed_row_and_packing_it_again_changes_nothing() -> None:
    sequences = Sequences(np.array([3, 1, 5]), torch.device("cpu"))
    row = torch.randn(1, 2, 9, 4)
    padded = sequences.padded(row)
    assert padded.shape == (3, 2, 5, 4)
    assert torch.equal(padded[1, :, 0], row[0, :, 3])
    assert not padded[1, :, 1:].any()
    assert torch.equal(sequences.packed(padded), row.transpose(1, 2))
    assert sequences.first.tolist() == [0, 3, 4]
