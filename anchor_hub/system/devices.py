"""Devices by name (``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``), and the CPU's threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anchor_hub.errors import DeviceError

if TYPE_CHECKING:
    import torch


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The torch device of that name; ``auto`` takes CUDA, else Apple's MPS, else the CPU.

    :raises DeviceError: an unknown name, or a device this machine (or this build of torch) does not have.
    """
    import torch

    if isinstance(device, torch.device):
        return device
    mps = getattr(torch.backends, "mps", None)
    has_mps = mps is not None and mps.is_available()
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise DeviceError(f"unknown device {device!r}: use auto, cpu, cuda, cuda:<number> or mps") from None
    if resolved.type == "cuda" and not (
        torch.cuda.is_available() and (resolved.index or 0) < torch.cuda.device_count()
    ):
        raise DeviceError(f"device {device!r} is not available here: use --device cpu or --device auto")
    if resolved.type == "mps" and not has_mps:
        raise DeviceError("device 'mps' is not available here: use --device cpu or --device auto")
    if resolved.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"device {device!r} is not supported: use auto, cpu, cuda, cuda:<number> or mps")
    return resolved


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with a single thread inside the block."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
