"""Loading, scoring, ranking and saving, apart from what differs between backbones."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertForMaskedLM, BertModel
from transformers.utils import logging

from limbeck.core import files
from limbeck.core.errors import MissingError, UsageError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.sources import silence_transformers
from limbeck.tokens.pairs import collection_pairs

Pairs = list[tuple[str, str]]


@pytest.fixture
def backbone(bert: Path) -> Path:
    """The BERT without its scoring head and pooler."""
    BertModel.from_pretrained(bert, add_pooling_layer=False).save_pretrained(bert)
    return bert


def test_no_pairs_give_no_scores(bert: Path) -> None:
    scores = CrossEncoder.load(bert).score([])
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


def test_scoring_asks_no_vocabulary_which_takes_longer_than_a_querys_pairs(
    bert: Path, some_pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CrossEncoder.load(bert)
    monkeypatch.setattr(type(encoder.tokenizer), "get_vocab", lambda _: 1 / 0)
    assert encoder.score(some_pairs).shape == (len(some_pairs),)


def test_equal_pairs_get_equal_scores(bert: Path, some_pairs: Pairs) -> None:
    scores = CrossEncoder.load(bert).score([*some_pairs, *some_pairs])
    np.testing.assert_allclose(scores[: len(some_pairs)], scores[len(some_pairs) :], atol=1e-6)


def test_rank_puts_the_best_first_and_of_equal_scores_the_earlier(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = CrossEncoder.load(bert)
    monkeypatch.setattr(encoder, "score", lambda pairs: np.array([1.0, 2.5, 1.0, -3.0, 2.5], np.float32))
    ranked = encoder.rank("q", ["p"] * 5)
    assert ranked == [(1, 2.5), (4, 2.5), (0, 1.0), (2, 1.0), (3, -3.0)]
    assert encoder.rank("q", ["p"] * 5, top_k=2) == ranked[:2]
    assert encoder.rank("q", ["p"] * 5, top_k=9) == ranked


def test_rank_orders_by_score(bert: Path, some_pairs: Pairs) -> None:
    encoder = CrossEncoder.load(bert)
    passages = [passage for _, passage in some_pairs]
    scores = encoder.score([("ether drips", passage) for passage in passages])
    assert [i for i, _ in encoder.rank("ether drips", passages)] == np.argsort(-scores, kind="stable").tolist()
    assert encoder.rank("ether drips", []) == []


def test_scoring_is_without_dropout_and_leaves_the_mode_as_it_was(bert: Path, some_pairs: Pairs) -> None:
    encoder = CrossEncoder.load(bert)
    scores = encoder.score(some_pairs)
    encoder.model.train()
    np.testing.assert_array_equal(encoder.score(some_pairs), scores)
    assert encoder.model.training
    encoder.model.eval()
    encoder.score(some_pairs)
    assert not encoder.model.training


def test_an_unknown_precision_is_refused(bert: Path) -> None:
    with pytest.raises(UsageError, match="precision: 'fp8' is not known; expected one of auto, fp32, tf32, bf16, fp16"):
        CrossEncoder.load(bert).score([("q", "p")], precision="fp8")


def test_scores_in_half_precision_do_not_tie(bert: Path) -> None:
    encoder = CrossEncoder.load(bert, device="cpu")
    words = ("glass", "worm", "copper", "flask")
    passages = [" ".join(words[n // 4**place % 4] for place in range(4)) for n in range(128)]
    pairs = [("ether drips", passage) for passage in passages]
    scores = encoder.score(pairs, precision="bf16")
    assert len(np.unique(encoder.score(pairs))) == 128
    assert len(np.unique(scores)) >= 126  # of bfloat16's own numbers, less than half would be left
    assert len(np.unique(torch.from_numpy(scores).bfloat16().float())) < 100
    np.testing.assert_allclose(scores, encoder.score(pairs), atol=0.1)


def test_a_new_head_depends_on_the_seed_alone(backbone: Path) -> None:
    def head(seed: int) -> torch.Tensor:
        torch.rand(3)
        return CrossEncoder.load(backbone, new_head=True, seed=seed).model.classifier.weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))


def test_loading_leaves_the_global_random_states_alone(backbone: Path) -> None:
    state, numpy_state, python_state = torch.random.get_rng_state(), np.random.get_state()[1], random.getstate()
    CrossEncoder.load(backbone, new_head=True, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert random.getstate() == python_state


def test_loading_seeds_no_accelerator(backbone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    CrossEncoder.load(backbone, new_head=True, seed=1)
    assert seeded == []


def test_a_backbone_with_another_head_gets_a_new_one(bert: Path) -> None:
    BertForMaskedLM.from_pretrained(bert).save_pretrained(bert)
    assert CrossEncoder.load(bert, new_head=True).model.classifier.out_features == 1


def test_loading_says_nothing_on_the_terminal(backbone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    CrossEncoder.load(backbone, new_head=True, layers=2).save(backbone.parent / "saved")
    assert capfd.readouterr() == ("", "")


def test_quiet_gives_the_users_settings_back() -> None:
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()

    def fail_quietly() -> None:
        with silence_transformers():
            assert logging.get_verbosity() == logging.ERROR
            assert not logging.is_progress_bar_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_quietly()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, bar)


def test_a_checkpoint_without_a_padding_token_scores_the_same(bert: Path, some_pairs: Pairs, tmp_path: Path) -> None:
    scores = CrossEncoder.load(bert).score(some_pairs)
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps(config | {"pad_token_id": None}))
    tokens = json.loads((bert / "tokenizer_config.json").read_text())
    (bert / "tokenizer_config.json").write_text(json.dumps(tokens | {"pad_token": None}))
    assert AutoTokenizer.from_pretrained(bert).pad_token_id is None
    encoder = CrossEncoder.load(bert)
    np.testing.assert_allclose(encoder.score(some_pairs), scores, atol=1e-6)
    encoder.save(tmp_path / "saved")
    peer = pytest.importorskip("sentence_transformers").CrossEncoder(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(peer.predict(some_pairs), scores, atol=1e-5)


def test_token_types_that_the_backbone_knows_not_are_left_out(
    family_folder: Callable[[str], Path], tmp_path: Path, edit: Callable[..., None]
) -> None:
    encoder = CrossEncoder.load(family_folder("distilbert"))
    encoder.save(tmp_path / "saved")
    edit(tmp_path / "saved" / "tokenizer_config.json", model_input_names=["input_ids", "token_type_ids"])
    generic = CrossEncoder.load(tmp_path / "saved")
    assert "token_type_ids" in generic.tokenizer.model_input_names
    assert generic.template.token_types is None
    pair = [("ether", "drips slowly")]
    np.testing.assert_allclose(generic.score(pair), encoder.score(pair), atol=1e-6)


def test_lengths_are_kept_in_the_saved_model_and_may_be_raised_again(
    bert: Path, some_pairs: Pairs, tmp_path: Path
) -> None:
    encoder = CrossEncoder.load(bert, max_length=30, query_tokens=3)
    encoder.save(tmp_path / "saved")
    again = CrossEncoder.load(tmp_path / "saved")
    assert (again.max_length, again.query_tokens) == (30, 3)
    np.testing.assert_allclose(again.score(some_pairs), encoder.score(some_pairs), atol=1e-6)
    longer = CrossEncoder.load(tmp_path / "saved", max_length=96, query_tokens=50)
    assert (longer.max_length, longer.query_tokens) == (96, 50)


def test_query_and_passage_may_each_have_a_length_of_their_own(bert: Path, some_pairs: Pairs, tmp_path: Path) -> None:
    encoder = CrossEncoder.load(bert, query_tokens=3, passage_tokens=20)
    assert (encoder.max_length, encoder.query_tokens, encoder.passage_tokens) == (26, 3, 20)
    encoder.save(tmp_path / "saved")
    again = CrossEncoder.load(tmp_path / "saved")
    assert (again.max_length, again.query_tokens, again.passage_tokens) == (26, 3, 20)
    np.testing.assert_allclose(again.score(some_pairs), encoder.score(some_pairs), atol=1e-6)
    both = CrossEncoder.load(bert, max_length=22, query_tokens=3, passage_tokens=20)
    assert (both.max_length, both.passage_tokens) == (22, 20)
    with pytest.raises(UsageError, match="query_tokens 32 and passage_tokens 256 make a pair of 291"):
        CrossEncoder.load(bert, query_tokens=32, passage_tokens=256)
    with pytest.raises(UsageError, match="passage_tokens 0 leaves nothing of a passage"):
        CrossEncoder.load(bert, passage_tokens=0)


def test_where_a_pair_is_cut_sentence_transformers_agrees_while_the_query_takes_half_the_room(
    bert: Path, tmp_path: Path
) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    encoder = CrossEncoder.load(bert, max_length=23)  # room for 20 tokens
    encoder.save(tmp_path / "saved")
    peer = sentence_transformers.CrossEncoder(str(tmp_path / "saved"), device="cpu")
    short, long = ("ether " * 10, "glass " * 40), ("ether " * 12, "glass " * 40)
    np.testing.assert_allclose(peer.predict([short]), encoder.score([short]), atol=1e-5)
    # A longer query is kept whole here, and cut to half of the room there.
    assert abs(peer.predict([long])[0] - encoder.score([long])[0]) > 1e-3
    halves = ("ether " * 10, "glass " * 10)
    np.testing.assert_allclose(peer.predict([long]), encoder.score([halves]), atol=1e-5)


def test_the_saved_model_asks_for_raw_scores(bert: Path, tmp_path: Path) -> None:
    CrossEncoder.load(bert).save(tmp_path / "saved")
    peer = pytest.importorskip("sentence_transformers").CrossEncoder(str(tmp_path / "saved"), device="cpu")
    assert isinstance(peer.activation_fn, torch.nn.Identity)


def test_saving_replaces_an_older_model_and_leaves_nothing_else(bert: Path, tmp_path: Path) -> None:
    place = tmp_path / "out" / "model"
    CrossEncoder.load(bert).save(place)
    (place / "old.txt").write_text("of the older model")
    CrossEncoder.load(bert, layers=1).save(place)
    assert CrossEncoder.load(place).model.config.num_hidden_layers == 1
    assert not (place / "old.txt").exists()
    assert [path.name for path in place.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("broken", ["weights", "tokeniser", "rename"])
def test_a_save_that_fails_leaves_the_older_model_whole(
    broken: str, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out" / "model"
    CrossEncoder.load(bert).save(place)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    encoder = CrossEncoder.load(bert, layers=1)
    replace, failed = os.replace, []

    def fail(source: object, target: object = None, **_: object) -> None:
        if broken == "rename" and (target != place or failed):
            replace(source, target)  # type: ignore[arg-type]
            return
        failed.append(source)
        raise OSError(28, "No space left on device")

    target = {"weights": encoder.model, "tokeniser": encoder.tokenizer}.get(broken)
    if target is None:
        # As on a system that cannot let two folders change places in one step.
        monkeypatch.setattr(files, "exchange", lambda *_: False)
        monkeypatch.setattr(os, "replace", fail)
    else:
        monkeypatch.setattr(target, "save_pretrained", fail)
    with pytest.raises(MissingError, match=f"{place}: cannot be written: No space left"):
        encoder.save(place)
    assert failed
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert [path.name for path in place.parent.iterdir()] == ["model"]


def test_saving_over_something_else_is_refused(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "run.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    encoder = CrossEncoder.load(bert)
    for name in ("results", "file"):
        with pytest.raises(UsageError, match="is not a model that could be replaced"):
            encoder.save(tmp_path / name)
    assert (tmp_path / "results" / "run.txt").read_text() == (tmp_path / "file").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    encoder.save(tmp_path / "empty")
    assert CrossEncoder.load(tmp_path / "empty").max_length == 96


def test_a_collections_tokens_are_kept_in_the_cache(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.collections import Collection

    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))
    documents, queries = {"d1": "glass", "d2": "ether drips"}, {"q1": "what drips?"}
    collection = Collection("tiny", documents, queries, {}, ("q1",))
    encoder = CrossEncoder.load(bert)
    for _ in range(2):
        pairs = collection_pairs(encoder, collection)
        rows = pairs.queries.rows(["q1", "q1"]), pairs.passages.rows(["d2", "d1"])
        expected = encoder.score([("what drips?", "ether drips"), ("what drips?", "glass")])
        np.testing.assert_allclose(encoder.score_rows(pairs, *rows), expected, atol=1e-6)
    assert len(list((tmp_path / "cache" / "tokens").glob("[!.]*"))) == 2
