"""The content encoder, which stage I trains and stage II uses frozen."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from anchor_gpunit.networks.blocks import Conv, instance_norm, leaky
from anchor_gpunit.networks.configs import ContentConfig


class NormedConv(nn.Module):
    """3x3 convolution with reflected border, instance norm, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, spectral: bool = False) -> None:
        super().__init__()
        self.conv = Conv(in_channels, out_channels, stride=stride, reflect=True, spectral=spectral)

    def forward(self, x: Tensor) -> Tensor:
        return leaky(instance_norm(self.conv(x)))


class ContentEncoder(nn.Module):
    """E_c: a picture to its coarse content, one channel of 8x8, and the maps on the way there (section 3.2)."""

    def __init__(self, config: ContentConfig) -> None:
        super().__init__()
        self.config = config
        channels = [3] + [config.channels(number) for number in range(1, config.halvings + 1)]
        first = config.width

        def layer(number: int) -> nn.Sequential:
            inputs, outputs = channels[number - 1], channels[number]
            inner = first if number == 1 else inputs
            return nn.Sequential(
                NormedConv(inputs, inner, spectral=config.spectral),
                NormedConv(inner, outputs, stride=2, spectral=config.spectral),
            )

        self.layers = nn.ModuleList([layer(number) for number in range(1, config.halvings + 1)])
        self.last = nn.Sequential(
            NormedConv(channels[-1], channels[-1], spectral=config.spectral),
            NormedConv(channels[-1], 1, spectral=config.spectral),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pictures ``[B, 3, H, W]`` in [-1, 1], brought to the encoder's size first, to maps, the coarsest first.

        The first is the content ``[B, 1, s, s]``; then follow the maps of sides s, 2 s, 4 s ... (s: content side).
        """
        size = self.config.size
        x = images
        if tuple(x.shape[2:]) != (size, size):
            x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
        maps: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            maps.insert(0, x)
        return (self.last(x), *maps)

    def content(self, images: Tensor) -> Tensor:
        """The coarse content ``[B, 1, s, s]`` alone."""
        return self(images)[0]
