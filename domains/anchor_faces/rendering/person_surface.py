"""The colours and classes of a person's surfaces.

Every function here paints the hits of one body: x, y, z are 1-D tensors of positions in the head frame,
``p`` the sample's parameters as floats. Labels come from the same coordinates as colours, so they agree to the pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import labels
from .accessories import lens_distance
from .head import eye_coordinates, mouth_coordinates
from .lighting import Lights, Surface, column
from .parameters import Parameters
from .person_skin import paint_skin
from .shapes import mix, smooth_step, wave_noise
from .tracing import Hits

GOLD = torch.tensor([[0.75], [0.52], [0.16]])
CAVITY_LIGHT = {"occlusion": 0.72, "shadow": 0.55}  # without it, teeth and tongue drown in the mouth's own shadow


def person_surface(hits: Hits, p: Parameters, light: Lights) -> Surface:
    """Paint all hits of one person. Changes ``hits.shadow`` and ``hits.occlusion`` inside the mouth."""
    surface = Surface.empty(hits.x.shape[0])
    for name, where in hits.by_body():
        x, y, z = hits.x[where], hits.y[where], hits.z[where]
        if name == "skin":
            parts = {part: distance[where] for part, distance in hits.parts.items()}
            paint_skin(surface, where, x, y, z, parts, p)
        elif name == "eyes":
            _paint_eyes(surface, where, x, y, z, p, light)
        elif name in ("teeth", "tongue"):
            _paint_mouth_cavity(surface, where, x, y, z, p, name)
            hits.occlusion[where] = hits.occlusion[where].clamp(min=CAVITY_LIGHT["occlusion"])
            hits.shadow[where] = hits.shadow[where].clamp(min=CAVITY_LIGHT["shadow"])
        elif name == "hair":
            _paint_hair(surface, where, x, y, z, hits.parts["skull"][where], p)
        elif name == "clothes":
            _paint_clothes(surface, where, x, y, z, p)
        elif name == "hat":
            wool = column(p.second_clothes_colour) * 0.8 + 0.02
            surface.put(where, wool * (0.9 + 0.15 * wave_noise(x, y, z, 40.0)), labels.HAT, 0.04, 20.0)
        elif name == "glasses":
            surface.put(where, column(p.glasses_colour), labels.GLASSES, 0.9, 40.0)
        else:
            surface.put(where, GOLD, labels.EARRING if name == "earrings" else labels.NECKLACE, 1.6, 30.0)
    return surface


def _paint_eyes(
    surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, p: Parameters, light: Lights
) -> None:
    side = torch.where(x > 0, 1.0, -1.0)
    across, up, out = (
        (x - side * p.eye_x) / p.eye_radius,
        (y - p.eye_y) / p.eye_radius,
        (z - p.eye_z) / p.eye_radius,
    )
    gaze_x = p.gaze_x - side * 0.06  # eyes converge a little
    cosine = (across * gaze_x + up * p.gaze_y + out) / (gaze_x * gaze_x + p.gaze_y * p.gaze_y + 1).sqrt()
    from_gaze = cosine.clamp(-1, 1).acos()
    iris_radius = 0.68 if p.cartoon else 0.62
    around = torch.atan2(up - p.gaze_y * 0.9, across - gaze_x * 0.9)
    fibres = 0.82 + 0.25 * (around * 17).sin() * (around * 7 + 1).sin()
    pooled_light = 0.75 + 0.75 * smooth_step(0.25, -0.45, up - p.gaze_y * 0.9)
    limbus = 1 - 0.80 * smooth_step(iris_radius * 0.72, iris_radius, from_gaze)
    iris = column(p.iris_colour) * (fibres * pooled_light * 1.5 * limbus)
    iris = mix(iris, 0.006, smooth_step(iris_radius * 0.50, iris_radius * 0.42, from_gaze))
    reddening = 0.22 * (across.abs() - 0.4).clamp(0, 0.5) * torch.tensor([[0.3], [1.0], [1.0]])
    white = torch.tensor([[0.80], [0.77], [0.74]]) * (1 - reddening)
    eye = mix(white, iris, smooth_step(iris_radius * 1.06, iris_radius * 0.96, from_gaze))
    lids = eye_coordinates(x, x.abs(), y, p)
    eye = eye * (0.42 + 0.58 * smooth_step(0.02, -0.16, (lids.height - lids.upper_lid) / p.eye_radius))
    eye = eye * (0.70 + 0.30 * smooth_step(0.0, 0.12, -lids.opening / p.eye_radius))
    label = torch.where(x > 0, labels.LEFT_EYE, labels.RIGHT_EYE)
    surface.put(where, eye, label, 1.4, 90.0)
    surface.scatter[where] = 0.25
    window = smooth_step(0.17, 0.11, ((across - (-0.30 + 0.5 * light.key[0])) ** 2 + (up - 0.34) ** 2).sqrt())
    second = smooth_step(0.10, 0.05, ((across - 0.26) ** 2 + (up + 0.26) ** 2).sqrt()) * 0.35
    surface.glint[where] = (window * 1.3 + second) * (lids.opening < 0)


def _paint_mouth_cavity(
    surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, p: Parameters, name: str
) -> None:
    teeth = name == "teeth"
    colour = (0.78, 0.74, 0.68) if teeth else (0.46, 0.10, 0.11)
    depth = 0.35 + 0.65 * smooth_step(-0.16, 0.0, mouth_coordinates(x.abs(), y, z, p).front)
    surface.put(where, column(colour) * depth, labels.MOUTH, 0.5 if teeth else 0.3, 40.0 if teeth else 20.0)


def _paint_clothes(surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> None:
    if p.clothes_pattern < 0.25:
        weight = smooth_step(-0.2, 0.2, (y * 22).sin())
    elif p.clothes_pattern < 0.40:
        weight = smooth_step(0.55, 0.75, ((x * 15).sin().abs() + (y * 15).sin().abs()) * 0.5)
    elif p.clothes_pattern < 0.5:
        weight = smooth_step(0.5, 0.62, (x * 20).sin() * (y * 20).sin())
    else:
        weight = torch.zeros_like(x)
    colour = mix(column(p.clothes_colour), column(p.second_clothes_colour), weight)
    surface.put(where, colour * (0.92 + 0.10 * wave_noise(x, y, z, 30.0)), labels.CLOTH, 0.04, 8.0)


def _paint_hair(
    surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, skull: Tensor, p: Parameters
) -> None:
    strands = _strands(x, y, z, p)
    colour = column(p.hair_colour) * (1 + 0.38 * strands)
    if p.hair_style != "afro":
        colour = colour * (1 - 0.15 * smooth_step(0.0, 0.10, 0.10 - skull))  # darker at the roots
    colour = colour * (1 + 0.25 * smooth_step(0.2, -1.2, y))  # bleached towards the ends
    surface.put(where, colour.clamp(min=0.002), labels.HAIR, 0.0, 20.0)
    surface.strands[where] = strands
    surface.hair[where] = 1.0


def _strands(x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> Tensor:
    """The pattern of strands, about [-1, 1], along the direction in which the style is combed."""
    style, phase = p.hair_style, p.hair_phase
    if style in ("curly", "afro"):
        return wave_noise(x, y, z, 20.0, phase) * 1.1
    if style == "quiff":
        across, along = x * 2.2 + 0.35 * z, z
    elif style == "side_swept":
        across, along = y * 1.8 - x * (0.8 * p.hair_side), x
    elif style in ("bun", "ponytail"):
        across, along = torch.atan2(x, y - 0.6) * 0.55 + z * 0.25, z
    else:
        across, along = torch.atan2(x, z + 0.12), y
    across = across + 0.03 * (along * 7 + phase).sin()
    strands = (across * 31 + phase).sin() * 0.40 + (across * 67 + 2 * phase + along * 1.5).sin() * 0.35
    return strands + (across * 131 + phase).sin() * 0.30


def add_lenses(rgb: Tensor, label: Tensor, hits: Hits, p: Parameters) -> Tensor:
    """The RGB ``[3, n]`` with lenses: clear lenses have a faint sheen, dark lenses hide everything behind them.

    Changes ``label``: clear lenses cover all classes but the eyes.
    """
    at = (0.86 - p.origin[2]) / hits.ray[2]
    x, y = p.origin[0] + hits.ray[0] * at, p.origin[1] + hits.ray[1] * at
    inside = (lens_distance(x.abs(), y, p) < 0) & (at < hits.depth) & (label != labels.GLASSES)
    sheen = smooth_step(0.10, 0.04, (x.abs() - p.lens_x + (y - p.eye_y) * 0.8 + 0.07).abs()) * 0.03
    behind = rgb * 0.10 + 0.01 if p.dark_lenses else rgb * 0.95
    eyes = (label == labels.LEFT_EYE) | (label == labels.RIGHT_EYE)
    label[inside if p.dark_lenses else inside & ~eyes] = labels.GLASSES
    return torch.where(inside, behind + sheen, rgb)
