"""GP-UNIT's networks once more, as the paper's equations and its code's notes read: the yardstick, see `plain.py`.

Convolutions pad, then convolve; pixels are repeated before everything that follows; norms are torch's, and scaled in a
step of their own; spectral norms divide the weight in every pass, in training after a power iteration. Parameters have
the names of the networks in `plugins/anchor_gpunit/networks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Spectral(nn.Module):
    """A weight and the vectors of its spectral norm."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.register_buffer("u", torch.empty(shape[0]))
        self.register_buffer("v", torch.empty(math.prod(shape[1:])))

    def forward(self) -> Tensor:
        matrix = self.weight.flatten(1)
        u, v = self.u, self.v
        if self.training:
            with torch.no_grad():
                v = F.normalize(torch.mv(matrix.t(), u), dim=0, eps=1e-12)
                u = F.normalize(torch.mv(matrix, v), dim=0, eps=1e-12)
                self.u.copy_(u)
                self.v.copy_(v)
        return self.weight / torch.dot(u, torch.mv(matrix, v))


class Conv(nn.Module):
    def __init__(
        self, inside: int, outside: int, kernel: int = 3, stride: int = 1, padding: int | None = None,
        reflect: bool = False, spectral: bool = False, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = (outside, inside, kernel, kernel)
        self.spectral = Spectral(shape) if spectral else None
        if not spectral:
            self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(outside)) if bias else None
        self.stride, self.reflect = stride, reflect
        self.padding = kernel // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.spectral is None else self.spectral()
        x = F.pad(x, (self.padding,) * 4, "reflect" if self.reflect else "constant")
        return F.conv2d(x, weight, self.bias, self.stride)


class NormedConv(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = Conv(inside, outside, stride=stride, reflect=True, spectral=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(F.instance_norm(self.conv(x)), 0.2)


class ContentEncoder(nn.Module):
    """Of the published depth: five halvings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 8 * width, 8 * width]
        inner = [width, *channels[1:-1]]
        self.layers = nn.ModuleList(
            nn.Sequential(NormedConv(channels[k], inner[k]), NormedConv(inner[k], channels[k + 1], 2)) for k in range(5)
        )
        self.last = nn.Sequential(NormedConv(channels[-1], channels[-1]), NormedConv(channels[-1], 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.insert(0, x)
        return [self.last(x), *maps]


class AdaIN(nn.Module):
    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.style = nn.Linear(dim, 2 * channels)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.style(code)[:, :, None, None].chunk(2, 1)
        return scale * F.instance_norm(x) + shift


class Residual(nn.Module):
    def __init__(self, inside: int, outside: int, dim: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = AdaIN(inside, dim), AdaIN(outside, dim)
        self.conv_in, self.conv_out = Conv(inside, outside), Conv(outside, outside)
        self.shortcut: Any = None
        if inside != outside:
            self.norm_shortcut, self.shortcut = AdaIN(inside, dim), Conv(inside, outside, 1, bias=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        inner = self.conv_in(F.leaky_relu(self.norm_in(x, code), 0.2))
        inner = self.conv_out(F.leaky_relu(self.norm_out(inner, code), 0.2))
        return (x if self.shortcut is None else self.shortcut(self.norm_shortcut(x, code))) + inner


class Skip(nn.Module):
    def __init__(self, channels: int, state: int) -> None:
        super().__init__()
        self.lift = Conv(state, channels, reflect=True)
        self.reset, self.mask, self.update = (Conv(2 * channels, channels, reflect=True) for _ in range(3))

    def forward(self, generated: Tensor, encoded: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        lifted = F.leaky_relu(self.lift(F.interpolate(state, scale_factor=2)), 0.2)
        together = torch.cat([lifted, encoded], 1)
        state = torch.sigmoid(self.reset(together)) * lifted
        mask = torch.tanh(torch.relu(self.mask(together)))
        new = self.update(torch.cat([state, encoded], 1))
        return (1 - mask) * generated + mask * new, state, mask


class Stage(nn.Module):
    def __init__(self, inside: int, outside: int, dim: int, first: bool) -> None:
        super().__init__()
        self.block = Residual(inside, outside, dim)
        self.post = Residual(outside, outside, dim) if first else None
        self.rgb = Conv(outside, 3, 7)


class StyleEncoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 4 * width, 4 * width, 4 * width]
        self.first = Conv(3, width, 7, reflect=True)
        self.halvings = nn.ModuleList(
            Conv(inside, outside, 4, 2, 1, reflect=True)
            for inside, outside in zip(channels, channels[1:], strict=False)
        )
        dim = 4 * width
        self.linear = nn.ModuleList([nn.Linear(dim, width), nn.Linear(width, dim), nn.Linear(dim, dim)])

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.first, *self.halvings):
            x = F.relu(conv(x))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        for linear in self.linear:
            x = F.relu(linear(x))
        return x


class Generator(nn.Module):
    """Of the published depth: six stages."""

    def __init__(self, width: int, style_width: int) -> None:
        super().__init__()
        dim, channels = 4 * style_width, [1, *(factor * width for factor in (8, 8, 4, 2, 1, 1))]
        self.style = StyleEncoder(style_width)
        self.stages = nn.ModuleList(Stage(channels[k], channels[k + 1], dim, k == 0) for k in range(6))
        self.dynamic = nn.ModuleList([Skip(8 * width, 1), Skip(4 * width, 8 * width)])

    def forward(self, maps: Sequence[Tensor], code: Tensor, use_skips: bool = True) -> tuple[Tensor, list[Tensor]]:
        x, state, masks = maps[0], maps[0], []
        for number, stage in enumerate(self.stages):
            if number:
                x = F.interpolate(x, scale_factor=2)
            x = stage.block(x, code)
            if stage.post is not None:
                x = stage.post(x, code)
            if use_skips and number in (1, 2):
                x, state, mask = self.dynamic[number - 1](x, maps[1 + number], state)
                masks.append(mask)
        return torch.tanh(self.stages[-1].rgb(F.leaky_relu(x, 0.2))), masks


class Halving(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv_in, self.conv_out = (Conv(inside, to, spectral=True) for to in (inside, outside))
        self.shortcut = Conv(inside, outside, 1, bias=False, spectral=True) if inside != outside else None

    def forward(self, x: Tensor) -> Tensor:
        inner = F.avg_pool2d(self.conv_in(F.leaky_relu(x, 0.2)), 2)
        inner = self.conv_out(F.leaky_relu(inner, 0.2))
        return (F.avg_pool2d(x if self.shortcut is None else self.shortcut(x), 2) + inner) / math.sqrt(2)


class Discriminator(nn.Module):
    """Of the published depth: six blocks."""

    def __init__(self, width: int, widest: int) -> None:
        super().__init__()
        channels = [min(width * 2**k, widest) for k in range(7)]
        self.trunk = nn.ModuleList(
            [
                Conv(3, width, spectral=True),
                *(Halving(inside, outside) for inside, outside in zip(channels, channels[1:], strict=False)),
                nn.LeakyReLU(0.2),
                Conv(channels[-1], channels[-1], 4, padding=0, spectral=True),
                nn.LeakyReLU(0.2),
            ]
        )
        self.linear = Conv(channels[-1], 1, 1, spectral=True)

    def forward(self, x: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        style = x
        for number, part in enumerate(self.trunk, 1):
            x = part(x)
            if number == layer:
                style = x.mean((2, 3))
        return self.linear(x).flatten(), style
