"""BigGAN and BigGAN-deep in the layout of the authors' PyTorch code: ``G_ema.pth``, ``G.pth`` and ``D.pth``.

Each file is one flat state dict. Spectral norms keep the vector ``u0``; the logged singular value ``sv0`` is left
out. Batch norms keep running statistics, or sums of standing statistics with a counter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from anchor_hub.checkpoints.biggan_run import RunSettings, settings_for
from anchor_hub.checkpoints.families import ImportedHub, describe
from anchor_hub.checkpoints.filling import filled
from anchor_hub.checkpoints.raw import RawCheckpoint, first_state
from anchor_hub.checkpoints.readers import reading
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.biggan import PUBLISHED_CHANNELS, BigGAN, BigGANConfig
from anchor_hub.networks.biggan_deep import BigGANDeep, BigGANDeepConfig
from anchor_hub.networks.biggan_discriminators import (
    BigGANDeepDiscriminator,
    BigGANDeepDiscriminatorConfig,
    BigGANDiscriminator,
    BigGANDiscriminatorConfig,
)
from anchor_hub.networks.imagenet_names import class_names

NAME = "biggan"
LAYOUT = "G_ema.pth or G.pth (shared.weight, blocks.0.0.conv1.weight ...), and D.pth as --discriminator"
KIND = "hub"
#: Settings that users may give: how the batch norms were trained.
SETTINGS = ("norm_epsilon",)
State = dict[str, Tensor]
GeneratorConfig = BigGANConfig | BigGANDeepConfig
DiscriminatorConfig = BigGANDiscriminatorConfig | BigGANDeepDiscriminatorConfig

_SPECTRAL = {"weight": "weight", "bias": "bias", "u0": "u"}
_SPECTRAL_MATRIX = {"weight": "weight", "u0": "u"}
_ATTENTION = ("theta", "phi", "g", "o")


def matches(raw: RawCheckpoint) -> bool:
    """Whether it is a generator's or discriminator's state dict in these names, or another file of such a training."""
    content = raw.content
    if isinstance(content, dict) and {"itr", "epoch", "config"} <= set(map(str, content)):
        return True
    state = _state(content)
    return state is not None and (_is_generator(state) or _is_discriminator(state))


def read(
    raw: RawCheckpoint, discriminator: RawCheckpoint | None = None, *, norm_epsilon: float | None = None
) -> ImportedHub:
    """The generator, and the discriminator of the second file.

    :param norm_epsilon: of the conditional batch norms; None: what the training's configuration beside the file says,
        else the published 1e-5.
    :raises CheckpointError: not a generator's state dict, entries missing, unknown or of shapes that do not fit
        each other, or a discriminator for other images or classes.
    """
    state = _state(raw.content)
    if state is None:
        raise CheckpointError(
            "is the record of a BigGAN training, not weights; import G_ema.pth (or G.pth) of the same folder"
        )
    if not _is_generator(state):
        raise CheckpointError(
            "is a BigGAN discriminator; import G_ema.pth (or G.pth), and give this file as --discriminator"
        )
    notes: list[str] = []
    with reading("BigGAN in this layout"):
        settings = settings_for(raw, lambda found: generator_config(state, found), norm_epsilon, notes)
        config = generator_config(state, settings)
    converted = _converted(state, generator_names(config), "generator")
    build: Any = BigGANDeep if isinstance(config, BigGANDeepConfig) else BigGAN
    generator = filled(build, config, converted, "generator")
    if "ema" not in raw.path.name.lower():
        name = ascii(raw.path.name)[1:-1][:60]
        notes.append(f"Its name, {name}, does not say that this is the averaged generator (G_ema).")
    critic = None if discriminator is None else read_discriminator(discriminator, config)
    return ImportedHub(NAME, generator, critic, None, notes, class_names(config.classes))


def read_discriminator(
    raw: RawCheckpoint, generator: GeneratorConfig
) -> BigGANDiscriminator | BigGANDeepDiscriminator:
    """The discriminator of ``D.pth`` for a generator's images and classes.

    :raises CheckpointError: beginning with the file's path; as for :func:`read`.
    """
    try:
        state = _state(raw.content)
        if state is None or not _is_discriminator(state):
            found = "a BigGAN generator" if state and _is_generator(state) else describe(raw.content)
            raise CheckpointError(f"is not a BigGAN discriminator's state dict (embed.weight, linear.u0 ...): {found}")
        with reading("BigGAN in this layout"):
            config = discriminator_config(state)
            # The generator's notes already say what was not used, and why.
            settings = settings_for(raw, lambda _: config, None, [])
            config = replace(config, spectral_epsilon=settings.spectral_epsilon)
        if config.size != generator.size:
            raise CheckpointError(f"is for {config.size} px images, the generator makes {generator.size} px")
        if config.classes != generator.classes:
            raise CheckpointError(f"is for {config.classes} classes, the generator for {generator.classes}")
        converted = _converted(state, discriminator_names(config), "discriminator")
        if isinstance(config, BigGANDeepDiscriminatorConfig):
            return filled(BigGANDeepDiscriminator, config, converted, "discriminator")
        return filled(BigGANDiscriminator, config, converted, "discriminator")
    except CheckpointError as error:
        raise CheckpointError(f"{raw.path}: {error}") from error


# -- which file it is --------------------------------------------------------------------------------


def _state(content: Any) -> State | None:
    """The state dict of a generator or discriminator, without what programs put around it."""
    return first_state(content, lambda state: _is_generator(state) or _is_discriminator(state), "G_ema", "G")


def _is_generator(state: Mapping[str, Tensor]) -> bool:
    return {"output_layer.2.weight", "linear.weight", "blocks.0.0.conv1.weight"} <= set(state)


def _is_discriminator(state: Mapping[str, Tensor]) -> bool:
    return {"embed.weight", "linear.weight", "blocks.0.0.conv1.weight"} <= set(state)


def _blocks(state: Mapping[str, Tensor]) -> int:
    return len({m[1] for name in state if (m := re.match(r"blocks\.(\d{1,3})\.", name))})


def _attention(state: Mapping[str, Tensor], blocks: int, place: int = 1) -> list[int]:
    """Numbers of the block entries that self-attention follows."""
    return [k for k in range(blocks) if f"blocks.{k}.{place}.gamma" in state]


# -- generators --------------------------------------------------------------------------------------


def generator_config(state: Mapping[str, Tensor], settings: RunSettings | None = None) -> GeneratorConfig:
    """The architecture of a generator, read off the shapes.

    :param settings: what the shapes do not show; None: as published.
    :raises CheckpointError: an architecture that this library lacks.
    :raises KeyError: an entry is missing.
    """
    if "shared.weight" not in state or "blocks.0.0.bn1.gain.u0" not in state:
        raise CheckpointError(
            "is a BigGAN without a shared class embedding (G_shared) or without spectral norm (G_param SN); "
            "only generators with both are supported"
        )
    settings = settings or RunSettings()
    deep = "blocks.0.0.conv4.weight" in state
    return _deep_config(state, settings) if deep else _flat_config(state, settings)


def _flat_config(state: Mapping[str, Tensor], settings: RunSettings) -> BigGANConfig:
    count = _blocks(state)
    classes, embedding_dim = state["shared.weight"].shape
    rows, latent_dim = state["linear.weight"].shape
    widths = [state["blocks.0.0.conv1.weight"].shape[1]]
    widths += [state[f"blocks.{k}.0.conv1.weight"].shape[0] for k in range(count)]
    bottom = round((rows // widths[0]) ** 0.5)
    size = bottom * 2**count
    condition = state["blocks.0.0.bn1.gain.weight"].shape[1]
    if condition not in (embedding_dim, embedding_dim + latent_dim):
        raise CheckpointError(
            f"its batch norms take {condition} values, which is neither the class embedding ({embedding_dim}) nor "
            f"that and a chunk of z ({latent_dim})"
        )
    multiples = PUBLISHED_CHANNELS.get(size * 4 // bottom, (1,))
    return BigGANConfig(
        size,
        latent_dim=latent_dim,
        classes=classes,
        embedding_dim=embedding_dim,
        width=max(widths[0] // multiples[0], 1),
        channels={bottom * 2**k: width for k, width in enumerate(widths)},
        attention=tuple(bottom * 2 ** (k + 1) for k in _attention(state, count)),
        hierarchical=condition != embedding_dim,
        bottom=bottom,
        image_channels=state["output_layer.2.weight"].shape[0],
        norm_epsilon=settings.norm_epsilon,
        spectral_epsilon=settings.spectral_epsilon,
    )


def _deep_config(state: Mapping[str, Tensor], settings: RunSettings) -> BigGANDeepConfig:
    count = _blocks(state)
    classes, embedding_dim = state["shared.weight"].shape
    rows, condition = state["linear.weight"].shape
    blocks = [
        (state[f"blocks.{k}.0.conv1.weight"].shape[1], state[f"blocks.{k}.0.conv4.weight"].shape[0])
        for k in range(count)
    ]
    bottom = round((rows // blocks[0][0]) ** 0.5)
    depth = settings.depth if settings.depth and count % settings.depth == 0 else _depth(blocks)
    return BigGANDeepConfig(
        bottom * 2 ** (count // depth),
        latent_dim=condition - embedding_dim,
        classes=classes,
        embedding_dim=embedding_dim,
        width=_deep_width(blocks, depth),
        blocks=tuple((k % depth == depth - 1, *block) for k, block in enumerate(blocks)),
        attention=tuple(k + 1 for k in _attention(state, count)),
        bottom=bottom,
        image_channels=state["output_layer.2.weight"].shape[0],
        norm_epsilon=settings.norm_epsilon,
        spectral_epsilon=settings.spectral_epsilon,
    )


def _depth(blocks: list[tuple[int, int]]) -> int:
    """Blocks per resolution: the number for which the channels are those of a published size, else 2.

    The weights do not show it: only the last block of a resolution doubles the resolution, and doubling has no weights.
    """
    for depth in (2, 1, 3, 4):
        if len(blocks) % depth == 0 and _deep_multiples(blocks, depth) is not None:
            return depth
    if len(blocks) % 2:
        raise CheckpointError(
            f"its {len(blocks)} blocks are no published size and an odd number, so the blocks per resolution are "
            "unknown; put the training's state_dict.pth or config.json (G_depth) beside it"
        )
    return 2


def _deep_multiples(blocks: list[tuple[int, int]], depth: int) -> tuple[int, ...] | None:
    multiples = PUBLISHED_CHANNELS.get(4 * 2 ** (len(blocks) // depth))
    widths = [blocks[0][0], *(outputs for _, outputs in blocks[depth - 1 :: depth])]
    if multiples is None or widths[0] % multiples[0]:
        return None
    width = widths[0] // multiples[0]
    return multiples if widths == [m * width for m in multiples] else None


def _deep_width(blocks: list[tuple[int, int]], depth: int) -> int:
    multiples = _deep_multiples(blocks, depth)
    return blocks[0][0] // multiples[0] if multiples else blocks[-1][1]


def generator_names(config: GeneratorConfig) -> dict[str, str]:
    """Our name to the published one, for every entry but the logged singular values."""
    names = {"embedding.weight": "shared.weight"}
    _add(names, "linear", "linear", _SPECTRAL)
    deep = isinstance(config, BigGANDeepConfig)
    count = len(config.block_list) if isinstance(config, BigGANDeepConfig) else len(config.resolutions) - 1
    for k in range(count):
        ours = f"blocks.{k if deep else config.resolutions[k + 1]}"
        theirs = f"blocks.{k}.0"
        for number in range(1, 5 if deep else 3):
            _add(names, f"{ours}.conv{number}", f"{theirs}.conv{number}", _SPECTRAL)
            _add(names, f"{ours}.norm{number}", f"{theirs}.bn{number}", {"stored_mean": "mean", "stored_var": "var"})
            for part in ("gain", "bias"):
                _add(names, f"{ours}.norm{number}.{part}", f"{theirs}.bn{number}.{part}", _SPECTRAL_MATRIX)
        if not deep:
            _add(names, f"{ours}.shortcut", f"{theirs}.conv_sc", _SPECTRAL)
    for place in config.attention or ():
        entry = place - 1 if deep else config.resolutions.index(place) - 1
        _add_attention(names, place, f"blocks.{entry}.1")
    statistics = {"gain": "gain", "bias": "bias", "stored_mean": "mean", "stored_var": "var"}
    _add(names, "output_norm", "output_layer.0", statistics)
    _add(names, "to_rgb", "output_layer.2", _SPECTRAL)
    return names


def _add(names: dict[str, str], ours: str, theirs: str, leaves: Mapping[str, str]) -> None:
    names.update({f"{ours}.{our_leaf}": f"{theirs}.{leaf}" for leaf, our_leaf in leaves.items()})


def _add_attention(names: dict[str, str], place: int, theirs: str) -> None:
    names[f"attentions.{place}.gamma"] = f"{theirs}.gamma"
    for part in _ATTENTION:
        _add(names, f"attentions.{place}.{part}", f"{theirs}.{part}", _SPECTRAL_MATRIX)


# -- discriminators ----------------------------------------------------------------------------------


def discriminator_config(state: Mapping[str, Tensor]) -> DiscriminatorConfig:
    """The architecture of a discriminator, read off the shapes; the number of blocks gives the size of its images.

    :raises CheckpointError: an architecture that this library lacks.
    :raises KeyError: an entry is missing.
    """
    if "linear.u0" not in state or "embed.u0" not in state:
        raise CheckpointError("is a discriminator without spectral norm (D_param SN), which is not supported")
    return _deep_critic(state) if "input_conv.weight" in state else _flat_critic(state)


def _flat_critic(state: Mapping[str, Tensor]) -> BigGANDiscriminatorConfig:
    count = _blocks(state)
    hidden = [state[f"blocks.{k}.0.conv1.weight"].shape[0] for k in range(count)]
    widths = [state[f"blocks.{k}.0.conv2.weight"].shape[0] for k in range(count)]
    # A block that halves the resolution has a convolution on its skip path; the last block never halves.
    down = [f"blocks.{k}.0.conv_sc.weight" in state and k < count - 1 for k in range(count)]
    # For 32 px (CIFAR's layout) the last two of four blocks stay at 8 px; those of other sizes go down to 4 px.
    small = down == [True, True, False, False]
    size = 32 if small else 4 * 2 ** sum(down)
    return BigGANDiscriminatorConfig(
        size,
        blocks=tuple(zip(down, widths, strict=True)),
        attention=tuple(k + 1 for k in _attention(state, count)),
        classes=state["embed.weight"].shape[0],
        width=max(widths[0] // (4 if small else 1), 1),
        wide=hidden == widths,
        image_channels=state["blocks.0.0.conv1.weight"].shape[1],
    )


def _deep_critic(state: Mapping[str, Tensor]) -> BigGANDeepDiscriminatorConfig:
    stages = _blocks(state)
    depth = sum(1 for name in state if re.fullmatch(r"blocks\.0\.\d{1,3}\.conv1\.weight", name))
    # For 32 px the last of three stages stays at 8 px, which its layers do not show; other sizes go down to 4 px.
    small = stages == 3
    halving = [not (small and k == 2) for k in range(stages)]
    size = 32 if small else 4 * 2**stages
    blocks = [
        (halving[k] and j == 0, state[f"blocks.{k}.{j}.conv4.weight"].shape[0])
        for k in range(stages)
        for j in range(depth)
    ]
    stem = state["input_conv.weight"].shape[0]
    return BigGANDeepDiscriminatorConfig(
        size,
        blocks=tuple(blocks),
        attention=tuple((k + 1) * depth for k in _attention(state, stages, depth)),
        classes=state["embed.weight"].shape[0],
        width=max(stem // (4 if small else 1), 1),
        stem=stem,
        image_channels=state["input_conv.weight"].shape[1],
    )


def discriminator_names(config: DiscriminatorConfig) -> dict[str, str]:
    """Our name to the published one, for every entry but the logged singular values."""
    names: dict[str, str] = {}
    blocks = config.block_list
    if isinstance(config, BigGANDeepDiscriminatorConfig):
        _add(names, "stem", "input_conv", _SPECTRAL)
        inputs = config.stem or 0
        depth = _stage_depth(blocks)
        for index, (_, outputs) in enumerate(blocks):
            stage, place = divmod(index, depth)
            for number in range(1, 5):
                _add(names, f"blocks.{index}.conv{number}", f"blocks.{stage}.{place}.conv{number}", _SPECTRAL)
            if outputs != inputs:
                _add(names, f"blocks.{index}.shortcut", f"blocks.{stage}.{place}.conv_sc", _SPECTRAL)
            inputs = outputs
            if index + 1 in config.attention:
                _add_attention(names, index + 1, f"blocks.{stage}.{place + 1}")
    else:
        inputs = config.image_channels
        for index, (down, outputs) in enumerate(blocks):
            for number in (1, 2):
                _add(names, f"blocks.{index}.conv{number}", f"blocks.{index}.0.conv{number}", _SPECTRAL)
            if index == 0 or down or inputs != outputs:
                _add(names, f"blocks.{index}.shortcut", f"blocks.{index}.0.conv_sc", _SPECTRAL)
            inputs = outputs
            if index + 1 in config.attention:
                _add_attention(names, index + 1, f"blocks.{index}.1")
    _add(names, "linear", "linear", _SPECTRAL)
    _add(names, "embedding", "embed", _SPECTRAL_MATRIX)
    return names


def _stage_depth(blocks: tuple[tuple[bool, int], ...]) -> int:
    """Blocks per stage of a deep discriminator: from one halving to the next."""
    halvings = [index for index, (down, _) in enumerate(blocks) if down]
    return halvings[1] - halvings[0] if len(halvings) > 1 else len(blocks)


# -- values ------------------------------------------------------------------------------------------


def _converted(state: Mapping[str, Tensor], names: Mapping[str, str], what: str) -> State:
    """The entries under our names. :raises CheckpointError: an entry is missing, or unknown."""
    rest = {name for name in state if not name.endswith(".sv0")}
    result: State = {}
    for ours, theirs in names.items():
        standing = theirs.endswith((".stored_mean", ".stored_var"))
        value = _statistics(state, theirs, rest) if standing else state.get(theirs)
        if value is None:
            raise CheckpointError(f"lacks the entry {theirs!r} of a BigGAN {what}")
        rest.discard(theirs)
        if ours.endswith(".u") or ours.endswith(".gamma"):
            value = value.reshape(-1) if ours.endswith(".u") else value.reshape(())
        result[ours] = value
    if rest:
        raise CheckpointError(
            f"has entries that a BigGAN {what} of this architecture does not have: {', '.join(sorted(rest)[:5])}"
        )
    return result


def _statistics(state: Mapping[str, Tensor], name: str, rest: set[str]) -> Tensor | None:
    """Running statistics, or standing ones: sums over as many batches as their counter says."""
    if name in state:
        return state[name]
    module, _, leaf = name.rpartition(".")
    value = state.get(f"{module}.bn.{leaf}")
    counter = state.get(f"{module}.bn.accumulation_counter")
    rest.difference_update({f"{module}.bn.{leaf}", f"{module}.bn.accumulation_counter"})
    if value is None or counter is None or counter.numel() != 1 or float(counter) <= 1:
        return value
    return value / float(counter)
