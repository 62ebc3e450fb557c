"""Sphere tracing: walk along rays until they meet a surface.

The rays of all samples lie behind each other, in blocks of ``LANES`` that hold rays of one sample each; the last block
of a sample is padded. Rays that are done are dropped from time to time. Whether a sample is finished depends on its
own rays only: thus a sample's result does not depend, in any bit, on the samples it is traced with (torch computes
the last few elements of a tensor with other instructions than the rest when their number does not fill a vector).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .scene import LANES, Layout, Points

Distance = Callable[[Callable[[slice], Points], Layout], Tensor]


def compact(keep: Tensor, layout: Layout, samples: int) -> tuple[Tensor, Tensor, Layout]:
    """Where the kept ones of the entries ``[blocks, LANES]`` go when the others are dropped.

    Returns (source positions, mask of entries that are real and not padding, both ``[new blocks, LANES]``, their
    layout). Padding repeats the first kept entry of its sample.
    """
    found = keep.view(-1).nonzero().squeeze(1)
    counts = count(keep, layout, samples)
    blocks = (counts + (LANES - 1)) // LANES
    layout = Layout(torch.arange(samples).repeat_interleave(blocks))
    shift = (blocks.cumsum(0) - blocks) * LANES - (counts.cumsum(0) - counts)
    target = torch.arange(found.numel()) + shift.repeat_interleave(counts)
    first = found[(counts.cumsum(0) - counts).clamp(max=max(found.numel() - 1, 0))] if found.numel() else found
    source = first.repeat_interleave(blocks * LANES) if found.numel() else found
    source[target] = found
    valid = torch.zeros(source.numel(), dtype=torch.bool)
    valid[target] = True
    return source.view(-1, LANES), valid.view(-1, LANES), layout


def count(chosen: Tensor, layout: Layout, samples: int) -> Tensor:
    """How many entries ``[blocks, LANES]`` of each sample are chosen, ``[samples]``."""
    return torch.zeros(samples, dtype=torch.long).index_add_(0, layout.sample, chosen.sum(1))


def gather(source: Tensor, *arrays: Tensor) -> list[Tensor]:
    """The arrays' entries at the positions ``source``, shaped like it."""
    return [array.view(-1).index_select(0, source.view(-1)).view(source.shape) for array in arrays]


def along(origin: Sequence[Tensor], directions: Sequence[Tensor], travelled: Tensor) -> Callable[[slice], Points]:
    """The points at distance ``travelled`` on rays, for a slice of their blocks."""

    def at(part: slice) -> Points:
        way = travelled[part]
        x, y, z = (start[part] + axis[part] * way for start, axis in zip(origin, directions, strict=True))
        return x, y, z

    return at


def march(
    distance: Distance,
    origin: Sequence[Tensor],
    directions: Sequence[Tensor],
    start: Tensor,
    valid: Tensor,
    layout: Layout,
    *,
    far: float,
    steps: int,
    tolerance: Tensor,
    relaxation: float,
    secant: bool,
) -> tuple[Tensor, Tensor]:
    """March rays from ``start``; returns (distance along the ray, whether a surface was met), ``[blocks, LANES]``.

    ``origin`` and ``tolerance`` are those of the samples, ``[samples]``. A ray stops when it is closer than
    ``tolerance`` to a surface or beyond ``far``. With ``secant`` the step near a surface is divided by the slope seen
    in the step before, which ends the long crawl of grazing rays.
    """
    samples = tolerance.numel()
    result, hit = start.clone(), torch.zeros_like(valid)
    enough = 6 + 0.0015 * count(valid, layout, samples)  # so few rays left in a sample are not worth more steps
    ray = torch.arange(start.numel()).view(start.shape)
    (x, y, z), travelled, met, live = directions, start, hit, valid
    previous: Tensor | None = None
    step = start
    origins, close = [layout.spread(o) for o in origin], layout.spread(tolerance)
    for number in range(1, steps + 1):
        here = distance(along(origins, (x, y, z), travelled), layout)
        size = here.abs()
        near = (size if secant else here) < close
        next_step = here * relaxation
        if secant and previous is not None:
            slope = previous.sub_(here).div_(step).clamp_(0.40, 1.15)
            next_step = torch.where(size < 0.12, torch.div(here, slope, out=slope), next_step)
        # a ray that is done stays as it is: when it is dropped depends on the other samples
        travelled = torch.where(live, travelled + next_step, travelled)
        active = live & ~(near | (travelled > far))
        remaining, alive = count(active, layout, samples), count(live, layout, samples) > 0
        last = alive & (remaining < enough) if number < steps else alive
        ending = layout.spread(last)
        if secant:
            near |= ending & (here < 8 * close)
        met = met | (near & live)
        live = active & ~ending
        previous, step = here, next_step.masked_fill_(next_step.abs() < 1e-5, 1e-5)
        left = int(live.sum())
        if left < 0.85 * travelled.numel():
            target = ray[valid]
            result.view(-1)[target], hit.view(-1)[target] = travelled[valid], met[valid]
            if left == 0:
                break
            source, valid, layout = compact(live, layout, samples)
            ray, travelled, x, y, z, previous, step = gather(source, ray, travelled, x, y, z, previous, step)
            origins, close = [layout.spread(o) for o in origin], layout.spread(tolerance)
            live, met = valid, torch.zeros_like(valid)
    return result, hit
