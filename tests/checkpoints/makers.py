"""Checkpoint files as others write them, for tests: NVIDIA's pickles, rosinality's dicts, files that do harm."""

from __future__ import annotations

import contextlib
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub.checkpoints import biggan_brock, stylegan2_ada
from anchor_hub.networks.biggan import BigGAN, BigGANConfig
from anchor_hub.networks.biggan_discriminators import ProjectionDiscriminator
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

BUFFERS = ("resample_filter", "noise_const", "w_avg")


class Persistent:
    """An object as NVIDIA's networks pickle themselves: a call with one dict, and no state after it."""

    def __init__(self, class_name: str, state: dict[str, Any], source: str = "") -> None:
        self.meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}

    def __reduce__(self) -> Any:
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


@contextlib.contextmanager
def nvidia_modules() -> Iterator[None]:
    """Make the names that the pickler looks up importable, as long as it writes."""
    made = {}
    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        made[name] = sys.modules[name] = types.ModuleType(name)

    def _reconstruct_persistent_obj(meta: Any) -> Any:
        raise AssertionError("never called")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    made["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in made:
            sys.modules.pop(name, None)


def network(class_name: str, state: Mapping[str, Tensor], arguments: Mapping[str, Any], source: str = "") -> Persistent:
    """A network object with the entries of ``state`` in nested modules."""

    def module(name: str, entries: Mapping[str, Tensor], kwargs: Mapping[str, Any]) -> Persistent:
        children: dict[str, dict[str, Tensor]] = {}
        parameters, buffers = OrderedDict(), OrderedDict()
        for key, value in entries.items():
            first, _, rest = key.partition(".")
            if rest:
                children.setdefault(first, {})[rest] = value
            elif key in BUFFERS:
                buffers[key] = value
            else:
                parameters[key] = nn.Parameter(value, requires_grad=False)
        modules = OrderedDict((key, module("Layer", below, {})) for key, below in children.items())
        tables: dict[str, Any] = {"training": False, "_parameters": parameters, "_buffers": buffers}
        tables |= {"_modules": modules, "_non_persistent_buffers_set": set(), "_init_args": ()}
        return Persistent(name, {**tables, "_init_kwargs": dict(kwargs)}, source)

    return module(class_name, state, arguments)


def nvidia_pickle(path: Path, content: Mapping[str, Any], protocol: int = 4) -> Path:
    """Write a pickle in NVIDIA's layout."""
    with nvidia_modules():
        path.write_bytes(pickle.dumps(dict(content), protocol=protocol))
    return path


def parts(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below ``prefix.``, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in state.items() if name.startswith(f"{prefix}.")}


class Calls:
    """An object whose unpickling calls ``function(*arguments)``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def rosinality_file(path: Path, state: Mapping[str, Tensor], **extra: Any) -> Path:
    """A training checkpoint of rosinality's from entries ``g_ema.*``, ``g.*``, ``d.*`` and ``latent_avg``."""
    content: dict[str, Any] = {key: parts(state, key) for key in ("g_ema", "g", "d")}
    if "latent_avg" in state:
        content["latent_avg"] = state["latent_avg"]
    torch.save({**content, **extra}, path)
    return path


def ada_state(config: StyleGAN2Config, seed: int = 0) -> dict[str, Tensor]:
    """The entries of a StyleGAN2-ADA generator of an architecture, with random weights, under NVIDIA's names."""
    torch.manual_seed(seed)
    ours = Generator(config).state_dict()
    state = {"mapping.w_avg": torch.randn(config.latent_dim) * 0.1}
    for name, theirs in stylegan2_ada._generator_names(config).items():
        value = ours[name]
        if theirs.endswith("noise_strength"):
            state[theirs] = torch.tensor(0.1)
        elif theirs.endswith("noise_const"):
            state[theirs] = value[0, 0]
        elif theirs.endswith("b4.const"):
            state[theirs] = value[0]
        else:
            state[theirs] = value[..., None, None] if theirs.endswith("torgb.weight") else value
    return state


def ada_arguments(config: StyleGAN2Config) -> dict[str, Any]:
    """The constructor's arguments that go with :func:`ada_state`."""
    sizes = {"z_dim": config.code_dim, "c_dim": config.classes, "w_dim": config.latent_dim}
    return {**sizes, "img_resolution": config.size, "img_channels": config.image_channels}


def biggan_state(network: nn.Module) -> dict[str, Tensor]:
    """The entries of a BigGAN generator or discriminator under the names of the authors' PyTorch code."""
    config: Any = network.config
    critic = isinstance(network, ProjectionDiscriminator)
    names = (biggan_brock.discriminator_names if critic else biggan_brock.generator_names)(config)
    ours = network.state_dict()
    state = {}
    for name, theirs in names.items():
        state[theirs] = ours[name][None] if name.endswith(".u") else ours[name]
        if name.endswith(".u"):
            state[theirs.replace("u0", "sv0")] = torch.ones(1)
    return state


def biggan_for(size: int, classes: int) -> BigGAN:
    """A narrow generator with random weights, of this size and so many classes."""
    torch.manual_seed(0)
    channels = {4 * 2**k: 8 for k in range((size // 4).bit_length())}
    return BigGAN(BigGANConfig(size, latent_dim=3, classes=classes, embedding_dim=5, channels=channels, attention=()))


def saved(path: Path, state: Mapping[str, Tensor], prefix: str = "") -> Path:
    """A file of ``torch.save`` with a flat state dict, in a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({prefix + name: value for name, value in state.items()}, path)
    return path
