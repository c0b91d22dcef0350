import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig, BertForSequenceClassification, BertTokenizerFast

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run
from limbeck.teachers import ensemble_scores
from limbeck.teachers.ensemble import Member, combined

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alembic", "boils", "copper", "drips", "ether", "flask"]
COLLECTION = Collection(
    name="tiny",
    documents={f"d{number}": " ".join(WORDS[5 + number % 6 :]) + " ether" * (number % 3) for number in range(8)},
    queries={"q1": "alembic", "q2": "copper flask"},
    qrels={},
    query_ids=("q1", "q2"),
)
RUN = Run.from_scores("r", {"q1": {f"d{n}": -n for n in range(8)}, "q2": {f"d{n}": n for n in range(8)}})


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def models(tmp_path):
    """Three cross-encoders with random weights, the scores of the last ten times as large."""
    folders = []
    for number in range(3):
        folder = tmp_path / f"model{number}"
        folder.mkdir()
        (folder / "vocab.txt").write_text("\n".join(WORDS))
        BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
        torch.manual_seed(number)
        config = BertConfig(
            vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=24, initializer_range=0.5, num_labels=1,
        )  # fmt: skip
        model = BertForSequenceClassification(config)
        if number == 2:
            model.classifier.weight.data *= 10
        model.save_pretrained(folder)
        folders.append(str(folder))
    return folders


def alone(folder, query_id):
    pairs = [(COLLECTION.queries[query_id], COLLECTION.documents[docid]) for docid in RUN[query_id].docids]
    return CrossEncoder.load(folder).score(pairs)


@pytest.fixture
def counted(monkeypatch):
    """How many pairs each call of a member scored."""
    counts = []
    score = Member.score

    def watched(self, collection, wanted):
        counts.append(sum(map(len, wanted.values())))
        return score(self, collection, wanted)

    monkeypatch.setattr(Member, "score", watched)
    return counts


def test_scores_are_the_members_mean_beside_their_passages(models, tmp_path):
    found = ensemble_scores(models, COLLECTION, RUN, tmp_path / "scores")
    assert list(found.versions) == models
    for query_id in RUN:
        expected = np.mean([alone(folder, query_id) for folder in models], axis=0)
        np.testing.assert_allclose(found.scores[query_id], expected, atol=1e-5)


def test_standardised_a_member_of_large_scores_counts_no_more_than_another(models, tmp_path):
    found = ensemble_scores(models, COLLECTION, RUN, tmp_path / "scores", "standardised")
    rows = [alone(folder, "q1") for folder in models]
    expected = np.mean([(row - row.mean()) / row.std() for row in rows], axis=0)
    np.testing.assert_allclose(found.scores["q1"], expected, atol=1e-4)


def test_members_are_added_and_left_out_without_scoring_again(models, tmp_path, counted):
    ensemble_scores(models[:2], COLLECTION, RUN, tmp_path / "scores")
    assert counted == [16, 16]
    ensemble_scores(models, COLLECTION, RUN, tmp_path / "scores")
    assert counted == [16, 16, 16]
    two = ensemble_scores([models[2], models[0]], COLLECTION, RUN, tmp_path / "scores", "standardised")
    assert counted == [16, 16, 16]
    assert list(two.versions) == [models[2], models[0]]


def test_scores_that_are_no_finite_numbers_are_refused_and_not_kept(models, tmp_path, monkeypatch):
    monkeypatch.setattr(Member, "score", lambda self, collection, wanted: {"q1": np.array([1.0, np.nan])})
    with pytest.raises(DataError, match=r'model0: a score of query "q1" is not a finite number'):
        ensemble_scores(models[:1], COLLECTION, RUN, tmp_path / "scores")
    (file,) = (tmp_path / "scores").iterdir()
    assert [json.loads(line)["kind"] for line in file.open()] == ["scorer"]


def test_other_lengths_and_other_weights_are_scored_anew(models, tmp_path, counted):
    ensemble_scores(models[:1], COLLECTION, RUN, tmp_path / "scores")
    ensemble_scores(models[:1], COLLECTION, RUN, tmp_path / "scores", max_length=12)
    assert counted == [16, 16]
    files = [json.loads(path.open().readline()) for path in (tmp_path / "scores").iterdir()]
    assert sorted(record["settings"]["max_length"] for record in files) == [12, 24]


def test_what_a_member_cuts_is_counted_whether_scored_now_or_kept(models, tmp_path):
    whole = ensemble_scores(models[:1], COLLECTION, RUN, tmp_path / "scores")
    assert set(whole.details) == {"teacher_version"}
    for _ in range(2):
        # Beside the three special tokens, the longer query of two leaves room for three.
        cut = ensemble_scores(models[:1], COLLECTION, RUN, tmp_path / "scores", max_length=8)
        [cuts] = cut.cuts.values()
        long = [docid for docid, text in COLLECTION.documents.items() if len(text.split()) > 3]
        assert (cuts.queries, cuts.passages) == (0, len(long))
        assert cut.details["pairs_cut"].endswith(f"(0 queries, {len(long)} passages)")


def test_combined_by_hand():
    rows = [np.array([1.0, 3.0]), np.array([0.0, 100.0]), np.array([7.0, 7.0])]
    assert combined(rows, "mean").tolist() == pytest.approx([8 / 3, 110 / 3])
    assert combined(rows, "standardised").tolist() == pytest.approx([-2 / 3, 2 / 3])


def test_a_backbone_without_a_scoring_head_is_no_member(models, tmp_path):
    AutoModel.from_pretrained(tmp_path / "model0").save_pretrained(tmp_path / "model0")
    with pytest.raises(UsageError, match="without a scoring head"):
        ensemble_scores(models, COLLECTION, RUN, tmp_path / "scores")


def test_what_cannot_be_combined_is_refused(models, tmp_path):
    with pytest.raises(UsageError, match="expected mean or standardised"):
        ensemble_scores(models, COLLECTION, RUN, tmp_path / "scores", "median")
    with pytest.raises(UsageError, match="each once"):
        ensemble_scores([models[0], models[0]], COLLECTION, RUN, tmp_path / "scores")
    with pytest.raises(UsageError, match="same weights"):
        ensemble_scores([models[0], models[0] + "/."], COLLECTION, RUN, tmp_path / "scores")
