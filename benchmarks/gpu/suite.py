"""What check.py and bench.py share: random models of base size and small ones, texts, and parts that fail alone."""

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
PRECISION = "bf16" if CUDA else "fp32"  # many CPUs have no fast bf16
WORDS = 2_000  # that texts are made of
SHAPES = {  # hidden units, layers, heads, units of the feed-forward part, words of the vocabulary
    "small": (64, 3, 2, 128, WORDS),
    "minilm-l6": (384, 6, 12, 1536, 30_000),
    "base": (768, 12, 12, 3072, 30_000),
    "modernbert-base": (768, 22, 12, 1152, 50_000),
}
PACKED = ("bert", "roberta", "electra", "modernbert")
FAMILIES = (*PACKED, "mpnet", "deberta-v3", "distilbert")
Text = tuple[str, str]


class NotHere(Exception):
    """A part cannot run on this machine; the text says what it wants."""


class Suite:
    """Runs parts one after another. One that fails is noted and the rest goes on; results are written after each."""

    def __init__(self, name: str, doc: str) -> None:
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--seconds", type=float, default=270, help="no part begins after it")
        parser.add_argument("--tiny", action="store_true", help="sizes for a CPU: numbers mean nothing, all code runs")
        parser.add_argument("--only", nargs="*", default=[], help="parts whose names begin so")
        parser.add_argument("--output", type=Path, default=Path("gpu-results"), help="folder of the results")
        options = parser.parse_args()
        self.tiny, self.seconds, self.only, self.output = options.tiny, options.seconds, options.only, options.output
        self.output.mkdir(parents=True, exist_ok=True)
        self.file, self.began = self.output / f"{name}.json", time.monotonic()
        self.passed: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        tf.logging.disable_progress_bar()
        tf.logging.set_verbosity_error()
        self.folder = Path(tempfile.mkdtemp(prefix="limbeck-gpu-"))
        os.environ["LIMBECK_CACHE"] = str(self.folder / "cache")
        print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, transformers {tf.__version__}, {machine()}")

    def __call__(self, name: str, part: Callable[..., Any], *values: Any, needs: float = 5.0, **options: Any) -> None:
        """Run a part that takes about `needs` seconds."""
        if self.only and not any(name.startswith(word) for word in self.only):
            return
        began = time.monotonic()
        left = self.seconds - (began - self.began)
        try:
            if left < needs:
                raise NotHere(f"{left:.0f} s left, it takes {needs:.0f}")
            found = part(*values, **options)
        except NotHere as reason:
            self.skipped[name] = str(reason)
            print(f"- {name}: skipped, {reason}", flush=True)
        except Exception as error:  # one failing part must not stop the rest
            self.failed[name] = f"{type(error).__name__}: {error}"
            print(f"! {name}: {traceback.format_exc()[-3000:]}", flush=True)
        else:
            self.passed[name] = found
            print(f"+ {name} [{time.monotonic() - began:.1f} s] {json.dumps(found, default=str)}", flush=True)
        self.write()
        if CUDA:
            with contextlib.suppress(RuntimeError):
                torch.cuda.synchronize()
                torch.cuda.empty_cache()

    def ways(self, *ways: Any) -> tuple[Any, ...]:
        """What a part is run with, one after another; in tiny runs the first, whose code is that of all."""
        return ways[:1] if self.tiny else ways

    def write(self) -> None:
        """Keep what is known up to now."""
        found = {"machine": machine(), "passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        self.file.write_text(json.dumps(found, indent=1, default=str))

    def end(self) -> int:
        """Say how it went; the exit code."""
        print(f"\n{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped: {self.file}")
        for name, error in self.failed.items():
            print(f"  {name}: {error[:300]}")
        return int(bool(self.failed))


def machine() -> str:
    """The device, in words."""
    if not CUDA:
        return f"{os.cpu_count()} CPUs, no CUDA device"
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, compute capability {card.major}.{card.minor}, {card.total_memory / 2**30:.0f} GiB"


def need_cuda() -> None:
    """NotHere without a CUDA device."""
    if not CUDA:
        raise NotHere("wants a CUDA device")


def need_package(*names: str) -> None:
    """NotHere where a package is not installed."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if absent:
        raise NotHere(f"wants pip install {' '.join(absent)}")


def make_tokenizer(family: str, words: int) -> tf.PreTrainedTokenizerFast:
    """One word, one token: `w0`, `w1`, …"""
    doubled = family in ("roberta", "mpnet")
    cls, sep, pad = ("<s>", "</s>", "<pad>") if doubled else ("[CLS]", "[SEP]", "[PAD]")
    specials = [cls, pad, sep] if doubled else [pad, cls, sep]
    tokens = [*specials, "[UNK]", "[MASK]", *(f"w{number}" for number in range(words))]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} {sep} $B {sep}" if doubled else f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(token, vocabulary[token]) for token in (cls, sep)],
    )
    types = ["token_type_ids"] if family in ("bert", "electra", "deberta-v3") else []
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", *types, "attention_mask"], unk_token="[UNK]",
        cls_token=cls, sep_token=sep, pad_token=pad, mask_token="[MASK]", model_max_length=512,
    )  # fmt: skip


def make_model(suite: Suite, family: str, shape: str = "small", dropout: float = 0.1, **changes: Any) -> Path:
    """Folder of a random cross-encoder with a head of one score, made once.

    Args:
        changes: of its configuration.
    """
    own_name = (f"{key}-{value}" for key, value in changes.items())
    folder = suite.folder / "-".join([family, shape, str(dropout), *own_name])
    if (folder / "config.json").exists():
        return folder
    hidden, layers, heads, inner, words = SHAPES[shape]
    tokenizer, small = make_tokenizer(family, words), shape == "small"
    values: dict[str, Any] = {
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner,
        "vocab_size": len(tokenizer) + -len(tokenizer) % 64, "pad_token_id": tokenizer.pad_token_id, "num_labels": 1,
        "initializer_range": 0.08 if small else 0.03,
    }  # fmt: skip
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    match family:
        case "bert":
            config = tf.BertConfig(**(values | drops | {"max_position_embeddings": 512} | changes))
        case "electra":
            own = {"embedding_size": hidden, "max_position_embeddings": 512}
            config = tf.ElectraConfig(**(values | drops | own | changes))
        case "roberta":
            own = {"max_position_embeddings": 514, "type_vocab_size": 1}
            config = tf.RobertaConfig(**(values | drops | own | changes))
        case "mpnet":
            config = tf.MPNetConfig(**(values | drops | {"max_position_embeddings": 514} | changes))
        case "distilbert":
            names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
            names["intermediate_size"] = "hidden_dim"
            values = {names.get(key, key): value for key, value in values.items()}
            drops = {"dropout": dropout, "attention_dropout": dropout}
            config = tf.DistilBertConfig(**(values | drops | {"max_position_embeddings": 512} | changes))
        case "modernbert":
            own = {
                "attention_dropout": 0.0, "mlp_dropout": dropout, "embedding_dropout": dropout,
                "max_position_embeddings": 1024, "bos_token_id": None, "eos_token_id": None, "cls_token_id": 1,
                "sep_token_id": 2, "initializer_cutoff_factor": 4.0,
            } | ({"local_attention": 16} if small else {})  # fmt: skip
            config = tf.ModernBertConfig(**(values | own | changes))
        case "deberta-v3":
            own = {
                "max_position_embeddings": 512, "relative_attention": True, "position_buckets": 16 if small else 256,
                "share_att_key": True, "norm_rel_ebd": "layer_norm", "pos_att_type": "p2c|c2p", "type_vocab_size": 0,
                "position_biased_input": False, "pooler_hidden_size": hidden,
            }  # fmt: skip
            config = tf.DebertaV2Config(**(values | drops | own | changes))
        case _:
            raise ValueError(family)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        tf.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def texts(count: int, tokens: float, seed: int, spread: float = 0.45, longest: int = 480) -> list[str]:
    """Texts of log-normal length with this mean, of words by Zipf's law."""
    random = np.random.default_rng(seed)
    lengths = np.clip(random.lognormal(np.log(tokens) - spread**2 / 2, spread, count), 2, longest).astype(int)
    ranks = np.minimum(random.zipf(1.15, int(lengths.sum())) - 1, WORDS - 1)
    ends = np.cumsum(lengths)
    return [" ".join(f"w{rank}" for rank in ranks[end - n : end]) for end, n in zip(ends, lengths, strict=True)]


def pairs_of(count: int, tokens: float = 30, seed: int = 1) -> list[Text]:
    """(query, passage) pairs, four to a query."""
    queries, passages = texts(max(1, count // 4), 5, seed, longest=20), texts(count, tokens, seed + 1)
    return [(queries[number * len(queries) // count], passage) for number, passage in enumerate(passages)]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Distance, beside the size of what was expected."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))
