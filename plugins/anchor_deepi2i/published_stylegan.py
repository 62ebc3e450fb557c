"""A published DeepI2I of the StyleGAN kind: one file with the tables generator, discriminator, encoder and align."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field
from torch import Tensor

from anchor_deepi2i.networks import Networks, StyleGANNetworks
from anchor_deepi2i.published import RGB, ImportOptions, assembled, bundle_parts, converted
from anchor_deepi2i.stylegan import StyleGANConfig, StyleGANDiscriminator, StyleGANGenerator
from anchor_hub.checkpoints.base import ImportedParts
from anchor_hub.checkpoints.filling import filled
from anchor_hub.checkpoints.raw import RawCheckpoint, state_dict
from anchor_hub.checkpoints.readers import reading
from anchor_hub.errors import CheckpointError

NAME = "deepi2i-stylegan"
LAYOUT = "train_step-N.model: the tables generator, discriminator, encoder and align"
KIND = "translator"
TABLES = ("generator", "encoder", "align")
#: The finest side with an adaptor, that of its part 0.
FINEST = 64


class StyleGANImport(ImportOptions):
    """``size``: side of the images it was trained at, which the file does not say. ``source``, ``target``: names."""

    size: int = Field(default=256, ge=128, le=1024)
    source: str = "source"
    target: str = "target"


def matches(raw: RawCheckpoint) -> bool:
    """Whether it has the tables of a generator and an encoder in these names."""
    if not isinstance(raw.content, Mapping):
        return False
    generator, encoder = (state_dict(raw.content.get(name)) for name in TABLES[:2])
    return bool(
        generator and encoder and "generator.progression.0.conv1.input" in generator and "linear.linear.bias" in encoder
    )


def read(raw: RawCheckpoint, others: Sequence[RawCheckpoint], options: Mapping[str, Any]) -> ImportedParts:
    """The networks of one file.

    :raises CheckpointError: entries missing or of wrong shapes. :raises UsageError: wrong options.
    """
    chosen = StyleGANImport.read(options, f"options of {NAME}")
    if others:
        raise CheckpointError("is the only file of its layout: leave --content out")
    tables = {name: state_dict(raw.content.get(name)) or {} for name in TABLES}
    if not tables["align"]:
        raise CheckpointError(
            "lacks the table align: it was written where the training changed resolution; import a later "
            "train_step-N.model"
        )
    with reading("StyleGAN in this layout"):
        config = config_of(tables["generator"], tables["encoder"], chosen.size)
        weights = converted(tables["generator"], generator_names(config), "generator")
        generator = filled(StyleGANGenerator, config, weights, "generator")
        weights = converted(tables["encoder"], discriminator_names(config), "encoder")
        encoder = filled(StyleGANDiscriminator, config, weights, "encoder")
    networks = assembled(StyleGANNetworks, encoder, generator, chosen.weights(), tables["align"], adaptor_names)
    architecture, parts = bundle_parts(networks, chosen)
    ends = [{"name": name, "modality": RGB} for name in (chosen.source, chosen.target)]
    notes = [f"Read for images of {chosen.size} px, which the file does not say (--set size=N)."]
    return ImportedParts(NAME, architecture, parts, source=ends[0], targets=ends[1:], notes=notes)


def config_of(generator: Mapping[str, Tensor], encoder: Mapping[str, Tensor], size: int) -> StyleGANConfig:
    """The architecture, read off the shapes. :raises KeyError: an entry is missing."""
    channels = {
        4 * 2**level: generator[f"generator.progression.{level}.conv2.conv.weight_orig"].shape[0]
        for level in range((size // 4).bit_length())
    }
    layers = sum(1 for name in generator if re.fullmatch(r"style\.\d{1,3}\.linear\.bias", name))
    code_dim = generator["style.1.linear.weight_orig"].shape[1]
    activated = any(re.fullmatch(r"from_rgb\.\d\.0\.conv\.bias", name) for name in encoder)
    return StyleGANConfig(size, code_dim=code_dim, mapping_layers=layers, channels=channels, activate_rgb=activated)


def generator_names(config: StyleGANConfig) -> dict[str, str]:
    """Our name to the published one."""
    names: dict[str, str] = {}
    for layer in range(config.mapping_layers):
        _linear(names, f"mapping.{layer}", f"style.{2 * layer + 1}.linear")
    for level, side in enumerate(config.resolutions):
        ours, theirs = f"blocks.{side}", f"generator.progression.{level}"
        if level == 0:
            names[f"{ours}.constant"] = f"{theirs}.conv1.input"
        elif side >= 128:
            names |= {f"{ours}.up.{leaf}": f"{theirs}.conv1.0.{leaf}" for leaf in ("weight", "bias")}
        else:
            _linear(names, f"{ours}.up", f"{theirs}.conv1.1.conv")
        _linear(names, f"{ours}.conv", f"{theirs}.conv2.conv")
        for number, part in ((1, "first"), (2, "second")):
            names[f"{ours}.{part}.noise_strength"] = f"{theirs}.noise{number}.weight_orig"
            _linear(names, f"{ours}.{part}.style", f"{theirs}.adain{number}.style.linear")
    for side in config.resolutions[-2:]:
        _linear(names, f"to_rgb.{side}", f"generator.to_rgb.{_level(side)}.conv")
    return names


def discriminator_names(config: StyleGANConfig) -> dict[str, str]:
    """Our name to the published one; published blocks are numbered from 1024 px downwards."""
    names: dict[str, str] = {}
    for side in config.resolutions[-2:]:
        _linear(names, f"from_rgb.{side}", f"from_rgb.{8 - _level(side)}.{'0.' if config.activate_rgb else ''}conv")
    for side in config.resolutions[1:]:
        ours, theirs = f"blocks.{side}", f"progression.{8 - _level(side)}"
        _linear(names, f"{ours}.conv1", f"{theirs}.conv1.0.conv")
        if side >= 128:
            names |= {f"{ours}.conv2.{leaf}": f"{theirs}.conv2.1.{leaf}" for leaf in ("weight", "bias")}
        else:
            _linear(names, f"{ours}.conv2", f"{theirs}.conv2.1.conv")
    _linear(names, "final1", "progression.8.conv1.0.conv")
    _linear(names, "final2", "progression.8.conv2.0.conv")
    _linear(names, "linear", "linear.linear")
    return names


def adaptor_names(networks: Networks) -> dict[str, str]:
    """Our name to the published one."""
    names: dict[str, str] = {}
    for side in networks.fusion:
        for conv in ("conv1", "conv2"):
            part = (FINEST // side).bit_length() - 1
            _linear(names, f"{side}.{conv}", f"progression.{part}.{conv}.0.conv")
    return names


def _level(side: int) -> int:
    return (side // 4).bit_length() - 1


def _linear(names: dict[str, str], ours: str, theirs: str) -> None:
    names |= {f"{ours}.weight": f"{theirs}.weight_orig", f"{ours}.bias": f"{theirs}.bias"}
