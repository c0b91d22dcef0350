from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.models import memory
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.memory import MOST_TOKENS, graph_bytes, scoring_tokens, training_tokens


@pytest.fixture(scope="module")
def encoder(family_folder: Callable[[str], Path]) -> CrossEncoder:
    return CrossEncoder.load(family_folder("bert"), device="cpu")


def test_on_a_cpu_the_numbers_are_those_that_were_measured(encoder: CrossEncoder) -> None:
    assert encoder.training_tokens("fp32") == (2048, 12288)
    assert scoring_tokens(encoder.model, "fp32", False, 256) == 4096


def test_micro_batches_follow_free_memory_and_what_a_token_costs(
    encoder: CrossEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = encoder.model
    weights = 12 * encoder.parameters
    costs = [
        graph_bytes(model.config, "bf16"),
        graph_bytes(model.config, "bf16", 256),
        graph_bytes(model.config, "fp32"),
    ]
    assert costs[0] < costs[1]
    assert costs[2] == 2 * costs[0]

    def with_free(free: float) -> tuple[int, int]:
        monkeypatch.setattr(memory, "free_memory", lambda _: int(free))
        return training_tokens(model, "bf16", True, 256)

    # No flash attention on this device: what it would not keep is counted.
    assert with_free(2 * 5000 * costs[1] + weights) == (4096, 4096)
    assert with_free(2 * 4097 * costs[1] + weights) == (4096, 4096)  # a little less free changes nothing
    assert with_free(2 * 300_000 * costs[1] + weights) == (MOST_TOKENS, 1 << 18)
    assert with_free(0) == (512, 512)
    monkeypatch.setattr(memory, "takes_flash", lambda *_: True)
    assert with_free(2 * 5000 * costs[1] + weights)[0] > 4096
    assert scoring_tokens(model, "bf16", True, 256) > with_free(2 * 5000 * costs[1] + weights)[0]


def test_a_saved_model_scores_the_same_under_any_derived_budget(
    encoder: CrossEncoder, some_pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = encoder.score(some_pairs)
    monkeypatch.setattr(memory, "free_memory", lambda _: 1)
    assert encoder.score(some_pairs) == pytest.approx(expected, abs=1e-5)
