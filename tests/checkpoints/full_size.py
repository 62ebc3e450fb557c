"""Checkpoint files of full size with weights rebuilt from names: what a user downloads, but for what is learned.

Each weight is drawn for its name with the spread that keeps activations alive; a file is the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]

#: Published ``config.json`` of BigGAN-deep-256.
BIGGAN_DEEP_256: dict[str, Any] = {
    "output_dim": 256, "z_dim": 128, "class_embed_dim": 128, "channel_width": 128, "num_classes": 1000,
    "layers": [[False, 16, 16], [True, 16, 16], [False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 8],
               [False, 8, 8], [True, 8, 4], [False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1]],
    "attention_layer_position": 8, "eps": 1e-4, "n_stats": 51,
}  # fmt: skip


def drawn(name: str, shape: tuple[int, ...], std: float = 1.0, mean: float = 0.0) -> Tensor:
    """Uniform numbers for a name: float32 of the given spread."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    values = np.random.default_rng(seed).random(math.prod(shape), dtype=np.float32)
    values -= np.float32(0.5)
    values *= np.float32(std * math.sqrt(12.0))
    values += np.float32(mean)
    return torch.from_numpy(values).reshape(shape)


def rebuilt(names: Mapping[str, tuple[int, ...]], spread: Callable[[str], tuple[float, float]]) -> State:
    """A weight of every name and shape; ``spread(name)`` is its standard deviation and its mean."""
    return {name: drawn(name, shape, *spread(name)) for name, shape in names.items()}


# -- BigGAN-deep, config.json + pytorch_model.bin ----------------------------------------------------


def biggan_deep(folder: Path, config: Mapping[str, Any]) -> Path:
    """A folder with ``config.json`` and ``pytorch_model.bin`` for a configuration; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dict(config)), encoding="utf-8")
    torch.save(OrderedDict(_biggan_deep_entries(config)), folder / "pytorch_model.bin")
    return folder


def _biggan_deep_entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    width, z, rows = config["channel_width"], config["z_dim"], config["n_stats"]
    yield "embeddings.weight", drawn("embeddings.weight", (z, config["num_classes"]), 0.3)
    yield from _spectral("generator.gen_z", (16 * 16 * width, 2 * z), bias=True)
    layer = 0
    for position, (_, inputs, outputs) in enumerate(config["layers"]):
        inputs, outputs = width * inputs, width * outputs
        if position == config["attention_layer_position"]:
            prefix = f"generator.layers.{layer}"
            yield f"{prefix}.gamma", torch.tensor([0.5])
            for part, shape in (
                ("theta", (inputs // 8, inputs)), ("phi", (inputs // 8, inputs)),
                ("g", (inputs // 2, inputs)), ("o_conv", (inputs, inputs // 2)),
            ):  # fmt: skip
                yield from _spectral(f"{prefix}.snconv1x1_{part}", (*shape, 1, 1))
            layer += 1
        prefix, middle = f"generator.layers.{layer}", inputs // 4
        for number, channels in enumerate((inputs, middle, middle, middle)):
            norm = f"{prefix}.bn_{number}"
            yield from _tables(norm, rows, channels)
            for part in ("scale", "offset"):
                yield from _spectral(f"{norm}.{part}", (channels, 2 * z))
        for number, shape in enumerate(
            ((middle, inputs, 1, 1), (middle, middle, 3, 3), (middle, middle, 3, 3), (outputs, middle, 1, 1))
        ):
            yield from _spectral(f"{prefix}.conv_{number}", shape, bias=True)
        layer += 1
    channels = width * config["layers"][-1][2]
    yield from _tables("generator.bn", rows, channels)
    yield "generator.bn.weight", drawn("generator.bn.weight", (channels,), 0.1, 1.0)
    yield "generator.bn.bias", drawn("generator.bn.bias", (channels,), 0.1)
    yield from _spectral("generator.conv_to_rgb", (width, channels, 3, 3), bias=True)


def _tables(prefix: str, rows: int, channels: int) -> Iterator[tuple[str, Tensor]]:
    yield f"{prefix}.running_means", drawn(f"{prefix}.running_means", (rows, channels), 0.1)
    yield f"{prefix}.running_vars", drawn(f"{prefix}.running_vars", (rows, channels), 0.02, 0.2)


def _spectral(prefix: str, shape: tuple[int, ...], *, bias: bool = False) -> Iterator[tuple[str, Tensor]]:
    """Weight, singular vectors after two power iterations, and bias."""
    weight = drawn(f"{prefix}.weight_orig", shape, 1 / math.sqrt(math.prod(shape[1:])))
    matrix = weight.flatten(1)
    u = F.normalize(drawn(f"{prefix}.weight_u", (shape[0],)), dim=0)
    for _ in range(2):
        v = F.normalize(matrix.t() @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    if bias:
        yield f"{prefix}.bias", drawn(f"{prefix}.bias", (shape[0],), 0.1)
    yield f"{prefix}.weight_orig", weight
    yield f"{prefix}.weight_u", u
    yield f"{prefix}.weight_v", v


# -- StyleGAN2, .pt ----------------------------------------------------------------------------------


def stylegan2(path: Path, size: int, *, parts: tuple[str, ...] = ("g_ema",)) -> Path:
    """A config-F ``.pt`` of rosinality's with some of ``g``, ``g_ema``, ``d`` and the mean latent; returns it."""
    from anchor_hub.checkpoints import stylegan2_rosinality as rosinality
    from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
    from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig

    content: dict[str, Any] = {"latent_avg": drawn("latent_avg", (512,), 0.1)}
    for part in parts:
        config: Any = DiscriminatorConfig(size) if part == "d" else StyleGAN2Config(size)
        build: Any = Discriminator if part == "d" else Generator
        with torch.device("meta"):
            names = {name: tuple(value.shape) for name, value in build(config).state_dict().items()}
        content[part] = rosinality.to_theirs(rebuilt(names, _stylegan2_spread), config)
    torch.save(content, path)
    return path


def _stylegan2_spread(name: str) -> tuple[float, float]:
    if name.startswith("mapping."):
        return (100.0, 0.0) if name.endswith("weight") else (0.0, 0.0)
    if name.endswith("affine.bias"):
        return 0.0, 1.0
    return (0.0, 0.0) if name.endswith("bias") else (0.05, 0.0) if name.endswith("noise_strength") else (1.0, 0.0)


# -- StyleGAN2-ADA, .pkl -----------------------------------------------------------------------------


def stylegan2_ada(path: Path, size: int) -> Path:
    """A pickle of NVIDIA's with ``G``, ``D`` and ``G_ema`` for ``size`` px; returns it."""
    from tests.checkpoints.makers import network, nvidia_modules

    generator, generator_arguments = _ada_generator(size)
    critic, critic_arguments = _ada_discriminator(size)
    content = {
        "G": network("Generator", generator, generator_arguments),
        "D": network("Discriminator", critic, critic_arguments),
        "G_ema": network("Generator", {name: value.clone() for name, value in generator.items()}, generator_arguments),
        "training_set_kwargs": {"resolution": size},
        "augment_pipe": None,
    }
    with nvidia_modules(), open(path, "wb") as stream:
        pickle.dump(content, stream, protocol=4)
    return path


def _ada_channels(resolution: int) -> int:
    return min(32768 // resolution, 512)


def _resolutions(size: int) -> list[int]:
    return [2**k for k in range(2, size.bit_length())]


def _ada_generator(size: int) -> tuple[State, dict[str, Any]]:
    names: dict[str, tuple[int, ...]] = {}
    for index in range(8):
        names |= {f"mapping.fc{index}.weight": (512, 512), f"mapping.fc{index}.bias": (512,)}
    names["mapping.w_avg"] = (512,)
    for resolution in _resolutions(size):
        block, outputs = f"synthesis.b{resolution}", _ada_channels(resolution)
        layers = [("conv1", outputs)]
        if resolution == 4:
            names[f"{block}.const"] = (outputs, 4, 4)
        else:
            layers.insert(0, ("conv0", _ada_channels(resolution // 2)))
        names[f"{block}.resample_filter"] = (4, 4)
        for layer, inputs in layers:
            prefix = f"{block}.{layer}"
            names |= {
                f"{prefix}.weight": (outputs, inputs, 3, 3), f"{prefix}.bias": (outputs,),
                f"{prefix}.noise_strength": (),
                f"{prefix}.resample_filter": (4, 4), f"{prefix}.noise_const": (resolution, resolution),
                f"{prefix}.affine.weight": (inputs, 512), f"{prefix}.affine.bias": (inputs,),
            }  # fmt: skip
        names |= {
            f"{block}.torgb.weight": (3, outputs, 1, 1), f"{block}.torgb.bias": (3,),
            f"{block}.torgb.affine.weight": (outputs, 512), f"{block}.torgb.affine.bias": (outputs,),
        }  # fmt: skip
    arguments = {
        "z_dim": 512, "c_dim": 0, "w_dim": 512, "img_resolution": size, "img_channels": 3,
        "mapping_kwargs": {"num_layers": 8},
        "synthesis_kwargs": {"channel_base": 32768, "channel_max": 512, "num_fp16_res": 4, "conv_clamp": 256},
    }  # fmt: skip
    return _filtered(rebuilt(names, _ada_spread)), arguments


def _ada_discriminator(size: int) -> tuple[State, dict[str, Any]]:
    names: dict[str, tuple[int, ...]] = {}
    for resolution in reversed(_resolutions(size)[1:]):
        block, inputs, outputs = f"b{resolution}", _ada_channels(resolution), _ada_channels(resolution // 2)
        names[f"{block}.resample_filter"] = (4, 4)
        layers = [("conv0", inputs, inputs, 3), ("conv1", outputs, inputs, 3), ("skip", outputs, inputs, 1)]
        if resolution == size:
            layers.insert(0, ("fromrgb", inputs, 3, 1))
        for layer, high, low, kernel in layers:
            names[f"{block}.{layer}.weight"] = (high, low, kernel, kernel)
            if layer != "skip":
                names[f"{block}.{layer}.bias"] = (high,)
            names[f"{block}.{layer}.resample_filter"] = (4, 4)
    names |= {
        "b4.conv.weight": (512, 513, 3, 3), "b4.conv.bias": (512,), "b4.conv.resample_filter": (4, 4),
        "b4.fc.weight": (512, 8192), "b4.fc.bias": (512,), "b4.out.weight": (1, 512), "b4.out.bias": (1,),
    }  # fmt: skip
    arguments = {
        "c_dim": 0, "img_resolution": size, "img_channels": 3, "channel_base": 32768, "channel_max": 512,
        "num_fp16_res": 4, "conv_clamp": 256, "block_kwargs": {}, "mapping_kwargs": {},
        "epilogue_kwargs": {"mbstd_group_size": 8},
    }  # fmt: skip
    return _filtered(rebuilt(names, _ada_spread)), arguments


def _ada_spread(name: str) -> tuple[float, float]:
    if name.startswith("mapping.fc"):
        return (100.0, 0.0) if name.endswith("weight") else (0.0, 0.0)
    return _stylegan2_spread(name) if name != "mapping.w_avg" else (0.1, 0.0)


def _filtered(state: State) -> State:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) / 64
    return {name: kernel.clone() if name.endswith("resample_filter") else value for name, value in state.items()}
