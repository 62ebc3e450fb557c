"""Distance functions of head, ears, neck and clothes, and coordinates of eyes, mouth and brows.

Distance functions, colours and labels share these coordinates, so that they cannot drift apart.

x, y, z are ``[samples, points]`` in the head frame, or stand for such while a scene records them; ``side_x`` is |x|;
``p`` holds parameters, recorded or floats.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .parameters import Parameters
from .shapes import capsule, ellipsoid, length, smooth_intersection, smooth_union, sphere


class EyeCoordinates(NamedTuple):
    opening: Tensor  # below 0 between the lids
    height: Tensor  # above the line between the corners
    upper_lid: Tensor  # height of the upper lid's edge above that line
    inside: Tensor  # 1 in the middle of the eye, 0 at its corners


def eye_coordinates(x: Tensor, side_x: Tensor, y: Tensor, p: Parameters) -> EyeCoordinates:
    along = side_x - p.eye_x
    inside = 1 - (along / p.eye_half_width) ** 2
    height = y - p.eye_y - p.eye_slope * along - 0.12 * along * along / p.eye_radius
    lower_lid = -inside * p.lid_down
    openness = torch.where(x > 0, p.left_eye_open, p.right_eye_open)
    upper_lid = lower_lid + inside * (p.lid_up + p.lid_down) * openness
    opening = torch.maximum(height - upper_lid, lower_lid - height).maximum(
        inside * (-0.5 * p.eye_half_width)
    )
    return EyeCoordinates(opening, height, upper_lid, inside)


class MouthCoordinates(NamedTuple):
    along: Tensor  # 0 in the middle, 1 at the corner
    height: Tensor  # above the line of the closed mouth
    front: Tensor  # in front of the lips' ridge
    upper_edge: Tensor  # height of the opening's upper edge
    lower_edge: Tensor
    upper_lip: Tensor  # half the thickness of the lips here
    lower_lip: Tensor


def mouth_coordinates(side_x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> MouthCoordinates:
    along = side_x / p.mouth_half_width
    squared = along * along
    height = y - p.mouth_y - p.mouth_bend * squared.clamp(max=2.2)
    front = z + 0.75 * side_x * side_x - p.mouth_z
    inside = squared.clamp(max=1.0)
    upper_edge = inside * (-0.42 * p.mouth_gap)
    lower_edge = (inside - 1) * (p.mouth_gap * 0.58) - 0.42 * p.mouth_gap
    upper_lip = (1.06 - squared) * (0.78 + 0.5 * along) * p.upper_lip
    lower_lip = (1.06 - squared) * p.lower_lip
    return MouthCoordinates(along, height, front, upper_edge, lower_edge, upper_lip, lower_lip)


def brow_coordinates(side_x: Tensor, y: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """(distance to the eyebrow's edge, below 0 inside; position along it, 0 at its inner end, 1 outside)."""
    along = (side_x - p.brow_inner) / (p.brow_outer - p.brow_inner)
    centre = p.brow_y + p.brow_arch * (1 - ((along - 0.60) / 0.62) ** 2) + p.brow_slope * (along - 0.35)
    centre = centre - 0.072 * (along - 0.35).clamp(min=0)
    half = p.brow_half * (1.05 - 0.75 * along.clamp(0, 1.2) ** 2) * (along * 7 + 0.55).clamp(0, 1)
    edge = (y - centre).abs() - half
    return torch.where((along > -0.08) & (along < 1.08), edge, 1.0), along


class HeadDistances(NamedTuple):
    skin: Tensor  # the head without ears and neck
    eyes: Tensor
    teeth: Tensor
    tongue: Tensor
    skull: Tensor


def head_distances(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> HeadDistances:
    side_x = (x * x + 4e-4).sqrt_()  # |x|, rounded in the middle so that the face has no crease
    skull = ellipsoid(x, y - p.skull_centre_y, z + 0.10, p.skull_x, p.skull_y, p.skull_z)
    skin = smooth_union(skull, ellipsoid(x, y - p.face_centre_y, z - 0.10, p.face_x, p.face_y, 0.60), 0.30)
    skin = smooth_union(skin, sphere(side_x - p.jaw_x, y - p.jaw_y, z - 0.14, p.jaw_radius), 0.34)
    skin = smooth_union(skin, sphere(x, y - p.chin_y, z - p.chin_z, p.chin_radius), 0.24)
    cheeks = sphere(side_x - p.cheek_x, y - p.cheek_y, z - p.cheek_z, p.cheek_radius)
    skin = smooth_union(skin, cheeks, 0.30)
    sockets = 0.165 - length(side_x - p.eye_x * 0.94, y - p.eye_y - 0.03, z - 0.83)
    skin = smooth_intersection(skin, sockets, 0.16)
    skin = smooth_union(skin, _nose(x, side_x, y, z, p), 0.09)
    skin, teeth, tongue = _mouth(skin, side_x, y, z, p)
    eyeball = length(side_x - p.eye_x, y - p.eye_y, z - p.eye_z)
    skin = smooth_union(skin, eyeball - p.eye_radius * 1.12, p.socket_bump)
    between_lids = eye_coordinates(x, side_x, y, p).opening.maximum(p.eye_z - 0.02 - z)
    skin = smooth_intersection(skin, -between_lids, 0.016)
    return HeadDistances(skin, eyeball - p.eye_radius, teeth, tongue, skull)


def _nose(x: Tensor, side_x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> Tensor:
    tip = (0.0, p.nose_y, p.nose_z - 0.03)
    nose = capsule(x, y, z, (0.0, 0.03, 0.655), tip, p.nose_bridge_radius, p.nose_tip_radius)
    wings = sphere(side_x - p.nostril_x, y - p.nose_y + 0.03, z - p.nose_z + 0.115, p.nostril_radius)
    nose = smooth_union(nose, wings, 0.06)
    nostrils = length(side_x - p.nostril_x * 0.62, y - p.nose_y + 0.093, (z - p.nose_z + 0.035) * 0.7)
    return smooth_intersection(nose, 0.030 - nostrils, 0.03)


def _mouth(
    skin: Tensor, side_x: Tensor, y: Tensor, z: Tensor, p: Parameters
) -> tuple[Tensor, Tensor, Tensor]:
    """Adds the lips to the skin and cuts the mouth open; returns (skin, teeth, tongue)."""
    m = mouth_coordinates(side_x, y, z, p)
    upper = (
        (m.height - m.upper_edge - m.upper_lip * 0.75)
        .square_()
        .add_(m.front.square())
        .sqrt_()
        .sub_(m.upper_lip)
    )
    lower = (m.height - m.lower_edge + m.lower_lip * 0.75).square_().add_((m.front + 0.006).square())
    lower = lower.sqrt_().sub_(m.lower_lip)
    skin = smooth_union(skin, upper.minimum(lower), 0.045)
    inside = torch.maximum(m.height - m.upper_edge, m.lower_edge - m.height).add_(0.004)
    inside = inside.maximum(-0.26 - m.front).maximum(side_x - p.mouth_half_width)
    skin = smooth_intersection(skin, -inside, 0.018)
    teeth = (
        (m.height + 0.015 - 0.12 * p.mouth_gap)
        .abs_()
        .sub_(0.085)
        .maximum((m.front + 0.085).abs_().sub_(0.03))
    )
    teeth = teeth.maximum(side_x - p.mouth_half_width * 0.90).maximum(inside - 0.004)
    tongue = ellipsoid(side_x, m.height - m.lower_edge - 0.01, m.front + 0.17, 0.15, 0.055, 0.14)
    return skin, teeth, tongue


def ear_distance(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> Tensor:
    out, up, back = (x.abs() - p.ear_x) / p.ear_size, (y + 0.08) / p.ear_size, (z + 0.16) / p.ear_size
    across = back * p.ear_cosine - out * p.ear_sine + 0.15 * up
    thick = out * p.ear_cosine + back * p.ear_sine
    ear = ellipsoid(across + 0.02, up, thick, 0.155, 0.235, 0.07)
    bowl = ellipsoid(across, up - 0.03, thick - 0.085, 0.10, 0.15, 0.075)
    return smooth_intersection(ear, -bowl, 0.03) * 0.8


def body_distances(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """(neck and shoulders, clothes)."""
    neck = capsule(x, y, z, p.neck_top, p.neck_bottom, p.neck_radius, p.neck_radius * 1.02)
    torso = capsule(x, y, z, p.shoulder_right, p.shoulder_left, 0.40)
    chest = ellipsoid(x - p.chest[0], y - p.chest[1], z - p.chest[2], 0.95, 0.8, 0.52)
    skin = smooth_union(neck, smooth_union(torso, chest, 0.3), 0.30)
    height, forward, sideways = neck_frame(x, y, z, p)
    edge = p.collar_scale * (height - p.collar_height + p.collar_drop * forward - p.collar_flare * sideways)
    return skin, smooth_intersection(skin - 0.048, edge, 0.03)


def neck_frame(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
    """(height above the base of the neck, forward of it, sideways of it), along the body's axes."""
    x, y, z = x - p.neck_base[0], y - p.neck_base[1], z - p.neck_base[2]
    height = x * p.body_up[0] + y * p.body_up[1] + z * p.body_up[2]
    forward = x * p.body_forward[0] + y * p.body_forward[1] + z * p.body_forward[2]
    sideways = (x * x + y * y + z * z - height * height - forward * forward).clamp_(min=0).sqrt_()
    return height, forward, sideways


def necklace_distance(x: Tensor, y: Tensor, z: Tensor, skin: Tensor, p: Parameters) -> Tensor:
    """A chain where a slanted plane meets the skin of the neck."""
    height, forward, sideways = neck_frame(x, y, z, p)
    around = (forward * forward + sideways * sideways).sqrt_()
    return (skin.square() + (height + 0.62 * around - 0.22).square()).sqrt_() - 0.028
