"""Cats as distance functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .head import eye_coordinates
from .parameters import Parameters
from .scene import Bodies, Layer, Scene
from .shapes import capsule, ellipsoid, length, smooth_intersection, smooth_union, sphere


class CatHead(NamedTuple):
    skin: Tensor  # the head with its ears, without the neck
    eyes: Tensor
    teeth: Tensor
    tongue: Tensor
    skull: Tensor
    ears: Tensor
    muzzle: Tensor


class CatScene(Scene):
    """Cats."""

    bodies = ("skin", "eyes", "teeth", "tongue", "nose", "collar")
    parts = ("head", "ears", "neck", "muzzle", "skull")
    shrink = 0.9  # fur makes distances a little too long

    def __init__(self, samples: Sequence[Parameters]) -> None:
        collar = Layer(_collar, (), ("neck",), [p.collar for p in samples])
        super().__init__(samples, [Layer(_cat, (), (), [True] * len(samples)), collar], _cat_face)


def _cat(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> tuple[Bodies, Bodies]:
    tufts = _tufts(x, y, z)
    head = cat_head(x, y, z, tufts, p)
    neck = capsule(x, y, z, p.neck_top, p.neck_bottom, 0.44, 0.62)
    chest = ellipsoid(x - p.chest[0], y - p.chest[1], z - p.chest[2], 0.66, 0.55, 0.55)
    neck = smooth_union(neck, chest, 0.2) + tufts * 1.5
    nose = ellipsoid(x, y - p.nose_y, z - p.nose_z + 0.01, p.nostril_x, 0.052, 0.05)
    nose = smooth_intersection(nose, _round_abs(x) * 0.9 - (y - p.nose_y) - 0.075, 0.02)
    skin = smooth_union(head.skin, neck, 0.10)
    bodies = {"skin": skin, "eyes": head.eyes, "teeth": head.teeth, "tongue": head.tongue, "nose": nose}
    return bodies, {"head": head.skin, "ears": head.ears, "neck": neck, "muzzle": head.muzzle, "skull": head.skull}


def _cat_face(p: Parameters, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return cat_head(x, y, z, _tufts(x, y, z), p).skin


def _collar(p: Parameters, x: Tensor, y: Tensor, z: Tensor, neck: Tensor) -> tuple[Bodies, Bodies]:
    height = (x - p.neck_base[0]) * p.body_up[0] + (y - p.neck_base[1]) * p.body_up[1]
    height = height + (z - p.neck_base[2]) * p.body_up[2]
    return {"collar": (neck.square() + (height.abs() - 0.03).clamp_(min=0).square_()).sqrt_() - 0.05}, {}


def _round_abs(x: Tensor) -> Tensor:
    return (x * x + 4e-4).sqrt_()


def _tufts(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Fur as fine relief."""
    bend, sway = (y * 6 + z * 4).sin_() * 2.6, (x * 5 - y * 3).sin_() * 2.6
    tufts = (x * 37 + y * 14 + bend).sin_() * (y * 33 - z * 17 + x * 9 + sway).sin_()
    return (tufts + (z * 31 + x * 23 - y * 11 + bend + sway).sin_() * 0.6) * 0.006


def cat_head(x: Tensor, y: Tensor, z: Tensor, tufts: Tensor, p: Parameters) -> CatHead:
    side_x = _round_abs(x)
    skull = ellipsoid(x, y - p.skull_centre_y, z + 0.05, p.skull_x, p.skull_y, p.skull_z)
    cheeks = ellipsoid(side_x - 0.56, y + 0.30, z - 0.06, p.cheek_x, 0.24, 0.32)
    skull = smooth_union(skull, cheeks, 0.22) + tufts
    tip = (0.0, p.nose_y + 0.02, p.nose_z - 0.07)
    skin = smooth_union(skull, capsule(x, y, z, (0.0, 0.10, 0.56), tip, 0.14, 0.085), 0.14)
    chin = sphere(x, y + 0.50 + p.mouth_gap * 0.9, z - 0.60 + 0.2 * p.mouth_gap, 0.125)
    skin = smooth_union(skin, chin, 0.10)
    sockets = length(side_x - p.eye_x * 0.96, y - p.eye_y - 0.02, z - 0.80)
    skin = smooth_intersection(skin, 0.19 - sockets, 0.12)
    muzzle = ellipsoid(
        side_x - p.muzzle_x, y + 0.325 - 0.03 * p.smiling, z - 0.70, p.muzzle_radius, 0.125, 0.165
    )
    muzzle = muzzle + tufts * 0.4
    skin = smooth_union(skin, muzzle, 0.07)
    upper, lower = mouth_edges(side_x, p)
    inside = torch.maximum(y - upper, lower - y).maximum(0.50 - z).maximum(side_x - p.mouth_half_width)
    skin = smooth_intersection(skin, -inside - 0.004, 0.02)
    drop = p.mouth_gap
    tongue = ellipsoid(x, y - p.mouth_y + drop * 0.95, z - 0.63, 0.115, 0.035 + 0.25 * drop, 0.15)
    teeth = capsule(side_x, y, z, (0.085, -0.37, 0.735), (0.078, -0.475, 0.765), 0.024, 0.004)
    teeth = torch.where(drop > 0.07, teeth, teeth + 1)
    eyeball = length(side_x - p.eye_x, y - p.eye_y, z - p.eye_z)
    between_lids = eye_coordinates(x, side_x, y, p).opening.maximum(p.eye_z - z - 0.02)
    skin = smooth_union(skin, eyeball - p.eye_radius * 1.10, 0.06)
    skin = smooth_intersection(skin, -between_lids, 0.014)
    ears = _ears(side_x, y, z, tufts, p)
    return CatHead(smooth_union(skin, ears, 0.07), eyeball - p.eye_radius, teeth, tongue, skull, ears, muzzle)


def mouth_edges(side_x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """Heights of the mouth's upper and lower edge."""
    squared = (side_x / p.mouth_half_width) ** 2
    upper = p.mouth_y + 0.055 * squared + p.mouth_bend * squared
    return upper, upper - p.mouth_gap * (1 - squared).clamp(min=-1) * 1.15


def ear_coordinates(side_x: Tensor, y: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """(across the ear, along it from base to tip)."""
    out, up = side_x - 0.50, y - 0.50
    return out * p.ear_cosine - up * p.ear_sine, out * p.ear_sine + up * p.ear_cosine


def _ears(side_x: Tensor, y: Tensor, z: Tensor, tufts: Tensor, p: Parameters) -> Tensor:
    across, along = ear_coordinates(side_x, y, p)
    depth = z + 0.08
    taper = 1 - along / p.ear_height
    sides = (across.abs() - 0.34 * taper.clamp(-0.2, 1.3)) * 0.86
    ear = sides.maximum((depth + 0.12 * along).abs_() - 0.10 * taper.clamp(0.15, 1.2)).maximum(-0.2 - along)
    bowl = ellipsoid(across, along - 0.16, depth - 0.10, 0.24, 0.40, 0.13)
    return smooth_intersection(ear, -bowl, 0.04) - 0.022 + tufts * 0.5
