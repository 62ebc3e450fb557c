"""Which arithmetic a training or a translation computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from anchor_hub.errors import UsageError

PRECISIONS = ("fp32", "bf16")


def resolve_precision(name: str, device: torch.device) -> str:
    """`auto`: bf16 where the device computes it natively (CUDA from Ampere on, CPUs with AVX512-BF16), else fp32."""
    if name in PRECISIONS:
        return name
    if name != "auto":
        raise UsageError(f"--precision {name!r} is not known; use auto, fp32 or bf16")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        return "bf16" if torch.backends.mkldnn.is_available() and _cpu_has_bf16() else "fp32"
    return "fp32"


def _cpu_has_bf16() -> bool:
    # Private names in torch: where one is missing, float32 is the safe answer.
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        supported = getattr(torch.cpu, name, None)
        if supported is not None and supported():
            return True
    return False


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 arithmetic inside, where ``precision`` is ``bf16``; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
