"""What this machine does in a second, on the collection's own texts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limbeck.collections import Collection, load_collection
from limbeck.distil import rates
from limbeck.evaluation import rerank
from limbeck.models.bi_encoder import BiEncoder
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.retrieval import BM25
from limbeck.runs import Run
from limbeck.training import Backbone


@pytest.fixture
def collection(workshop: Path) -> Collection:
    return load_collection(f"{workshop}/docs/test")


@pytest.mark.parametrize("depth", [3, 25, 100])
def test_a_rate_is_of_the_pairs_that_were_scored_whatever_the_depth(
    workshop: Path, collection: Collection, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)

    def timed(encoder: CrossEncoder, collection: Collection, run: Run, depth: int) -> Run:
        """At 7 pairs a second."""
        clock.now += sum(min(depth, len(ranking)) for ranking in run.values()) / 7
        return rerank(encoder, collection, run, depth)

    monkeypatch.setattr(rates, "rerank", timed)
    monkeypatch.setattr(rates, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    encoder = CrossEncoder.load(workshop / "bert", new_head=True)
    assert rates.scoring_rate(encoder, collection, BM25().retrieve(collection, 100), depth) == pytest.approx(7)


def test_teacher_and_student_are_timed_at_their_work(
    workshop: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "SECONDS", 0.0)
    run = BM25().retrieve(collection, 20)
    seen: list[int] = []

    def counted(*given: Any, **named: Any) -> None:
        train(*given, **named)
        seen.append(given[0].stages[0].steps)

    train = rates.train
    monkeypatch.setattr(rates, "train", counted)
    backbone = Backbone(model=str(workshop / "bert"), max_length=24, dropout=0.0)
    assert rates.training_rate(backbone, collection, run) > 0
    assert seen == [1, 4]  # a step to warm up, and those that are timed
    assert rates.embedding_rate(BiEncoder.load(workshop / "bert"), collection, run) > 0


def test_a_training_rate_is_of_steps_and_not_of_what_is_loaded_before(
    workshop: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(_: Path) -> list[dict[str, Any]]:
        return [{"kind": "stage"}, *({"kind": "step", "pairs": 60, "seconds": 4.0} for _ in range(3))]

    monkeypatch.setattr(rates, "read_log", steps)
    backbone = Backbone(model=str(workshop / "bert"), max_length=24, dropout=0.0)
    assert rates.training_rate(backbone, collection, BM25().retrieve(collection, 20)) == 15
