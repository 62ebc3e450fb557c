"""Toy cars as distance functions, symmetric from left to right and from front to rear."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .parameters import Parameters
from .scene import Bodies, Layer, Scene
from .shapes import rounded_box, smooth_intersection, smooth_union

ARCH = 0.045  # gap between a wheel and its arch


class CarScene(Scene):
    """Cars."""

    bodies = ("body", "wheels", "bumpers")
    parts = ("hull", "cabin")
    shrink = 0.9  # the cabin's slopes make distances a little too long

    def __init__(self, samples: Sequence[Parameters]) -> None:
        super().__init__(samples, [Layer(_car, (), (), [True] * len(samples))], _whole_car)


def _car(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> tuple[Bodies, Bodies]:
    side_x, end_z = x.abs(), z.abs()
    hull = rounded_box(x, y - p.hull_y, z, p.half_width, p.hull_half, p.half_length, 0.14)
    above = y - p.belt_y
    middle = above - 0.5 * p.cabin_height
    # A box whose sides lean inwards: its half length and half width shrink with the height.
    cabin = rounded_box(
        side_x + p.cabin_lean * above, middle, end_z + p.cabin_slope * above,
        p.cabin_width, 0.5 * p.cabin_height + 0.02, p.cabin_length, 0.11,
    )  # fmt: skip
    cabin = cabin / (p.cabin_slope * p.cabin_slope + 1).sqrt()
    body = smooth_union(hull, cabin, 0.05)
    around = (y - p.wheel_y) * (y - p.wheel_y) + (end_z - p.wheel_z) * (end_z - p.wheel_z)
    around = around.sqrt()
    arch = (around - p.wheel_radius - ARCH).maximum(p.wheel_x - 0.13 - side_x)
    body = smooth_intersection(body, -arch, 0.02)
    outside, over = around - p.wheel_radius + 0.03, (side_x - p.wheel_x).abs() - p.wheel_width + 0.03
    outer = (outside.clamp(min=0).square() + over.clamp(min=0).square()).sqrt()
    wheels = outer + outside.maximum(over).clamp(max=0) - 0.03
    bumpers = rounded_box(x, y - p.bumper_y, end_z - p.half_length, p.half_width - 0.01, 0.065, 0.055, 0.05)
    return {"body": body, "wheels": wheels, "bumpers": bumpers}, {"hull": hull, "cabin": cabin}


def _whole_car(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    bodies, _ = _car(p, x, y, z)
    return bodies["body"].minimum(bodies["wheels"]).minimum(bodies["bumpers"])
