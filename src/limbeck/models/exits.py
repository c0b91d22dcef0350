"""Early exits: heads behind inner layers, so that one training gives a model of each depth.

A pair is computed once; behind each of the layers named, a head of its own reads the hidden states there. What a head
and the layers before it make is an ordinary cross-encoder of so many layers, and is saved as one.

Source: Xin, Nogueira, Yu and Lin 2020, Early Exiting BERT for Efficient Document Ranking (SustaiNLP).
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from limbeck.core.errors import UsageError
from limbeck.kernels.attention import Sequences, pooled_rows
from limbeck.kernels.layers import layers_of
from limbeck.models.checkpoint import keep_layers
from limbeck.models.families import family_of
from limbeck.models.modular import ModularModel
from limbeck.models.sources import ModelSource, silence_transformers

PREFIX = "exits.heads"
"""Of the names of their weights among the model's."""


class Exits(nn.Module):
    """The heads of a scoring model's exits, a part of that model while it is trained.

    Attributes:
        heads: depth → the model's own head, and what its backbone has behind the last layer, copied: from the same
            weights as the head of the last layer, each exit's is trained apart.
    """

    def __init__(self, model: Any, depths: Sequence[int], source: ModelSource) -> None:
        super().__init__()
        _check(model, depths, source)
        self.depths = tuple(sorted(depths))
        self.heads = nn.ModuleDict({str(depth): _head_of(model) for depth in self.depths})
        self.pools = family_of(model).pools_rows
        self._states: dict[int, torch.Tensor] | None = None
        layers = layers_of(model)
        for depth in self.depths:
            # What the next layer is given: some backbones do more between two layers (DeBERTa's convolution).
            layers[depth].register_forward_pre_hook(self._keep(depth), with_kwargs=True)

    def forward(self, model: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Raw scores [pairs, exits + 1] of a micro-batch: of each exit by depth, then of the whole model."""
        self._states = {}
        try:
            last = model(**batch).logits[:, :1]
            found = [self._scores(depth, self._states[depth], batch) for depth in self.depths]
        finally:
            self._states = None
        return torch.cat([*found, last], 1)

    def _scores(self, depth: int, states: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
        """[pairs, 1] of hidden states [pairs, tokens, width], or [1, tokens, width] where sequences are packed."""
        head = self.heads[str(depth)]
        sequences: Sequences | None = batch.get("sequences")
        options = {} if sequences is not None else {"attention_mask": batch.get("attention_mask")}
        if sequences is not None and not self.pools:
            states = states.squeeze(0)[sequences.first][:, None]  # all that such a head reads
            sequences = None
        found: torch.Tensor = head(inputs_embeds=(states, sequences), **options).logits[:, :1]
        return found

    def _keep(self, depth: int) -> Any:
        def hook(_layer: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
            if self._states is not None:
                self._states[depth] = inputs[0] if inputs else options["hidden_states"]

        return hook


class _Behind(nn.Module):
    """What a backbone has behind its last layer, in the place of the backbone: hidden states go in."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.config = backbone.config
        # Under the backbone's own names, so that an exit's weights are found under those of its model.
        self.final_norm = copy.deepcopy(getattr(backbone, "final_norm", None))
        self.pooler = copy.deepcopy(getattr(backbone, "pooler", None))

    def forward(self, *_: Any, inputs_embeds: tuple[torch.Tensor, Sequences | None], **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        states, sequences = inputs_embeds
        if self.final_norm is not None:
            states = self.final_norm(states)
        if sequences is not None:
            states = pooled_rows(states, sequences, self.config)
        pooled = self.pooler(states) if self.pooler is not None else None
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=pooled)


def _head_of(model: Any) -> nn.Module:
    base = model.base_model
    head: nn.Module = copy.deepcopy(model, {id(base): _Behind(base)})
    return head


def _check(model: Any, depths: Sequence[int], source: ModelSource) -> None:
    """UsageError where a model cannot have such exits."""
    layers = model.config.num_hidden_layers
    if len(set(depths)) < len(depths) or not all(1 <= depth < layers for depth in depths):
        raise UsageError(
            f"{source.name}: exits {', '.join(map(str, depths))}; expected different numbers of layers, each from 1 to "
            f"{layers - 1}: it has {layers}, and the last one has a head anyway"
        )
    if not family_of(model).ignores_padding or isinstance(model, ModularModel):
        raise UsageError(
            f"{source.name}: exits of a {model.config.model_type} are not supported; known are the heads of BERT, "
            "ELECTRA, RoBERTa, ModernBERT, MPNet, DistilBERT and DeBERTa-v3"
        )


def exit_model(model: Any, depth: int, weights: Mapping[str, torch.Tensor], source: ModelSource) -> Any:
    """An exit as a model of its own, of `depth` layers, with its weights out of the whole model's state."""
    config = copy.deepcopy(model.config)
    keep_layers(config, depth, source)
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        shallow = type(model)(config)
    own = f"{PREFIX}.{depth}."
    shallow.load_state_dict({name: weights.get(own + name, weights.get(name)) for name in shallow.state_dict()})
    return shallow.to(torch.float32).eval()


def without_exits(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state of a model but for its exits."""
    return {name: value for name, value in weights.items() if not name.startswith(f"{PREFIX}.")}
