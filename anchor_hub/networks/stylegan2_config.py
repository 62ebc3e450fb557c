"""The architecture of StyleGAN2 networks: channels of each resolution, and the generator's configuration.

Karras et al. (2020, arXiv:1912.04958); class-conditional ones as in Karras et al. (2020, arXiv:2006.06676).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anchor_hub.networks.configs import NetworkConfig


def resolutions_of(size: int) -> tuple[int, ...]:
    """(4, 8, ..., size). Raises ValueError unless size is a power of two from 8 to 1024."""
    if not isinstance(size, int) or not 8 <= size <= 1024 or size & (size - 1):
        raise ValueError(f"StyleGAN2 size must be a power of two from 8 to 1024, got {size!r}")
    return tuple(2**k for k in range(2, size.bit_length()))


def channel_table(
    size: int, channels: Mapping[Any, int] | None = None, channel_multiplier: float = 2.0
) -> dict[int, int]:
    """Channels of each resolution up to ``size``.

    ``channels`` (resolution to channels; keys may be decimal strings, as JSON has them) is checked and cut to
    the needed resolutions; None gives the published table: 512 up to 32 px, then 256, 128, 64, 32, 16 times
    the multiplier (2 is "config F"). Raises ValueError for a missing resolution or a count below 1.
    """
    resolutions = resolutions_of(size)
    if channels is None:
        return {r: 512 if r <= 32 else int(16384 / r * channel_multiplier) for r in resolutions}
    given = {int(key): int(value) for key, value in channels.items()}
    missing = [r for r in resolutions if given.get(r, 0) < 1]
    if missing:
        raise ValueError(f"channels of a {size} px StyleGAN2 need a positive count for resolutions {missing}")
    return {r: given[r] for r in resolutions}


def check_conditions(classes: Any, clamp: Any) -> None:
    """Raise ValueError unless ``classes`` is a number from 0 and ``clamp`` None or a positive, finite bound."""
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 0:
        raise ValueError(f"StyleGAN2 classes must be a number from 0, got {classes!r}")
    if clamp is not None and not (isinstance(clamp, (int, float)) and 0 < clamp < math.inf):
        raise ValueError(f"StyleGAN2 clamp must be a positive bound or None, got {clamp!r}")


def conditions_dict(classes: int, clamp: float | None) -> dict[str, Any]:
    """The settings that differ from the default: configurations without them keep their fingerprints."""
    return ({"classes": classes} if classes else {}) | ({} if clamp is None else {"clamp": float(clamp)})


class StyleGAN2Channels(NetworkConfig):
    """Base of the configurations of generator and discriminator."""

    size: int
    channels: Mapping[int, int] | None
    channel_multiplier: float
    classes: int
    clamp: float | None

    @property
    def resolutions(self) -> tuple[int, ...]:
        """(4, 8, ..., size)."""
        return resolutions_of(self.size)

    @property
    def channels_of(self) -> dict[int, int]:
        """Resolution to channels, complete."""
        return channel_table(self.size, self.channels, self.channel_multiplier)

    def _complete(self, what: str, *counts: str) -> None:
        """Put the complete table in place of ``channels``, and check the fields ``counts`` and the conditions."""
        object.__setattr__(self, "channels", self.channels_of)
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{what} {name} must be at least 1, got {getattr(self, name)}")
        check_conditions(self.classes, self.clamp)


@dataclass(frozen=True)
class StyleGAN2Config(StyleGAN2Channels):
    """Architecture of a generator.

    Attributes:
        size: image height and width in pixels, a power of two from 8 to 1024.
        latent_dim: D, the size of w.
        mapping_layers: number of fully connected layers from z to w.
        channels: resolution to channels; None stands for the published table and is replaced by it.
        channel_multiplier: scales the published table from 64 px on (2 is "config F").
        image_channels: channels of the image.
        mapping_lr_multiplier: learning-rate multiplier of the mapping network.
        classes: number of classes of a class-conditional generator (StyleGAN2-ADA); 0 for none.
        clamp: bound of the activations, which half precision needs (StyleGAN2-ADA: 256); None for none.
        z_dim: the size of z; None stands for that of w and is replaced by it.
    """

    size: int
    latent_dim: int = 512
    mapping_layers: int = 8
    channels: Mapping[int, int] | None = None
    channel_multiplier: float = 2.0
    image_channels: int = 3
    mapping_lr_multiplier: float = 0.01
    classes: int = 0
    clamp: float | None = None
    z_dim: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "z_dim", self.latent_dim if self.z_dim is None else int(self.z_dim))
        if not 0 < self.mapping_lr_multiplier < math.inf:
            raise ValueError(f"StyleGAN2 mapping_lr_multiplier must be above 0, got {self.mapping_lr_multiplier!r}")
        self._complete("StyleGAN2", "latent_dim", "z_dim", "mapping_layers", "image_channels")

    @property
    def code_dim(self) -> int:
        """The size of z, and so of one random draw."""
        assert self.z_dim is not None
        return self.z_dim

    @property
    def num_latents(self) -> int:
        """L, the number of layers' codes in W+: 2 log2(size) - 2."""
        return 2 * len(self.resolutions)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; :meth:`from_dict` reads it."""
        return {
            "size": self.size,
            "latent_dim": self.latent_dim,
            "mapping_layers": self.mapping_layers,
            "channels": {str(key): value for key, value in self.channels_of.items()},
            "channel_multiplier": self.channel_multiplier,
            "image_channels": self.image_channels,
            "mapping_lr_multiplier": self.mapping_lr_multiplier,
            **conditions_dict(self.classes, self.clamp),
            # Only where it differs: configurations with z and w of one size keep their fingerprints.
            **({} if self.code_dim == self.latent_dim else {"z_dim": self.code_dim}),
        }
