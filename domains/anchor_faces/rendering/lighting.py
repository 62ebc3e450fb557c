"""The lights of a sample (a main light, one from behind, the surroundings) and the surfaces they fall on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .colours import Colour, from_hsv, scale
from .factors import Factors
from .parameters import Parameters, Vector, apply, clamp, transpose, unit
from .shapes import length


@dataclass(frozen=True)
class Lights:
    """Directions point towards the lights, in the head frame; colours are linear."""

    key: Vector
    key_colour: Colour
    sharpness: float
    rim: Vector
    rim_colour: Colour
    up: Vector
    sky: Colour
    ground: Colour


@dataclass
class Surface:
    """How the surface at the hits ``[n]`` of a sample reflects light."""

    albedo: Tensor  # [3, n]
    label: Tensor  # class numbers, int64
    specular: Tensor  # strength of highlights
    gloss: Tensor  # sharpness of highlights
    scatter: Tensor  # light bleeding through skin
    strands: Tensor  # strand pattern where there is hair or fur, else 0
    hair: Tensor  # 1 where light is reflected by strands
    glint: Tensor  # window reflections on the eyes

    @classmethod
    def empty(cls, count: int) -> Surface:
        zeros = torch.zeros(count)
        return cls(
            torch.zeros(3, count), torch.zeros(count, dtype=torch.long), zeros, torch.full((count,), 20.0),
            zeros.clone(), zeros.clone(), zeros.clone(), zeros.clone(),
        )  # fmt: skip

    def put(
        self,
        where: Tensor,
        albedo: Tensor,
        label: Tensor | int,
        specular: float | Tensor,
        gloss: float | Tensor,
    ) -> None:
        """Fill in the hits at positions ``where``."""
        self.albedo[:, where] = albedo
        self.label[where] = label
        self.specular[where] = specular
        self.gloss[where] = gloss


def lights(p: Parameters, f: Factors, mean_reflectance: float) -> Lights:
    """The lights of a sample; dark subjects are lit a little more, as a photographer would."""
    to_head = transpose(p.rotation)
    azimuth, elevation = math.radians(f["light_azimuth"]), math.radians(f["light_elevation"])
    across = math.cos(elevation)
    key = (math.sin(azimuth) * across, math.sin(elevation), math.cos(azimuth) * across)
    exposure = min(clamp(0.36 / mean_reflectance, 0.3, 8) ** 0.20, 1.5)
    warmth = f["light_warmth"]
    key_colour = scale((1 + 0.10 * warmth, 1.0, 1 - 0.14 * warmth), 1.66 * f["light_intensity"] * exposure)
    surroundings = from_hsv(
        f["background_hue"], f["background_saturation"] * 0.5, f["background_brightness"] * 0.4 + 0.6
    )
    ambient = scale(surroundings, f["ambient_light"] * 0.66 * exposure)
    return Lights(
        key=apply(to_head, unit(key)),
        key_colour=key_colour,
        sharpness=f["light_sharpness"],
        rim=apply(to_head, unit((f["rim_side"] * 0.9, 0.45, -0.55))),
        rim_colour=scale((1.0, 0.96, 0.92), 1.9 * f["rim_light"]),
        up=apply(to_head, unit((0.0, 1.0, 0.15))),
        sky=scale(ambient, (1 - 0.05 * warmth, 1.0, 1 + 0.08 * warmth)),
        ground=scale(ambient, (0.62, 0.50, 0.44)),
    )


def column(colour: Colour) -> Tensor:
    """A colour as ``[3, 1]``, to be broadcast over hits."""
    return torch.tensor(colour).view(3, 1)


Vectors = tuple[Tensor, Tensor, Tensor]


def dot(first: Vectors, second: Vectors | Vector) -> Tensor:
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


@dataclass
class Angles:
    """Cosines between normal, view, lights and the halfway vector, ``[n]``."""

    key: Tensor
    view: Tensor
    rim: Tensor
    half: Tensor
    sky: Tensor  # 1 for surfaces facing up, 0 facing down
    along_strand: Tensor  # halfway vector along strands that run down the surface


def angles(normal: Vectors, ray: Vectors, light: Lights) -> Angles:
    view = (-ray[0], -ray[1], -ray[2])
    half = (view[0] + light.key[0], view[1] + light.key[1], view[2] + light.key[2])
    norm = length(*half)
    half_cosine = (dot(normal, half) / norm).clamp_(0, 1)
    strand = (1 - normal[1] * normal[1]).clamp_(min=1e-3).sqrt_()
    return Angles(
        key=dot(normal, light.key),
        view=dot(normal, view).clamp_(0, 1),
        rim=dot(normal, light.rim).clamp_(min=0),
        half=half_cosine,
        sky=0.5 + 0.5 * dot(normal, light.up),
        along_strand=(half[1] / norm - normal[1] * half_cosine) / strand,
    )
