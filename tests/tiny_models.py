import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TEXTS = [
    "the alembic boils and the copper glows",
    "ether drips into a flask of glass, slowly",
    "who heats the still? nobody knows.",
    "a distiller's receiver collects what condenses in the worm",
]
WORDS = sorted({word for text in TEXTS for word in text.replace(",", "").replace("?", "").replace(".", "").split()})
POSITIONS = 96
LAYERS = 3
FAMILIES = ("bert", "roberta", "electra", "deberta-v3", "deberta-v2-conv", "modernbert", "mpnet", "distilbert")
SMALL = {
    "hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 48,
    "initializer_range": 0.2, "num_labels": 1,
}  # fmt: skip
DEBERTA = {
    "max_position_embeddings": POSITIONS, "relative_attention": True, "position_buckets": 8, "share_att_key": True,
    "norm_rel_ebd": "layer_norm", "pos_att_type": "p2c|c2p", "position_biased_input": False, "type_vocab_size": 0,
    "pooler_hidden_size": 32,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Iterator[None]:
    """No test waits for the Hub."""
    import huggingface_hub.constants as constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    yield
    constants.HF_HUB_OFFLINE = before


@pytest.fixture(scope="session")
def tokenizer() -> Callable[[str], tf.PreTrainedTokenizerBase]:
    """A tiny tokeniser in the style of a family."""
    return make_tokenizer


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small cross-encoder of a family, with random weights and a head; shared, not to be written to."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            write_family(family, made[family])
        return made[family]

    return folder


@pytest.fixture
def bert(family_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A small BERT cross-encoder's folder for the test alone."""
    return Path(shutil.copytree(family_folder("bert"), tmp_path / "bert"))


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change keys of a JSON file; None takes a key out."""

    def edit(file: Path, **changes: object) -> None:
        content = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return edit


@pytest.fixture(scope="session")
def some_pairs() -> list[tuple[str, str]]:
    """Pairs of mixed lengths: empty, short, and longer than the small backbones take."""
    random = np.random.default_rng(7)
    pairs = [("", ""), ("who heats the still?", ""), ("", TEXTS[0])]
    for length in (1, 2, 3, 5, 8, 8, 13, 21, 34, 70, 200):
        query = " ".join(random.choice(WORDS, int(random.integers(1, 6))))
        pairs.append((query, " ".join(random.choice(WORDS, length))))
    return [pairs[i] for i in random.permutation(len(pairs))]


def make_tokenizer(family: str) -> tf.PreTrainedTokenizerBase:
    if family in ("bert", "electra", "distilbert"):
        kind = {"bert": tf.BertTokenizer, "electra": tf.ElectraTokenizer, "distilbert": tf.DistilBertTokenizer}[family]
        return kind(vocab=_wordpieces("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), model_max_length=POSITIONS)
    if family == "mpnet":
        return tf.MPNetTokenizer(vocab=_wordpieces("<s>", "<pad>", "</s>", "[UNK]", "<mask>"))
    if family == "roberta":
        bpe = json.loads(_byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]).to_str())["model"]
        return tf.RobertaTokenizer(vocab=bpe["vocab"], merges=[tuple(merge) for merge in bpe["merges"]])
    if family == "modernbert":
        backend = _byte_level(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"])
        numbers = [(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=numbers
        )
        return tf.PreTrainedTokenizerFast(
            tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], unk_token="[UNK]",
            cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]",
        )  # fmt: skip
    specials = [(token, 0.0) for token in ("[PAD]", "[CLS]", "[SEP]", "[UNK]")]
    pieces = [("▁" + word, -float(rank)) for rank, word in enumerate(WORDS, 1)]
    letters = [(letter, -50.0) for letter in "▁abcdefghijklmnopqrstuvwxyz,.?'"]
    return tf.DebertaV2Tokenizer(vocab=[*specials, *pieces, *letters, ("[MASK]", 0.0)], unk_id=3)


def write_family(family: str, folder: Path) -> None:
    tokenizer = make_tokenizer(family)
    shape = SMALL | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    config: tf.PreTrainedConfig
    match family:
        case "bert":
            config = tf.BertConfig(**shape, max_position_embeddings=POSITIONS)
        case "electra":
            config = tf.ElectraConfig(**shape, embedding_size=16, max_position_embeddings=POSITIONS)
        case "roberta":
            config = tf.RobertaConfig(**shape, max_position_embeddings=POSITIONS + 2, type_vocab_size=1)
        case "mpnet":
            config = tf.MPNetConfig(**shape, max_position_embeddings=POSITIONS + 2)
        case "distilbert":
            names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
            names["intermediate_size"] = "hidden_dim"
            shape = {names.get(key, key): value for key, value in shape.items()}
            config = tf.DistilBertConfig(**shape, max_position_embeddings=POSITIONS)
        case "modernbert":
            config = tf.ModernBertConfig(
                **shape, max_position_embeddings=POSITIONS, local_attention=8, global_attn_every_n_layers=2,
                initializer_cutoff_factor=4.0, bos_token_id=None, eos_token_id=None, cls_token_id=1, sep_token_id=2,
            )  # fmt: skip
        case "deberta-v3":
            config = tf.DebertaV2Config(**shape, **DEBERTA)
        case "deberta-v2-conv":
            config = tf.DebertaV2Config(**shape, **DEBERTA, conv_kernel_size=3, conv_act="gelu")
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(3)
        tf.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _wordpieces(*specials: str) -> dict[str, int]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*specials, *WORDS, *letters, *("##" + letter for letter in letters), *",.?'"]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def _byte_level(specials: list[str]) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(TEXTS * 3, trainer)
    return backend
