"""Arrays on their way to a device."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def moved(array: NDArray[Any] | torch.Tensor, device: torch.device) -> torch.Tensor:
    """The array as a tensor on `device`; to CUDA through pinned memory, so that nobody waits for the copy."""
    tensor = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
