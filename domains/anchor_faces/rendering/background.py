"""Backgrounds: gradients, with discs out of focus or soft panels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .colours import from_hsv
from .factors import Factors
from .lighting import column
from .parameters import clamp
from .shapes import mix, smooth_step


def background(f: Factors, size: int) -> Tensor:
    """The background, linear RGB ``[3, size, size]``."""
    generator = torch.Generator().manual_seed(int(f["background_phase"]))
    random = torch.rand(65, generator=generator).tolist()
    hue, saturation, value = f["background_hue"], f["background_saturation"], f["background_brightness"]
    up, right = torch.meshgrid(torch.linspace(1, -1, size), torch.linspace(-1, 1, size), indexing="ij")
    near = column(from_hsv(hue, saturation, value))[..., None]
    far = column(from_hsv((hue + 0.12 * (random[64] - 0.3)) % 1, saturation, value * 0.55))[..., None]
    if random[1] < 0.35:
        away = ((right - random[2] + 0.5) ** 2 + (up - random[3] * 0.6) ** 2).sqrt()
        weight = 1 - smooth_step(0.2, 1.6, away)
    else:
        angle = (random[0] - 0.5) * 2.4
        weight = smooth_step(-1.3, 1.3, up * math.cos(angle) + right * math.sin(angle))
    image = mix(far, near, weight)
    if f["background_kind"] > 0.3:
        for number in range(int(3 + random[4] * 6)):
            image = _add_shape(image, right, up, random[5 + number * 6 : 11 + number * 6], f)
    return image * 0.9


def _add_shape(image: Tensor, right: Tensor, up: Tensor, random: list[float], f: Factors) -> Tensor:
    x, y, extent = random[0] * 2.4 - 1.2, random[1] * 2.4 - 1.2, 0.12 + random[2] ** 2 * 0.6
    blur = 0.04 + 0.12 * random[3]
    colour = from_hsv(
        (f["background_hue"] + (random[4] - 0.5) * 0.35) % 1,
        clamp(f["background_saturation"] * (0.5 + random[5]), 0, 1),
        clamp(f["background_brightness"] * (0.5 + 1.1 * random[3]), 0, 1),
    )
    if f["background_kind"] < 0.65:
        edge = ((right - x) ** 2 + (up - y) ** 2).sqrt() - extent
    else:
        half_width, half_height = extent * (0.3 + random[4]), extent * 2 * (0.4 + random[5])
        edge = torch.maximum((right - x).abs() - half_width, (up - y).abs() - half_height)
    return mix(image, column(colour)[..., None], smooth_step(blur, -blur, edge) * 0.6)
