"""Running out of memory, said in words."""

from __future__ import annotations

import torch

from anchor_hub.errors import DeviceError


class memory_errors:
    """Turns running out of memory into a DeviceError that names the options to change."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        allocator = isinstance(error, RuntimeError) and "allocate memory" in str(error)
        if allocator or isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
            raise DeviceError("out of memory: take a smaller --batch, or --device cpu") from error
