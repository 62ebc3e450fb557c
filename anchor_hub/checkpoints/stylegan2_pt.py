"""StyleGAN2 checkpoints of rosinality's stylegan2-pytorch (``.pt``), as a family of hubs.

The file is a dict with ``g_ema`` and, depending on what wrote it, ``g``, ``d``, ``latent_avg``, optimiser states and
an ``argparse.Namespace``; or one of its state dicts alone. Names are translated by
:mod:`anchor_hub.checkpoints.stylegan2_rosinality`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints import stylegan2_rosinality as rosinality
from anchor_hub.checkpoints.families import ImportedHub
from anchor_hub.checkpoints.filling import filled
from anchor_hub.checkpoints.raw import RawCheckpoint, Record, first_state, plain_array
from anchor_hub.checkpoints.readers import discriminator_of
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig

NAME = "stylegan2"
LAYOUT = "a .pt of rosinality's with g_ema (and g, d, latent_avg), or its state dict with style.1.weight"
KIND = "hub"
#: The keys of a generator; the first that exists is used.
GENERATORS = ("g_ema", "g")
GENERATOR_NAMES = ("style.1.weight", "input.input")
DISCRIMINATOR_NAMES = ("final_linear.1.weight", "convs.0.0.weight")


def matches(raw: RawCheckpoint) -> bool:
    """Whether it is a dict with such a generator or discriminator, or one of their state dicts alone."""
    return any(_state(raw.content, key) for key in (*GENERATORS, "d"))


def _state(content: Any, key: str) -> dict[str, Tensor] | None:
    """The state dict under ``key``, or ``content`` itself, where it is in rosinality's names."""
    names = GENERATOR_NAMES if key in GENERATORS else DISCRIMINATOR_NAMES
    return first_state(content, lambda state: all(name in state for name in names), key)


def read(raw: RawCheckpoint, discriminator: RawCheckpoint | None = None) -> ImportedHub:
    """The averaged generator ``g_ema`` (``g`` where there is none), ``latent_avg`` and ``d``.

    :raises CheckpointError: no generator, entries missing, unknown or of wrong shapes.
    """
    notes = []
    key = next((key for key in GENERATORS if _state(raw.content, key)), None)
    if key is None:
        raise CheckpointError(
            "it holds a discriminator only; import the file with g_ema, and give this as --discriminator"
        )
    if key == "g" and isinstance(raw.content, Mapping) and "g" in raw.content:
        notes.append("The file has no averaged generator g_ema; g was taken.")
    state = _state(raw.content, key)
    assert state is not None
    if not any(name.startswith("noises.") for name in state):
        notes.append("The file has no noise images (older files do not store them); they were drawn with seed 0.")
    generator = generator_from(state)
    source = raw if discriminator is None else discriminator
    critic = _state(source.content, "d")
    if critic is None and discriminator is not None:
        raise CheckpointError(f"{discriminator.path}: holds no StyleGAN2 discriminator d")
    kept = discriminator_of(discriminator_from, critic, discriminator, notes)
    mean = raw.content.get("latent_avg") if isinstance(raw.content, Mapping) else None
    if isinstance(mean, Record):
        mean = plain_array(mean)
        if mean is None:
            notes.append("Its latent_avg is an object that is not read.")
    return ImportedHub(NAME, generator, kept, mean_latent_from(mean, generator.config.latent_dim), notes)


def generator_from(state: Mapping[str, Tensor], what: str = "StyleGAN2 generator") -> Generator:
    """A frozen :class:`Generator` from entries in rosinality's names. :raises CheckpointError: they do not fit."""
    config = _checked(rosinality.config_from, state)
    if not isinstance(config, StyleGAN2Config):
        raise CheckpointError(f"its {what} has the entries of a discriminator")
    return filled(Generator, config, _checked(rosinality.to_ours, state), what)


def discriminator_from(state: Mapping[str, Tensor]) -> Discriminator:
    """A :class:`Discriminator` from entries in rosinality's names. :raises CheckpointError: they do not fit."""
    config = _checked(rosinality.config_from, state)
    if not isinstance(config, DiscriminatorConfig):
        raise CheckpointError("its discriminator has the entries of a generator")
    return filled(Discriminator, config, _checked(rosinality.to_ours, state), "StyleGAN2 discriminator")


def _checked(function: Any, state: Mapping[str, Tensor]) -> Any:
    """Run a conversion that relies on the number of axes; entries with another number raise CheckpointError."""
    try:
        return function(state)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"its StyleGAN2 entries have impossible shapes ({str(error)[:100]})") from error


def mean_latent_from(value: Any, latent_dim: int) -> Tensor | None:
    """``latent_avg`` as ``[D]``: stored as ``[D]``, ``[1, D]`` or, repeated, ``[L, D]``; None where there is none.

    :raises CheckpointError: another shape, or values that are not finite.
    """
    if value is None:
        return None
    if not isinstance(value, Tensor) or value.ndim not in (1, 2) or value.shape[-1] != latent_dim or not len(value):
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise CheckpointError(f"its latent_avg is {found}, not {latent_dim} numbers")
    if not bool(torch.isfinite(value).all()):
        raise CheckpointError("its latent_avg has NaN or infinity: the file is damaged")
    rows = value.reshape(-1, latent_dim).float()
    if not bool((rows == rows[:1]).all()):
        raise CheckpointError("its latent_avg differs from layer to layer: a hub has one mean latent")
    return rows[0].clone()
