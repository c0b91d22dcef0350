"""Only training may draw a scoring head: everything else reads the head that is there, or refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.models.checkpoint import SCORING_TRANSFORMER
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.families import FAMILIES
from limbeck.models.sources import resolve
from limbeck.tokens.store import TokenStore

Texts = list[tuple[str, str]]
Folder = Callable[[str], Path]


def renamed(folder: Path, **changes: str) -> None:
    """Give weights that begin with a name another beginning."""
    weights = load_file(folder / "model.safetensors")
    for old, new in changes.items():
        weights = {new + name.removeprefix(old) if name.startswith(old) else name: t for name, t in weights.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def bare(folder: Path, edit: Callable[..., None]) -> None:
    tf.BertModel.from_pretrained(folder).save_pretrained(folder)


def headless(folder: Path, edit: Callable[..., None]) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "classifier" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def under_another_name(folder: Path, edit: Callable[..., None]) -> None:
    renamed(folder, classifier="score")
    edit(folder / "config.json", architectures=None)


def of_an_unknown_class(folder: Path, edit: Callable[..., None]) -> None:
    renamed(folder, classifier="ranker.out")
    edit(folder / "config.json", architectures=["BertForReranking"])


def with_one_more(folder: Path, edit: Callable[..., None]) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"transform.weight": torch.eye(32)}, folder / "model.safetensors", {"format": "pt"})


def an_embedding_model(folder: Path, edit: Callable[..., None]) -> None:
    kinds = ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize(
    ("spoil", "error", "text"),
    [
        (bare, UsageError, "without a scoring head (classifier.bias is not in the checkpoint)"),
        (headless, DataError, "2 weights of the bert are not in the checkpoint, the first is classifier.bias"),
        (under_another_name, DataError, "and holds score.bias, which the model does not take"),
        (of_an_unknown_class, DataError, "and holds ranker.out.bias, which the model does not take"),
        (with_one_more, DataError, "1 weights that the bert of config.json does not take, the first is transform"),
        (an_embedding_model, UsageError, "modules.json (Transformer, Pooling, Normalize) is of an embedding model"),
    ],
)  # fmt: skip
def test_no_score_comes_from_a_head_drawn_at_random(
    spoil: Callable[..., None], error: type[Exception], text: str, bert: Path, edit: Callable[..., None]
) -> None:
    spoil(bert, edit)
    with pytest.raises(error) as raised:
        CrossEncoder.load(bert, device="cpu")
    assert text in str(raised.value)


@pytest.mark.parametrize("spoil", [bare, an_embedding_model])
def test_training_may_draw_one(spoil: Callable[..., None], bert: Path, edit: Callable[..., None]) -> None:
    spoil(bert, edit)
    assert CrossEncoder.load(bert, device="cpu", new_head=True).score([("a", "b")]).shape == (1,)


def test_training_does_not_put_a_new_head_beside_a_trained_one(bert: Path, edit: Callable[..., None]) -> None:
    under_another_name(bert, edit)
    with pytest.raises(DataError, match=r"score\.bias"):
        CrossEncoder.load(bert, device="cpu", new_head=True)


def modular(folder: Path, bert: Path, pooling: str) -> Path:
    """A cross-encoder as sentence-transformers 6 keeps those of Transformer + Pooling + Dense + LayerNorm + Dense."""
    tf.BertModel.from_pretrained(bert).save_pretrained(folder)
    tf.AutoTokenizer.from_pretrained(bert).save_pretrained(folder)
    gelu, identity = "torch.nn.modules.activation.GELU", "torch.nn.modules.linear.Identity"
    room, dense = "sentence_transformer.modules", "base.modules.dense.Dense"
    parts = [
        ("1_Pooling", f"{room}.pooling.Pooling", {"embedding_dimension": 32, "pooling_mode": pooling}),
        ("2_Dense", dense, {"in_features": 32, "out_features": 32, "bias": False, "activation_function": gelu}),
        ("3_LayerNorm", f"{room}.layer_norm.LayerNorm", {"dimension": 32}),
        ("4_Dense", dense, {
            "in_features": 32, "out_features": 1, "bias": True, "activation_function": identity,
            "module_input_name": "sentence_embedding", "module_output_name": "scores",
        }),
    ]  # fmt: skip
    random = torch.Generator().manual_seed(5)
    weights = {
        "2_Dense": {"linear.weight": torch.randn(32, 32, generator=random)},
        "3_LayerNorm": {"norm.weight": torch.rand(32, generator=random), "norm.bias": torch.rand(32, generator=random)},
        "4_Dense": {"linear.weight": torch.randn(1, 32, generator=random), "linear.bias": torch.ones(1)},
    }
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}
    ]
    for number, (path, kind, config) in enumerate(parts, 1):
        (folder / path).mkdir()
        (folder / path / "config.json").write_text(json.dumps(config))
        if path in weights:
            save_file(weights[path], folder / path / "model.safetensors")
        modules.append({"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.{kind}"})
    (folder / "modules.json").write_text(json.dumps(modules))
    own = {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity", "prompts": {}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(own))
    return folder


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_heads_kept_as_modules_score_as_in_sentence_transformers_also_packed_and_saved(
    pooling: str, bert: Path, some_pairs: Texts, tmp_path: Path
) -> None:
    folder = modular(tmp_path / "modular", bert, pooling)
    peer = pytest.importorskip("sentence_transformers").CrossEncoder(str(folder), device="cpu")
    expected = peer.predict(some_pairs)
    assert np.ptp(expected) > 0.05
    encoder = CrossEncoder.load(folder, device="cpu")
    np.testing.assert_allclose(encoder.score(some_pairs), expected, atol=2e-5)
    packed = CrossEncoder.load(folder, device="cpu", packed=True)
    np.testing.assert_allclose(packed.score(some_pairs), expected, atol=2e-5)
    encoder.save(tmp_path / "saved")
    np.testing.assert_allclose(
        CrossEncoder.load(tmp_path / "saved", device="cpu").score(some_pairs), expected, atol=2e-5
    )
    again = type(peer)(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(again.predict(some_pairs), expected, atol=2e-5)


def test_the_digest_of_a_modular_model_covers_its_head(bert: Path, tmp_path: Path) -> None:
    folder = modular(tmp_path / "modular", bert, "cls")
    before = resolve(str(folder)).sha256
    save_file(
        {"linear.weight": torch.zeros(1, 32), "linear.bias": torch.ones(1)}, folder / "4_Dense" / "model.safetensors"
    )
    assert resolve(str(folder)).sha256 != before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"activation_function": "os.system"}, "names the activation os.system, expected one of torch.nn.modules"),
        ({"out_features": 3}, "its head gives 3 values"),
        ({"module_input_name": "token_embeddings"}, "makes scores of token_embeddings"),
        ({"out_features": "many"}, "describes no Dense module"),
        ({"in_features": 31}, "is not what its config.json describes"),
    ],
)
def test_modules_that_cannot_be_honoured_are_refused(
    changes: dict[str, object], text: str, bert: Path, tmp_path: Path, edit: Callable[..., None]
) -> None:
    folder = modular(tmp_path / "modular", bert, "cls")
    edit(folder / "4_Dense" / "config.json", **changes)
    with pytest.raises((UsageError, DataError), match=text):
        CrossEncoder.load(folder, device="cpu")


def test_weights_of_a_module_that_are_not_there_are_missed(bert: Path, tmp_path: Path) -> None:
    folder = modular(tmp_path / "modular", bert, "cls")
    (folder / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(MissingError, match=r"no 2_Dense/model\.safetensors, which modules\.json promises"):
        CrossEncoder.load(folder, device="cpu")


def test_the_default_prompt_goes_before_the_query_and_takes_none_of_its_room(
    bert: Path, some_pairs: Texts, tmp_path: Path
) -> None:
    own = {"model_type": "CrossEncoder", "prompts": {"web": "who heats the still? "}, "default_prompt_name": "web"}
    (bert / "config_sentence_transformers.json").write_text(json.dumps(own))
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}
    (bert / "modules.json").write_text(json.dumps([module]))
    (bert / "sentence_bert_config.json").write_text(json.dumps(SCORING_TRANSFORMER))
    encoder = CrossEncoder.load(bert, device="cpu", query_tokens=20)
    assert encoder.pairs(*[TokenStore.of({}, encoder.tokenizer)] * 2).query_tokens == 25
    peer = pytest.importorskip("sentence_transformers").CrossEncoder(
        str(bert), device="cpu", activation_fn=torch.nn.Identity()
    )
    pairs = [(query, passage) for query, passage in some_pairs if len(passage.split()) < 40]
    np.testing.assert_allclose(encoder.score(pairs), peer.predict(pairs), atol=1e-5)
    encoder.save(tmp_path / "saved")
    again = CrossEncoder.load(tmp_path / "saved", device="cpu")
    np.testing.assert_allclose(again.score(pairs), encoder.score(pairs), atol=1e-6)
    assert again.query_tokens == encoder.query_tokens == 20
    again_there = type(peer)(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(again_there.predict(pairs), encoder.score(pairs), atol=1e-5)


QUERY = "bert.encoder.layer.1.attention.self.query"


def adapter(folder: Path, base: str, **settings: object) -> dict[str, torch.Tensor]:
    """Write a LoRA adapter of rank 2 with a head of its own."""
    random = torch.Generator().manual_seed(2)
    tensors = {
        f"base_model.model.{QUERY}.lora_A.weight": torch.randn(2, 32, generator=random),
        f"base_model.model.{QUERY}.lora_B.weight": torch.randn(32, 2, generator=random),
        "base_model.model.classifier.weight": torch.randn(1, 32, generator=random),
        "base_model.model.classifier.bias": torch.ones(1),
    }
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "base_model_name_or_path": base, **settings}
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "adapter_model.safetensors")
    return tensors


@pytest.mark.parametrize(("settings", "scale"), [({}, 3.0), ({"use_rslora": True}, 6 / 2**0.5),
                                                 ({"alpha_pattern": {"query": 2}}, 1.0)])  # fmt: skip
@pytest.mark.parametrize("beside", [True, False])
def test_a_lora_adapter_is_merged_beside_and_in_place_of_weights(
    beside: bool, settings: dict[str, object], scale: float, bert: Path, some_pairs: Texts, tmp_path: Path
) -> None:
    plain = tf.AutoModelForSequenceClassification.from_pretrained(bert)
    folder = bert if beside else tmp_path / "adapter"
    if not beside:
        bare(bert, lambda *_: None)  # whose head the adapter brings
    tensors = adapter(folder, str(bert), **settings)
    down, up, weight, bias = tensors.values()
    with torch.no_grad():
        plain.get_submodule(QUERY).weight += scale * up @ down
        plain.classifier.weight.copy_(weight)
        plain.classifier.bias.copy_(bias)
    plain.save_pretrained(tmp_path / "merged")
    tf.AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path / "merged")
    expected = CrossEncoder.load(tmp_path / "merged", device="cpu").score(some_pairs)
    before = resolve(str(folder)).sha256
    np.testing.assert_allclose(CrossEncoder.load(folder, device="cpu").score(some_pairs), expected, atol=1e-5)
    adapter(folder, str(bert))
    save_file(tensors | {"base_model.model.classifier.bias": torch.zeros(1)}, folder / "adapter_model.safetensors")
    assert resolve(str(folder)).sha256 != before


def test_adapters_that_cannot_be_merged_are_refused_by_name(bert: Path, edit: Callable[..., None]) -> None:
    tensors = adapter(bert, "")
    for changes, text in (
        ({"peft_type": "IA3"}, "of the kind IA3; expected plain LoRA"),
        ({"use_dora": True}, "use_dora"),
    ):
        adapter(bert, "", **changes)
        with pytest.raises(UsageError, match=text):
            CrossEncoder.load(bert, device="cpu")
    adapter(bert, "")
    save_file({f"base_model.model.gone.{n}.weight": torch.ones(2, 2) for n in ("lora_A", "lora_B")} | tensors,
              bert / "adapter_model.safetensors")  # fmt: skip
    with pytest.raises(DataError, match=r"2 tensors of adapter_model\.safetensors are for no weight of the BertFor"):
        CrossEncoder.load(bert, device="cpu")
    (bert / "adapter_model.safetensors").unlink()
    with pytest.raises(MissingError, match=r"names an adapter, and adapter_model\.safetensors is not there"):
        CrossEncoder.load(bert, device="cpu")
    (bert / "config.json").unlink()
    adapter(bert, "/nowhere/base")
    with pytest.raises(MissingError, match="an adapter of /nowhere/base, which cannot"):
        CrossEncoder.load(bert, device="cpu")


def alone(model: tf.PreTrainedModel, tokenizer: tf.PreTrainedTokenizerBase, pairs: Texts, most: int) -> list[float]:
    """Scores of transformers, one pair at a time."""
    model.eval()
    with torch.inference_mode():
        return [
            float(
                model(
                    **tokenizer([pair[0]], [pair[1]], truncation="only_second", max_length=most, return_tensors="pt")
                ).logits[0, 0]
            )
            for pair in pairs
        ]


SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "num_labels": 1,
         "max_position_embeddings": 96, "initializer_range": 0.5}  # fmt: skip


@pytest.mark.parametrize("kind", ["fnet", "convbert", "xlnet", "gpt2", "bart"])
def test_what_padding_would_change_is_scored_without_it(
    kind: str, bert: Path, some_pairs: Texts, tmp_path: Path, edit: Callable[..., None]
) -> None:
    tokenizer = tf.AutoTokenizer.from_pretrained(bert)
    shape = SHAPE | {"vocab_size": len(tokenizer)}
    match kind:
        case "fnet":
            config: tf.PreTrainedConfig = tf.FNetConfig(**shape)
        case "convbert":
            config = tf.ConvBertConfig(**shape, embedding_size=32, head_ratio=1, conv_kernel_size=3)
        case "xlnet":
            config = tf.XLNetConfig(
                vocab_size=len(tokenizer), d_model=32, n_layer=2, n_head=2, d_inner=48, num_labels=1
            )
        case "bart":  # whose head refuses rows with ends of sequences in unequal number
            tokenizer.model_input_names = ["input_ids", "attention_mask"]
            config = tf.BartConfig(
                vocab_size=len(tokenizer), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=96,
                num_labels=1, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.cls_token_id,
                eos_token_id=tokenizer.sep_token_id, decoder_start_token_id=tokenizer.sep_token_id,
            )  # fmt: skip
        case _:
            config = tf.GPT2Config(
                vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=96, num_labels=1
            )
    torch.manual_seed(1)
    model = tf.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    if kind == "gpt2":  # with no padding token, and none to be made of what its pairs do not end with
        edit(tmp_path / "model" / "config.json", pad_token_id=None)
        edit(tmp_path / "model" / "tokenizer_config.json", pad_token=None, mask_token=None, unk_token=None)
        tokenizer = tf.AutoTokenizer.from_pretrained(tmp_path / "model")
    encoder = CrossEncoder.load(tmp_path / "model", device="cpu", max_length=64)
    expected = alone(model, tokenizer, some_pairs, 64)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(encoder.score(some_pairs), expected, rtol=1e-4, atol=1e-5)
    with_marks = [(query, f"{passage} {tokenizer.sep_token} {passage}") for query, passage in some_pairs[:2]]
    mixed = [*some_pairs[:3], *with_marks]
    np.testing.assert_allclose(encoder.score(mixed), alone(model, tokenizer, mixed, 64), rtol=1e-4, atol=1e-5)
    assert encoder.pads or "batches of equal length on cpu: padding would change the scores" in encoder.attention()
    assert encoder.pads == (kind == "bart" or (kind == "gpt2" and tokenizer.unk_token is not None))


def test_a_length_that_an_architecture_cannot_take_is_one_clear_error(bert: Path, tmp_path: Path) -> None:
    tokenizer = tf.AutoTokenizer.from_pretrained(bert)
    config = tf.NystromformerConfig(**SHAPE, vocab_size=len(tokenizer), segment_means_seq_len=64, num_landmarks=8)
    tf.AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(UsageError, match="a nystromformer of this configuration cannot compute pairs of"):
        CrossEncoder.load(tmp_path / "model", device="cpu")


@pytest.mark.parametrize(
    ("kept", "fault"),
    [
        (3, "limbeck.*a whole number, expected"),
        ({"query_tokens": "many"}, r"limbeck\.query_tokens.*a string, expected"),
        ({"query_tokens": 1e300}, r"limbeck\.query_tokens.*a number, expected"),
        ({"calibration": [1]}, r"limbeck\.calibration.*an array, expected"),
    ],
)
def test_damage_of_what_limbeck_keeps_in_the_configuration_is_named(
    kept: object, fault: str, bert: Path, edit: Callable[..., None]
) -> None:
    edit(bert / "config.json", limbeck=kept)
    with pytest.raises(DataError, match=rf"config\.json: .*{fault}"):
        CrossEncoder.load(bert, device="cpu")


def test_a_tokeniser_with_more_tokens_than_the_embedding_has_rows_is_refused(bert: Path) -> None:
    tokenizer = tf.AutoTokenizer.from_pretrained(bert)
    tokenizer.add_tokens(["[Q]", "[D]"])
    tokenizer.save_pretrained(bert)
    with pytest.raises(DataError, match="resize_token_embeddings was forgotten"):
        CrossEncoder.load(bert, device="cpu")


def test_an_architecture_is_one_record(
    family_folder: Folder, some_pairs: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data2Vec has RoBERTa's parts: one record, and it computes packed, and its last layer the first token alone."""
    folder = tmp_path / "data2vec"
    shutil.copytree(family_folder("roberta"), folder)
    of_roberta = tf.AutoConfig.from_pretrained(folder).to_dict()
    shape = {key: of_roberta[key] for key in ("vocab_size", "type_vocab_size", "pad_token_id")}
    config = tf.Data2VecTextConfig(**SHAPE, **shape)
    tf.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    plain = CrossEncoder.load(folder, device="cpu").score(some_pairs)
    with pytest.raises(UsageError, match="cannot be computed packed"):
        CrossEncoder.load(folder, device="cpu", packed=True)
    monkeypatch.setitem(FAMILIES, "data2vec-text", FAMILIES["roberta"])
    packed = CrossEncoder.load(folder, device="cpu", packed=True)
    np.testing.assert_allclose(packed.score(some_pairs), plain, atol=1e-4)
