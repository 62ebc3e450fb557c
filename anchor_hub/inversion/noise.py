"""Noise maps that are optimised with the latents: their regulariser, their normalisation (StyleGAN2, appendix D)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.hubs.base import Hub

#: Maps of this side are not halved any more.
COARSEST = 8


def noise_shapes(hub: Hub) -> list[int]:
    """Sides of the noise maps that the hub's generator reads, one per layer; empty if it ignores noise."""
    synthesis: Any = getattr(hub.generator, "synthesis", None)
    convs = synthesis.styled_convs() if hasattr(synthesis, "styled_convs") else []
    heard = any(bool(conv.noise_strength.detach().abs().max() > 0) for conv in convs)
    return [conv.resolution for conv in convs] if heard else []


def noise_maps(hub: Hub, batch: int, seed: int) -> list[Tensor]:
    """Standard normal noise maps ``[batch, 1, R, R]``, the same for every picture; empty if the hub ignores noise."""
    stream = torch.Generator().manual_seed(seed)
    sides = noise_shapes(hub)
    drawn = [torch.randn(1, 1, side, side, generator=stream) for side in sides]
    return [one.to(hub.mean_latent).expand(batch, -1, -1, -1).clone() for one in drawn]


def noise_loss(maps: Sequence[Tensor]) -> Tensor:
    """How far noise maps ``[B, 1, R, R]`` are from white noise, per picture ``[B]``.

    Sum over maps and their halvings (2x2 means, down to 8 px) of the squared mean product of neighbours, horizontal and
    vertical, around the edges.
    """
    total = maps[0].new_zeros(len(maps[0]))
    for one in maps:
        while True:
            for axis in (3, 2):
                total = total + (one * one.roll(1, axis)).mean((1, 2, 3)).square()
            if one.shape[-1] <= COARSEST:
                break
            one = F.avg_pool2d(one, 2)
    return total


@torch.no_grad()
def normalise_(maps: Sequence[Tensor]) -> None:
    """Give each map of each picture mean 0 and (unbiased) standard deviation 1, in place."""
    for one in maps:
        one.sub_(one.mean((1, 2, 3), keepdim=True)).div_(one.std((1, 2, 3), keepdim=True))
