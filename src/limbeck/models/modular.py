"""A cross-encoder that sentence-transformers keeps as modules: a transformer, pooling, and a head of further ones.

The layout of `sentence_transformers.CrossEncoder` from 6.0 on, for Transformer + Pooling + Dense and the like: the
head's weights are in folders of their own, so that `AutoModelForSequenceClassification` would draw it at random.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import write_json
from limbeck.kernels.attention import Sequences
from limbeck.models.sentence_transformers import list_modules, read_mapping, read_pooling
from limbeck.models.sources import ModelSource

POOLINGS = ("cls", "mean", "lasttoken")
_EMBEDDING, _SCORES = "sentence_embedding", "scores"


@dataclass(frozen=True)
class Part:
    """One module after pooling: its kind, its folder and what its config.json says."""

    kind: str
    path: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class ModularLayout:
    """What a cross-encoder does with its transformer's hidden states: a mode of pooling, and the modules after it."""

    pooling: str
    parts: tuple[Part, ...]


def read_modular_layout(source: ModelSource, backbone_only: bool = False) -> ModularLayout | None:
    """The layout of a cross-encoder kept as modules; None for a plain sequence-classification checkpoint.

    Args:
        backbone_only: whether an embedding model's transformer will do.

    Raises:
        UsageError: modules.json describes no cross-encoder (an embedding model), or one with modules that are not
            supported, whose scores would be other ones.
    """
    modules = list_modules(source)
    if modules is None or [module.kind for module in modules] == ["Transformer"]:
        return None
    names = ", ".join(module.kind for module in modules)
    parts = tuple(
        Part(module.kind, module.path, read_mapping(source, f"{module.path}/config.json")) for module in modules[2:]
    )
    if not parts or parts[-1].config.get("module_output_name") != _SCORES:
        if backbone_only:
            return None
        kind = "an embedding model" if any(module.kind == "Pooling" for module in modules) else "no cross-encoder"
        if any(module.kind == "LogitScore" for module in modules):
            kind = "a language model that scores by its answer"
        raise UsageError(
            f"{source.name}: modules.json ({names}) is of {kind}, without a scoring head; expected a cross-encoder: "
            "train one with `limbeck train`"
        )
    unknown = [module.kind for module in modules if module.kind not in ("Transformer", "Pooling", *_MAKERS)]
    if unknown or [module.kind for module in modules[:2]] != ["Transformer", "Pooling"] or modules[0].path:
        raise UsageError(
            f"{source.name}: modules.json names {names}; supported is a Transformer beside it, a Pooling, and then any "
            f"of {', '.join(_MAKERS)}. Choose another model, without a module its scores would be other ones"
        )
    for part in parts:
        inputs = part.config.get("module_input_name", _EMBEDDING)
        outputs = part.config.get("module_output_name", inputs)
        if inputs != _EMBEDDING or outputs != (_SCORES if part is parts[-1] else _EMBEDDING):
            raise UsageError(
                f"{source.name}: {part.path}/config.json makes {outputs} of {inputs}; supported is a chain from "
                f"{_EMBEDDING} to {_SCORES}. Choose another model"
            )
    file = f"{modules[1].path}/config.json"
    pooling = read_mapping(source, file)
    if not pooling.get("include_prompt", True):
        raise UsageError(f"{source.name}: {file} leaves the prompt out of pooling, which is not supported")
    return ModularLayout(read_pooling(source, file, pooling, POOLINGS), parts)


class ModularModel(nn.Module):
    """A backbone and a head of modules, called as a sequence-classification model of transformers is."""

    base_model_prefix = "backbone"

    def __init__(self, backbone: Any, head: nn.Sequential, layout: ModularLayout) -> None:
        super().__init__()
        self.backbone, self.head, self.layout = backbone, head, layout

    @property
    def config(self) -> Any:
        """The backbone's configuration."""
        return self.backbone.config

    @property
    def base_model(self) -> Any:
        """The backbone."""
        return self.backbone

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.backbone.device  # type: ignore[no-any-return]

    def get_input_embeddings(self) -> Any:
        """The backbone's word embeddings."""
        return self.backbone.get_input_embeddings()

    def set_attn_implementation(self, name: str) -> None:
        """Let the backbone attend by that function."""
        self.backbone.set_attn_implementation(name)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        sequences: Sequences | None = None,
        **options: Any,
    ) -> Any:
        """`.logits` [sequences, 1] of token ids [sequences, tokens], or [1, tokens] where `sequences` are packed."""
        if sequences is not None:
            options["sequences"] = sequences
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **options).last_hidden_state
        return SimpleNamespace(logits=self.head(self._pooled(states, attention_mask, sequences)))

    def _pooled(self, states: torch.Tensor, mask: torch.Tensor | None, sequences: Sequences | None) -> torch.Tensor:
        """[sequences, hidden]."""
        pooling = self.layout.pooling
        if states.shape[1] == 1 or (sequences is None and pooling == "cls"):
            return states[:, 0]  # also where a kernel gives what is pooled, one for each sequence
        if sequences is None:
            if mask is None:
                mask = states.new_ones(states.shape[:2], dtype=torch.int64)
            if pooling == "mean":
                return (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            return states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]
        if pooling == "mean":
            sums = states.new_zeros(sequences.count, states.shape[-1])
            return sums.index_add(0, sequences.owners, states.squeeze(0)) / sequences.counts
        return states.squeeze(0)[sequences.first if pooling == "cls" else sequences.last]


def read_head(source: ModelSource, layout: ModularLayout) -> nn.Sequential:
    """The modules after pooling, with their weights, in float32.

    Raises:
        MissingError: weights of a module are not there.
        DataError: they are not those that its config.json describes.
    """
    from safetensors.torch import load_file

    head = nn.Sequential()
    for part in layout.parts:
        module: nn.Module = _MAKERS[part.kind](part, source)
        if module.state_dict():
            file = source.file(f"{part.path}/model.safetensors")
            if file is None:
                raise MissingError(f"{source.name}: no {part.path}/model.safetensors, which modules.json promises")
            try:
                module.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})
            except Exception as error:
                # safetensors' errors and torch's have no common class.
                first = next(iter(str(error).strip().splitlines()), type(error).__name__)
                raise DataError(f"{file}: is not what its config.json describes ({first})") from None
        head.append(module)
    return head


def write_modular(model: ModularModel, path: Path, weights: Mapping[str, torch.Tensor] | None) -> None:
    """Write backbone, head and modules.json into a folder as sentence-transformers reads them; not the tokeniser.

    `weights`: a whole state of the model; its own by default.
    """
    from safetensors.torch import save_file

    weights = model.state_dict() if weights is None else weights
    backbone = {
        name.removeprefix("backbone."): value for name, value in weights.items() if name.startswith("backbone.")
    }
    model.backbone.save_pretrained(path, state_dict=backbone)
    pooling = {"embedding_dimension": model.config.hidden_size, "pooling_mode": model.layout.pooling}
    parts = [Part("Pooling", "1_Pooling", pooling)]
    for number, part in enumerate(model.layout.parts):
        parts.append(Part(part.kind, f"{number + 2}_{part.kind}", part.config))
    listed = [transformer_module()]
    for number, part in enumerate(parts, 1):
        (path / part.path).mkdir()
        write_json(path / part.path / "config.json", dict(part.config))
        prefix = f"head.{number - 2}."
        own = {
            name.removeprefix(prefix): value.contiguous() for name, value in weights.items() if name.startswith(prefix)
        }
        if own:
            save_file(own, path / part.path / "model.safetensors")
        listed.append({"idx": number, "name": str(number), "path": part.path, "type": _PLACES[part.kind]})
    write_json(path / "modules.json", listed)


def transformer_module() -> dict[str, Any]:
    """The line of modules.json for a transformer beside it."""
    return {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}


_PLACES = {
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "LayerNorm": "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
    "Dropout": "sentence_transformers.sentence_transformer.modules.dropout.Dropout",
}
"""Where sentence-transformers 6 keeps a module's class."""


class _Dense(nn.Module):
    def __init__(self, config: Mapping[str, Any], activation: nn.Module) -> None:
        super().__init__()
        width, out = int(config["in_features"]), int(config["out_features"])
        self.linear = nn.Linear(width, out, bias=bool(config.get("bias", True)))
        self.activation, self.residual = activation, None
        self.adds = bool(config.get("use_residual", False))
        if self.adds and width != out:
            self.residual = nn.Linear(width, out, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.activation(self.linear(values))
        if self.adds:
            found = found + (values if self.residual is None else self.residual(values))
        return found


class _LayerNorm(nn.Module):
    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.norm(values)
        return found


class _Normalize(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(values, dim=-1)


def _dense(part: Part, source: ModelSource) -> nn.Module:
    try:
        if part.config.get("module_output_name") == _SCORES and int(part.config["out_features"]) != 1:
            raise UsageError(f"{source.name}: its head gives {part.config['out_features']} values, a re-ranker needs 1")
        return _Dense(part.config, _activation(part, source))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{source.name}: {part.path}/config.json describes no Dense module ({error})") from None


def _activation(part: Part, source: ModelSource) -> nn.Module:
    name = str(part.config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    found = getattr(nn, name.rpartition(".")[2], None) if name.startswith("torch.nn.modules.") else None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UsageError(
            f"{source.name}: {part.path}/config.json names the activation {name}, expected one of torch.nn.modules; "
            "choose another model"
        )
    module: nn.Module = found()
    return module


_MAKERS: dict[str, Callable[[Part, ModelSource], nn.Module]] = {
    "Dense": _dense,
    "LayerNorm": lambda part, _: _LayerNorm(int(part.config.get("dimension", 0))),
    "Dropout": lambda part, _: nn.Dropout(float(part.config.get("dropout", 0.2))),
    "Normalize": lambda *_: _Normalize(),
}
