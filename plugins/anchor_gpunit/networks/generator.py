"""Stage II's generator and style encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_gpunit.networks.blocks import SLOPE, Conv, StyledResidual, initialise
from anchor_gpunit.networks.configs import GeneratorConfig
from anchor_gpunit.networks.skips import DynamicSkip, Skip

#: Stages whose maps a dynamic skip connection joins: l = 1, 2.
SKIPPED = (1, 2)


class StyleEncoder(nn.Module):
    """E_s: a picture to a style code of non-negative numbers; no norms, so that colours are kept."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width, dim = config.style_width, config.style_dim
        channels = [width * min(4, 2**number) for number in range(config.style_halvings + 1)]
        self.first = Conv(3, channels[0], 7, reflect=True)
        self.halvings = nn.ModuleList(
            [
                Conv(inputs, outputs, 4, stride=2, padding=1, reflect=True)
                for inputs, outputs in zip(channels, channels[1:], strict=False)
            ]
        )
        self.linear = nn.ModuleList([nn.Linear(channels[-1], width), nn.Linear(width, dim), nn.Linear(dim, dim)])
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``[B, 3, H, W]`` in [-1, 1] of any side that can be halved so often, to codes ``[B, D]``."""
        x = torch.relu(self.first(images))
        for conv in self.halvings:
            x = torch.relu(conv(x))
        x = x.mean((2, 3))
        for linear in self.linear:
            x = torch.relu(linear(x))
        return x


class Generated(NamedTuple):
    """Pictures ``[B, 3, H, W]`` in [-1, 1], and the masks of the skips used, ``[B, C, h, w]``, the coarser first."""

    images: Tensor
    masks: tuple[Tensor, ...]


class Stage(nn.Module):
    """One resolution of the generator, with its way to RGB."""

    def __init__(self, in_channels: int, out_channels: int, code_dim: int, *, first: bool) -> None:
        super().__init__()
        self.block = StyledResidual(in_channels, out_channels, code_dim, double=not first)
        self.post = StyledResidual(out_channels, out_channels, code_dim) if first else None
        self.rgb = Conv(out_channels, 3, 7, blocks=True)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """The map ``[B, out, H', W']``: twice the side but for the first stage."""
        x = self.block(x, code)
        return x if self.post is None else self.post(x, code)

    def picture(self, x: Tensor) -> Tensor:
        """RGB ``[B, 3, H', W']`` of the map that :meth:`forward` gives, before a skip joins it."""
        return torch.tanh(self.rgb(F.leaky_relu(x, SLOPE)))


class Generator(nn.Module):
    """G and E_s: content of the source in the style of the target (section 4).

    The skips depend on the content alone, and are computed once for all styles: :meth:`skips`, then :meth:`decode`.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.style = StyleEncoder(config)
        channels = [1] + [config.channels(stage) for stage in range(config.stages + 1)]
        self.stages = nn.ModuleList(
            [
                Stage(inputs, outputs, config.style_dim, first=stage == 0)
                for stage, (inputs, outputs) in enumerate(zip(channels, channels[1:], strict=False))
            ]
        )
        encoder = [config.content.channels(config.stages - stage) for stage in SKIPPED]
        states = [1, *encoder]
        self.dynamic = nn.ModuleList(
            [
                DynamicSkip(joined, config.channels(stage), state, conditioned=config.intensity)
                for stage, joined, state in zip(SKIPPED, encoder, states, strict=False)
            ]
        )

    def skips(self, maps: Sequence[Tensor], intensity: Tensor | None = None) -> tuple[Skip, ...]:
        """The skip of stage 1 and that of stage 2.

        :param maps: what the content encoder gives, the coarsest first.
        :param intensity: of the content correspondence, ``[B or 1]`` in [0, 1]; None is 1, see :class:`DynamicSkip`.
        """
        state, skips = maps[0], []
        for stage, dynamic in zip(SKIPPED, self.dynamic, strict=True):
            skip, state = dynamic(maps[1 + stage], state, intensity)
            skips.append(skip)
        return tuple(skips)

    def decode(self, content: Tensor, skips: Sequence[Skip], codes: Tensor, *, stage: int | None = None) -> Tensor:
        """Pictures ``[B, 3, H, W]`` of coarse contents ``[B or 1, 1, s, s]`` in style codes ``[B, D]``.

        :param skips: of stages 1 and 2, or none: the coarse content alone.
        :param stage: stop at this stage, whose picture is smaller (untrained but for the last one).
        """
        last = self.config.stages if stage is None else stage
        joining = dict(zip(SKIPPED, skips, strict=False))
        x = content
        for number in range(last + 1):
            x = self.stages[number](x, codes)
            if number < last and number in joining:
                x = joining[number].into(x)
        return self.stages[last].picture(x)  # type: ignore[operator]

    def forward(
        self, maps: Sequence[Tensor], codes: Tensor, *, use_skips: bool = True, intensity: Tensor | None = None
    ) -> Generated:
        """``G(E_c(x), s)`` for the encoder's maps of x and style codes s ``[B, D]``."""
        skips = self.skips(maps, intensity) if use_skips else ()
        return Generated(self.decode(maps[0], skips, codes), tuple(skip.mask for skip in skips))
