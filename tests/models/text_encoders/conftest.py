import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Query", ":"]
WORDS += ["alembic", "boils", "copper", "drips", "ether", "flask", "glass", "heats"]
OLD = "sentence_transformers.models."
NEW = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
}


def begin(folder: Path, seed: int) -> BertConfig:
    """Make the folder with a tokeniser, and say what shape and seed its weights are to have."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=False, model_max_length=16).save_pretrained(folder)
    torch.manual_seed(seed)
    return BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, initializer_range=0.5,
    )  # fmt: skip


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Write a tiny BERT with random weights as sentence-transformers does, in its old or its new spelling."""

    def write(
        pooling: object = "mean",
        new: bool = False,
        modules: tuple[str, ...] = ("Transformer", "Pooling", "Normalize"),
        transformer: dict | None = None,
        prompts: dict | None = None,
        include_prompt: bool = True,
        name: str = "model",
    ) -> Path:
        folder = tmp_path / name
        config = begin(folder, 0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
        entries = [
            {"idx": i, "path": f"{i}_{kind}" if i else "", "type": NEW[kind] if new else OLD + kind}
            for i, kind in enumerate(modules)
        ]
        (folder / "modules.json").write_text(json.dumps(entries))
        (folder / "1_Pooling").mkdir()
        if new:
            settings = {"embedding_dimension": 16, "pooling_mode": pooling, "include_prompt": include_prompt}
        else:
            flags = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}
            settings = {"word_embedding_dimension": 16, **{f"pooling_mode_{flag}": False for flag in flags.values()}}
            settings |= {f"pooling_mode_{flags[mode]}": True for mode in [pooling] if isinstance(mode, str)}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
        if transformer is None:
            transformer = {"transformer_task": "feature-extraction"} if new else {"max_seq_length": 8}
        (folder / "sentence_bert_config.json").write_text(json.dumps(transformer))
        if prompts is not None:
            (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        return folder

    return write


@pytest.fixture
def write_roberta(tmp_path: Path) -> Callable[[], Path]:
    """Write a plain tiny RoBERTa, without any sentence-transformers file, whose tokeniser knows no longest text."""

    def write() -> Path:
        folder = tmp_path / "roberta"
        folder.mkdir()
        (folder / "vocab.txt").write_text("\n".join(WORDS))
        tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=False)
        tokenizer.save_pretrained(folder)
        torch.manual_seed(0)
        config = RobertaConfig(
            vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=12, pad_token_id=0, initializer_range=0.5,
        )  # fmt: skip
        RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
        assert AutoTokenizer.from_pretrained(folder).model_max_length > 1_000_000
        return folder

    return write


@pytest.fixture
def write_splade(tmp_path: Path) -> Callable[..., Path]:
    """Write a tiny masked LM with random weights: plain, or as SparseEncoder saves it, now or when SPLADE-v3 came."""

    def write(
        spelling: str = "old",
        pooling: dict | None = None,
        transformer: dict | None = None,
        kinds: tuple[str, ...] = (),
        name: str = "splade",
    ) -> Path:
        folder = tmp_path / name
        config = begin(folder, 1)
        BertForMaskedLM(config).save_pretrained(folder)
        if spelling == "plain":
            return folder
        first, second = kinds or ("MLMTransformer" if spelling == "old" else "Transformer", "SpladePooling")
        where = "sentence_transformers.sparse_encoder.models." if spelling == "old" else "sentence_transformers.base."
        entries = [
            {"idx": 0, "name": "0", "path": "", "type": where + first},
            {"idx": 1, "name": "1", "path": f"1_{second}", "type": where + second},
        ]
        (folder / "modules.json").write_text(json.dumps(entries))
        (folder / f"1_{second}").mkdir()
        settings = {"pooling_strategy": "max", "activation_function": "relu", "word_embedding_dimension": None}
        (folder / f"1_{second}" / "config.json").write_text(json.dumps(settings | (pooling or {})))
        if transformer is None:
            transformer = {"max_seq_length": 8, "do_lower_case": False}
            if spelling == "new":
                output = {"text": {"method": "forward", "method_output_name": "logits"}}
                transformer |= {"transformer_task": "fill-mask", "modality_config": output}
        (folder / "sentence_bert_config.json").write_text(json.dumps(transformer))
        config_file = {"model_type": "SparseEncoder", "prompts": {"query": "", "document": ""}}
        config_file |= {"default_prompt_name": None, "similarity_fn_name": "dot"}
        (folder / "config_sentence_transformers.json").write_text(json.dumps(config_file))
        return folder

    return write
