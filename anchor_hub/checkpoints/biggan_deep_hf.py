"""BigGAN-deep as published for PyTorch by Hugging Face: ``config.json`` beside ``pytorch_model.bin``.

The weights are those of TF Hub: spectral norms keep both singular vectors, and every batch norm has a table of
statistics indexed by truncation. Its condition is z and then the class embedding; in this library, the reverse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints.families import ImportedHub
from anchor_hub.checkpoints.filling import filled
from anchor_hub.checkpoints.raw import RawCheckpoint, first_state
from anchor_hub.checkpoints.readers import reading
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.biggan_deep import BigGANDeep, BigGANDeepConfig
from anchor_hub.networks.imagenet_names import class_names

NAME = "biggan-deep-hf"
LAYOUT = "a folder with config.json and pytorch_model.bin (generator.gen_z.weight_orig, generator.layers...)"
KIND = "hub"
#: Settings that users may give: how the batch norms were trained.
SETTINGS = ("norm_epsilon",)
State = dict[str, Tensor]

#: What the authors' release and latent-space anchoring sample with.
TRUNCATION = 0.4
EPSILON = 1e-4
_CONVS = {"conv_0": "conv1", "conv_1": "conv2", "conv_2": "conv3", "conv_3": "conv4"}
_NORMS = {"bn_0": "norm1", "bn_1": "norm2", "bn_2": "norm3", "bn_3": "norm4"}
_ATTENTION = {f"snconv1x1_{theirs}": ours for theirs, ours in
              (("theta", "theta"), ("phi", "phi"), ("g", "g"), ("o_conv", "o"))}  # fmt: skip
_LEAVES = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v", "bias": "bias"}


def matches(raw: RawCheckpoint) -> bool:
    """Whether it is a state dict in these names."""
    return _state(raw.content) is not None


def _state(content: Any) -> dict[str, Tensor] | None:
    """The state dict in these names; None where there is none."""
    return first_state(content, lambda state: {"generator.gen_z.weight_orig", "embeddings.weight"} <= set(state))


def read(
    raw: RawCheckpoint, discriminator: RawCheckpoint | None = None, *, norm_epsilon: float | None = None
) -> ImportedHub:
    """The generator; no discriminator was ever published for it.

    :param norm_epsilon: of the batch norms; None: ``eps`` of the ``config.json``, else the published 1e-4.
    :raises CheckpointError: entries missing or unknown, a configuration that is not that of the weights, or a
        discriminator given all the same.
    """
    if discriminator is not None:
        raise CheckpointError(
            "BigGAN-deep in this layout was published without a discriminator; leave --discriminator out"
        )
    state = _state(raw.content)
    assert state is not None
    with reading("BigGAN-deep generator"):
        config = config_from(state, raw.config)
        if norm_epsilon is not None:
            config = replace(config, norm_epsilon=norm_epsilon, output_norm_epsilon=norm_epsilon)
        converted = to_ours(state, config)
    notes = [f"Its batch norms' statistics are those of truncation {TRUNCATION:g}; samples are truncated to it."]
    generator = filled(BigGANDeep, config, converted, "generator")
    return ImportedHub(NAME, generator, notes=notes, classes=class_names(config.classes))


def config_from(state: Mapping[str, Tensor], table: Mapping[str, Any] | None = None) -> BigGANDeepConfig:
    """The architecture, read off the shapes; which blocks double the resolution is in ``config.json`` alone.

    Without it, a generator with the channels of one of the published sizes is taken to be that one.

    :raises CheckpointError: a configuration that is not that of the weights, or none where one is needed.
    :raises KeyError: an entry is missing.
    """
    attention, blocks = _layers(state)
    embedding_dim, classes = state["embeddings.weight"].shape
    rows, condition = state["generator.gen_z.weight_orig"].shape
    num_statistics = state["generator.bn.running_means"].shape[0]
    width = state["generator.conv_to_rgb.weight_orig"].shape[0]
    bottom = round((rows // max(blocks[0][0], 1)) ** 0.5)
    ups = _published_ups(blocks, width) if table is None else _ups(table, blocks, attention)
    config = BigGANDeepConfig(
        size=bottom * 2 ** sum(ups),
        latent_dim=condition - embedding_dim,
        classes=classes,
        embedding_dim=embedding_dim,
        width=width,
        blocks=tuple((up, inputs, outputs) for up, (inputs, outputs) in zip(ups, blocks, strict=True)),
        attention=attention,
        num_statistics=num_statistics,
        bottom=bottom,
        rgb_channels=width,
        norm_epsilon=_epsilon(table),
        output_norm_epsilon=_epsilon(table),
        spectral_epsilon=_epsilon(table),
        stored_v=True,
        truncation=TRUNCATION,
    )
    if table is not None:
        _compare(table, config)
    return config


def _layers(state: Mapping[str, Tensor]) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """Positions of attention among the blocks, and each block's input and output channels."""
    numbers = {int(m[1]) for name in state if (m := re.match(r"generator\.layers\.(\d{1,4})\.", name))}
    attention: list[int] = []
    blocks: list[tuple[int, int]] = []
    for number in range(len(numbers)):
        prefix = f"generator.layers.{number}"
        if f"{prefix}.gamma" in state:
            attention.append(len(blocks))
        else:
            inputs = state[f"{prefix}.conv_0.weight_orig"].shape[1]
            blocks.append((inputs, state[f"{prefix}.conv_3.weight_orig"].shape[0]))
    if not blocks:
        raise KeyError("generator.layers.0.conv_0.weight_orig")
    return tuple(attention), blocks


def _ups(
    table: Mapping[str, Any], blocks: list[tuple[int, int]], attention: tuple[int, ...]
) -> list[bool]:
    """Which blocks double the resolution, from ``config.json``, whose layers must be those of the weights."""
    layers, width = table.get("layers"), table.get("channel_width")
    fits = isinstance(layers, list) and isinstance(width, int)
    fits = fits and all(isinstance(item, list) and len(item) == 3 for item in layers or ())
    if not fits:
        raise CheckpointError(
            "config.json beside it needs 'channel_width' and "
            "'layers': [[doubles, input multiple, output multiple], ...]"
        )
    assert isinstance(layers, list) and isinstance(width, int)
    described = [(width * int(inputs), width * int(outputs)) for _, inputs, outputs in layers]
    if described != blocks:
        raise CheckpointError(f"config.json describes blocks of channels {described}, the weights are {blocks}")
    position = table.get("attention_layer_position")
    if isinstance(position, int) and attention != ((position,) if 0 <= position < len(blocks) else ()):
        raise CheckpointError(
            f"config.json puts attention before block {position}, the weights before {list(attention)}"
        )
    return [bool(up) for up, _, _ in layers]


def _published_ups(blocks: list[tuple[int, int]], width: int) -> list[bool]:
    """The published sizes have two blocks per resolution, of which the second doubles it."""
    for size in (128, 256, 512):
        published = BigGANDeepConfig(size, width=width).block_list
        if [(inputs, outputs) for _, inputs, outputs in published] == blocks:
            return [up for up, _, _ in published]
    raise CheckpointError(
        "is not one of the published sizes (128, 256, 512 px), and its weights do not show which blocks double the "
        "resolution: put its config.json beside it, in one folder, and import the folder"
    )


def _epsilon(table: Mapping[str, Any] | None) -> float:
    value = EPSILON if table is None else table.get("eps", EPSILON)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise CheckpointError(f"config.json: eps must be a small positive number, not {value!r:.40}")
    return float(value)


def _compare(table: Mapping[str, Any], config: BigGANDeepConfig) -> None:
    """Refuse a configuration that belongs to other weights."""
    read_off = {
        "output_dim": config.size,
        "z_dim": config.latent_dim,
        "num_classes": config.classes,
        "n_stats": config.num_statistics,
    }
    wrong = [
        f"{key} {table[key]!r:.40} for {value}"
        for key, value in read_off.items()
        if table.get(key, value) != value
    ]
    if wrong:
        raise CheckpointError(f"config.json does not describe these weights: it says {', '.join(wrong)}")


def to_ours(state: Mapping[str, Tensor], config: BigGANDeepConfig) -> State:
    """The entries under the names of :class:`BigGANDeep`, brought into its order.

    :raises CheckpointError: unknown entries (missing ones are noticed when the network takes the rest).
    """
    result: State = {}
    unknown = []
    attention_layers = {position + index for index, position in enumerate(config.attention or ())}
    for name, value in state.items():
        ours = _our_name(name, attention_layers)
        if ours is None:
            unknown.append(name)
            continue
        result[ours] = _our_value(ours, value, config)
    if unknown:
        raise CheckpointError(f"BigGAN-deep state dict has unknown entries: {', '.join(unknown[:5])}")
    return result


def _our_name(name: str, attention_layers: set[int]) -> str | None:
    if name == "embeddings.weight":
        return "embedding.weight"
    parts = name.split(".")
    if parts[0] != "generator" or len(parts) < 3:
        return None
    leaf = _LEAVES.get(parts[-1])
    if parts[1] == "gen_z":
        return f"linear.{leaf}" if leaf and len(parts) == 3 else None
    if parts[1] == "conv_to_rgb":
        return f"to_rgb.{leaf}" if leaf and len(parts) == 3 else None
    if parts[1] == "bn":
        found = {"weight": "gain", "bias": "bias", "running_means": "mean", "running_vars": "var"}.get(parts[-1])
        return f"output_norm.{found}" if found and len(parts) == 3 else None
    if parts[1] != "layers" or not re.fullmatch(r"\d{1,4}", parts[2]) or len(parts) < 4:
        return None
    return _our_layer_name(int(parts[2]), parts[3:], leaf, attention_layers)


def _our_layer_name(layer: int, parts: list[str], leaf: str | None, attention_layers: set[int]) -> str | None:
    position = layer - sum(other < layer for other in attention_layers)
    if layer in attention_layers:
        if parts == ["gamma"]:
            return f"attentions.{position}.gamma"
        known = leaf and len(parts) == 2 and parts[0] in _ATTENTION
        return f"attentions.{position}.{_ATTENTION[parts[0]]}.{leaf}" if known else None
    block = f"blocks.{position}"
    if len(parts) == 2 and parts[0] in _CONVS and leaf:
        return f"{block}.{_CONVS[parts[0]]}.{leaf}"
    if parts[0] in _NORMS:
        norm = f"{block}.{_NORMS[parts[0]]}"
        if parts[1:] in (["running_means"], ["running_vars"]):
            return f"{norm}.{'mean' if parts[1] == 'running_means' else 'var'}"
        linear = {"scale": "gain", "offset": "bias"}.get(parts[1])
        if len(parts) == 3 and linear and leaf:
            return f"{norm}.{linear}.{leaf}"
    return None


def _our_value(ours: str, value: Tensor, config: BigGANDeepConfig) -> Tensor:
    """Class embedding before z in every condition; channels before rows and columns in the linear layer."""
    if ours == "embedding.weight":
        return value.t().contiguous()
    if ours.endswith(".gamma"):
        return value.reshape(())
    module, _, leaf = ours.rpartition(".")
    if re.search(r"norm\d\.(gain|bias)$|^linear$", module) and leaf in ("weight", "v"):
        z = config.latent_dim
        value = torch.cat([value[..., z:], value[..., :z]], dim=-1)
    if module == "linear" and leaf != "v":
        channels_last = value.unflatten(0, (config.bottom, config.bottom, -1))
        value = channels_last.movedim(2, 0).flatten(0, 2).contiguous()
    return value
