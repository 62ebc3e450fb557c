"""A reader of checkpoints that hold a StyleGAN2 as ``{"plain_stylegan2": {"config": {...}, "weights": {...}}}``."""

from __future__ import annotations

from typing import Any

from anchor_hub.checkpoints.base import ImportedHub
from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

NAME = "plain"
LAYOUT = "a table plain_stylegan2 of config and weights"
KIND = "hub"


def matches(raw: RawCheckpoint) -> bool:
    return isinstance(raw.content, dict) and "plain_stylegan2" in raw.content


def read(raw: RawCheckpoint, discriminator: RawCheckpoint | None = None, **settings: Any) -> ImportedHub:
    table: Any = raw.content["plain_stylegan2"]
    try:
        generator = Generator(StyleGAN2Config.from_dict(dict(table["config"])))
        generator.load_state_dict(dict(table["weights"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"its plain_stylegan2 cannot be used: {str(error)[:100]}") from None
    return ImportedHub(NAME, generator.eval())
