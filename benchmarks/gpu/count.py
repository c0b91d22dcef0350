"""What a training step asks of a GPU, counted on tensors without data: needs neither a GPU nor a minute.

    python benchmarks/gpu/count.py [MODEL…] [--lists 32] [--passages 8]

Each operation of the forward and backward pass that is no mere view is one launch, and moves what it reads and writes;
a compiler would launch fewer and move less. Packed rows of MS MARCO's lengths, flash attention, dropout .1, bf16:

autocast         as limbeck trains: weights in fp32, cast where a product wants them
working weights  those of linear layers in bf16 beside fp32 masters: no casts, but a copy of the masters a step, and
                 gradients that are added to fp32 ones, for bf16 sums of several micro-batches would lose digits
one qkv          working weights, and those of query, key and value one tensor (BERT; ModernBERT's are)
"""

import argparse
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import numpy as np
import torch
import transformers as tf
from suite import SHAPES
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.initialization import no_init_weights

from limbeck.kernels import attention, layers
from limbeck.kernels.attention import Sequences

MODELS = {"bert-base": "base", "modernbert-base": "modernbert-base", "minilm-l6": "minilm-l6"}
WAYS = ("autocast", "working weights", "one qkv")
FREE = ("empty", "detach", "alias", "new_empty", "empty_like", "device", "promote_types")
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class Count(TorchDispatchMode):
    """Counts launches, and bytes read and written, by the operation's name."""

    def __init__(self) -> None:
        super().__init__()
        self.launches, self.bytes = Counter[str](), Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        aliases = [each.alias_info for each in func._schema.returns]
        if name not in FREE and not any(alias and not alias.is_write for alias in aliases):
            tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, torch.Tensor)]
            self.launches[name] += 1
            self.bytes[name] += sum(each.numel() * each.element_size() for each in tensors)
        return result


def make(name: str) -> Any:
    """A scoring model in limbeck's own ways of computing, packed; of fake tensors, within such a mode."""
    hidden, depth, heads, inner, words = SHAPES[MODELS[name]]
    values: dict[str, Any] = {
        "hidden_size": hidden, "num_hidden_layers": depth, "num_attention_heads": heads, "intermediate_size": inner,
        "vocab_size": words, "num_labels": 1, "pad_token_id": 0,
    }  # fmt: skip
    config: Any = tf.BertConfig(**values)
    if name.startswith("modernbert"):
        config = tf.ModernBertConfig(**values, mlp_dropout=0.1, embedding_dropout=0.1)
    with no_init_weights():
        model = tf.AutoModelForSequenceClassification.from_config(config)
    layers.first_token_only(model)
    layers.project_together(model)
    layers.compute_head_in_float32(model)
    attention.use_our_attention(model, packed=True)
    layers.touch_used_rows_only(model)
    return model.train()


def counted(name: str, way: str, lengths: Any) -> tuple[Count, int]:
    """One step of a single micro-batch, and how many values the weights of linear layers have."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = make(name)
        linear = [part for part in model.base_model.modules() if isinstance(part, torch.nn.Linear)]
        if way != "autocast":
            for part in linear:
                for key, weight in list(part.named_parameters(recurse=False)):
                    setattr(part, key, torch.nn.Parameter(weight.detach().to(torch.bfloat16)))
        with one_qkv(model) if way == "one qkv" else contextlib.nullcontext():
            sequences = Sequences(lengths, torch.device("cpu")).prepared(True)
            ids = torch.zeros(1, int(lengths.sum()), dtype=torch.int64)
            count = Count()
            with count:
                with torch.autocast("cpu", torch.bfloat16):
                    scores = model(input_ids=ids, position_ids=ids, sequences=sequences).logits
                scores.sum().backward()
        return count, sum(part.weight.numel() for part in linear)


@contextlib.contextmanager
def one_qkv(model: Any) -> Any:
    """Let BERT's query, key and value have one weight and one bias."""
    before: Callable[..., Any] = torch.cat

    def together(tensors: Any, *rest: Any, **options: Any) -> Any:
        sizes = [len(each) for each in tensors]
        if all(isinstance(each, torch.nn.Parameter) for each in tensors):
            return torch.nn.Parameter(tensors[0].new_empty(sum(sizes), *tensors[0].shape[1:]))
        return before(tensors, *rest, **options)

    torch.cat = together
    try:
        yield
    finally:
        torch.cat = before


@contextlib.contextmanager
def as_on_cuda() -> Any:
    """Let attention be flash attention, and dropout CUDA's: one launch, where a CPU takes three."""

    def dropout(values: torch.Tensor, share: float, training: bool, _: bool) -> torch.Tensor:
        return torch.native_dropout(values, share, training)[0]

    with (
        mock.patch.object(attention, "takes_flash", return_value=True),
        mock.patch.object(torch.nn.functional, "dropout", dropout),
    ):
        yield


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="default: all")
    parser.add_argument("--lists", type=int, default=32)
    parser.add_argument("--passages", type=int, default=8)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    lengths = np.clip(random.lognormal(np.log(62) - 0.45**2 / 2, 0.45, options.lists * options.passages), 12, 256)
    lengths = lengths.astype(np.int64)
    print(f"{len(lengths)} pairs, {lengths.sum():,} tokens, one micro-batch")
    print(f"{'':18}{'':18}{'launches':>9}{'GB':>8}{'of products':>13}{'casts':>7}{'GB':>7}{'cat':>5}{'GB':>7}")
    for name in options.models or MODELS:
        for way in WAYS:
            with as_on_cuda():
                count, weights = counted(name, way, lengths)
            launches, moved = sum(count.launches.values()), sum(count.bytes.values())
            if way != "autocast":
                # torch._foreach_copy_ of the masters, and _foreach_add_ of the gradients: a few launches for all.
                launches, moved = launches + 8, moved + weights * (4 + 2 + 2 + 4 + 4)
            products = sum(count.bytes[each] for each in PRODUCTS)
            casts, cats = "_to_copy", "cat"
            print(
                f"{name:18}{way:18}{launches:>9,}{moved / 1e9:>8.1f}{products / 1e9:>13.1f}{count.launches[casts]:>7}"
                f"{count.bytes[casts] / 1e9:>7.1f}{count.launches[cats]:>5}{count.bytes[cats] / 1e9:>7.1f}"
            )


if __name__ == "__main__":
    main()
