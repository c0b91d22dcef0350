"""Calibrated scores are probabilities, the same ones wherever the model is loaded, and the order is the model's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation.calibration import calibrate, calibration_error, fit_platt, precision_at
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run

Folder = Callable[[str], Path]
PAIRS = [
    ("who heats the still", "nobody knows"),
    ("who heats the still", "the copper glows and glows"),
    ("ether", "ether drips into a flask of glass, slowly"),
    ("ether", "the alembic boils"),
]


def drawn(seed: int, queries: int, size: int, slope: float = 1.0, intercept: float = 0.0) -> tuple[Any, Any, Any]:
    """Scores, relevance drawn at sigmoid(slope · score + intercept), and queries."""
    random = np.random.default_rng(seed)
    scores = random.normal(-2.0, 2.0, queries * size)
    relevant = random.random(len(scores)) < expit(slope * scores + intercept)
    return scores, relevant, np.repeat(np.arange(queries), size)


def test_the_fit_finds_the_slope_and_intercept_that_relevance_was_drawn_with() -> None:
    scores, relevant, _ = drawn(0, 2000, 50, slope=0.4, intercept=1.5)
    found = fit_platt(1000 + 50 * scores, relevant)  # on whatever scale the scores come
    assert found.slope == pytest.approx(0.4 / 50, rel=0.02)
    assert found.intercept + 1000 * found.slope == pytest.approx(1.5, abs=0.03)


def test_the_error_is_near_nothing_for_true_probabilities_and_the_shift_for_shifted_ones() -> None:
    scores, relevant, queries = drawn(1, 400, 50)
    true = calibration_error(expit(scores), relevant, queries)
    assert true.low == 0.0
    assert true.value < 0.01
    few = [
        calibration_error(expit(scores), relevant, queries, 200)
        for scores, relevant, queries in (drawn(seed, 20, 30) for seed in range(40))
    ]
    assert np.mean([found.value for found in few]) > 0.02, "by chance alone"
    assert sum(found.low == 0.0 for found in few) >= 36
    shifted = calibration_error(np.clip(expit(scores) * 0.5 + 0.4, 0, 1), relevant, queries)
    assert shifted.low < np.mean(np.abs(expit(scores) * 0.5 + 0.4 - expit(scores))) < shifted.high


def test_a_precision_counts_queries_where_their_candidates_hang_together() -> None:
    queries = np.repeat(np.arange(10), 20)
    alone = np.tile([True, False], 100)
    together = np.repeat([True, False] * 5, 20)  # all of a query, or none
    narrow, wide = (precision_at(0.5, np.ones(200), kind, queries).precision for kind in (alone, together))
    assert narrow is not None
    assert wide is not None
    assert narrow.value == wide.value == 0.5
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    three = precision_at(0.5, np.ones(3), np.array([True] * 3), np.arange(3)).precision
    assert three is not None
    assert (three.value, three.high) == (1.0, 1.0)
    assert three.low < 0.4  # three of three are no proof
    none = precision_at(0.9, np.zeros(200), alone, queries)
    assert (none.candidates, none.precision, none.recall) == (0, None, 0.0)


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_server_score_sentence_transformers_and_transformers_give_the_same_number(
    family_folder: Folder, tmp_path: Path, family: str
) -> None:
    encoder = CrossEncoder.load(family_folder(family), device="cpu")
    raw = encoder.score(PAIRS)
    encoder.calibrate(0.3, -1.25, {"method": "platt"})
    encoder.save(tmp_path / "calibrated")
    expected = expit(0.3 * raw.astype(np.float64) - 1.25)
    loaded = CrossEncoder.load(tmp_path / "calibrated", device="cpu")
    np.testing.assert_allclose(loaded.score(PAIRS), expected, rtol=1e-5)
    assert np.argsort(loaded.score(PAIRS)).tolist() == np.argsort(raw).tolist()
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "calibrated").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "calibrated")
    for (query, passage), probability in zip(PAIRS, expected, strict=True):
        with torch.inference_mode():
            logit = model(**tokenizer(query, passage, return_tensors="pt")).logits[0, 0]
        assert expit(logit.item()) == pytest.approx(probability, rel=1e-4)
    peer = pytest.importorskip("sentence_transformers").CrossEncoder(str(tmp_path / "calibrated"), device="cpu")
    np.testing.assert_allclose(peer.predict(PAIRS), expected, rtol=1e-4)
    loaded.save(tmp_path / "again")
    np.testing.assert_array_equal(CrossEncoder.load(tmp_path / "again", device="cpu").score(PAIRS), loaded.score(PAIRS))
    # A training begins with the weights alone: what it makes is not calibrated.
    assert CrossEncoder.load(tmp_path / "calibrated", device="cpu", new_head=True).calibration is None


def test_what_would_change_the_order_or_cannot_be_kept_is_refused(family_folder: Folder) -> None:
    encoder = CrossEncoder.load(family_folder("bert"), device="cpu")
    with pytest.raises(UsageError, match="would change the order"):
        encoder.calibrate(-0.1, 0.0, {})
    encoder.model.classifier.bias = None
    with pytest.raises(UsageError, match="has no bias"):
        encoder.calibrate(1.0, 0.0, {})


class _Collection:
    """What is read of a collection."""

    name, relevance_level = "made", 2

    def __init__(self, grade_of_first: int) -> None:
        self.qrels = {f"q{n}": {"d0": grade_of_first, "d1": 1} for n in range(30)}


def _run(sign: float) -> Run:
    random = np.random.default_rng(3)
    return Run.from_scores(
        "run", {f"q{n}": {f"d{d}": sign * (3 * (d == 0) + random.normal()) for d in range(6)} for n in range(29)}
    )


def test_grades_below_the_level_and_documents_without_judgment_are_not_relevant() -> None:
    found = calibrate(_Collection(2), _run(1.0))
    assert (found.queries, found.candidates, found.relevant, found.unjudged) == (29, 174, 29, 116)
    assert found.error.value < found.error_before.value
    with pytest.raises(DataError, match="0 of them relevant"):
        calibrate(_Collection(1), _run(1.0))
    with pytest.raises(DataError, match="do not rise with relevance"):
        calibrate(_Collection(2), _run(-1.0))
