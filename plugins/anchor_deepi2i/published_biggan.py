"""A published DeepI2I of the BigGAN kind: ``G.pth``, ``E1.pth`` and ``A1.pth``, flat state dicts, or one file of them.

Encoder and generator have the layout of BigGAN's authors; an adaptor's block k belongs to the side 32 / 2^k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field
from torch import Tensor

from anchor_deepi2i.networks import BigGANNetworks, Networks
from anchor_deepi2i.published import RGB, ImportOptions, assembled, bundle_parts, class_names
from anchor_hub.checkpoints import biggan_brock
from anchor_hub.checkpoints.base import ImportedParts
from anchor_hub.checkpoints.raw import RawCheckpoint, load_raw, state_dict
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.biggan import BigGAN, BigGANConfig

NAME = "deepi2i-biggan"
LAYOUT = "G.pth beside E1.pth and A1.pth (or --content E1.pth --content A1.pth), or one file with the tables G, E1, A1"
KIND = "translator"
#: The finest side that the published code fuses, that of an adaptor's block 0.
FINEST = 32
FILES = ("G", "E1", "A1")


class BigGANImport(ImportOptions):
    """``classes``: how many, or a text file with a name in each line. ``norm_epsilon``: of the batch norms."""

    classes: str | int | None = None
    norm_epsilon: float | None = Field(default=None, gt=0, le=1)


def matches(raw: RawCheckpoint) -> bool:
    """Whether it is one of the three files, or one file of all."""
    return _joined(raw.content) is not None or _kind(state_dict(raw.content)) is not None


def read(raw: RawCheckpoint, others: Sequence[RawCheckpoint], options: Mapping[str, Any]) -> ImportedParts:
    """The networks of a published folder.

    :param others: the two other files; default: those beside the first.
    :raises CheckpointError: a file is missing, or they do not fit each other. :raises UsageError: wrong options.
    """
    chosen = BigGANImport.read(options, f"options of {NAME}")
    files = _files(raw, others)
    found = biggan_brock.read(files["G"], norm_epsilon=chosen.norm_epsilon)
    generator, notes = found.generator, list(found.notes)
    if not isinstance(generator, BigGAN):
        raise CheckpointError("is a BigGAN-deep; DeepI2I's published networks are BigGANs")
    names = class_names(chosen.classes, generator.config.classes)
    # The encoder's own classes are not used; for the reader they must be the generator's.
    encoder = biggan_brock.read_discriminator(files["E1"], generator.config)
    adaptors = state_dict(files["A1"].content) or {}
    generator = cut(generator, len(names))
    networks = assembled(BigGANNetworks, encoder, generator, chosen.weights(), adaptors, adaptor_names)
    architecture, parts = bundle_parts(networks, chosen)
    shown = ", ".join(f"{side}: {weight:g}" for side, weight in networks.fusion.items())
    notes.append(f"Weights of the fusion, which the files do not hold: {shown}.")
    targets = [{"name": name, "modality": RGB} for name in names]
    return ImportedParts(NAME, architecture, parts, targets=targets, notes=notes)


def cut(generator: BigGAN, classes: int) -> BigGAN:
    """The generator with the first ``classes`` rows of its class embedding."""
    values = generator.config.to_dict() | {"classes": classes}
    generator.config = BigGANConfig.from_dict(values)
    generator.embedding.weight.data = generator.embedding.weight.data[:classes].clone()
    generator.embedding.num_embeddings = classes
    return generator


def adaptor_names(networks: Networks) -> dict[str, str]:
    """Our name to the published one for every entry of the adaptors that is used."""
    names = {}
    for ours in networks.adaptors.state_dict():
        side, layer, leaf = ours.split(".")
        block = (FINEST // int(side)).bit_length() - 1
        layer = {"shortcut": "conv_sc"}.get(layer, layer)
        names[ours] = f"blocks.{block}.0.{layer}.{ {'u': 'u0'}.get(leaf, leaf) }"
    return names


def _joined(content: Any) -> dict[str, Any] | None:
    """The tables of a file that holds all three networks."""
    if isinstance(content, Mapping) and all(isinstance(content.get(name), Mapping) for name in FILES):
        return {name: content[name] for name in FILES}
    return None


def _kind(state: Mapping[str, Tensor] | None) -> str | None:
    """Which network a state dict is of: an adaptor is a discriminator whose first block reads no picture."""
    if not state or "blocks.0.0.conv1.weight" not in state:
        return None
    if "output_layer.2.weight" in state:
        return "G"
    if "embed.weight" not in state and "blocks.3.0.conv1.weight" not in state:
        return None
    return "E1" if state["blocks.0.0.conv1.weight"].shape[1] == 3 else "A1"


def _files(raw: RawCheckpoint, others: Sequence[RawCheckpoint]) -> dict[str, RawCheckpoint]:
    """The three networks' files by name."""
    if (tables := _joined(raw.content)) is not None:
        return {name: replace(raw, content=table) for name, table in tables.items()}
    found: dict[str, RawCheckpoint] = {}
    for file in (raw, *others):
        kind = _kind(state_dict(file.content))
        if kind is None:
            raise CheckpointError(f"{file.path}: is no network of DeepI2I; it takes {LAYOUT}")
        if kind == "E1" and file.path.stem == "D":
            continue  # of the same layout: the discriminator, which a translation does not need
        if kind in found:
            raise CheckpointError(f"{file.path}: is a second {kind}.pth; give one G.pth, one E1.pth and one A1.pth")
        found[kind] = file
    for name in FILES:
        beside = raw.path.with_name(f"{name}.pth")
        if name not in found and beside.is_file():
            found[name] = load_raw(beside)
        if name not in found:
            raise CheckpointError(f"lacks {name}.pth beside it; put it there, or give it as --content {name}.pth")
    return found
