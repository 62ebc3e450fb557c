"""Signed distance primitives and smooth Boolean operations.

All take coordinates as separate ``[blocks, points]`` tensors x, y, z and sizes as numbers or ``[blocks, 1]`` tensors,
and return distances ``[blocks, points]``: negative inside, in head units (a head is about 2 high). A scene calls them
once only, to record what they do (``recording``), and what overwrites its operand there is called with results that
nobody else needs. Only operations whose result for one point cannot depend on its neighbours are used, so that a
sample comes out the same bit for bit, whatever it is batched with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

Number = float | Tensor


def smooth_union(first: Tensor, second: Tensor, radius: float) -> Tensor:
    """The union of two bodies, with the seam rounded over ``radius``."""
    overlap = (first - second).abs_().neg_().add_(radius).clamp_(min=0)
    return first.minimum(second).sub_(overlap.mul_(overlap).mul_(0.25 / radius))


def smooth_intersection(first: Tensor, second: Tensor, radius: float) -> Tensor:
    """The intersection of two bodies, its edge rounded over ``radius``; negate ``second`` to cut it away."""
    overlap = (first - second).abs_().neg_().add_(radius).clamp_(min=0)
    return first.maximum(second).add_(overlap.mul_(overlap).mul_(0.25 / radius))


def length(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return (x * x).add_(y * y).add_(z * z).sqrt_()


def sphere(x: Tensor, y: Tensor, z: Tensor, radius: Number) -> Tensor:
    return length(x, y, z).sub_(radius)


def ellipsoid(
    x: Tensor, y: Tensor, z: Tensor, radius_x: Number, radius_y: Number, radius_z: Number
) -> Tensor:
    """Distance to an ellipsoid around the origin, to first order."""
    scaled_x, scaled_y, scaled_z = x / radius_x, y / radius_y, z / radius_z
    norm = length(scaled_x, scaled_y, scaled_z)
    gradient = length(scaled_x / radius_x, scaled_y / radius_y, scaled_z / radius_z).add_(1e-6)
    return (norm - 1).mul_(norm).div_(gradient)


def rounded_box(
    x: Tensor, y: Tensor, z: Tensor, half_x: Number, half_y: Number, half_z: Number, corner: float
) -> Tensor:
    """A box around the origin, its edges and corners rounded over ``corner``."""
    over_x, over_y, over_z = x.abs() - (half_x - corner), y.abs() - (half_y - corner), z.abs() - (half_z - corner)
    outside = length(over_x.clamp(min=0), over_y.clamp(min=0), over_z.clamp(min=0))
    return outside + over_x.maximum(over_y).maximum(over_z).clamp_(max=0) - corner


def capsule(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    start: Sequence[Number],
    end: Sequence[Number],
    radius: Number,
    end_radius: Number | None = None,
) -> Tensor:
    """A rounded rod from ``start`` to ``end``, its radius growing from ``radius`` to ``end_radius``."""
    axis_x, axis_y, axis_z = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    from_x, from_y, from_z = x - start[0], y - start[1], z - start[2]
    inverse = 1 / (axis_x * axis_x + axis_y * axis_y + axis_z * axis_z)
    along = (from_x * (axis_x * inverse)).add_(from_y * (axis_y * inverse)).add_(from_z * (axis_z * inverse))
    along = along.clamp_(0, 1)
    distance = length(from_x - axis_x * along, from_y - axis_y * along, from_z - axis_z * along)
    return distance - (radius if end_radius is None else radius + (end_radius - radius) * along)


def smooth_step(low: Number, high: Number, value: Tensor) -> Tensor:
    """0 below ``low``, 1 above ``high``, smooth between (``low`` may be the larger one: then it falls)."""
    t = ((value - low) / (high - low)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def mix(first: Any, second: Any, weight: Any) -> Tensor:
    """``first`` where weight is 0, ``second`` where it is 1; at least one of the three is a tensor."""
    return first + (second - first) * weight


def wave_noise(x: Tensor, y: Tensor, z: Tensor, frequency: float, phase: Number = 0.0) -> Tensor:
    """Cheap smooth noise made of sine waves, about [-1, 1]."""
    coarse = ((x + y * 0.6 - z * 0.3) * frequency + phase).sin()
    coarse = coarse * ((y * 1.1 - x * 0.5 + z * 0.4) * frequency + 1.7 + phase).sin()
    fine = ((x * 0.7 - y * 1.3 + z * 0.9) * (frequency * 2.1) + 3.1 + phase).sin()
    fine = fine * ((z * 1.2 + x * 1.1 + y * 0.2) * (frequency * 1.9) + phase * 2).sin()
    return coarse * 0.65 + fine * 0.45
