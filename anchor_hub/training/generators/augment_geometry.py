"""Where the pixels of an image come from: random flips, turns, shifts, scales and rotations as one affine resampling.

The geometry of adaptive augmentation (Karras et al. 2020, arXiv:2006.06676, appendix B), with bilinear interpolation
and reflection at the borders. Every transformation of every image is decided by a coin of its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor

#: Standard deviation of the logarithms (to base 2) of scales, and of fractional shifts as a part of the side.
SCALE, SHIFT = 0.2, 0.125
#: Largest angle of each of the two rotations in radians: upright, and with "turn", which allows every angle.
UPRIGHT, ALL_ROUND = math.pi / 12, math.pi


def coins(count: int, probability: float) -> Tensor:
    """``[count]`` booleans on the CPU, each true with this probability."""
    return torch.rand(count) < probability


def placements(count: int, side: int, probability: float, kinds: Collection[str]) -> Tensor | None:
    """Matrices ``[count, 3, 3]``, float64, from an output's pixel positions to the input's; ``None``: nothing moves.

    Positions are ``(x, y, 1)`` in pixels from the image's centre. The transformations are drawn as their inverses,
    whose distributions are the same, in the paper's order.

    :param side: of the images, which are square.
    :param kinds: of "flip" (left to right), "turn" (by quarters, and rotations by any angle), "shift" (by whole pixels)
        and "geometry" (scale, rotation, stretch, rotation, shift by parts of pixels).
    """
    matrices = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)
    moved = torch.zeros(count, dtype=torch.bool)

    def apply(drawn: Tensor, chance: float = probability) -> None:
        nonlocal matrices, moved
        chosen = coins(count, chance)
        identity = torch.eye(3, dtype=torch.float64)
        matrices = matrices @ torch.where(chosen[:, None, None], drawn, identity)
        moved = moved | chosen

    if "flip" in kinds:
        apply(_scaled(1.0 - 2.0 * torch.randint(2, (count,)), torch.ones(count)))
    if "turn" in kinds:
        apply(_rotated(torch.randint(4, (count,)) * (math.pi / 2)).round())
    if "shift" in kinds:
        apply(_shifted(torch.round((torch.rand(2, count) * 2 - 1) * SHIFT * side)))
    if "geometry" in kinds:
        angle = ALL_ROUND if "turn" in kinds else UPRIGHT
        once = 1 - math.sqrt(1 - probability)  # twice this chance of a rotation is the probability of any
        factor = torch.exp2(torch.randn(count) * SCALE)
        apply(_scaled(factor, factor))
        apply(_rotated((torch.rand(count) * 2 - 1) * angle), once)
        factor = torch.exp2(torch.randn(count) * SCALE)
        apply(_scaled(factor, 1 / factor))
        apply(_rotated((torch.rand(count) * 2 - 1) * angle), once)
        apply(_shifted(torch.randn(2, count) * SHIFT * side))
    return matrices if bool(moved.any()) else None


def resample(images: Tensor, matrices: Tensor) -> Tensor:
    """Images ``[B, C, H, W]`` at the positions that :func:`placements` gives, as often differentiable as one likes.

    Beyond its border an image goes on as in a mirror. Values at whole positions are exact: the identity changes no bit.
    """
    count, channels, height, width = images.shape
    matrices = matrices.to(images)
    rows = torch.arange(height, device=images.device).to(images) - (height - 1) / 2
    columns = torch.arange(width, device=images.device).to(images) - (width - 1) / 2
    across, down = (
        matrices[:, axis, 0, None, None] * columns + matrices[:, axis, 1, None, None] * rows[:, None]
        + matrices[:, axis, 2, None, None] + (side - 1) / 2
        for axis, side in ((0, width), (1, height))
    )  # fmt: skip
    left, top = across.floor(), down.floor()
    right, low = (across - left)[:, None], (down - top)[:, None]  # parts of the right and the lower neighbours
    values = images.flatten(2)
    result = torch.zeros((), dtype=images.dtype, device=images.device)
    for row, height_part in ((top, 1 - low), (top + 1, low)):
        for column, width_part in ((left, 1 - right), (left + 1, right)):
            places = _mirrored(row, height) * width + _mirrored(column, width)
            found = values.gather(2, places.flatten(1)[:, None].expand(count, channels, -1))
            result = result + found.view(count, channels, height, width) * (height_part * width_part)
    return result


def _mirrored(places: Tensor, side: int) -> Tensor:
    """Whole positions, folded into ``0 ... side - 1`` by mirrors in the first and the last."""
    if side == 1:
        return torch.zeros_like(places, dtype=torch.long)
    period = 2 * (side - 1)
    folded = places.long() % period
    return torch.minimum(folded, period - folded)


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones(len(x))], dim=1).double())


def _rotated(angles: Tensor) -> Tensor:
    cosine, sine = angles.double().cos(), angles.double().sin()
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(angles), 1, 1)
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0], matrices[:, 1, 1] = cosine, -sine, sine, cosine
    return matrices


def _shifted(by: Tensor) -> Tensor:
    matrices = torch.eye(3, dtype=torch.float64).repeat(by.shape[1], 1, 1)
    matrices[:, 0, 2], matrices[:, 1, 2] = by.double()
    return matrices
