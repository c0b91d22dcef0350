"""Numbers of a step on their way from its device."""

from collections.abc import Sequence

import torch


class Readings:
    """Scalars that are asked of a device now and read later, so that the next step need not wait for this one."""

    def __init__(self, scalars: Sequence[torch.Tensor]) -> None:
        together = torch.stack([scalar.detach().double() for scalar in scalars])
        self._ready = torch.cuda.Event() if together.is_cuda else None  # type: ignore[no-untyped-call]
        self._values = together
        if self._ready:
            self._values = torch.empty(together.shape, dtype=together.dtype, pin_memory=True)
            self._values.copy_(together, non_blocking=True)
            self._ready.record()

    def read(self) -> list[float]:
        """The numbers, once the device has come to them."""
        if self._ready:
            self._ready.synchronize()
        return self._values.tolist()  # type: ignore[no-any-return]
