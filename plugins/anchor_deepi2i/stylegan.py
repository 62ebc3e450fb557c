"""The first StyleGAN: generator and progressive discriminator, in the layout that DeepI2I's published weights have.

Karras et al. (2019, arXiv:1812.04948). The generator's maps can be fused with those of an encoder (DeepI2I's equation
5); the discriminator gives its hierarchical features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_deepi2i.stylegan_layers import FusedDown, FusedUp, ScaledConv, ScaledLinear, Styled, blur, leaky
from anchor_hub.networks.configs import NetworkConfig
from anchor_hub.networks.layers import check_request, pixel_norm

#: Channels of each resolution, as published.
CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}
#: From this side on, resampling is fused with the convolution: the generator's output, the discriminator's input.
FUSED = 128
STDDEV_EPSILON = 1e-8


@dataclass(frozen=True)
class StyleGANConfig(NetworkConfig):
    """Architecture of generator and discriminator.

    Attributes:
        size: image height and width in pixels, a power of two from 8 to 1024.
        code_dim: length of z and of a code.
        mapping_layers: layers of the mapping network.
        channels: resolution to channels.
        activate_rgb: whether leaky ReLU follows the discriminator's convolutions of images.
    """

    size: int
    code_dim: int = 512
    mapping_layers: int = 8
    channels: Mapping[int, int] | None = None
    activate_rgb: bool = True

    def __post_init__(self) -> None:
        if self.size not in CHANNELS or self.size < 8:
            raise ValueError(f"StyleGAN size must be a power of two from 8 to 1024, got {self.size!r}")
        table = {int(side): int(count) for side, count in (self.channels or CHANNELS).items()}
        if missing := [side for side in self.resolutions if table.get(side, 0) < 1]:
            raise ValueError(f"channels of a {self.size} px StyleGAN need a positive count for {missing} px")
        object.__setattr__(self, "channels", {side: table[side] for side in self.resolutions})

    @property
    def resolutions(self) -> tuple[int, ...]:
        """(4, ..., size)."""
        return tuple(side for side in CHANNELS if side <= self.size)

    @property
    def channels_of(self) -> dict[int, int]:
        """Channels of each resolution."""
        return dict(self.channels or {})

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; :meth:`from_dict` reads it."""
        return {
            "size": self.size, "code_dim": self.code_dim, "mapping_layers": self.mapping_layers,
            "channels": {str(side): count for side, count in self.channels_of.items()},
            "activate_rgb": self.activate_rgb,
        }  # fmt: skip


class GeneratorBlock(nn.Module):
    """All layers of one resolution but the image's: (above 4 px) the doubling convolution, then the plain one."""

    def __init__(self, config: StyleGANConfig, side: int) -> None:
        super().__init__()
        channels = config.channels_of
        outputs = channels[side]
        self.constant: nn.Parameter | None = None
        self.up: nn.Module | None = None
        self.fused = side >= FUSED
        if side == 4:
            self.constant = nn.Parameter(torch.randn(1, outputs, 4, 4))
        elif self.fused:
            self.up = FusedUp(channels[side // 2], outputs)
        else:
            self.up = ScaledConv(channels[side // 2], outputs, 3)
        self.first, self.second = Styled(outputs, config.code_dim), Styled(outputs, config.code_dim)
        self.conv = ScaledConv(outputs, outputs, 3)

    def forward(self, x: Tensor | None, code: Tensor, noise: Tensor | None) -> Tensor:
        """``[B, in, R/2, R/2]`` (None at 4 px), code ``[B, D]``, noise ``[B or 1, 1, R, R]`` to ``[B, out, R, R]``."""
        if self.constant is not None:
            y = self.constant.expand(len(code), -1, -1, -1)
        else:
            assert self.up is not None and x is not None
            y = blur(self.up(x if self.fused else F.interpolate(x, scale_factor=2, mode="nearest")))
        return self.second(self.conv(self.first(y, code, noise)), code, noise)


class StyleGANGenerator(nn.Module):
    """z to codes (:meth:`map`), codes to images (:meth:`forward`).

    Args:
        config: the architecture. Weights are drawn from torch's global random state.
    """

    def __init__(self, config: StyleGANConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = nn.ModuleList(
            ScaledLinear(config.code_dim, config.code_dim) for _ in range(config.mapping_layers)
        )
        self.blocks = nn.ModuleDict({str(side): GeneratorBlock(config, side) for side in config.resolutions})
        # Only the two finest are ever seen: the second finest fades out while the finest fades in.
        shown = config.resolutions[-2:]
        self.to_rgb = nn.ModuleDict({str(side): ScaledConv(config.channels_of[side], 3, 1) for side in shown})

    def map(self, z: Tensor) -> Tensor:
        """Codes ``[B, D]`` of ``z [B, D]``, standard normal."""
        y = pixel_norm(z.to(self.to_rgb[str(self.config.size)].weight.dtype))  # type: ignore[arg-type]
        for layer in self.mapping:
            y = leaky(layer(y))
        return y

    def forward(
        self,
        codes: Tensor,
        *,
        noise: Sequence[Tensor] | None = None,
        added: Mapping[int, Tensor] | None = None,
        alpha: float = 1.0,
    ) -> Tensor:
        """Images ``[B, 3, size, size]``, nominally in [-1, 1].

        Args:
            codes: ``[B, D]`` for all blocks, or ``[B, blocks, D]``.
            noise: a map ``[B or 1, 1, R, R]`` for each block; None for no noise.
            added: resolution to a map that is added to the block's output ``[B, C, R, R]``.
            alpha: share of the finest resolution in the image, while it fades in; 1 for all of it.
        """
        x: Tensor | None = None
        before: Tensor | None = None
        for number, side in enumerate(self.config.resolutions):
            code = codes if codes.ndim == 2 else codes[:, number]
            before, x = x, self.blocks[str(side)](x, code, None if noise is None else noise[number])
            if added is not None and side in added:
                x = x + added[side]
        size = self.config.size
        image: Tensor = self.to_rgb[str(size)](x)
        if alpha < 1:
            skipped = self.to_rgb[str(size // 2)](before)
            image = (1 - alpha) * F.interpolate(skipped, scale_factor=2, mode="nearest") + alpha * image
        return image


class DiscriminatorBlock(nn.Module):
    """Two convolutions; the second, with a blur before it, halves the resolution."""

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__()
        self.fused = side >= FUSED
        self.conv1 = ScaledConv(in_channels, out_channels, 3)
        self.conv2: nn.Module = (
            FusedDown(out_channels, out_channels) if self.fused else ScaledConv(out_channels, out_channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, R, R]`` to ``[B, out, R/2, R/2]``."""
        y = self.conv2(blur(leaky(self.conv1(x))))
        return leaky(y if self.fused else F.avg_pool2d(y, 2))


class StyleGANDiscriminator(nn.Module):
    """Images to one logit each; positive means real. Logits depend on the batch, features do not."""

    def __init__(self, config: StyleGANConfig) -> None:
        super().__init__()
        self.config = config
        channels, size = config.channels_of, config.size
        self.from_rgb = nn.ModuleDict({str(side): ScaledConv(3, channels[side], 1) for side in (size, size // 2)})
        sides = [side for side in reversed(config.resolutions) if side > 4]
        self.blocks = nn.ModuleDict(
            {str(side): DiscriminatorBlock(channels[side], channels[side // 2], side) for side in sides}
        )
        self.final1 = ScaledConv(channels[4] + 1, channels[4], 3)
        self.final2 = ScaledConv(channels[4], channels[4], 4, padding=0)
        self.linear = ScaledLinear(channels[4], 1)

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the maps that :meth:`maps` can give, descending."""
        return tuple(side for side in reversed(self.config.resolutions) if side < self.config.size)

    @property
    def map_channels(self) -> dict[int, int]:
        """Channels of the map of each side."""
        return {side: self.config.channels_of[side] for side in self.sides}

    def _rgb(self, images: Tensor, side: int) -> Tensor:
        y: Tensor = self.from_rgb[str(side)](images)
        return leaky(y) if self.config.activate_rgb else y

    def _trunk(
        self, images: Tensor, wanted: Collection[int], alpha: float, *, whole: bool
    ) -> tuple[Tensor, dict[int, Tensor]]:
        size = self.config.size
        check_request(images, (3, size, size), wanted, self.sides)
        kept: dict[int, Tensor] = {}
        x = self._rgb(images, size)
        for name, block in self.blocks.items():
            if not whole and len(kept) == len(set(wanted)):
                break
            x = block(x)
            if x.shape[-1] in wanted:
                kept[x.shape[-1]] = x
            if alpha < 1 and name == str(size):
                x = (1 - alpha) * self._rgb(F.avg_pool2d(images, 2), size // 2) + alpha * x
        return x, kept

    def maps(self, images: Tensor, sides: Collection[int], alpha: float = 1.0) -> dict[int, Tensor]:
        """Hierarchical features: the output ``[B, C, R, R]`` of the block that ends at each side R.

        Raises ValueError: images of another shape, or a side at which no block ends.
        """
        return self._trunk(images, sides, alpha, whole=False)[1]

    def judge(
        self, images: Tensor, labels: Tensor | None, sides: Collection[int], alpha: float = 1.0
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Logits ``[B, 1]`` and the :meth:`maps` of ``sides``, from one pass; there are no labels."""
        x, kept = self._trunk(images, sides, alpha, whole=True)
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.linear.weight.dtype)
            deviation = torch.sqrt(x.var(dim=0, correction=0) + STDDEV_EPSILON).mean()
            x = torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)
        x = leaky(self.final2(leaky(self.final1(x))))
        return self.linear(x.flatten(1)), kept

    def forward(self, images: Tensor, alpha: float = 1.0) -> Tensor:
        """``[B, 3, size, size]`` in [-1, 1] to logits ``[B, 1]``; ``alpha`` as the generator's."""
        return self.judge(images, None, (), alpha)[0]

    def without_head(self) -> StyleGANDiscriminator:
        """This network without its head, which :meth:`maps` does not need."""
        del self.final1, self.final2, self.linear
        return self
