"""The lights of a sample: a main light, one from behind, and the surroundings; and how surfaces answer to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .colours import Colour, from_hsv, scale
from .factors import Factors
from .parameters import Parameters, Vector, apply, clamp, transpose, unit
from .shapes import length, mix, smooth_step


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
    """How the hits ``[n]`` of a sample answer to light."""

    albedo: Tensor  # [3, n]
    label: Tensor  # class numbers, int64
    specular: Tensor  # strength of highlights
    gloss: Tensor  # their sharpness
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
        self, where: Tensor, albedo: Tensor, label: Tensor | int, specular: float | Tensor, gloss: float | Tensor
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


def shade(surface: Surface, angle: Angles, shadow: Tensor, occlusion: Tensor, light: Lights) -> Tensor:
    """Linear RGB ``[3, n]`` of a photographic picture: skin lets red light through, hair shines in bands."""
    s, key_colour = surface, column(light.key_colour)
    wrap = torch.tensor([[0.42], [0.22], [0.14]]) * s.scatter
    lit = ((angle.key + wrap) / (1 + wrap) ** 1.3).clamp_(min=0)
    red_penumbra = shadow.clamp(min=0) ** torch.tensor([[0.55], [0.9], [1.05]])
    lit = lit * mix(shadow, red_penumbra, s.scatter)
    softness = torch.where(s.scatter > 0.5, torch.tensor([[0.75], [1.05], [1.1]]), 1.0)
    ambient = mix(column(light.ground), column(light.sky), angle.sky) * occlusion**softness
    rgb = s.albedo * (lit * key_colour + ambient)
    fresnel = 0.35 + 0.65 * (1 - angle.view) ** 4
    highlight = angle.half**s.gloss * s.specular * (s.gloss + 8) / 40 * shadow * (angle.key > -0.1)
    rim = (1 - angle.view) ** 3 * angle.rim * (0.45 + 0.55 * occlusion)
    rgb = rgb + highlight * key_colour * fresnel * 0.55
    rgb = rgb + rim * column(light.rim_colour) * (0.25 + 0.75 * s.albedo.clamp(0, 1))
    rgb = rgb + s.glint * (0.35 + 0.65 * shadow)
    sheen = (1 - (angle.along_strand - 0.10 + 0.10 * s.strands) ** 2).clamp_(0, 1) ** 40 * 0.30
    glow = (1 - (angle.along_strand + 0.14 + 0.16 * s.strands) ** 2).clamp_(0, 1) ** 14
    shine = (sheen + glow * 0.9 * s.albedo.mean(0)) * (angle.key * 0.5 + 0.5).clamp_(0, 1)
    shine = shine * shadow * occlusion * (0.7 + 0.5 * s.strands) * s.hair
    return rgb + shine * key_colour * 0.55 * mix(1.0, s.albedo.clamp(0, 1) ** 0.5, 0.6)


def shade_cartoon(surface: Surface, angle: Angles, shadow: Tensor, occlusion: Tensor, light: Lights) -> Tensor:
    """Linear RGB ``[3, n]`` of a cartoon: light falls in two flat steps, highlights have hard edges."""
    s, key_colour = surface, column(light.key_colour)
    lit = angle.key * shadow
    steps = smooth_step(-0.02, 0.06, lit - 0.08) * 0.75 + 0.25 * smooth_step(0.5, 0.58, lit)
    steps = steps * 0.72 + 0.16 * torch.tensor([[1.15], [0.95], [0.95]])
    ambient = mix(column(light.ground), column(light.sky), angle.sky) * (0.6 + 0.4 * occlusion)
    rgb = s.albedo * (steps * key_colour + ambient)
    fresnel = 0.35 + 0.65 * (1 - angle.view) ** 4
    highlight = angle.half**s.gloss * s.specular * (s.gloss + 8) / 40 * shadow * (angle.key > -0.1)
    highlight = smooth_step(0.45, 0.6, highlight) * 0.35 * (s.specular > 0.4)
    rim = (1 - angle.view) ** 3 * angle.rim * (0.45 + 0.55 * occlusion) * 0.4
    rgb = rgb + highlight * key_colour * fresnel * 0.55
    rgb = rgb + rim * column(light.rim_colour) * (0.25 + 0.75 * s.albedo.clamp(0, 1))
    rgb = rgb + s.glint * (0.35 + 0.65 * shadow)
    band = smooth_step(0.10, 0.06, (angle.along_strand - 0.03 + 0.05 * s.strands).abs())
    return rgb + s.hair * band * s.albedo * 0.55 * shadow
