"""A hub that a training goes on from: its generator, and its discriminator where the bundle keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from anchor_hub.errors import MissingPartError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import DiscriminatorConfig

#: Images for a fresh discriminator, or another hub's, to learn from before the generator of a start moves, unless told
#: otherwise.
WARMUP_IMAGES = 5_000


@dataclass(frozen=True)
class HubStart:
    """The networks that a training starts from.

    :param discriminator: None where the bundle keeps none and no other hub gives one.
    :param critic_of: name and fingerprint of the other hub that gave the discriminator.
    """

    name: str
    fingerprint: str
    generator: Generator
    discriminator: nn.Module | None
    critic_of: tuple[str, str] | None = None

    @property
    def config(self) -> StyleGAN2Config:
        """The architecture that the new hub takes over."""
        return self.generator.config

    @property
    def warmup(self) -> int:
        """Default number of images for which the discriminator learns alone."""
        return 0 if self.discriminator is not None and self.critic_of is None else WARMUP_IMAGES

    def options(self) -> dict[str, str]:
        """The settings that a resumed run must share."""
        return {"start": self.fingerprint} | ({"discriminator_from": self.critic_of[1]} if self.critic_of else {})

    def record(self) -> dict[str, Any]:
        """The new bundle's record of the start."""
        record: dict[str, Any] = {"name": self.name, "fingerprint": self.fingerprint}
        if self.critic_of is not None:
            record["discriminator_from"] = {"name": self.critic_of[0], "fingerprint": self.critic_of[1]}
        return record


def load_start(name_or_path: str | Path, critic_of: str | Path | None = None) -> HubStart:
    """The start from a registered hub or a bundle's folder.

    :param critic_of: another hub, whose discriminator replaces the start's own.
    :raises HubNotFoundError, BundleError: no such hub, or a damaged one.
    :raises MissingPartError: ``critic_of`` keeps no discriminator.
    :raises UsageError: the hub is no StyleGAN2 without classes, or the discriminator does not fit it.
    """
    hub = Hub.load(name_or_path)
    if type(hub.generator) is not Generator or hub.classes:
        raise UsageError(f"--start-from {name_or_path}: only StyleGAN2 hubs without classes can be trained on")
    if critic_of is not None:
        other = Hub.load(critic_of)
        critic, fitting = other.discriminator(), discriminator_config(hub.config)
        if getattr(critic, "config", None) != fitting:
            raise UsageError(
                f"--discriminator-from {critic_of}: its discriminator is not made for the pictures and channels of hub "
                f"{hub.name!r}; give a hub of the same --size and --channels"
            )
        return HubStart(hub.name, hub.fingerprint, hub.generator, critic, (other.name, other.fingerprint))
    try:
        discriminator = hub.discriminator()
    except MissingPartError:
        discriminator = None
    return HubStart(hub.name, hub.fingerprint, hub.generator, discriminator)


def discriminator_config(config: StyleGAN2Config) -> DiscriminatorConfig:
    """The configuration of the discriminator for a generator, with the same resolutions and channels."""
    return DiscriminatorConfig(config.size, config.channels_of, image_channels=config.image_channels)
