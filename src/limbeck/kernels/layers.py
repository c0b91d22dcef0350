"""Parts of a backbone that are computed in ways of our own: layers and projections, dropout, word embeddings, head."""

from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import dropout as torch_dropout
from torch.nn.functional import linear

from limbeck.models.families import family_of

if TYPE_CHECKING:
    from limbeck.kernels.attention import Sequences


def layers_of(model: Any) -> list[Any]:
    """The layers, first to last: the one list of modules as long as the configuration says."""
    return next(
        list(module)
        for module in model.base_model.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == model.config.num_hidden_layers
    )


def project_together(model: Any) -> None:
    """Let the layers of a model of the BERT family compute so; weights and names stay as they are."""
    if family_of(model).bert_layers:
        for layer in layers_of(model):
            part: Any = layer.attention.self
            part.forward = MethodType(_forward, part)


def projected(part: Any, hidden_states: torch.Tensor, names: tuple[str, ...]) -> tuple[torch.Tensor, ...]:
    """The named projections of [sequences, tokens, hidden], each [sequences, heads, tokens, width]."""
    maps = [getattr(part, name) for name in names]
    weight, bias = torch.cat([each.weight for each in maps]), torch.cat([each.bias for each in maps])
    together = linear(hidden_states, weight, bias)
    shape = (*hidden_states.shape[:2], len(names), -1, part.attention_head_size)
    # Parted before they are turned: so their gradients are put together where the product wants them.
    return tuple(each.transpose(1, 2) for each in together.view(shape).unbind(2))


def _forward(
    part: Any, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    """transformers' self-attention, without what decoders need."""
    query, key, value = projected(part, hidden_states, ("query", "key", "value"))
    share = part.dropout.p if part.training else 0.0
    context, _weights = attention_of(part)(
        part, query, key, value, attention_mask, dropout=share, scaling=part.scaling, **options
    )
    return context.flatten(-2), None


def attention_of(part: Any) -> Any:
    """The attention function that a self-attention module of the BERT family is set to."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.bert.modeling_bert import eager_attention_forward

    return ALL_ATTENTION_FUNCTIONS.get_interface(part.config._attn_implementation, eager_attention_forward)


def first_token_only(model: Any) -> bool:
    """Let the last layer of a sequence-classification model compute its first token alone; whether it can."""
    if not family_of(model).bert_layers:
        return False
    layer = layers_of(model)[-1]
    layer.forward = MethodType(_first_token_forward, layer)
    return True


def _first_token_forward(
    layer: Any,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *_: Any,
    sequences: "Sequences | None" = None,
    **options: Any,
) -> torch.Tensor:
    """What the layer gives for each sequence's first token: [sequences, 1, hidden].

    From [sequences, tokens, hidden], or from [1, tokens, hidden] where `sequences` are packed.
    """
    part = layer.attention.self
    first = hidden_states[:, :1] if sequences is None else hidden_states[:, sequences.first]
    (query,) = projected(part, first, ("query",))
    key, value = projected(part, hidden_states, ("key", "value"))
    context, _weights = attention_of(part)(
        part,
        query,
        key,
        value,
        None if attention_mask is None else attention_mask[:, :, :1],
        dropout=part.dropout.p if layer.training else 0.0,
        scaling=part.scaling,
        sequences=sequences,
    )
    output: torch.Tensor = layer.feed_forward_chunk(layer.attention.output(context.flatten(-2), first))
    return output if sequences is None else output.transpose(0, 1)


def compute_head_in_float32(model: Any) -> None:
    """Let what is behind a scoring model's backbone compute in float32, outside of autocast; weights stay as they are.

    In half precision scores tie: of 100 that differ, 42 are left (docs/LOG.md).
    """
    parts = [part for part in model.children() if part is not model.base_model]
    for part in (*parts, getattr(model.base_model, "pooler", None)):
        if part is not None and next(part.parameters(), None) is not None:
            part.forward = MethodType(_float32_forward, part)


def _float32_forward(part: Any, *inputs: Any, **options: Any) -> Any:
    device = next(part.parameters()).device.type
    with torch.autocast(device, enabled=False):
        return type(part).forward(part, *(_widened(value) for value in inputs), **options)


def _widened(value: Any) -> Any:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.to(torch.promote_types(value.dtype, torch.float32))


VARIANTS = 32
"""Most compiled variants of a layer's function: three kinds of layers, used in three ways, and room."""


def compile_layers(model: Any) -> Callable[[], None]:
    """Let each layer be compiled when it is first used, once for all lengths; what is returned undoes it.

    Dropout inside is then drawn by torch's compiler: other elements than without, still from torch's seed.
    """
    # By default eight variants of a function, and then no more are compiled, without a word. ModernBERT's layers are of
    # three kinds and one function, and each is used in three ways: training, replaying, scoring.
    limits: Any = torch._dynamo.config
    limits.recompile_limit = max(limits.recompile_limit, VARIANTS)
    before = {layer: layer.forward for layer in layers_of(model)}
    for layer, forward in before.items():
        layer.forward = torch.compile(forward, dynamic=True)

    def undo() -> None:
        for layer, forward in before.items():
            layer.forward = forward

    return undo


def shard(model: Any) -> None:
    """Divide a model's weights among the processes, layer by layer, for one that fits no device; it is changed itself.

    Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models" (arXiv 1910.02054),
    stage 3, as torch's fully sharded data parallelism has it: weights, gradients and optimiser state are divided, and a
    layer's weights are whole on a device while they are used. The backward pass then leaves in each process a part of
    the *mean* of all processes' gradients.
    """
    from torch.distributed.fsdp import fully_shard

    for module in (*layers_of(model), model):
        fully_shard(module)


def touch_used_rows_only(model: Any) -> None:
    """Let the word embeddings of a model add to their gradient row by row; weights and names stay as they are.

    torch's own makes a gradient as large as the vocabulary for each micro-batch and adds it to the one before: for
    MiniLM 47 MB of zeros, written and added, for a few hundred rows. Not for a model divided among processes, whose
    gradients are gathered by torch itself.
    """
    words = model.get_input_embeddings()
    if type(words) is torch.nn.Embedding and not words.sparse:
        words.__class__ = RowEmbedding


class RowEmbedding(torch.nn.Embedding):
    """`torch.nn.Embedding` with a gradient that is added in place, row by row."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[*, width] from token ids [*]."""
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(input)
        found: torch.Tensor = _Lookup.apply(self.weight, input, self.padding_idx)  # type: ignore[no-untyped-call]
        return found


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, weight: torch.Tensor, rows: torch.Tensor, padding: int | None) -> torch.Tensor:
        context.save_for_backward(rows)
        context.weight, context.padding = weight, padding
        return torch.nn.functional.embedding(rows, weight)

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[None, None, None]:
        (rows,) = context.saved_tensors
        weight = context.weight
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        kept = rows.flatten()
        gradients = grad.flatten(0, -2)
        if context.padding is not None:
            gradients = gradients * (kept != context.padding)[:, None]
        weight.grad.index_add_(0, kept, gradients.to(weight.dtype))
        return None, None, None


_SHARES = 1 << 16


def dropout(values: torch.Tensor, share: float) -> torch.Tensor:
    """Values of which `share` are dropped at random, by torch's default generator, and the others scaled up.

    Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting". On the CPU with 16
    random bits for an element, eight times as fast as torch's: the share is the multiple of 1/65536 nearest to the one
    asked for, and the kept elements are scaled by what is really kept.
    """
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return torch_dropout(values, share)
    dropped = round(share * _SHARES)
    if not 0 < dropped < _SHARES:
        return torch_dropout(values, share)
    result: torch.Tensor = _Dropout.apply(values, dropped)  # type: ignore[no-untyped-call]
    return result


def use_fast_dropout(model: torch.nn.Module) -> None:
    """Let every dropout layer of a model draw so; weights and names stay as they are."""
    for module in model.modules():
        if type(module) is torch.nn.Dropout:
            module.__class__ = FastDropout


class FastDropout(torch.nn.Dropout):
    """`torch.nn.Dropout`, drawn by `dropout`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The input itself outside training."""
        return dropout(input, self.p) if self.training and self.p else input


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, dropped: int) -> torch.Tensor:
        words = _words(values.numel())
        # Not booleans: torch compares into them, and converts them, four to eight times as slowly (docs/LOG.md).
        kept = torch.ge(words, dropped - _SHARES // 2, out=words).to(torch.int8).view(values.shape)
        context.save_for_backward(kept)
        context.scale = _SHARES / (_SHARES - dropped)
        return _scaled(values, kept, context.scale)

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (kept,) = context.saved_tensors
        return _scaled(grad, kept, context.scale), None


def _words(count: int) -> torch.Tensor:
    """Random 16-bit numbers, [count], from numpy's fastest generator with a seed from torch's."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    generator = np.random.Generator(np.random.SFC64(seed))
    drawn = generator.integers(-(1 << 63), (1 << 63) - 1, (count + 3) // 4, np.int64, endpoint=True)
    return torch.from_numpy(drawn).view(torch.int16)[:count]


def _scaled(values: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
    return kept.to(values.dtype).mul_(scale).mul_(values)
