"""Stage II's discriminator, whose means of a middle layer are the style feature f_D (equation 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from anchor_gpunit.networks.blocks import SLOPE, Conv
from anchor_gpunit.networks.configs import DiscriminatorConfig


class HalvingResidual(nn.Module):
    """Residual block of spectrally normalised convolutions that halves the side."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_in = Conv(in_channels, in_channels, spectral=True)
        self.conv_out = Conv(in_channels, out_channels, spectral=True)
        different = in_channels != out_channels
        self.shortcut = Conv(in_channels, out_channels, 1, bias=False, spectral=True) if different else None

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H/2, W/2]``."""
        inner = F.avg_pool2d(self.conv_in(F.leaky_relu(x, SLOPE)), 2)
        inner = self.conv_out(F.leaky_relu(inner, SLOPE))
        x = F.avg_pool2d(x, 2)  # before the 1x1 convolution, with which it commutes
        return ((x if self.shortcut is None else self.shortcut(x)) + inner) / math.sqrt(2)


class Discriminator(nn.Module):
    """D: pictures to logits, and style features of its layers.

    The trunk is a convolution, the residual blocks, a leaky ReLU, a convolution of 4x4 and a leaky ReLU; *layer L* is
    the trunk's output after L of these (4: behind three blocks).
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        channels = [min(config.width * 2**number, config.max_width) for number in range(config.blocks + 1)]
        wide = channels[-1]
        self.trunk = nn.ModuleList(
            [
                Conv(3, channels[0], spectral=True),
                *(HalvingResidual(*pair) for pair in zip(channels, channels[1:], strict=False)),
                nn.LeakyReLU(SLOPE),
                Conv(wide, wide, 4, padding=0, spectral=True),
                nn.LeakyReLU(SLOPE),
            ]
        )
        self.linear = Conv(wide, 1, 1, spectral=True)

    def forward(self, images: Tensor, layers: Sequence[int] = ()) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits ``[B]`` of pictures ``[B, 3, H, W]`` in [-1, 1], and the style features ``[B, C]`` of ``layers``.

        A style feature is the channel-wise mean of a layer's map.
        """
        means: dict[int, Tensor] = {}
        x = images
        for number, part in enumerate(self.trunk, 1):
            x = part(x)
            if number in layers:
                means[number] = x.mean((2, 3))
        return self.linear(x).flatten(), tuple(means[layer] for layer in layers)
