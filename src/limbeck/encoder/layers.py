"""The transformer layers of a backbone, under whatever name its family keeps them."""

from typing import Any

import torch


def layers_of(model: Any) -> list[Any]:
    """The layers, first to last: the one list of modules as long as the configuration says."""
    return next(
        list(module)
        for module in model.base_model.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == model.config.num_hidden_layers
    )
