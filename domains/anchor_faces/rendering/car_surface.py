"""The colours and classes of a toy car's surfaces, and its shadow on the ground.

Front and rear differ in what is drawn alone: headlights, a grille and a wide windscreen on the one; rear lights, the
line of a lid and a smaller, darker window on the other. The classes of the label map are the same on both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import labels
from .camera import CAMERA_NAMES, cast_rays
from .car_geometry import GROUND
from .lighting import Surface, column
from .parameters import Parameters, stack
from .shapes import mix, smooth_step
from .tracing import Hits

GLASS, DARK_GLASS = torch.tensor([[0.10], [0.16], [0.20]]), torch.tensor([[0.025], [0.035], [0.045]])
CHROME, RUBBER = torch.tensor([[0.36], [0.37], [0.39]]), torch.tensor([[0.022], [0.022], [0.024]])
HEADLIGHT, REAR_LIGHT = torch.tensor([[0.95], [0.90], [0.70]]), torch.tensor([[0.52], [0.012], [0.016]])
INDICATOR, WHITE_PLATE = torch.tensor([[0.75], [0.26], [0.02]]), torch.tensor([[0.80], [0.80], [0.78]])
YELLOW_PLATE = torch.tensor([[0.80], [0.58], [0.05]])


def car_surface(hits: Hits, p: Parameters) -> Surface:
    """Paint all hits of one car."""
    surface = Surface.empty(hits.x.shape[0])
    for name, where in hits.by_body():
        x, y, z = hits.x[where], hits.y[where], hits.z[where]
        facing = [axis[where].abs() for axis in hits.normal]
        seen = z > 0  # the end that one sees; the other one is hidden, but for its edges
        front = seen != p.rear
        if name == "wheels":
            _paint_wheels(surface, where, x, y, z, p)
        elif name == "bumpers":
            plate = _rectangle(x, y - p.bumper_y - 0.005, 0.17, 0.042, 0.01)
            colour = torch.where(front, WHITE_PLATE, YELLOW_PLATE)
            letters = (_rectangle(x, y - p.bumper_y - 0.005, 0.12, 0.02, 0.005) < 0) & ((x * 95).sin() > -0.2)
            colour = torch.where(letters, 0.03, colour)
            colour = mix(CHROME, colour, smooth_step(0.006, -0.006, plate) * (facing[2] > 0.6))
            surface.put(where, colour, labels.CAR_BUMPER, 0.9, 40.0)
        else:
            parts = {part: distance[where] for part, distance in hits.parts.items()}
            cabin = (parts["cabin"] < parts["hull"]) & (y > p.belt_y)
            _paint_hull(surface, where, x, y, z, facing, front, p)
            on_cabin = cabin.nonzero().squeeze(1)
            _paint_cabin(surface, where[on_cabin], x[on_cabin], y[on_cabin], z[on_cabin], front[on_cabin], p)
    return surface


def _rectangle(across: Tensor, up: Tensor, half_width: float | Tensor, half_height: float, corner: float) -> Tensor:
    """Distance to a rounded rectangle around the origin, below 0 inside."""
    right, top = across.abs() - half_width + corner, up.abs() - half_height + corner
    return (right.clamp(min=0) ** 2 + top.clamp(min=0) ** 2).sqrt() + right.maximum(top).clamp(max=0) - corner


def _inside(distance: Tensor) -> Tensor:
    """1 inside of an outline, 0 outside, with an edge as wide as a ray."""
    return smooth_step(0.007, -0.007, distance)


def _paint_hull(
    surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, facing: list[Tensor], front: Tensor, p: Parameters
) -> None:
    side_x, end = x.abs(), facing[2] > 0.45
    colour = column(p.paint).expand(3, x.shape[0])
    specular = torch.full_like(x, 0.75)
    height = y - p.hull_y
    # what both sides have: the lines of the doors, and a handle
    on_side = (facing[0] > 0.6).float()
    doors = (z.abs() - 0.42 * p.cabin_length).abs().minimum(z.abs()) - 0.007
    doors = doors.maximum(-height - 0.15)
    colour = colour * (1 - 0.65 * _inside(doors) * on_side)
    handle = _rectangle(z.abs() - 0.16, height - 0.10, 0.045, 0.012, 0.01)
    colour = mix(colour, CHROME, _inside(handle) * on_side)
    # the front
    ahead = (end & front).float()
    lamp = ((side_x - 0.68 * p.half_width) ** 2 + (height - 0.05) ** 2).sqrt() - 0.105
    colour = mix(colour, RUBBER, _inside(lamp - 0.026) * ahead)
    colour = mix(colour, HEADLIGHT, _inside(lamp) * ahead)
    grille = _rectangle(x, height - 0.035, 0.235, 0.072, 0.03)
    slats = smooth_step(-0.2, 0.3, (height * 125).sin())
    colour = mix(colour, CHROME, _inside(grille - 0.018) * ahead)
    colour = mix(colour, RUBBER + 0.28 * slats, _inside(grille) * ahead)
    # the rear
    behind = (end & ~front).float()
    light = _rectangle(side_x - 0.76 * p.half_width, height - 0.05, 0.072, 0.105, 0.03)
    glow = torch.where(height > -0.015, REAR_LIGHT, INDICATOR)
    colour = mix(colour, 0.02, _inside(light - 0.016) * behind)
    colour = mix(colour, glow, _inside(light) * behind)
    lid = _rectangle(x, height - 0.06, 0.27, 0.13, 0.05).abs() - 0.008
    colour = mix(colour, colour * 0.3, _inside(lid) * behind)
    handle = _rectangle(x, height + 0.035, 0.075, 0.016, 0.012)
    colour = mix(colour, CHROME, _inside(handle) * behind)
    # arches and underside are dark
    around = ((y - p.wheel_y) ** 2 + (z.abs() - p.wheel_z) ** 2).sqrt() - p.wheel_radius
    hollow = ((around < 0.06) & (side_x < p.half_width - 0.02)) | (height < -0.19)
    colour = torch.where(hollow, RUBBER, colour)
    surface.put(where, colour, labels.CAR_BODY, torch.where(hollow, 0.0, specular), 45.0)
    surface.glint[where] = 0.25 * _inside(lamp + 0.04) * ahead


def _paint_cabin(
    surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, front: Tensor, p: Parameters
) -> None:
    side_x, above = x.abs(), y - p.belt_y
    half_length = p.cabin_length - p.cabin_slope * above
    half_width = p.cabin_width - p.cabin_lean * above
    end = (z.abs() - half_length) > (side_x - half_width)
    middle, half = above - 0.5 * p.cabin_height - 0.01, 0.5 * p.cabin_height - 0.065
    colour = column(p.paint).expand(3, x.shape[0])
    colour = mix(colour, column(p.roof), smooth_step(p.cabin_height - 0.065, p.cabin_height - 0.045, above))
    at_end = _rectangle(x, middle, half_width - 0.075, half, 0.05)
    at_side = _rectangle(z, middle, half_length - 0.085, half, 0.05).maximum(0.022 - z.abs())
    window = torch.where(end, at_end, at_side)
    sky = smooth_step(-half, half, middle)
    glass = mix(DARK_GLASS, GLASS, sky * 0.9)
    # Behind, a smaller and darker pane lies in a panel of the body's colour.
    pane = _rectangle(x, middle - 0.35 * half, half_width - 0.15, 0.50 * half, 0.04)
    panel = (end & ~front).float() * (1 - _inside(pane))
    inside = _inside(window)
    colour = mix(colour, RUBBER, _inside(window - 0.014) * (1 - panel) * 0.8)
    colour = mix(
        colour, torch.where(end & ~front, DARK_GLASS, glass * torch.where(end, 1.35, 1.0)), inside * (1 - panel)
    )
    label = torch.where(window < 0, labels.CAR_WINDOW, labels.CAR_BODY)
    surface.put(where, colour, label, 0.75 + 0.5 * inside * (1 - panel), 45.0)
    streak = smooth_step(0.035, 0.0, (x * 0.6 - middle * 0.7 - 0.05).abs() - 0.03) * (end & front)
    surface.glint[where] = 0.16 * streak * inside


def _paint_wheels(surface: Surface, where: Tensor, x: Tensor, y: Tensor, z: Tensor, p: Parameters) -> None:
    up, along = y - p.wheel_y, z.abs() - p.wheel_z
    radius = (up * up + along * along).sqrt() / p.wheel_radius
    outside = x.abs() > p.wheel_x + p.wheel_width - 0.025
    hub = smooth_step(0.64, 0.60, radius) * outside
    metal = CHROME.expand(3, x.shape[0])
    if p.wheels == "spokes":
        spokes = smooth_step(-0.1, 0.2, (torch.atan2(up, along) * 5).cos())
        metal = mix(metal, RUBBER, (1 - spokes) * smooth_step(0.18, 0.24, radius) * smooth_step(0.56, 0.52, radius))
    else:
        metal = mix(metal, metal * 0.35, smooth_step(0.05, 0.0, (radius - 0.38).abs()))
    colour = RUBBER.expand(3, x.shape[0])
    if p.wheels == "white walls":
        colour = mix(colour, 0.72, smooth_step(0.62, 0.66, radius) * smooth_step(0.84, 0.80, radius) * outside)
    surface.put(where, mix(colour, metal, hub), labels.CAR_WHEEL, 0.1 + 0.6 * hub, 30.0)


def ground_shadow(p: Parameters, size: int) -> Tensor:
    """What a car leaves of the light on the ground it stands on, ``[size, size]`` in [0, 1]."""
    camera = stack([p], CAMERA_NAMES)
    x, y, z = cast_rays(camera, size)[:, 0]
    start_x, start_y, start_z = p.origin
    way = (GROUND - start_y) / y.clamp(max=-1e-3)
    over_x = ((start_x + x * way).abs() - p.half_width + 0.18).clamp(min=0)
    over_z = ((start_z + z * way).abs() - p.half_length + 0.18).clamp(min=0)
    away = (over_x**2 + over_z**2).sqrt()
    shade = (smooth_step(0.42, 0.0, away) * 0.5 + smooth_step(0.16, 0.0, away) * 0.25) * (y < -1e-3)
    return (1 - shade).view(size, size)
