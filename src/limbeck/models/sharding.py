"""A model whose weights, gradients and optimiser state are divided among processes, for one that fits no device.

Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models" (arXiv 1910.02054),
stage 3, as torch's fully sharded data parallelism has it. A layer's weights are whole on a device while they are used.
"""

from typing import Any

import torch
from torch.distributed.tensor import DTensor, distribute_tensor

from limbeck.kernels.layers import layers_of


def shard(model: Any) -> None:
    """Divide a model's weights among the processes, layer by layer; the model itself is changed.

    Its backward pass then leaves in each process a part of the *mean* of all processes' gradients.
    """
    from torch.distributed.fsdp import fully_shard

    for module in (*layers_of(model), model):
        fully_shard(module)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor of which this process may hold a part. All processes must ask together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part_like(weight: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a whole tensor, divided as `weight` is."""
    if not isinstance(weight, DTensor) or tensor.shape != weight.shape:
        return tensor
    return distribute_tensor(tensor.to(weight.device), weight.device_mesh, weight.placements)
