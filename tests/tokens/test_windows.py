from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.evaluation import rerank
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run
from limbeck.tokens.pairs import Cuts, collection_pairs, score_windows

LONG = "the alembic boils and the copper glows " * 12
COLLECTION = Collection(
    "c",
    {"long": LONG + "ether drips into a flask", "short": "who heats the still", "empty": ""},
    {"q": "copper glows", "r": "a distiller collects what condenses in the worm"},
    {},
    ("q", "r"),
)
RUN = Run.from_scores("first", {q: {"long": 3.0, "short": 2.0, "empty": 1.0} for q in ("q", "r")})


@pytest.fixture
def encoder(family_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CrossEncoder:
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path))
    return CrossEncoder.load(family_folder("bert"), max_length=32, device="cpu")


def test_windows_hold_every_token_and_overlap_by_half(encoder: CrossEncoder) -> None:
    pairs = collection_pairs(encoder, COLLECTION)
    query_rows = pairs.queries.rows(["r", "q", "q"])
    passage_rows = pairs.passages.rows(["long", "short", "empty"])
    cut, owners = score_windows(pairs, query_rows, passage_rows)
    size = 32 - 3 - int(pairs.queries.lengths(query_rows).max())
    for number, row in enumerate(passage_rows):
        whole = pairs.passages[row]
        windows = [cut.passages[i] for i in np.flatnonzero(owners == number)]
        assert len(windows) == (1 if len(whole) <= size else -(-(len(whole) - size) // (size // 2)) + 1)
        rebuilt = np.concatenate([window[: size // 2] for window in windows[:-1]] + [windows[-1]])
        np.testing.assert_array_equal(rebuilt, whole)
    assert cut.cuts(query_rows[owners], np.arange(len(owners))) == Cuts(pairs=0, queries=0, passages=0)


def test_max_is_the_best_windows_score_and_first_the_beginnings(encoder: CrossEncoder) -> None:
    pairs = collection_pairs(encoder, COLLECTION)
    queries, passages = pairs.queries.rows(["q", "r"]), pairs.passages.rows(["long", "long"])
    cut, owners = score_windows(pairs, queries, passages)
    scores = encoder.score_rows(cut, queries[owners], np.arange(len(owners)))
    first = rerank(encoder, COLLECTION, RUN, 10)
    best = rerank(encoder, COLLECTION, RUN, 10, aggregate="max")
    for number, query_id in enumerate(("q", "r")):
        by_id = [dict(zip(run[query_id].docids, run[query_id].scores, strict=True)) for run in (first, best)]
        assert by_id[1]["long"] == pytest.approx(float(scores[owners == number].max()), abs=1e-5)
        [beginning] = encoder.score([(COLLECTION.queries[query_id], COLLECTION.documents["long"])])
        assert by_id[0]["long"] == pytest.approx(float(beginning), abs=1e-5)
        assert by_id[0]["short"] == pytest.approx(by_id[1]["short"], abs=1e-5)
    assert len(set(np.round(scores, 4))) > 2


def test_what_is_cut_is_told_and_windows_cut_no_passage(encoder: CrossEncoder) -> None:
    told: list[Cuts] = []
    short = CrossEncoder.load(encoder.source.name, max_length=32, query_tokens=6, device="cpu")
    for encoder_, aggregate in ((encoder, "first"), (encoder, "max"), (short, "first"), (short, "max")):
        rerank(encoder_, COLLECTION, RUN, 10, aggregate=aggregate, on_cuts=told.append)
    assert told == [Cuts(2, 0, 1), Cuts(0, 0, 0), Cuts(4, 1, 1), Cuts(3, 1, 0)]


def test_another_aggregate_is_refused(encoder: CrossEncoder) -> None:
    with pytest.raises(UsageError, match="aggregate is 'mean', expected first or max"):
        rerank(encoder, COLLECTION, RUN, 10, aggregate="mean")
