"""Small random models of a real model's own architecture and tokeniser kind."""

import json
from pathlib import Path
from typing import Any
from zlib import crc32

from limbeck.core.errors import UsageError
from limbeck.study.plan.architecture import Architecture
from limbeck.study.rehearsal.collections import WORDS

LAYERS = 2
SMALL = {
    "hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 48,
    "pooler_hidden_size": 32, "embedding_size": 32, "initializer_range": 0.2, "num_labels": 1,
}  # fmt: skip
# The names that DistilBERT has for them.
OTHER_NAMES = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
               "intermediate_size": "hidden_dim"}  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"


SPLADE = Architecture("distilbert", "wordpiece", {})
DENSE = Architecture("bert", "wordpiece", {})


def write_model(architecture: Architecture, head: str, name: str, folder: Path) -> None:
    """Write a random checkpoint, the same on every call.

    Args:
        head: the class of transformers that makes it, such as `AutoModel`.
        name: of the real model; other names get other weights.

    Raises:
        UsageError: transformers has no such architecture, or not in this shape.
    """
    import torch
    import transformers

    from limbeck.models.sources import silence_transformers

    with silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(crc32(name.encode()))
        tokenizer = _tokenizer(architecture)
        shape = {key: value for key, value in architecture.shape.items() if key != "layer_types"}
        small = {OTHER_NAMES[key] if architecture.kind == "distilbert" and key in OTHER_NAMES else key: value
                 for key, value in SMALL.items()}  # fmt: skip
        tokens = {f"{token}_token_id": getattr(tokenizer, f"{token}_token_id") for token in ("pad", "cls", "sep")}
        values = {**shape, **small, **tokens, "bos_token_id": None, "eos_token_id": None, "vocab_size": len(tokenizer)}
        try:
            config = transformers.AutoConfig.for_model(architecture.kind, **values)
            model = getattr(transformers, head).from_config(config)
        # What a family's classes raise for a shape that they cannot have differs from family to family.
        except Exception as error:
            raise UsageError(
                f"{name}: cannot be rehearsed: no small model of the type {architecture.kind} can be made ({error}); "
                "take its backbone out of the study to rehearse the rest"
            ) from None
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _tokenizer(architecture: Architecture) -> Any:
    import transformers

    if architecture.tokenizer == "wordpiece":
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        pieces = [*specials, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
        return transformers.BertTokenizer(vocab={token: number for number, token in enumerate(pieces)})
    if architecture.tokenizer == "unigram":
        scored = [(token, 0.0) for token in ("[PAD]", "[CLS]", "[SEP]", "[UNK]")]
        scored += [(f"▁{word}", -float(rank)) for rank, word in enumerate(WORDS, 1)]
        scored += [(letter, -500.0) for letter in f"▁{LETTERS}{LETTERS.upper()}"]
        return transformers.DebertaV2Tokenizer(vocab=[*scored, ("[MASK]", 0.0)], unk_id=3)
    return _byte_level(architecture.kind)


def _byte_level(kind: str) -> Any:
    """Byte-level BPE; with RoBERTa's pair template where the model is one, else with BERT's."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    roberta = kind == "roberta"
    start, padding, end, unknown, mask = (
        ("<s>", "<pad>", "</s>", "<unk>", "<mask>") if roberta else ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
    )
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[start, padding, end, unknown, mask], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    backend.train_from_iterator([" ".join(WORDS)], trainer)
    if roberta:
        model = json.loads(backend.to_str())["model"]
        return transformers.RobertaTokenizer(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B {end}",
        special_tokens=[(token, backend.token_to_id(token)) for token in (start, end)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", "attention_mask"], unk_token=unknown,
        cls_token=start, sep_token=end, pad_token=padding, mask_token=mask,
    )  # fmt: skip
