"""Discriminators on feature maps of a frozen network (Projected GAN, Sauer et al. 2021, arXiv:2111.01007).

Differentiable random projections, which are never trained, mix the maps across channels (1x1 convolutions) and across
scales (from the coarsest map up), so that no scale can be left aside. Each mixed map has a small discriminator.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.networks.biggan_layers import SPECTRAL_EPSILON, SpectralConv2d, SpectralWeight

LEAKY_SLOPE = 0.2
#: Most channels of a discriminator.
WIDEST = 256
#: Power iterations of a pass in training. With one, as is usual, estimates lag behind the weights: in the first steps
#: logits of 50 came through.
ITERATIONS = 5


class RandomMixing(nn.Module):
    """Fixed random projections of maps: ``p_k = P_k f_k``, ``m_K = p_K``, ``m_k = p_k + up(M_k m_{k+1})``.

    P are 1x1, M 3x3 convolutions, drawn from torch's global random state with the variance that keeps a map's scale.
    They are buffers: state dicts hold them, no optimiser sees them. No projection has fewer channels than its map.

    :param channels: of the maps, finest first, each of half the side of the one before. :param scales: their standard
        deviations, by which the projections divide; default: 1.
    """

    def __init__(self, channels: Sequence[int], scales: Sequence[float] | None = None) -> None:
        super().__init__()
        self.widths = tuple(-(-count // 32) * 32 for count in channels)
        for number, (inside, outside) in enumerate(zip(channels, self.widths, strict=True)):
            weight = _drawn(outside, inside, 1)
            self.register_buffer(f"project{number}", weight if scales is None else weight / scales[number])
        for number, (outside, inside) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            self.register_buffer(f"mix{number}", _drawn(outside, inside, 3))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps ``[B, channels[k], R / 2^k, R / 2^k]`` to as many of ``widths[k]`` channels."""
        mixed: list[Tensor] = []
        for number in reversed(range(len(self.widths))):
            found = F.conv2d(maps[number], self.get_buffer(f"project{number}"))
            if mixed:
                below = F.conv2d(mixed[0], self.get_buffer(f"mix{number}"), padding=1)
                below = F.interpolate(below, size=found.shape[-2:], mode="bilinear", align_corners=False)
                found = found + below.to(found.dtype)
            mixed.insert(0, found)
        return mixed


def _drawn(outside: int, inside: int, kernel: int) -> Tensor:
    weight = torch.empty(outside, inside, kernel, kernel)
    return nn.init.kaiming_normal_(weight, nonlinearity="linear")


class SpectralDown(SpectralWeight):
    """A 4x4 convolution of stride 2 with a spectrally normalised weight: half the side."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__((outside, inside, 4, 4), epsilon=SPECTRAL_EPSILON, store_v=False)
        self.bias = nn.Parameter(torch.zeros(outside))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inside, R, R]`` to ``[B, outside, R / 2, R / 2]``."""
        return F.conv2d(x, self.normalized(), self.bias, stride=2, padding=1)


class MapDiscriminator(nn.Module):
    """A map to one logit per place of a map whose side was halved ``halvings`` times."""

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(halvings):
            wider = min(2 * channels, WIDEST)
            layers += [SpectralDown(channels, wider), nn.LeakyReLU(LEAKY_SLOPE)]
            channels = wider
        layers += [SpectralConv2d(channels, WIDEST // 2, 3), nn.LeakyReLU(LEAKY_SLOPE)]
        self.layers = nn.Sequential(*layers, SpectralConv2d(WIDEST // 2, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, R, R]`` to ``[B, 1, r, r]`` with r = R / 2^halvings."""
        logits: Tensor = self.layers(x)
        return logits


class ProjectedDiscriminator(nn.Module):
    """Feature maps of several scales to logits; all scales end in maps of the coarsest map's side.

    :param channels, scales: of the maps, see :class:`RandomMixing`. Weights are drawn from torch's global random state.
    """

    def __init__(self, channels: Sequence[int], scales: Sequence[float] | None = None) -> None:
        super().__init__()
        self.mixing = RandomMixing(channels, scales)
        last = len(channels) - 1
        self.discriminators = nn.ModuleList(
            MapDiscriminator(width, last - number) for number, width in enumerate(self.mixing.widths)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """``[B, channels[k], R / 2^k, R / 2^k]`` to logits ``[B, scales, r, r]``; positive means real."""
        mixed = self.mixing(maps)
        if self.training:
            with torch.no_grad():
                for module in self.modules():
                    if isinstance(module, SpectralWeight):
                        for _ in range(ITERATIONS - 1):  # the pass itself adds one
                            module.sigma()
        judged = [discriminator(found) for discriminator, found in zip(self.discriminators, mixed, strict=True)]
        return torch.cat(judged, dim=1)
