"""The pSp encoder: images to offsets from a hub's mean latent.

The body is the 50-layer IR-SE network of face recognition (24 residual units with squeeze-and-excitation). One of three
heads, those of the published latent-space-anchoring code, reads the body:

* ``pyramid`` - a feature pyramid, one "map2style" head per layer of W+ (the published default);
* ``dense`` - 7x7 pooling and two linear layers for all W+ layers at once;
* ``pooled`` - global pooling and one linear layer: a single W code (or a BigGAN z).

The encoder returns offsets; the caller adds the hub's mean latent.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.errors import ConfigError
from anchor_hub.networks.layers import EqualLinear

#: (units, channels) of the four groups of the body; the first unit of each group halves the resolution.
BODY_GROUPS: tuple[tuple[int, int], ...] = ((3, 64), (4, 128), (14, 256), (3, 512))
#: Leading W+ layers read from the coarse map, then from the middle one; all further layers read the fine map.
COARSE_HEADS, MIDDLE_HEADS = 3, 4

PSPHead = Literal["pyramid", "dense", "pooled"]


class SqueezeExcite(nn.Module):
    """Channel gating: ``x * sigmoid(expand(relu(reduce(mean_hw(x)))))``; ``[B, C, H, W]`` in and out."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.expand = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(gate))))


class ResidualUnit(nn.Module):
    """One IR-SE unit ``[B, in, H, W] -> [B, out, ceil(H/stride), ceil(W/stride)]``; no activation after the sum."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.activation = nn.PReLU(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.gate = SqueezeExcite(out_channels)
        self.shortcut: nn.Module | None = None
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        skip = x[..., :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(x)
        residual = self.conv2(self.activation(self.conv1(self.norm1(x))))
        return self.gate(self.norm2(residual)) + skip


class IRSEBody(nn.Module):
    """The IR-SE-50 trunk: images ``[B, C, H, W]`` to maps of 128, 256 and 512 channels at 1/4, 1/8 and 1/16.

    ``stride`` is that of the first unit of every group (2 as published; 1 keeps the resolution).
    """

    def __init__(self, in_channels: int, stride: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        )
        self.groups = nn.ModuleList()
        width = 64
        for units, channels in BODY_GROUPS:
            group = nn.Sequential()
            for index in range(units):
                group.append(ResidualUnit(width, channels, stride if index == 0 else 1))
                width = channels
            self.groups.append(group)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stem(images)
        maps = []
        for group in self.groups:
            x = group(x)
            maps.append(x)
        return maps[1], maps[2], maps[3]


class Map2Style(nn.Module):
    """A map2style head: strided 3x3 convolutions down to 1x1, then an equalised linear layer.

    ``[B, C, S, S] -> [B, latent_dim]`` with ``S <= 2 ** num_convs``.
    """

    def __init__(self, channels: int, latent_dim: int, num_convs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(num_convs)
        )
        self.linear = EqualLinear(channels, latent_dim)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.01)
        return self.linear(x.flatten(1))


class PSPEncoder(nn.Module):
    """Images to latent offsets with the published IR-SE-50 pSp encoder.

    :param in_channels: 3 for RGB, the number of classes for one-hot label maps, 1 for sketches and drawn landmarks.
    :param num_latents: W+ layers L of the hub (``2 * log2(resolution) - 2``: 18 at 1024 px, 14 at 256, 10 at 64).
    :param latent_dim: D, 512 in every published hub.
    :param space: ``w+`` predicts one offset per layer; ``w`` predicts one and repeats it.
    :param input_size: side of the square input in pixels, a power of two from 16 to 4096. It fixes the number
        of convolutions of the pyramid's heads (4, 5 and 6 at 256). Larger images are averaged down to it,
        smaller ones are taken as they are.
    :param head: ``pyramid`` (default in W+), ``dense`` (W+) or ``pooled`` (default, and only choice, in W).
    :param label_dim: with ``pooled``, length of a class vector appended to the pooled features (BigGAN hubs).
    :param stride: stride of the first unit of every group of the body.
    :raises ConfigError: on an unknown space or head, a head that does not fit the space, or a bad ``input_size``.

    Equation 1 of the paper, z = E(x), up to the mean latent that the caller adds.
    """

    def __init__(
        self,
        in_channels: int,
        num_latents: int,
        latent_dim: int = 512,
        *,
        space: str = "w+",
        input_size: int = 256,
        head: PSPHead | None = None,
        label_dim: int = 0,
        stride: int = 2,
    ) -> None:
        super().__init__()
        head = head or ("pooled" if space == "w" else "pyramid")
        allowed = {"w+": ("pyramid", "dense"), "w": ("pooled",)}
        if space not in allowed:
            raise ConfigError(f"pSp encoder: unknown latent space {space!r}; use one of {', '.join(allowed)}")
        if head not in allowed[space]:
            raise ConfigError(
                f"pSp encoder: head {head!r} does not predict {space!r}; use one of {allowed[space]}"
            )
        if stride not in (1, 2):
            raise ConfigError(f"pSp encoder: stride {stride!r} is neither 1 nor 2")
        if not 16 <= input_size <= 4096 or input_size & (input_size - 1):
            raise ConfigError(f"pSp encoder: input_size {input_size} is not a power of two from 16 to 4096")
        if label_dim and head != "pooled":
            raise ConfigError(f"pSp encoder: label_dim needs the pooled head, not {head!r}")
        self.in_channels, self.num_latents, self.latent_dim = in_channels, num_latents, latent_dim
        self.space, self.input_size, self.head, self.label_dim = space, input_size, head, label_dim
        self.body = IRSEBody(in_channels, stride)
        width = BODY_GROUPS[-1][1]
        if head == "pyramid":
            self.lateral_middle = nn.Conv2d(256, width, 1)
            self.lateral_fine = nn.Conv2d(128, width, 1)
            coarse_convs = max(1, int(math.log2(input_size // 16)))
            self.styles = nn.ModuleList(
                Map2Style(width, latent_dim, coarse_convs + self._level(index))
                for index in range(num_latents)
            )
        elif head == "dense":
            self.norm = nn.BatchNorm2d(width)
            self.dense = nn.Linear(width * 7 * 7, width)
            self.linear = EqualLinear(width, latent_dim * num_latents)
        else:
            self.linear = EqualLinear(width + label_dim, latent_dim)

    @staticmethod
    def _level(index: int) -> int:
        """Pyramid level of a W+ layer: 0 coarse, 1 middle, 2 fine."""
        return int(index >= COARSE_HEADS) + int(index >= COARSE_HEADS + MIDDLE_HEADS)

    def pyramid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The coarse, middle and fine maps, each ``[B, 512, h, w]``, that the pyramid's heads read."""
        fine, middle, coarse = self.body(images)
        middle = _upsample_like(coarse, middle) + self.lateral_middle(middle)
        return coarse, middle, _upsample_like(middle, fine) + self.lateral_fine(fine)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Offsets ``[B, L, D]`` of images ``[B, C, S, S]``; in ``w`` the L rows are one repeated code.

        ``labels`` ``[B, label_dim]`` is needed exactly when the encoder was built with ``label_dim``.
        """
        if (labels is None) == bool(self.label_dim):
            raise ConfigError(
                f"pSp encoder: built with label_dim={self.label_dim}, labels given: {labels is not None}"
            )
        if images.shape[-1] > self.input_size:
            images = F.adaptive_avg_pool2d(images, self.input_size)
        if self.head == "pyramid":
            maps = self.pyramid(images)
            return torch.stack([style(maps[self._level(i)]) for i, style in enumerate(self.styles)], dim=1)
        features = self.body(images)[-1]
        if self.head == "dense":
            pooled = F.adaptive_avg_pool2d(self.norm(features), 7).flatten(1)
            return self.linear(self.dense(pooled)).unflatten(1, (self.num_latents, self.latent_dim))
        code = features.mean(dim=(2, 3))
        if labels is not None:
            code = torch.cat([code, labels.to(code.dtype)], dim=1)
        return self.linear(code).unsqueeze(1).expand(-1, self.num_latents, -1)


def _upsample_like(x: Tensor, reference: Tensor) -> Tensor:
    return F.interpolate(x, size=reference.shape[-2:], mode="bilinear", align_corners=True)
