"""Distance functions of the hair styles. All samples of one call wear the same style.

Hair is a shell around the skull, carved by an opening for the face and an edge where it ends.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .parameters import Parameters
from .shapes import capsule, ellipsoid, smooth_intersection, smooth_union, sphere

Style = Callable[[Tensor, Tensor, Tensor, Tensor, Parameters], Tensor]


def hair_distance(style: str, x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor | None:
    """Distance to the hair of a style of ``HAIR_STYLES``, None if bald; ``skull``: distance to the skull."""
    draw = STYLES[style]
    return None if draw is None else draw(x, y, z, skull, p)


def _face_opening(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    p: Parameters,
    width: float,
    top: float | Tensor = 0.72,
    fall: float = 0.35,
) -> Tensor:
    """An egg in front of the face, above 0 outside; a smaller ``fall`` makes the egg longer downwards."""
    height = y + 0.22 - p.hairline
    height = torch.where(height < 0, height * fall, height)
    return ellipsoid(x, height, z - 0.85, width / 0.765 * p.skull_x, top, 0.78)


def _locks(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """(angle around the head, lumps of about [-1, 1] that part the hair into locks)."""
    around = torch.atan2(x, z + 0.12)
    lumps = (around * 9 + p.hair_phase + 1.5 * y).sin_() * 0.5
    return around, lumps.add_((around * 17 + 3 * p.hair_phase - 2.0 * y).sin_() * 0.3)


def _ends(hair: Tensor, lowest: float | Tensor, y: Tensor, z: Tensor, slope: float, radius: float) -> Tensor:
    """Cut the hair off below ``lowest``, higher in front where ``slope`` is above 0."""
    edge = lowest - y
    return smooth_intersection(hair, edge + slope * z.clamp(min=0) if slope else edge, radius)


def _buzz(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    hair = smooth_intersection(skull - 0.018, -_face_opening(x, y, z, p, 0.60, 0.76), 0.03)
    return _ends(hair, -0.38, y, z, 0.4, 0.03)


def _short(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    _, lumps = _locks(x, y, z, p)
    hair = skull - 0.07 * p.hair_volume - 0.016 * lumps - 0.03 * (y - 0.3).clamp(min=0) * p.hair_volume
    opening = _face_opening(x - 0.06 * p.hair_parting, y, z, p, 0.655, 0.90 - 0.16 * p.hair_length)
    corners = ellipsoid(x.abs() - 0.34, y - 0.42, z - 0.62, 0.20, 0.34, 0.30)
    opening = smooth_union(opening, corners, 0.12)
    hair = smooth_intersection(hair, -opening + 0.022 * lumps, 0.06)
    return _ends(hair, -0.30, y, z, 0.3, 0.08)


def _quiff(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    side = p.hair_parting * 0.12
    height = y - p.skull_centre_y - p.skull_y + 0.10 - 0.16 * (z - 0.1)
    top = ellipsoid(x - side, height, z - 0.06, 0.56, 0.19 * p.hair_volume + 0.06, 0.74)
    wave = ((x - side * 2) * 13 + z * 3 + p.hair_phase).sin_() * 0.5
    wave = wave + ((x + 0.3 * z) * 27 + p.hair_phase * 2).sin_() * 0.3
    hair = smooth_union(skull - 0.045 * p.hair_volume, top - 0.018 * wave, 0.22)
    hair = smooth_intersection(hair, -_face_opening(x, y, z, p, 0.58, 0.74), 0.05)
    return _ends(hair, -0.34, y, z, 0.3, 0.06)


def _side_swept(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    _, lumps = _locks(x, y, z, p)
    side = p.hair_side
    height = y - p.skull_centre_y - 0.50
    sweep = ellipsoid(x - side * 0.12, height, z - 0.38, 0.64, 0.30 * p.hair_volume, 0.46)
    sweep = sweep - 0.014 * ((y * 2 - x * side) * 14 + p.hair_phase).sin_()
    hair = smooth_union(skull - 0.075 * p.hair_volume - 0.016 * lumps, sweep, 0.15)
    hair = smooth_intersection(hair, -_face_opening(x + side * 0.10, y, z, p, 0.60, 0.68), 0.05)
    return _ends(hair, -0.38, y, z, 0.3, 0.06)


def _bob(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters, fringe: bool = False) -> Tensor:
    _, lumps = _locks(x, y, z, p)
    height = y - 0.10
    height = torch.where(height < 0, height * 0.72, height)
    hair = ellipsoid(x, height, z + 0.14, 0.90 / 0.765 * p.hair_girth * p.skull_x, 1.04, 0.96)
    hair = smooth_union(hair, skull - 0.05, 0.25) - 0.018 * lumps
    opening = _face_opening(x - 0.06 * p.hair_parting, y, z, p, 0.575, 0.72, 0.22)
    if fringe:
        opening = opening.maximum((y - 0.30 - 0.18 * p.hair_parting * x - 0.010 * lumps) * 0.9)
    hair = smooth_intersection(hair, -opening + 0.010 * lumps, 0.05)
    return smooth_intersection(hair, -0.62 - 0.40 * p.hair_length - y + 0.02 * lumps, 0.06)


def _fringe(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    return _bob(x, y, z, skull, p, fringe=True)


def _long(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters, fringe: bool = False) -> Tensor:
    around, lumps = _locks(x, y, z, p)
    height = y - 0.10
    height = torch.where(height < 0, height * 0.44, height)
    hair = ellipsoid(x, height, z + 0.16, 0.90 / 0.765 * p.hair_girth * p.skull_x, 1.02, 0.92)
    waves = (y * 5 + around * 2 + p.hair_phase).sin_() * (0.2 - y).clamp_(0, 1)
    hair = smooth_union(hair, skull - 0.05, 0.25) - 0.020 * lumps - 0.03 * waves
    opening = _face_opening(x - 0.10 * p.hair_parting, y, z, p, 0.575, 0.72, 0.18)
    if fringe:
        opening = opening.maximum((y - 0.30 - 0.012 * lumps) * 0.9)
    hair = smooth_intersection(hair, -opening + 0.010 * lumps, 0.05)
    return smooth_intersection(hair, -1.15 - 0.7 * p.hair_length - y + 0.03 * lumps, 0.08)


def _long_fringe(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    return _long(x, y, z, skull, p, fringe=True)


def _curls(x: Tensor, y: Tensor, z: Tensor, p: Parameters, frequency: float) -> Tensor:
    phase = p.hair_phase
    curls = (x * frequency + phase).sin_() * (y * frequency + 1 + phase).sin_() * (z * frequency).sin_()
    fine = ((x * 1.9 - y) * frequency).sin_() * ((y * 1.7 + z) * frequency + phase).sin_()
    return curls + 0.5 * fine


def _curly(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    curls = _curls(x, y, z, p, 9.0)
    height = y - 0.18
    height = torch.where(height < 0, height * 0.75, height)
    hair = ellipsoid(x, height, z + 0.14, 0.88 + 0.14 * p.hair_volume, 1.02 + 0.08 * p.hair_volume, 0.98)
    return _curly_ends(hair - 0.065 * curls, curls, -0.25 - 0.75 * p.hair_length, x, y, z, p)


def _afro(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    curls = _curls(x, y, z, p, 13.0)
    hair = ellipsoid(x, y - 0.32, z + 0.14, 0.84 + 0.18 * p.hair_volume, 0.84 + 0.16 * p.hair_volume, 0.96)
    return _curly_ends(hair - 0.035 * curls, curls, -0.45, x, y, z, p)


def _curly_ends(
    hair: Tensor, curls: Tensor, lowest: float | Tensor, x: Tensor, y: Tensor, z: Tensor, p: Parameters
) -> Tensor:
    opening = _face_opening(x, y, z, p, 0.585, 0.72, 0.20)
    hair = smooth_intersection(hair, -opening + 0.05 * curls, 0.05)
    return smooth_intersection(hair, lowest - y, 0.10) * 0.85


def _tied_back(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    _, lumps = _locks(x, y, z, p)
    hair = smooth_intersection(skull - 0.045 - 0.008 * lumps, -_face_opening(x, y, z, p, 0.60, 0.73), 0.04)
    return _ends(hair, -0.42, y, z, 0.3, 0.06)


def _bun(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    offset = x - 0.08 * p.hair_parting
    bun = sphere(offset, y - 1.10 * p.head_height, z + 0.38, 0.27 * p.hair_girth)
    twist = (torch.atan2(offset, z + 0.38) * 5 + y * 14 + p.hair_phase).sin_() * 0.018
    return smooth_union(_tied_back(x, y, z, skull, p), bun - twist, 0.08)


def _ponytail(x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters) -> Tensor:
    side = p.hair_side
    knot, bend, tip = (side * 0.30, 0.55, -0.85), (side * 0.98, -0.10, -0.50), (side * 0.86, -1.05, -0.15)
    tail = capsule(x, y, z, knot, bend, 0.17, 0.20)
    tail = smooth_union(tail, capsule(x, y, z, bend, tip, 0.20, 0.05), 0.12)
    twist = (torch.atan2(x - side * 0.9, z + 0.4) * 7 + y * 3).sin_() * 0.02
    return smooth_union(_tied_back(x, y, z, skull, p), tail - twist, 0.10)


STYLES: dict[str, Style | None] = {
    "bald": None,
    "buzz": _buzz,
    "short": _short,
    "quiff": _quiff,
    "bob": _bob,
    "fringe": _fringe,
    "long": _long,
    "long_fringe": _long_fringe,
    "curly": _curly,
    "afro": _afro,
    "bun": _bun,
    "ponytail": _ponytail,
    "side_swept": _side_swept,
}
