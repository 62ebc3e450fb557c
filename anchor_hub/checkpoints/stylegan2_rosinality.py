"""State dicts of rosinality's stylegan2-pytorch, to and from this library's names.

``to_ours`` and ``to_theirs`` take the state dict of a generator (entries ``g``, ``g_ema`` of a checkpoint) or
of a discriminator (``d``) and recognise which by its names. Values are passed on unchanged, only reshaped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from anchor_hub.errors import CheckpointError
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from anchor_hub.networks.stylegan2_config import channel_table
from anchor_hub.networks.stylegan2_discriminator import DiscriminatorConfig

State = dict[str, Tensor]


def config_from(state: Mapping[str, Tensor]) -> StyleGAN2Config | DiscriminatorConfig:
    """The architecture of a state dict in rosinality's naming.

    Raises:
        CheckpointError: it is neither a generator's nor a discriminator's.
    """
    if _is_generator(state):
        return _generator_config(state)
    if _is_discriminator(state):
        return _discriminator_config(state)
    raise CheckpointError(
        "not a rosinality StyleGAN2 state dict: it has neither 'style.1.weight' nor 'final_linear.1.weight'; "
        "pass the entry 'g_ema', 'g' or 'd' of the checkpoint"
    )


def to_ours(state: Mapping[str, Tensor]) -> State:
    """Convert rosinality's names to :class:`Generator`'s or :class:`Discriminator`'s.

    FIR kernels are checked and dropped. Old files have no noise images; they get N(0, 1) images of a fixed
    seed (the published loader left them at a random draw).

    Raises:
        CheckpointError: an entry is missing or unknown, or a FIR kernel is not [1, 3, 3, 1].
    """
    config = config_from(state)
    names = generator_names(config) if isinstance(config, StyleGAN2Config) else discriminator_names(config)
    _check_kernels(state)
    rest = {key for key in state if not key.endswith(".kernel")}
    result: State = {}
    random = torch.Generator().manual_seed(0)
    for ours, theirs in names.items():
        if theirs in rest:
            rest.remove(theirs)
            result[ours] = _our_shape(theirs, state[theirs])
        elif theirs.startswith("noises."):
            size = int(ours.split(".")[2])
            result[ours] = torch.randn(1, 1, size, size, generator=random)
        else:
            raise CheckpointError(f"rosinality StyleGAN2 state dict lacks {theirs!r}")
    if rest:
        raise CheckpointError(f"rosinality StyleGAN2 state dict has unknown entries: {sorted(rest)[:5]}")
    return result


def to_theirs(state: Mapping[str, Tensor], config: StyleGAN2Config | DiscriminatorConfig) -> State:
    """Convert the state dict of our network to rosinality's names, FIR kernel buffers included.

    Raises:
        CheckpointError: an entry is missing.
    """
    generator = isinstance(config, StyleGAN2Config)
    names = generator_names(config) if isinstance(config, StyleGAN2Config) else discriminator_names(config)
    result: State = {}
    for ours, theirs in names.items():
        if ours not in state:
            raise CheckpointError(f"StyleGAN2 state dict lacks {ours!r}")
        result[theirs] = _their_shape(theirs, state[ours], generator)
    dtype = next(iter(result.values())).dtype
    for name, gain in _kernel_names(config).items():
        result[name] = _kernel(gain).to(dtype)
    return result


def generator_names(config: StyleGAN2Config) -> dict[str, str]:
    """Our name to rosinality's, for every entry of a generator but the FIR kernels."""
    names = {"synthesis.constant": "input.input"}
    for i in range(config.mapping_layers):
        for part in ("weight", "bias"):
            names[f"mapping.layers.{i}.{part}"] = f"style.{i + 1}.{part}"

    def styled(ours: str, theirs: str, index: int) -> None:
        names[f"{ours}.weight"] = f"{theirs}.conv.weight"
        names[f"{ours}.bias"] = f"{theirs}.activate.bias"
        names[f"{ours}.affine.weight"] = f"{theirs}.conv.modulation.weight"
        names[f"{ours}.affine.bias"] = f"{theirs}.conv.modulation.bias"
        names[f"{ours}.noise_strength"] = f"{theirs}.noise.weight"
        names[f"{ours}.noise"] = f"noises.noise_{index}"

    for k, resolution in enumerate(config.resolutions):
        block = f"synthesis.blocks.{resolution}"
        if k == 0:
            styled(f"{block}.conv", "conv1", 0)
        else:
            styled(f"{block}.up", f"convs.{2 * k - 2}", 2 * k - 1)
            styled(f"{block}.conv", f"convs.{2 * k - 1}", 2 * k)
        to_rgb = "to_rgb1" if k == 0 else f"to_rgbs.{k - 1}"
        names[f"{block}.to_rgb.weight"] = f"{to_rgb}.conv.weight"
        names[f"{block}.to_rgb.bias"] = f"{to_rgb}.bias"
        names[f"{block}.to_rgb.affine.weight"] = f"{to_rgb}.conv.modulation.weight"
        names[f"{block}.to_rgb.affine.bias"] = f"{to_rgb}.conv.modulation.bias"
    return names


def discriminator_names(config: DiscriminatorConfig) -> dict[str, str]:
    """Our name to rosinality's, for every entry of a discriminator but the FIR kernels."""
    names = {"from_rgb.weight": "convs.0.0.weight", "from_rgb.bias": "convs.0.1.bias"}
    for k, resolution in enumerate(reversed(config.resolutions[1:]), start=1):
        block = f"blocks.{resolution}"
        names[f"{block}.conv1.weight"] = f"convs.{k}.conv1.0.weight"
        names[f"{block}.conv1.bias"] = f"convs.{k}.conv1.1.bias"
        names[f"{block}.conv2.weight"] = f"convs.{k}.conv2.1.weight"
        names[f"{block}.conv2.bias"] = f"convs.{k}.conv2.2.bias"
        names[f"{block}.skip.weight"] = f"convs.{k}.skip.1.weight"
    names |= {"final_conv.weight": "final_conv.0.weight", "final_conv.bias": "final_conv.1.bias"}
    for ours, theirs in (("final_dense", "final_linear.0"), ("final_logit", "final_linear.1")):
        names |= {f"{ours}.weight": f"{theirs}.weight", f"{ours}.bias": f"{theirs}.bias"}
    return names


def _is_generator(state: Mapping[str, Tensor]) -> bool:
    return "style.1.weight" in state and "input.input" in state


def _is_discriminator(state: Mapping[str, Tensor]) -> bool:
    return "final_linear.1.weight" in state and "convs.0.0.weight" in state


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return sum(1 for key in state if re.fullmatch(pattern, key))


def _generator_config(state: Mapping[str, Tensor]) -> StyleGAN2Config:
    blocks = _count(state, r"to_rgbs\.\d+\.bias")
    check_constant(state.get("input.input"))
    inside, first = (state["style.1.weight"].shape * 2)[:2] if "style.1.weight" in state else (0, 0)
    if first == 2 * inside:
        raise CheckpointError(
            f"its mapping network takes {first} numbers, z and the embedding of a class, but the class embedding was "
            "lost when it was converted: import the file it was converted from"
        )
    if first != inside:
        raise CheckpointError(f"its z has {first} values and its w {inside}; in this layout, both must be equal")
    try:
        channels = {4: state["conv1.conv.weight"].shape[1]}
        for k in range(blocks):
            channels[8 * 2**k] = state[f"convs.{2 * k + 1}.conv.weight"].shape[1]
        return StyleGAN2Config(
            size=4 * 2**blocks,
            latent_dim=state["style.1.weight"].shape[1],
            mapping_layers=_count(state, r"style\.\d+\.weight"),
            channels=channels,
            channel_multiplier=_multiplier(channels),
            image_channels=state["to_rgb1.bias"].shape[1],
        )
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"incomplete rosinality generator state dict: {error}") from error


def check_constant(constant: Tensor | None) -> None:
    """Raise CheckpointError unless a generator's constant ``[..., H, W]`` (if it has one) is 4x4."""
    if constant is not None and constant.ndim >= 2 and tuple(constant.shape[-2:]) != (4, 4):
        height, width = constant.shape[-2:]
        raise CheckpointError(
            f"its constant is {height}x{width} (height x width), so its pictures are not square; only square hubs, "
            "with a constant of 4x4, are supported"
        )


def _discriminator_config(state: Mapping[str, Tensor]) -> DiscriminatorConfig:
    blocks = _count(state, r"convs\.\d+\.conv1\.0\.weight")
    size = 4 * 2**blocks
    try:
        channels = {size: state["convs.0.0.weight"].shape[0]}
        for k in range(1, blocks + 1):
            channels[size // 2**k] = state[f"convs.{k}.conv2.1.weight"].shape[0]
        return DiscriminatorConfig(
            size=size,
            channels=channels,
            channel_multiplier=_multiplier(channels),
            image_channels=state["convs.0.0.weight"].shape[1],
            stddev_features=state["final_conv.0.weight"].shape[1] - channels[4],
        )
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"incomplete rosinality discriminator state dict: {error}") from error


def _multiplier(channels: Mapping[int, int]) -> float:
    """The published channel multiplier, which shows from 64 px on only; 2 below, and where channels follow no table."""
    large = [r for r in channels if r >= 64]
    found = channels[large[0]] * large[0] / 16384 if large else 2.0
    return found if channel_table(max(channels), None, found) == dict(channels) else 2.0


def _our_shape(name: str, value: Tensor) -> Tensor:
    if name.endswith("conv.weight") and value.ndim == 5:
        value = value[0]
        return value[:, :, 0, 0] if name.startswith("to_rgb") else value
    return value.flatten() if re.fullmatch(r"to_rgb(1|s\.\d+)\.bias", name) else value


def _their_shape(name: str, value: Tensor, generator: bool) -> Tensor:
    if not generator:
        return value
    if name.endswith("conv.weight"):
        return value[None, :, :, None, None] if value.ndim == 2 else value[None]
    return value[None, :, None, None] if re.fullmatch(r"to_rgb(1|s\.\d+)\.bias", name) else value


def _kernel(gain: float) -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) * (gain / 64)


def _kernel_names(config: StyleGAN2Config | DiscriminatorConfig) -> dict[str, float]:
    """Their FIR buffers and each one's sum."""
    count = len(config.resolutions) - 1
    if isinstance(config, StyleGAN2Config):
        return {f"convs.{2 * k}.conv.blur.kernel": 4.0 for k in range(count)} | {
            f"to_rgbs.{k}.upsample.kernel": 4.0 for k in range(count)
        }
    return {f"convs.{k}.{part}.0.kernel": 1.0 for k in range(1, count + 1) for part in ("conv2", "skip")}


def _check_kernels(state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        if not name.endswith(".kernel"):
            continue
        gain = float(value.sum())
        fits = tuple(value.shape) == (4, 4) and math.isfinite(gain)
        if not fits or not torch.allclose(value.double().cpu(), _kernel(gain).double(), atol=1e-6):
            raise CheckpointError(f"{name!r} is not the FIR kernel [1, 3, 3, 1] this library implements")
