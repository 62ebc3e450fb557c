"""Regressors: a hub's feature maps to an image of a domain (equation 2 of the paper, x = R(f)).

All published regressors but ``residual`` see one pixel at a time (1x1 convolutions); the paper finds that a regressor
which is too strong corrupts the anchoring. ``compact`` is ours, for small hubs: it works from coarse to fine over
several resolutions.

All regressors return raw values: class logits for label maps, values nominally in [-1, 1] (unclamped, no tanh) for
images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.errors import ConfigError, NotFoundError, did_you_mean
from anchor_hub.networks.compact import group_norm
from anchor_hub.networks.layers import EqualConv2d
from anchor_hub.networks.normalised_projection import normalised_projection

#: Hidden widths of the published regressors; a last 1x1 convolution to the output channels follows.
PUBLISHED_WIDTHS: dict[str, tuple[int, ...]] = {
    "shallow": (128, 32),
    "shallow-wide": (256, 128),
    "deep": (128, 64, 32),
    "deeper": (128, 64, 64, 32, 32),
    "deep14": (128, 128, 128, 128, 64, 64, 64, 32, 32, 32, 32, 32, 32),
    "attention": (128, 64, 64, 32, 32),
    "residual": (128, 64, 64, 32, 32, 32),
}
#: The published "shallow" takes the wide list from this many output channels on.
WIDE_FROM = 32
#: The largest side of an output in pixels.
MAX_SIZE = 4096


class Regressor(nn.Module):
    """Base of all regressors: ``forward(features) -> raw output [B, out_channels, H, W]``.

    :param channels: channels of the hub's feature maps by resolution; only ``resolutions`` are looked at.
    :param resolutions: resolutions of the maps to read; several maps are resized to one size (bilinear) and
        concatenated, coarse first.
    :param out_channels: classes of a label map, 3 for RGB, 1 for sketches and drawn landmarks.
    :param output_size: side of the output in pixels; ``None`` keeps the size of the largest map read.
    :raises ConfigError: no resolution, or one that ``channels`` lacks.

    ``resolutions`` (ascending) tells a caller which maps to compute; ``in_channels`` is the sum of the maps' channels.
    """

    resolutions: tuple[int, ...]
    in_channels: int

    def __init__(
        self,
        channels: Mapping[int, int],
        resolutions: Sequence[int],
        out_channels: int,
        output_size: int | None = None,
    ) -> None:
        super().__init__()
        self.resolutions = tuple(sorted(set(resolutions)))
        missing = [resolution for resolution in self.resolutions if resolution not in channels]
        if missing or not self.resolutions:
            raise ConfigError(
                f"regressor: no feature map of resolution {missing or 'any'} in this hub; "
                f"it has {', '.join(map(str, sorted(channels)))}"
            )
        if output_size is not None and not (isinstance(output_size, int) and 1 <= output_size <= MAX_SIZE):
            raise ConfigError(f"regressor: output_size {output_size!r} is not a whole number from 1 to {MAX_SIZE}")
        self.in_channels = sum(channels[resolution] for resolution in self.resolutions)
        self.out_channels, self.output_size = out_channels, output_size

    def select(self, features: Mapping[int, Tensor]) -> list[Tensor]:
        """The maps of ``resolutions``, coarse first. :raises KeyError: one is absent."""
        absent = [resolution for resolution in self.resolutions if resolution not in features]
        if absent:
            raise KeyError(
                f"regressor needs feature maps {self.resolutions}, got {tuple(features)}: {absent} missing"
            )
        return [features[resolution] for resolution in self.resolutions]

    def gather(self, features: Mapping[int, Tensor]) -> Tensor:
        """Selected maps, resized to the output size and concatenated: ``[B, in_channels, H, W]``."""
        maps = self.select(features)
        size = maps[-1].shape[-2:] if self.output_size is None else (self.output_size, self.output_size)
        maps = [resize(feature, (int(size[0]), int(size[1]))) for feature in maps]
        return maps[0] if len(maps) == 1 else torch.cat(maps, dim=1)

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        """Raw output ``[B, out_channels, H, W]`` of feature maps by resolution."""
        raise TypeError(
            f"{type(self).__name__} does not define forward; build a regressor with build_regressor"
        )


class StackedRegressor(Regressor):
    """Base of the published regressors: blocks one after another, and a 1x1 convolution.

    :param widths: channels of the blocks' outputs, see :data:`PUBLISHED_WIDTHS`.
    """

    block: ClassVar[type[nn.Module]]

    def __init__(
        self,
        channels: Mapping[int, int],
        resolutions: Sequence[int],
        out_channels: int,
        output_size: int | None = None,
        *,
        widths: Sequence[int],
    ) -> None:
        super().__init__(channels, resolutions, out_channels, output_size)
        self.widths = tuple(widths)
        inputs = (self.in_channels, *self.widths[:-1])
        self.blocks = nn.ModuleList(self.block(i, o) for i, o in zip(inputs, self.widths, strict=True))
        self.head = nn.Conv2d(self.widths[-1], out_channels, 1)

    def layers(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        return self.layers(self.gather(features))


class PixelwiseBlock(nn.Module):
    """1x1 convolution, ReLU, BatchNorm - in the published order, the norm after the activation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.relu(self.conv(x)))


class PixelwiseRegressor(StackedRegressor):
    """The published ``shallow``, ``shallow-wide``, ``deep``, ``deeper`` and ``deep14``: 1x1 convolutions only."""

    block = PixelwiseBlock


class AttentionRegressor(PixelwiseRegressor):
    """The published ``attention``: ``deeper`` behind a gate per input channel,
    ``w = sigmoid(expand(relu(reduce(mean_hw(f)))))``.
    """

    def __init__(self, *maps: Any, widths: Sequence[int] = PUBLISHED_WIDTHS["attention"], **more: Any) -> None:
        super().__init__(*maps, widths=widths, **more)
        hidden = max(1, self.in_channels // 16)
        self.reduce = nn.Conv2d(self.in_channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, self.in_channels, 1)

    def forward_with_attention(self, features: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Output and gate ``[B, in_channels, 1, 1]`` in (0, 1), for the attention-norm loss."""
        x = self.gather(features)
        gate = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean(dim=(2, 3), keepdim=True)))))
        return self.layers(x * gate), gate

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        return self.forward_with_attention(features)[0]


class ResidualBlock(nn.Module):
    """StyleGAN2's discriminator block without downsampling: ``(conv2(conv1(x)) + skip(x)) / sqrt(2)``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualConv2d(in_channels, in_channels, 3, activate=True)
        self.conv2 = EqualConv2d(in_channels, out_channels, 3, activate=True)
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) * math.sqrt(0.5)


class ResidualRegressor(StackedRegressor):
    """The published ``residual``: six 3x3 residual blocks and a 1x1 convolution."""

    block = ResidualBlock

    def __init__(self, *maps: Any, widths: Sequence[int] = PUBLISHED_WIDTHS["residual"], **more: Any) -> None:
        super().__init__(*maps, widths=widths, **more)


class CompactLevel(nn.Module):
    """One resolution of the compact regressor: add the projected feature map, then convolve.

    Projecting and adding equals a 1x1 convolution of the concatenation, but costs only its coarse half.
    """

    def __init__(
        self, feature_channels: int, in_channels: int, channels: int, convs: int, instance_norm: bool = False
    ) -> None:
        super().__init__()
        self.instance_norm = instance_norm
        self.project = nn.Conv2d(feature_channels, channels, 1)
        self.carry = nn.Conv2d(in_channels, channels, 1, bias=False) if in_channels else None
        self.norm = group_norm(channels)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(convs))
        self.norms = nn.ModuleList(group_norm(channels) for _ in range(convs))

    def forward(self, feature: Tensor, coarse: Tensor | None) -> Tensor:
        if self.instance_norm:
            assert self.project.bias is not None
            x = normalised_projection(feature, self.project.weight, self.project.bias)
        else:
            x = self.project(feature)
        if self.carry is not None and coarse is not None:
            x = x + resize(self.carry(coarse), (x.shape[-2], x.shape[-1]))
        x = F.leaky_relu(self.norm(x), 0.2, inplace=True)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2, inplace=True) + x
        return x


class CompactRegressor(Regressor):
    """Ours, for small hubs: coarse to fine over several feature maps, light on a CPU (0.45 M parameters on
    the small face hub).

    :param width: channels at the finest map; they double per coarser map up to ``4 * width``.
    :param convs: 3x3 convolutions per resolution, or one number for each, coarse first. 0 keeps a level pixel-wise.
    :param instance_norm: whether to normalise every channel of the feature maps over the pixels first. Mean and
        deviation carry the appearance (a dark face or a pale one), which then cannot be read as structure.

    The output is raw (no tanh). Where ``output_size`` is not the finest map's, the output is resized at the end.
    """

    def __init__(
        self,
        channels: Mapping[int, int],
        resolutions: Sequence[int],
        out_channels: int,
        output_size: int | None = None,
        *,
        width: int = 32,
        convs: int | Sequence[int] = 2,
        instance_norm: bool = False,
    ) -> None:
        super().__init__(channels, resolutions, out_channels, output_size)
        count = len(self.resolutions)
        per_level = [convs] * count if isinstance(convs, int) else list(convs)
        if len(per_level) != count:
            raise ConfigError(
                f"compact regressor: convs {per_level} for {count} resolutions {self.resolutions}"
            )
        self.width = width
        widths = [min(width * 2 ** (count - 1 - level), 4 * width) for level in range(count)]
        inputs = [0, *widths[:-1]]
        self.levels = nn.ModuleList(
            CompactLevel(channels[resolution], inputs[level], widths[level], per_level[level], instance_norm)
            for level, resolution in enumerate(self.resolutions)
        )
        self.head = nn.Conv2d(widths[-1], out_channels, 1)

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        x: Tensor | None = None
        for level, feature in zip(self.levels, self.select(features), strict=True):
            x = level(feature, x)
        output = self.head(x)
        return output if self.output_size is None else resize(output, (self.output_size, self.output_size))


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, ``align_corners=False``; exact area means when shrinking by a whole factor."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if (height, width) == size:
        return x
    if height % size[0] == 0 and width % size[1] == 0:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


#: Regressor classes by the name that configurations and bundles use.
REGRESSORS: dict[str, type[Regressor]] = {
    "shallow": PixelwiseRegressor,
    "shallow-wide": PixelwiseRegressor,
    "deep": PixelwiseRegressor,
    "deep14": PixelwiseRegressor,
    "deeper": PixelwiseRegressor,
    "residual": ResidualRegressor,
    "attention": AttentionRegressor,
    "compact": CompactRegressor,
}


def build_regressor(
    name: str,
    channels: Mapping[int, int],
    resolutions: Sequence[int],
    out_channels: int,
    output_size: int | None = None,
    **options: Any,
) -> Regressor:
    """A regressor by name, see :data:`REGRESSORS`; ``options`` go to its constructor.

    ``shallow`` follows the published rule: from 32 output channels on it is ``shallow-wide``.

    :raises NotFoundError: no regressor of that name.
    :raises ConfigError: the hub lacks a resolution.
    """
    if name not in REGRESSORS:
        raise NotFoundError(f"no regressor named {name!r}.{did_you_mean(name, REGRESSORS)}")
    if name in PUBLISHED_WIDTHS:
        published = "shallow-wide" if name == "shallow" and out_channels >= WIDE_FROM else name
        options = {"widths": PUBLISHED_WIDTHS[published], **options}
    return REGRESSORS[name](channels, resolutions, out_channels, output_size, **options)
