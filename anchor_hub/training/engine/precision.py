"""Which arithmetic a run computes in."""

from __future__ import annotations

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
