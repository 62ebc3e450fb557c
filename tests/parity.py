"""Stored numbers of published models, for parity tests.

A case is a folder ``tests/golden/<name>`` holding

* ``manifest.json``: every entry of the model's state dict (name, shape, rule), the configuration, what was
  called, and notes on what the papers leave out;
* ``tensors.safetensors``: the inputs (``in/...``), the expected outputs (``out/...``, computed in float64,
  stored as float32) and the entries whose rule is ``given`` (``given/...``).

Weights are not stored: each is rebuilt from its name, so a model of tens of millions of parameters costs kilobytes.

A case is of the kind (:data:`KINDS`) that its folder's name is or begins with: ``stylegan2_ada_g_64px`` is another
``stylegan2_ada_g``. Tests ask for all cases of a kind and hold no settings: sizes and epsilons are in the manifest's
``config``, truncations and the like in the sentence that says what was called (:func:`stated`), and what part of a
tensor is stored follows from its shape (:func:`stored_part`). So another case needs no other test.

    case = load_case("stylegan2_rosinality_g", dtype=torch.float64)
    model.load_state_dict(converted(case.state))
    assert_parity(model(case.inputs["z"]), case.expected["image"])
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

GOLDEN = Path(__file__).parent / "golden"

FLOAT32_TOLERANCE = 1e-4
FLOAT64_TOLERANCE = 1e-8

#: What the cases are of.
KINDS = (
    "biggan_brock_d", "biggan_brock_g", "biggan_deep_brock_d", "biggan_deep_brock_g", "biggan_deep_hf",
    "deepi2i_biggan", "deepi2i_stylegan",
    "gpunit_blocks", "gpunit_content_encoder", "gpunit_discriminator", "gpunit_distillation", "gpunit_generator",
    "gpunit_losses", "gpunit_perceptual", "gpunit_sampler", "gpunit_translate",
    "lsa_biggan_encoder", "lsa_biggan_generator", "lsa_data", "lsa_encoder", "lsa_encoder_seg", "lsa_encoder_w",
    "lsa_encoder_wplus", "lsa_losses", "lsa_ranger", "lsa_regressor", "lsa_translator", "lsa_translator_freezeg",
    "stylegan2_ada_d", "stylegan2_ada_d_cond", "stylegan2_ada_g", "stylegan2_ada_g_cond", "stylegan2_ada_pkl",
    "stylegan2_rosinality_ckpt", "stylegan2_rosinality_d", "stylegan2_rosinality_g", "stylegan2_train_losses",
    "ui2i_factor", "ui2i_layerswap",
)  # fmt: skip

#: Rounding of a layer's output, relative to its root mean square, that float32 kernels may differ by.
ROUNDING = 1e-6


class ParityCase(NamedTuple):
    """One case; unpacks as ``manifest, state, inputs, expected``."""

    manifest: dict[str, Any]
    state: dict[str, Tensor]
    inputs: dict[str, Tensor]
    expected: dict[str, Tensor]


def kind_of(name: str) -> str | None:
    """The kind of the case of that name: the longest one that the name is or begins with, and then a ``_``."""
    return max((kind for kind in KINDS if name == kind or name.startswith(f"{kind}_")), key=len, default=None)


def case_names(kind: str) -> list[str]:
    """The names of all stored cases of a kind. Raises LookupError where there is none: nothing would be tested."""
    assert kind in KINDS, kind
    found = [path.parent.name for path in sorted(GOLDEN.glob("*/manifest.json")) if kind_of(path.parent.name) == kind]
    if not found:
        raise LookupError(f"{GOLDEN} has no case of kind {kind}")
    return found


def stated(manifest: Mapping[str, Any], output: str, before: str) -> float:
    """The number behind ``before`` in the sentence that says how an output was computed.

    ``stated(manifest, "image_trunc", "psi=")`` of "Truncation psi=0.7 towards the mean" is 0.7.
    Raises LookupError where no call has the output, or its sentence no such number.
    """
    for call in manifest["calls"]:
        if output in {name.removeprefix("out/") for name in call["outputs"]}:
            if found := re.search(re.escape(before) + r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)", call["what"]):
                return float(found[1])
            raise LookupError(f"how {output} was computed does not say {before!r}: {call['what']}")
    raise LookupError(f"no call of the manifest computes {output}")


def mixed_layers(manifest: Mapping[str, Any], output: str) -> list[int]:
    """The layers (``latent_mask=[...]``) whose codes an output of latent-space anchoring was mixed in."""
    (what,) = (call["what"] for call in manifest["calls"] if output in call["outputs"])
    found = re.search(r"latent_mask=(\[[\d, ]+\])", what)
    assert found, what
    layers: list[int] = json.loads(found[1])
    return layers


def numbered(case: ParityCase, prefix: str) -> list[tuple[str, float]]:
    """The stored outputs named ``prefix`` and a number, and that number, ascending: at least one.

    ``numbered(case, "image_t")`` of image_t0.4 and image_t0.28 is ``[("image_t0.28", 0.28), ("image_t0.4", 0.4)]``.
    """
    number = re.compile(re.escape(prefix) + r"(\d+(?:\.\d+)?)")
    found = [(key, float(match[1])) for key in case.expected if (match := number.fullmatch(key))]
    assert found, f"no output is named {prefix}NUMBER"
    return sorted(found, key=lambda item: item[1])


def stored_part(actual: Tensor, expected: Tensor, *, first_channels: bool = False) -> Tensor:
    """What of a tensor is stored: the first samples, and every n-th entry along the other axes.

    :param first_channels: the first entries along axis 1, as BigGAN's cases have them, and not every n-th.
    """
    assert actual.ndim == expected.ndim, f"{list(actual.shape)}, stored {list(expected.shape)}"
    part = actual[: expected.shape[0]]
    for axis in range(1, actual.ndim):
        size, kept = actual.shape[axis], expected.shape[axis]
        step = 1 if axis == 1 and first_channels else max(math.ceil(size / kept), 1)
        part = part[(slice(None),) * axis + (slice(None, kept * step, step),)]
    return part


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


Gradients = Callable[[nn.Module, Mapping[str, Tensor]], Mapping[str, Tensor]]


def assert_gradients(
    network: nn.Module, inputs: Mapping[str, Tensor], expected: Mapping[str, Tensor], compute: Gradients
) -> None:
    """Fail unless the gradients ``compute(network, inputs)`` agree with the stored numbers, as :func:`assert_parity`.

    Where an activation lies near the kink of a ReLU, rounding decides on which side: its gradient in float32 differs
    from processor to processor, without any mistake. So no tolerance is widened: a float32 gradient that does not agree
    is compared in float64, and only if it is shown to be ill-conditioned, that is if noise of the size of float32's
    rounding moves it in float64 by more than float32's tolerance.

    :param network: in the precision and mode to test; it may change.
    :param compute: all gradients that are stored, by their names.
    """
    assert expected, "no gradients are stored"
    single = next(network.parameters()).dtype == torch.float32
    double = copy.deepcopy(network).double() if single else network
    found = compute(network, inputs)
    if single:
        doubtful = [key for key, value in expected.items() if relative_error(found[key], value) > FLOAT32_TOLERANCE]
        if doubtful:
            precise = {key: value.double() if value.is_floating_point() else value for key, value in inputs.items()}
            found = {**found, **_ill_conditioned(double, lambda: compute(double, precise), doubtful)}
    for key, value in expected.items():
        assert_parity(found[key], value, key)


def _ill_conditioned(
    network: nn.Module, compute: Callable[[], Mapping[str, Tensor]], doubtful: list[str]
) -> dict[str, Tensor]:
    """The float64 gradients of those of ``doubtful`` that rounding moves by more than float32's tolerance."""
    start = copy.deepcopy(network.state_dict())
    exact = {key: value.detach().clone() for key, value in compute().items()}
    moved: dict[str, Tensor] = {}
    for seed in range(8):
        network.load_state_dict(start)
        noisy = _with_rounding(network, compute, seed)
        left = [key for key in doubtful if key not in moved]
        moved |= {key: exact[key] for key in left if relative_error(noisy[key], exact[key]) > FLOAT32_TOLERANCE}
        if len(moved) == len(doubtful):
            break
    return moved


def _with_rounding(
    network: nn.Module, compute: Callable[[], Mapping[str, Tensor]], seed: int
) -> Mapping[str, Tensor]:
    """``compute()`` with noise of the size of float32's rounding on every layer's output."""
    stream = torch.Generator().manual_seed(seed)

    def disturb(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        noise = torch.randn(output.shape, generator=stream, dtype=output.dtype)
        return output + noise * (ROUNDING * output.detach().square().mean().sqrt())

    handles = [module.register_forward_hook(disturb) for name, module in network.named_modules() if name]
    try:
        return compute()
    finally:
        for handle in handles:
            handle.remove()
