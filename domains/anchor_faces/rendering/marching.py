"""Sphere tracing: walk along rays until they meet a surface.

Rays are ``[samples, rays]`` tensors. Finished rays are dropped from time to time, sample by sample, and rows
are padded to the longest. A sample's result does not depend, in any bit, on the samples it is traced with:
widths are always multiples of ``LANES`` (where the last elements of a tensor do not fill a vector, torch
computes them with other instructions), and whether a sample is finished depends only on its own rays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .shapes import Number

LANES = 32
Distance = Callable[[Tensor, Tensor, Tensor], Tensor]


def compact(keep: Tensor, *arrays: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Move the kept entries of every row to its front and cut to the longest row.

    ``keep`` is bool ``[samples, n]``. Returns (source positions ``[samples, m]``, bool mask of entries that
    are real and not padding, the arrays); padding repeats the first kept entry.
    """
    counts = keep.sum(1)
    width = -(-max(int(counts.max()), 1) // LANES) * LANES
    position = keep.long().cumsum(1).sub_(1)
    source = torch.zeros(keep.shape[0], width, dtype=torch.long)
    row, column = keep.nonzero(as_tuple=True)
    source[row, position[row, column]] = column
    valid = torch.arange(width)[None] < counts[:, None]
    source = torch.where(valid, source, source[:, :1])
    return source, valid, [array.gather(1, source) for array in arrays]


def march(
    distance: Distance,
    origin: Sequence[Tensor],
    directions: Sequence[Tensor],
    start: Tensor,
    valid: Tensor,
    *,
    far: float,
    steps: int,
    tolerance: Number,
    relaxation: float,
    secant: bool,
) -> tuple[Tensor, Tensor]:
    """March rays from ``start``; returns (distance along the ray, whether a surface was met), ``[samples, rays]``.

    A ray stops when it is closer than ``tolerance`` to a surface or beyond ``far``. With ``secant`` the
    step near a surface is divided by the slope seen in the step before, which ends the long crawl of grazing rays.
    """
    result, hit = start.clone(), torch.zeros_like(valid)
    enough = 6 + 0.0015 * valid.sum(1)  # so few rays left in a sample are not worth more steps
    ray = torch.arange(start.shape[1]).expand_as(start)
    x, y, z = directions
    travelled, previous, step, met, live = start, None, start, hit, valid
    for count in range(1, steps + 1):
        here = distance(origin[0] + x * travelled, origin[1] + y * travelled, origin[2] + z * travelled)
        near = (here.abs() if secant else here) < tolerance
        next_step = here * relaxation
        if secant and previous is not None:
            slope = ((previous - here) / step).clamp_(0.40, 1.15)
            next_step = torch.where(here.abs() < 0.12, here / slope, next_step)
        # a finished ray must not change: the other samples decide when it is dropped
        travelled = torch.where(live, travelled + next_step, travelled)
        active = live & ~(near | (travelled > far))
        remaining = active.sum(1)
        last = live.any(1)
        if count < steps:
            last &= remaining < enough
        if secant:
            near = near | (last[:, None] & (here < 8 * tolerance))
        met = met | (near & live)
        live = active & ~last[:, None]
        previous, step = here, torch.where(next_step.abs() < 1e-5, 1e-5, next_step)
        longest = int(live.sum(1).max())
        if longest < 0.85 * travelled.shape[1]:
            row, column = valid.nonzero(as_tuple=True)
            target = ray[row, column]
            result[row, target], hit[row, target] = travelled[row, column], met[row, column]
            if longest == 0:
                break
            _, valid, kept = compact(live, ray, travelled, x, y, z, previous, step)
            ray, travelled, x, y, z, previous, step = kept
            live, met = valid, torch.zeros_like(valid)
    return result, hit
