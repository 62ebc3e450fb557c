"""Distance functions of hats and glasses."""

from __future__ import annotations

import torch
from torch import Tensor

from .parameters import Parameters
from .shapes import capsule, ellipsoid, smooth_intersection


def beanie_distance(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> Tensor:
    hull = ellipsoid(x, y - p.skull_centre_y, z + 0.10, p.skull_x + 0.11, p.skull_y + 0.13, p.skull_z + 0.11)
    hull = hull - (torch.atan2(x, z + 0.1) * 40).sin_() * 0.008
    crown = smooth_intersection(hull, 0.44 - y + 0.1 * z, 0.05)
    band = smooth_intersection(hull - 0.045, (y - 0.62 - 0.1 * z).abs_().sub_(0.15), 0.05)
    return crown.minimum(band) * 0.85


def cap_distance(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> Tensor:
    crown = ellipsoid(x, y - p.skull_centre_y, z + 0.10, p.skull_x + 0.09, p.skull_y + 0.10, p.skull_z + 0.09)
    crown = smooth_intersection(crown, 0.50 - y, 0.04)
    brim = ellipsoid(x, y - 0.50 + 0.22 * (x * x), z - 0.80, 0.62, 0.035, 0.52)
    return crown.minimum(brim) * 0.7


def lens_distance(side_x: Tensor, y: Tensor, p: Parameters) -> Tensor:
    """Distance to the outline of a lens seen from the front, below 0 inside."""
    across = (side_x - p.lens_x).abs_() - p.lens_half_width + p.lens_corner
    up = (y - p.eye_y + 0.02).abs_() - p.lens_half_height + p.lens_corner
    outside = (across.clamp(min=0).square_() + up.clamp(min=0).square_()).sqrt_()
    return outside + across.maximum(up).clamp_(max=0) - p.lens_corner


def glasses_distance(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> Tensor:
    side_x = x.abs()
    outline = lens_distance(side_x, y, p)
    depth = z - 0.905 + 0.30 * side_x * side_x
    rims = (outline * outline + depth * depth).sqrt_() - 0.021
    inner, outer = p.lens_x - p.lens_half_width, p.lens_x + p.lens_half_width
    bridge = capsule(side_x, y, z, (0.0, p.eye_y + 0.05, 0.91), (inner, p.eye_y + 0.05, 0.89), 0.019)
    hinge, ear = (outer, p.eye_y + 0.05, 0.80), (p.skull_x + 0.045, p.eye_y + 0.06, -0.10)
    temple = capsule(side_x, y, z, hinge, ear, 0.019)
    return rims.minimum(bridge).minimum(temple) * 0.9
