"""Stored numbers of published models, for parity tests.

A case is a folder ``tests/golden/<name>`` holding

* ``manifest.json``: every entry of the model's state dict (name, shape, rule), the configuration, what was
  called, and notes on what the papers leave out;
* ``tensors.safetensors``: the inputs (``in/...``), the expected outputs (``out/...``, computed in float64,
  stored as float32) and the entries whose rule is ``given`` (``given/...``).

Weights are not stored: each is rebuilt from its name, so a model of tens of millions of parameters costs kilobytes.

    case = load_case("stylegan2_rosinality_g", dtype=torch.float64)
    model.load_state_dict(converted(case.state))
    assert_parity(model(case.inputs["z"]), case.expected["image"])
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"

FLOAT32_TOLERANCE = 1e-4
FLOAT64_TOLERANCE = 1e-8


class ParityCase(NamedTuple):
    """One case; unpacks as ``manifest, state, inputs, expected``."""

    manifest: dict[str, Any]
    state: dict[str, Tensor]
    inputs: dict[str, Tensor]
    expected: dict[str, Tensor]


def tensor_for(name: str, shape: list[int], rule: dict[str, Any]) -> Tensor:
    """Rebuild one state dict entry from its name: float32, or int64 for the rule ``int``."""
    kind = rule["kind"]
    if kind == "const":
        return torch.full(shape, float(rule["value"]))
    if kind == "int":
        return torch.full(shape, int(rule["value"]), dtype=torch.int64)
    if kind != "uniform":
        raise ValueError(f"{name}: no rule {kind!r}")
    count = math.prod(shape)
    bits = np.frombuffer(hashlib.shake_256(name.encode()).digest(4 * count), dtype="<u4")
    unit = bits.astype(np.float64) / 2.0**31 - 1.0
    values = rule["mean"] + rule["std"] * math.sqrt(3.0) * unit
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def load_case(name: str, dtype: torch.dtype = torch.float32) -> ParityCase:
    """Read ``tests/golden/<name>``. Floating weights and inputs come in ``dtype``; expected values do not."""
    folder = GOLDEN / name
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    stored = load_file(str(folder / "tensors.safetensors"))

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    state = {}
    for entry in manifest["params"]:
        given = entry["rule"]["kind"] == "given"
        value = (
            stored["given/" + entry["name"]]
            if given
            else tensor_for(entry["name"], entry["shape"], entry["rule"])
        )
        state[entry["name"]] = cast(value)
    inputs = {key[3:]: cast(value) for key, value in stored.items() if key.startswith("in/")}
    expected = {key[4:]: value for key, value in stored.items() if key.startswith("out/")}
    return ParityCase(manifest, state, inputs, expected)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """max |actual - expected| / max |expected|, in float64."""
    reference = expected.detach().double()
    scale = reference.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    return float((actual.detach().double() - reference).abs().max() / scale)


def float64_error(actual: Tensor, expected: Tensor) -> float:
    """Relative error of a float64 result beyond what storing the reference as float32 hides.

    The reference was computed in float64 but stored rounded to float32, so each stored element lies up to
    half a float32 spacing (2^-24 of its own binade, about 6e-8 relative) from the true value. A result within
    relative error e of the true reference therefore satisfies |actual - stored| - spacing/2 <= e *
    max|stored|; this returns the smallest such e (0 when every element rounds to the stored one).
    """
    if actual.dtype != torch.float64:
        raise TypeError(f"float64_error needs a float64 result, got {actual.dtype}")
    stored = expected.detach().cpu().float()
    infinity = torch.full_like(stored, torch.inf)
    spacing = (torch.nextafter(stored.abs(), infinity).double() - stored.abs().double()) / 2
    excess = (actual.detach().cpu() - stored.double()).abs() - spacing
    scale = stored.double().abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    return float(excess.max().clamp_min(0) / scale)


def assert_parity(
    actual: Tensor, expected: Tensor, what: str = "output", tolerance: float | None = None
) -> None:
    """Fail unless ``actual`` agrees with the stored numbers to the tolerance of its own dtype.

    float32: :func:`relative_error` at most 1e-4. float64: :func:`float64_error` at most 1e-8 (see there for
    why the half spacing of the stored float32 is allowed on top). Shapes must be equal; everything must be finite.
    """
    assert tuple(actual.shape) == tuple(expected.shape), (
        f"{what}: shape {tuple(actual.shape)}, stored {tuple(expected.shape)}"
    )
    assert torch.isfinite(actual).all(), f"{what}: not finite"
    if actual.dtype == torch.float64:
        limit = FLOAT64_TOLERANCE if tolerance is None else tolerance
        error = float64_error(actual, expected)
    else:
        limit = FLOAT32_TOLERANCE if tolerance is None else tolerance
        error = relative_error(actual, expected)
    assert error <= limit, f"{what}: relative error {error:.3g} > {limit:.3g} ({actual.dtype})"
