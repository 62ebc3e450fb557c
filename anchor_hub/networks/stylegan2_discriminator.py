"""The StyleGAN2 residual discriminator with minibatch standard deviation.

Karras et al. (2020, arXiv:1912.04958), appendix B and figure 7; class-conditional by projection as in Karras et
al., "Training Generative Adversarial Networks with Limited Data" (2020, arXiv:2006.06676). Plain torch, twice
differentiable.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub.networks.layers import EqualConv2d, EqualLinear, check_request, pixel_norm
from anchor_hub.networks.stylegan2 import label_rows
from anchor_hub.networks.stylegan2_config import StyleGAN2Channels, conditions_dict

STDDEV_EPSILON = 1e-8


@dataclass(frozen=True)
class DiscriminatorConfig(StyleGAN2Channels):
    """Architecture of a discriminator.

    Attributes:
        size: image height and width in pixels, a power of two from 8 to 1024.
        channels: resolution to channels; None stands for the published table and is replaced by it.
        channel_multiplier: scales the published table from 64 px on (2 is "config F").
        image_channels: channels of the image.
        stddev_group: samples per group of the minibatch standard deviation.
        stddev_features: number of appended statistics channels.
        classes: number of classes of a class-conditional discriminator; 0 for none.
        mapping_layers: layers of its label mapping.
        clamp: bound of the activations, which half precision needs; None for none.
    """

    size: int
    channels: Mapping[int, int] | None = None
    channel_multiplier: float = 2.0
    image_channels: int = 3
    stddev_group: int = 4
    stddev_features: int = 1
    classes: int = 0
    mapping_layers: int = 8
    clamp: float | None = None

    def __post_init__(self) -> None:
        self._complete("discriminator", "image_channels", "stddev_group", "stddev_features")
        if self.mapping_layers < 0:
            raise ValueError(f"discriminator mapping_layers must be at least 0, got {self.mapping_layers}")
        if self.channels_of[4] % self.stddev_features:
            raise ValueError(f"stddev_features must divide the {self.channels_of[4]} channels at 4 px")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; :meth:`from_dict` reads it."""
        return {
            "size": self.size,
            "channels": {str(key): value for key, value in self.channels_of.items()},
            "channel_multiplier": self.channel_multiplier,
            "image_channels": self.image_channels,
            "stddev_group": self.stddev_group,
            "stddev_features": self.stddev_features,
            **conditions_dict(self.classes, self.clamp),
            **({"mapping_layers": self.mapping_layers} if self.classes else {}),
        }


def minibatch_stddev(x: Tensor, group: int, features: int = 1) -> Tensor:
    """The minibatch standard deviation statistic of ``x [N, C, H, W]``, as channels ``[N, features, H, W]``.

    With G = min(N, group), group j consists of the samples j, j + N/G, j + 2N/G, ... The biased variance over
    the group gives ``sqrt(var + 1e-8)``, averaged over C/features channels and all positions.

    Raises:
        ValueError: N is not a multiple of G.
    """
    n, c, h, w = x.shape
    group = min(n, group)
    if n % group:
        raise ValueError(f"batch size {n} must be a multiple of the minibatch-stddev group size {group}")
    grouped = x.reshape(group, n // group, features, c // features, h, w)
    variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)
    deviation = torch.sqrt(variance + STDDEV_EPSILON)
    statistic = deviation.mean(dim=(2, 3, 4))
    return statistic.repeat(group, 1)[:, :, None, None].expand(-1, -1, h, w)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the second halving the resolution, plus a linear skip: ``(y + skip) / sqrt(2)``."""

    def __init__(self, in_channels: int, out_channels: int, clamp: float | None = None) -> None:
        super().__init__()
        # The division by sqrt(2) is folded into both branches: leaky ReLU is positively homogeneous.
        half = math.sqrt(0.5)
        self.conv1 = EqualConv2d(in_channels, in_channels, 3, activate=True, clamp=clamp)
        self.conv2 = EqualConv2d(in_channels, out_channels, 3, activate=True, down=True, gain=half, clamp=clamp)
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False, down=True, gain=half)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, R, R]`` to ``[B, out, R/2, R/2]``."""
        result: Tensor = self.conv2(self.conv1(x)) + self.skip(x)
        return result


class LabelMapping(nn.Module):
    """Labels to the vectors that images' features are projected on: embedding, pixel norm, mapping layers."""

    def __init__(self, classes: int, size: int, layers: int) -> None:
        super().__init__()
        self.classes = classes
        self.embed = EqualLinear(classes, size)
        self.layers = nn.ModuleList(
            EqualLinear(size, size, lr_multiplier=0.01, activate=True) for _ in range(layers)
        )

    def forward(self, labels: Tensor | None, batch: int) -> Tensor:
        """Numbers ``[B]`` or rows ``[B, classes]`` to ``[B, size]``."""
        rows = label_rows(labels, self.classes, batch).to(self.embed.weight.device)
        y = pixel_norm(self.embed(rows))
        for layer in self.layers:
            y = layer(y)
        return y


class Discriminator(nn.Module):
    """Images (and labels, with classes) to one logit each; positive means real.

    Args:
        config: the architecture. Weights are drawn from torch's global random state.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        channels, clamp = config.channels_of, config.clamp
        self.from_rgb = EqualConv2d(config.image_channels, channels[config.size], 1, activate=True, clamp=clamp)
        self.blocks = nn.ModuleDict(
            {
                str(r): ResidualBlock(channels[r], channels[r // 2], clamp)
                for r in reversed(config.resolutions)
                if r > 4
            }
        )
        self.final_conv = EqualConv2d(
            channels[4] + config.stddev_features, channels[4], 3, activate=True, clamp=clamp
        )
        self.final_dense = EqualLinear(channels[4] * 16, channels[4], activate=True)
        self.final_logit = EqualLinear(channels[4], channels[4] if config.classes else 1)
        self.label_mapping: LabelMapping | None = None
        if config.classes:
            self.label_mapping = LabelMapping(config.classes, channels[4], config.mapping_layers)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """``[B, C, size, size]`` in [-1, 1] to logits ``[B, 1]``; labels as the generator's mapping takes them.

        With classes the logit is the projection ``out(x) . map(label) / sqrt(size)``.

        Raises:
            ValueError: the images' shape does not fit, the batch is no multiple of the stddev group, or labels are
                missing, not wanted or do not fit.
        """
        return self.judge(images, labels, ())[0]

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the maps that :meth:`maps` can give, descending: those at which blocks end."""
        return tuple(r for r in reversed(self.config.resolutions) if r < self.config.size)

    @property
    def map_channels(self) -> dict[int, int]:
        """Channels of the map of each side."""
        return {side: self.config.channels_of[side] for side in self.sides}

    def _trunk(self, images: Tensor, wanted: Collection[int], *, whole: bool) -> tuple[Tensor, dict[int, Tensor]]:
        """The last block's output and those of ``wanted`` sides; unless ``whole``, no further than those."""
        check_request(images, (self.config.image_channels, self.config.size, self.config.size), wanted, self.sides)
        kept: dict[int, Tensor] = {}
        x = self.from_rgb(images)
        for block in self.blocks.values():
            if not whole and len(kept) == len(set(wanted)):
                break
            x = block(x)
            if x.shape[-1] in wanted:
                kept[x.shape[-1]] = x
        return x, kept

    def maps(self, images: Tensor, sides: Collection[int]) -> dict[int, Tensor]:
        """Hierarchical features: the output ``[B, channels, R, R]`` of the block that ends at each side R.

        No later layer runs. Raises ValueError: images of another shape, or a side at which no block ends.
        """
        return self._trunk(images, sides, whole=False)[1]

    def without_head(self) -> Discriminator:
        """This network without head and label mapping, which :meth:`maps` does not need."""
        del self.final_conv, self.final_dense, self.final_logit
        self.label_mapping = None
        return self

    def judge(
        self, images: Tensor, labels: Tensor | None, sides: Collection[int]
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Logits ``[B, 1]`` as :meth:`forward` gives them and the :meth:`maps` of ``sides``, from one pass."""
        x, kept = self._trunk(images, sides, whole=True)
        return self._logits(x, labels), kept

    def _logits(self, x: Tensor, labels: Tensor | None) -> Tensor:
        # The statistic and the two dense layers are cheap and sensitive: always in the parameters' precision.
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.final_dense.weight.dtype)
            statistic = minibatch_stddev(x, self.config.stddev_group, self.config.stddev_features)
            x = torch.cat([x, statistic], dim=1)
        x = self.final_conv(x)
        logits: Tensor = self.final_logit(self.final_dense(x.flatten(1)))
        if self.label_mapping is None:
            if labels is not None:
                raise ValueError("this discriminator has no classes: it takes no labels")
            return logits
        target = self.label_mapping(labels, len(x))
        return (logits * target).sum(dim=1, keepdim=True) / math.sqrt(target.shape[1])
