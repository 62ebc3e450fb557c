"""The colours and classes of a cat's surfaces, and its whiskers."""

from __future__ import annotations

import torch
from torch import Tensor

from . import labels
from .camera import project
from .cat_scene import ear_coordinates, mouth_edges
from .colours import FUR_COLOURS
from .head import eye_coordinates
from .landmarks import draw_segments
from .lighting import Lights, Surface, column
from .parameters import Parameters
from .scene import Bodies
from .shapes import mix, smooth_step, wave_noise
from .tracing import Hits

INNER_EAR = torch.tensor([[0.62], [0.30], [0.27]])
MOUTH_CAVITY = torch.tensor([[0.16], [0.02], [0.025]])
WHISKER_BRIGHTNESS, WHISKER_STRENGTH = 0.92, 0.75


def cat_surface(hits: Hits, p: Parameters, light: Lights) -> Surface:
    """Paint all hits of one cat. Changes ``hits.shadow`` and ``hits.occlusion`` inside the mouth."""
    surface = Surface.empty(hits.x.shape[0])
    for name, where in hits.by_body():
        x, y, z = hits.x[where], hits.y[where], hits.z[where]
        if name == "skin":
            parts = {part: distance[where] for part, distance in hits.parts.items()}
            _paint_fur(surface, where, x, y, z, hits.normal[2][where], parts, p)
        elif name == "eyes":
            _paint_eyes(surface, where, x, y, z, p, light)
        elif name == "nose":
            skin = (0.05, 0.035, 0.035) if p.fur_mean < 0.05 else (0.55, 0.20, 0.19)
            colour = column(skin) * (0.75 + 0.25 * smooth_step(-0.05, 0.03, y - p.nose_y))
            surface.put(where, colour, labels.NOSE, 0.7, 25.0)
        elif name == "collar":
            surface.put(where, column(p.clothes_colour), labels.NECKLACE, 0.3, 20.0)
        else:
            teeth = name == "teeth"
            colour = column((0.8, 0.77, 0.7) if teeth else (0.6, 0.16, 0.17))
            surface.put(where, colour, labels.MOUTH, 0.0 if teeth else 0.3, 10.0)
            hits.occlusion[where] = hits.occlusion[where].clamp(min=0.7)
            hits.shadow[where] = hits.shadow[where].clamp(min=0.55)
    return surface


def _paint_fur(
    surface: Surface,
    where: Tensor,
    x: Tensor,
    y: Tensor,
    z: Tensor,
    facing: Tensor,
    parts: Bodies,
    p: Parameters,
) -> None:
    side_x = x.abs()
    neck = parts["neck"] < parts["head"]
    ear = ~neck & (parts["ears"] < parts["skull"]) & (y > 0.45)
    radius = (x * x + (y + 0.2) ** 2 + z * z * 0.3).sqrt()
    fur = _fur_strands(x, y, z, radius, neck)
    colour = _fur_pattern(x, y, z, radius, fur, neck, ear, p) * (1 + 0.28 * fur)

    across, along = ear_coordinates(side_x, y, p)
    inner = (
        (y > 0.35)
        & ~neck
        & (z > -0.30)
        & (z < 0.12)
        & (parts["skull"] > 0.03)
        & (facing > 0.2)
        & (along > 0.04)
    )
    inner_weight = smooth_step(0.98, 0.72, across.abs() / 0.25 + along / p.ear_height) * inner
    colour = mix(colour, INNER_EAR * (1 + 0.2 * fur), inner_weight * 0.85)

    eye = eye_coordinates(x, side_x, y, p)
    rim = smooth_step(0.05, 0.0, eye.opening) * (z > 0.35) * (eye.inside > -0.6)
    colour = mix(colour, 0.012, rim * 0.92)

    upper, lower = mouth_edges(side_x, p)
    along_mouth = side_x / p.mouth_half_width
    line = (-(((y - upper) / 0.014) ** 2)).exp() * (along_mouth < 1.25) * (z > 0.5)
    below_nose = (y < p.nose_y - 0.03) & (y > p.mouth_y) & (z > 0.6)
    line = line + (-((x / 0.012) ** 2)).exp() * below_nose
    colour = colour * (1 - 0.8 * line.clamp(0, 1))
    dots = ((side_x * 38).sin() * (y * 42 + 1).sin() > 0.72) & (parts["muzzle"] < 0.03) & (side_x > 0.1)
    colour = torch.where(dots, colour * 0.55, colour)  # where whiskers grow
    cavity = (z > 0.40) & (z < 0.74) & (along_mouth < 1.08) & (y < upper + 0.005)
    gape = p.mouth_gap * (1 - along_mouth**2).clamp(min=0) * 1.15
    cavity &= y > upper - gape - 0.005
    if p.mouth_gap <= 0.02:
        cavity = torch.zeros_like(cavity)
    colour = torch.where(cavity, MOUTH_CAVITY, colour)

    label = torch.full_like(x, labels.SKIN, dtype=torch.long)
    label[neck] = labels.NECK
    label[ear] = torch.where(x > 0, labels.LEFT_EAR, labels.RIGHT_EAR)[ear]
    label[cavity] = labels.MOUTH
    surface.put(where, colour, label, 0.05, 10.0)
    surface.strands[where] = fur
    surface.hair[where] = 1.0


def _fur_strands(x: Tensor, y: Tensor, z: Tensor, radius: Tensor, neck: Tensor) -> Tensor:
    """Strands, about [-1, 1], that flow away from the nose on the head and hang down on the neck."""
    angle = torch.atan2(x, y + 0.2)
    head = (angle * 57 + 6 * (radius * 9).sin()).sin() * 0.4 + (
        angle * 93 - radius * 14 + z * 21
    ).sin() * 0.35
    head = head + (x * 71 + y * 37 + z * 53).sin() * 0.3
    hanging = (x * 47 + 3 * (y * 8).sin()).sin() * 0.5 + (x * 83 + y * 19).sin() * 0.4
    return torch.where(neck, hanging, head)


def _fur_pattern(
    x: Tensor, y: Tensor, z: Tensor, radius: Tensor, fur: Tensor, neck: Tensor, ear: Tensor, p: Parameters
) -> Tensor:
    """Tabby, tuxedo, points, patches or plain, by ``fur_pattern``; strands fray the edges."""
    base, dark, white = column(p.fur_colour), column(p.dark_fur), column(p.light_fur)
    side_x, fray = x.abs(), 0.035 * fur
    muzzle = (-((side_x / 0.30) ** 2 + ((y + 0.40) / 0.24) ** 2)).exp() * (z > 0.2)
    if p.fur_pattern < 0.38:
        stripes = torch.where(
            y > 0.22, (x * 15).cos() * (side_x < 0.55), (radius * 17 + side_x * 3).sin() * (side_x > 0.42)
        )
        stripes = torch.where(neck, (y * 13 + 0.6 * (x * 4).cos()).sin(), stripes)
        colour = mix(base, dark, smooth_step(0.15, 0.6, stripes + fray * 6) * 0.75)
        colour = mix(colour, white, smooth_step(0.35, 0.7, muzzle + fray * 2) * 0.9)
        around_eyes = (-(((side_x - p.eye_x) / 0.27) ** 2) - ((y - p.eye_y) / 0.27) ** 2).exp()
        return mix(colour, white, around_eyes * 0.35)
    if p.fur_pattern < 0.58:
        blaze = 0.05 + 0.42 * smooth_step(0.25, -0.45, y)
        weight = smooth_step(0.05, -0.05, side_x - blaze + fray) * (z > 0)
        return mix(base, white, weight.maximum(smooth_step(0.38, 0.28, side_x + fray * 2) * neck))
    if p.fur_pattern < 0.72:
        mask = (-((side_x / 0.35) ** 2 + ((y + 0.1) / 0.42) ** 2)).exp() * (z > 0.1)
        weight = smooth_step(0.25, 0.75, muzzle * 1.5 + mask).maximum(ear.float())
        return mix(base * 0.3 + white * 0.7, dark, weight * 0.9)
    if p.fur_pattern < 0.86:
        first, second = wave_noise(x, y, z, 2.6, p.fur_phase), wave_noise(x, y, z, 2.9, p.fur_phase + 9)
        colour = mix(base, dark, smooth_step(0.10, 0.16, first + fray))
        weight = smooth_step(0.18, 0.24, second + fray).maximum(smooth_step(0.3, 0.4, muzzle + fray))
        return mix(colour, column(FUR_COLOURS[0]), weight)
    return base.expand(3, x.shape[0])


def _paint_eyes(
    surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, p: Parameters, light: Lights
) -> None:
    side = torch.where(x > 0, 1.0, -1.0)
    across, up = (x - side * p.eye_x) / p.eye_radius, (y - p.eye_y) / p.eye_radius
    out = (z - p.eye_z) / p.eye_radius
    gaze_x = p.gaze_x + side * 0.06
    norm = (gaze_x * gaze_x + p.gaze_y * p.gaze_y + 1).sqrt()
    from_gaze = ((across * gaze_x + up * p.gaze_y + out) / norm).clamp(-1, 1).acos()
    iris_x, iris_y = across - gaze_x * 0.95, up - p.gaze_y * 0.95
    fibres = 0.85 + 0.3 * (torch.atan2(iris_y, iris_x) * 15).sin()
    iris = column(p.iris_colour) * (fibres * (0.8 + 0.8 * smooth_step(0.3, -0.6, iris_y)) * 1.35)
    iris = iris * (1 - 0.75 * smooth_step(0.72, 0.98, from_gaze))
    slit = ((iris_x / p.pupil_width) ** 2 + (iris_y / 0.56) ** 2).sqrt()
    iris = mix(iris, 0.005, smooth_step(1.06, 0.94, slit))
    iris = mix(iris, 0.05, smooth_step(0.98, 1.06, from_gaze))
    lids = eye_coordinates(x, x.abs(), y, p)
    iris = iris * (0.40 + 0.60 * smooth_step(0.02, -0.22, (lids.height - lids.upper_lid) / p.eye_radius))
    surface.put(where, iris, torch.where(x > 0, labels.LEFT_EYE, labels.RIGHT_EYE), 1.4, 90.0)
    window = ((across - (-0.28 + 0.4 * light.key[0])) ** 2 + (up - 0.36) ** 2).sqrt()
    surface.glint[where] = smooth_step(0.17, 0.11, window) * 1.2 * (lids.opening < 0)


def add_whiskers(rgb: Tensor, p: Parameters) -> Tensor:
    """A picture ``[3, size, size]`` in [0, 1] with whiskers drawn over it."""
    size = rgb.shape[-1]
    segments = []
    for side in (-1, 1):
        for row in range(3):
            root, bend = (side * 0.20, -0.30 - 0.05 * row, 0.80), (side * 0.62, -0.22 - 0.11 * row, 0.80)
            segments += [root, bend, bend, (side * 1.08, -0.20 - 0.20 * row, 0.66)]
    ends = project(p, torch.tensor(segments).t(), size).view(-1, 2, 2)
    whiskers = draw_segments(ends, size, 0.30 * max(1.0, size / 128))
    return mix(rgb, WHISKER_BRIGHTNESS, whiskers * WHISKER_STRENGTH)
