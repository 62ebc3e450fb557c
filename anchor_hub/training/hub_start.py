"""A hub that a training goes on from: its generator, and its discriminator where the bundle keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from anchor_hub.errors import MissingPartError, UsageError
from anchor_hub.hub import Hub
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

#: Images for a fresh discriminator to learn from before the generator of a start moves, unless told otherwise.
WARMUP_IMAGES = 5_000


@dataclass(frozen=True)
class HubStart:
    """What a training starts from. ``discriminator`` is None where the bundle keeps none."""

    name: str
    fingerprint: str
    generator: Generator
    discriminator: nn.Module | None

    @property
    def config(self) -> StyleGAN2Config:
        """The architecture that the new hub takes over."""
        return self.generator.config

    @property
    def warmup(self) -> int:
        """Images for which the discriminator learns alone, unless told otherwise."""
        return 0 if self.discriminator is not None else WARMUP_IMAGES

    def record(self) -> dict[str, str]:
        """What the new bundle says of it."""
        return {"name": self.name, "fingerprint": self.fingerprint}


def load_start(name_or_path: str | Path) -> HubStart:
    """The start from a registered hub or a bundle's folder.

    :raises HubNotFoundError, BundleError: no such hub, or a damaged one.
    :raises UsageError: not an unconditional StyleGAN2.
    """
    hub = Hub.load(name_or_path)
    if type(hub.generator) is not Generator or hub.classes:
        raise UsageError(f"--start-from {name_or_path}: only StyleGAN2 hubs without classes can be trained on")
    try:
        discriminator = hub.discriminator()
    except MissingPartError:
        discriminator = None
    return HubStart(hub.name, hub.fingerprint, hub.generator, discriminator)
