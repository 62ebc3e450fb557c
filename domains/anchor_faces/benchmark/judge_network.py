"""The judges: one network that parses a picture of a face, finds its landmarks and reads its factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_faces.benchmark.factor_groups import JUDGED, JudgedFactor

CLASSES, POINTS, SIZE = 19, 68, 64


class ConvNorm(nn.Sequential):
    """3x3 convolution, batch norm, ReLU; ``stride`` 2 halves the sides."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
        )


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, ``[B, C, H, W]`` to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


@dataclass(frozen=True)
class Judgement:
    """The raw output of the judges.

    ``labels``: logits ``[B, classes, 64, 64]``; ``points``: pixels ``[B, points, 2]`` (x, y; edges are 0 and 64);
    ``factors``: raw outputs ``[B, K]``, see ``JudgeNetwork.split``; ``features``: pooled maps of the trunk
    ``[B, 12 * width]``, which ``fd_rendered`` compares.
    """

    labels: Tensor
    points: Tensor
    factors: Tensor
    features: Tensor


class JudgeNetwork(nn.Module):
    """RGB ``[B, 3, 64, 64]`` in [-1, 1] to a :class:`Judgement`; 2.2 million parameters at the default ``width``.

    A residual trunk goes from 32 to 4 px, and back up to 32 px with lateral connections. Each position at 32 px gives
    two by two pixels of the labels; landmarks are the centres of mass of 68 heat maps; factors are read from the
    trunk's 4 and 8 px maps and from the landmarks. All heads share the trunk, whose pooled maps are the features.

    :param width: channels at 32 px; the other layers scale with it.
    :param factors: the factors to read, ``judged`` of the network.
    :param classes: number of classes of the labels.
    :param points: number of landmarks; pictures without any have 0, and no heat maps.
    """

    def __init__(
        self, width: int = 32, factors: Sequence[JudgedFactor] = JUDGED, classes: int = CLASSES, points: int = POINTS
    ) -> None:
        super().__init__()
        self.width, self.judged, self.points = width, tuple(factors), points
        c32, c16, c8, c4, up = width, 2 * width, 4 * width, 6 * width, width * 3 // 2
        self.stem = ConvNorm(12, c32)  # 2 x 2 pixels become the channels of one position, which saves the costliest map
        self.block32 = ResidualBlock(c32)
        self.stage16 = nn.Sequential(ConvNorm(c32, c16, 2), ResidualBlock(c16))
        self.stage8 = nn.Sequential(ConvNorm(c16, c8, 2), ResidualBlock(c8))
        self.stage4 = nn.Sequential(ConvNorm(c8, c4, 2), ResidualBlock(c4))
        self.lateral4 = nn.Conv2d(c4, c8, 1)
        self.merge8 = ConvNorm(c8, c16)
        self.merge16 = ConvNorm(c16, up)
        self.lateral32 = nn.Conv2d(c32, up, 1)
        self.merge32 = ConvNorm(up, up)
        self.to_labels = nn.Conv2d(up, 4 * classes, 1)
        self.to_heat = nn.Conv2d(up, points, 1) if points else None
        self.squeeze4 = nn.Conv2d(c4, 48, 1)
        self.squeeze8 = nn.Conv2d(c8, 24, 1)
        inputs = 48 * 16 + 24 * 64 + 2 * points
        self.read = nn.Sequential(nn.Linear(inputs, 256), nn.ReLU(inplace=True), nn.Linear(256, sum(self._widths())))
        # Deviation and mean of values over the training set: outputs are in deviations from the mean.
        self.factor_mean: Tensor
        self.factor_scale: Tensor
        self.register_buffer("factor_mean", torch.zeros(len(self.judged)))
        self.register_buffer("factor_scale", torch.ones(len(self.judged)))
        grid = (torch.arange(32.0) + 0.5) * 2
        self.register_buffer("grid", grid, persistent=False)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The trunk's maps at 32, 16, 8 and 4 px."""
        at32 = self.block32(self.stem(F.pixel_unshuffle(images, 2)))
        at16 = self.stage16(at32)
        at8 = self.stage8(at16)
        return at32, at16, at8, self.stage4(at8)

    def features(self, images: Tensor) -> Tensor:
        """The features alone, float32 ``[B, 12 * width]``; see :class:`Judgement`."""
        return _pooled(self.maps(images))

    def forward(self, images: Tensor) -> Judgement:
        maps = self.maps(images)
        at32, at16, at8, at4 = maps
        up = self.merge8(at8 + _twice(self.lateral4(at4)))
        up = self.merge16(at16 + _twice(up))
        up = self.merge32(self.lateral32(at32) + _twice(up))
        labels = F.pixel_shuffle(self.to_labels(up), 2)
        points = self._points(up)
        seen = [self.squeeze4(at4).flatten(1), self.squeeze8(at8).flatten(1)]
        near = (points.detach() / SIZE * 4 - 2).flatten(1)  # of the order of 1, like the other inputs
        factors = self.read(torch.cat([*seen, near.to(seen[0].dtype)], 1))
        return Judgement(labels.float(), points, factors.float(), _pooled(maps))

    def _points(self, up: Tensor) -> Tensor:
        if self.to_heat is None:
            return torch.zeros(len(up), 0, 2, device=up.device)
        heat = self.to_heat(up).float().flatten(2).softmax(2).unflatten(2, up.shape[-2:])
        return torch.stack([heat.sum(2) @ self.grid, heat.sum(3) @ self.grid], 2)

    def split(self, factors: Tensor) -> list[Tensor]:
        """Raw outputs ``[B, K]`` by factor of ``judged``: each ``[B, width]``."""
        return list(factors.split(self._widths(), 1))

    def _widths(self) -> list[int]:
        return [factor.width for factor in self.judged]


def _pooled(maps: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([item.float().mean((2, 3)) for item in maps[1:]], 1)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
