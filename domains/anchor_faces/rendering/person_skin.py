"""Skin: complexion, beard, lips, brows, lids and nostrils, with their classes."""

from __future__ import annotations

import torch
from torch import Tensor

from . import labels
from .head import EyeCoordinates, MouthCoordinates, brow_coordinates, eye_coordinates, mouth_coordinates
from .lighting import Surface, column
from .parameters import Parameters
from .scene import Bodies
from .shapes import mix, smooth_step, wave_noise

LASHES = torch.tensor([[0.012], [0.008], [0.007]])
MOUTH_CAVITY = torch.tensor([[0.11], [0.012], [0.014]])


def paint_skin(
    surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, parts: Bodies, p: Parameters
) -> None:
    """Paint the hits ``where`` of the skin; ``parts`` tells head, ears and neck apart."""
    side_x = x.abs()
    ear = (parts["ears"] < parts["head"]) & (parts["ears"] < parts["neck"])
    neck = (parts["neck"] < parts["head"]) & ~ear
    front = z > 0.42
    mouth = mouth_coordinates(side_x, y, z, p)
    eye = eye_coordinates(x, side_x, y, p)

    colour = _complexion(x, side_x, y, z, ear, p)
    if p.stubble or p.beard or p.moustache:
        colour = _beard(colour, x, side_x, y, z, neck, mouth, p)
    upper_lip, lower_lip, cavity = _lips(z, front, mouth, p)
    lip = upper_lip | lower_lip
    colour = torch.where(lip, column(p.lip_colour) * (1 - 0.12 * (x * 60).sin().abs()), colour)
    if p.mouth_gap < 0.03:
        between = mouth.height - (mouth.upper_edge + mouth.lower_edge) * 0.5
        colour = colour * (1 - 0.72 * (-((between / 0.012) ** 2)).exp() * front * (mouth.along < 1.03))
    colour = torch.where(cavity, MOUTH_CAVITY, colour)
    edge, along = brow_coordinates(side_x, y, p)
    brow = smooth_step(0.008, -0.010, edge) * front
    brow_hair = 0.75 + 0.35 * (side_x * 46 + y * (30 - 60 * along)).sin()
    colour = mix(
        colour, (column(p.hair_colour) * 0.55 + column(p.skin_colour) * 0.04) * brow_hair, brow * 0.93
    )
    colour = _lids(colour, side_x, y, front, eye, p)
    nostril = ((side_x - p.nostril_x * 0.62) / 0.034) ** 2 + ((y - p.nose_y + 0.098) / 0.022) ** 2
    colour = colour * (1 - 0.45 * (-nostril).exp() * front)

    label = torch.full_like(x, labels.SKIN, dtype=torch.long)
    left = x > 0  # of the subject, who looks at us
    label[neck] = labels.NECK
    label[ear] = torch.where(left, labels.LEFT_EAR, labels.RIGHT_EAR)[ear]
    label[front & _on_nose(side_x, y, z, p)] = labels.NOSE
    label[upper_lip & ~cavity] = labels.UPPER_LIP
    label[lower_lip & ~cavity] = labels.LOWER_LIP
    label[cavity] = labels.MOUTH
    label = torch.where(brow > 0.45, torch.where(left, labels.LEFT_BROW, labels.RIGHT_BROW), label)
    surface.put(where, colour, label, 0.20 + 0.30 * lip - 0.1 * brow, 14.0 + 30.0 * lip)
    surface.scatter[where] = 1.0


def _complexion(x: Tensor, side_x: Tensor, y: Tensor, z: Tensor, ear: Tensor, p: Parameters) -> Tensor:
    cheeks = (-(((side_x - 0.40) / 0.19) ** 2 + ((y + 0.28) / 0.15) ** 2)).exp() * 0.8
    nose = (-((x / 0.12) ** 2 + ((y - p.nose_y) / 0.11) ** 2)).exp() * 0.7
    redness = p.blush * (cheeks + nose) * (z > 0.15) * 0.55 + 0.30 * ear + 0.06 * wave_noise(x, y, z, 6.0)
    tint = torch.tensor([[0.10], [-0.30], [-0.26]]) * (1 + 0.4 * p.makeup)
    colour = column(p.skin_colour) * (1 + redness * tint)
    if p.freckles:
        spots = (wave_noise(x * 1.3, y, z, 42.0) - 0.52).clamp(0, 0.2) * 5
        spots = spots * (-(((side_x - 0.2) / 0.3) ** 2 + ((y + 0.2) / 0.16) ** 2)).exp()
        colour = colour * (1 - p.freckles * 0.55 * spots * torch.tensor([[0.5], [0.8], [1.0]]))
    return colour


def _beard(
    colour: Tensor,
    x: Tensor,
    side_x: Tensor,
    y: Tensor,
    z: Tensor,
    neck: Tensor,
    mouth: MouthCoordinates,
    p: Parameters,
) -> Tensor:
    along = side_x / (p.mouth_half_width * 1.22)
    middle = p.mouth_y + p.mouth_bend * (mouth.along**2).clamp(max=1.6) + p.upper_lip * 1.3 + 0.045
    middle = middle - 0.085 * along * along
    moustache = smooth_step(0.012, -0.016, (y - middle).abs() - 0.052 * (1.08 - along * along)) * (
        along < 1.05
    )
    moustache = moustache * smooth_step(0.0, 0.03, p.nose_y - 0.075 - y)
    line = y - p.mouth_y - 0.10 + 0.5 * (0.40 - side_x).clamp(min=0) - (side_x - 0.42).clamp(min=0)
    beard = smooth_step(-0.02, -0.10, line) * smooth_step(-0.25, -0.02, z)
    around_lips = ((x / 0.16) ** 2 + ((y - p.mouth_y + 0.02) / 0.12) ** 2).sqrt() - 1.0
    beard = beard * smooth_step(0.02, 0.05, around_lips) * ~neck
    angle = torch.atan2(x, p.mouth_y + 0.25 - y)
    hairs = 0.84 + 0.13 * (angle * 83 + 2 * (y * 11).sin()).sin() + 0.10 * (angle * 47 + y * 25).sin()
    hairs = hairs + 0.08 * (angle * 151 - y * 31).sin()
    grown = torch.maximum(min(1.0, p.beard * 2) * beard, min(1.0, p.moustache * 2) * moustache) * 0.93
    weight = torch.maximum(p.stubble * 0.45 * torch.maximum(moustache, beard), grown)
    return mix(colour, column(p.hair_colour) * hairs * 1.1, weight * hairs.clamp(0, 1))


def _lips(z: Tensor, front: Tensor, mouth: MouthCoordinates, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
    """(upper lip, lower lip, inside of the mouth), bool."""
    m = mouth
    on_ridge = front & (m.front > -0.10) & (m.along < 1.0)
    upper = on_ridge & (m.height > m.upper_edge - 0.01)
    upper &= m.height < m.upper_edge + 1.61 * m.upper_lip.clamp(min=0)
    lower = on_ridge & (m.height < m.lower_edge + 0.01)
    lower &= (m.height > m.lower_edge - 1.68 * m.lower_lip.clamp(min=0)) & ~upper
    inside = (z > 0.28) & (m.front < -0.045) & (m.along < 1.08)
    inside &= (m.height < m.upper_edge + 0.014) & (m.height > m.lower_edge - 0.014)
    return upper, lower, inside if p.mouth_gap > 0.012 else torch.zeros_like(inside)


def _lids(
    colour: Tensor, side_x: Tensor, y: Tensor, front: Tensor, eye: EyeCoordinates, p: Parameters
) -> Tensor:
    """Lashes, the crease of the upper lid, and eye shadow."""
    near = front & (eye.inside > -0.12)
    above = eye.height - eye.upper_lid
    width = 0.017 * (1.5 if p.feminine else 1.0)
    upper = (-((above.clamp(min=-0.012) / width) ** 2)).exp() * smooth_step(0.0, 0.22, eye.inside)
    upper = upper * near * (above > -0.02)
    lower = (-(((eye.height + eye.inside * p.lid_down) / 0.011) ** 2)).exp() * near * 0.28
    if p.makeup:
        shadow = ((side_x - p.eye_x) / (p.eye_radius * 1.1)) ** 2
        shadow = shadow + ((y - p.eye_y - p.eye_radius * 0.75) / (p.eye_radius * 0.42)) ** 2
        shadow = (-shadow).exp() * front
        colour = mix(colour, colour * column(p.second_clothes_colour) ** 0.25, shadow * (p.makeup * 0.6))
    crease = (-(((above - 0.055 - 0.02 * eye.inside) / 0.014) ** 2)).exp() * near * (eye.inside > 0.05)
    colour = colour * (1 - 0.30 * crease)
    return mix(colour, LASHES, (upper * (0.95 if p.feminine else 0.75) + lower).clamp(0, 1))


def _on_nose(side_x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> Tensor:
    base = p.nostril_x + p.nostril_radius * 0.85
    half = 0.060 + (base - 0.060) * smooth_step(0.0, 1.0, (0.05 - y) / (0.05 - p.nose_y))
    return (side_x < half) & (y < p.eye_y + 0.06) & (y > p.nose_y - 0.125) & (z > 0.66)
