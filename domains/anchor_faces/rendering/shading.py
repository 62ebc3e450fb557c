"""How light is reflected: photographic skin and hair, cartoons, fur. All return linear RGB ``[3, n]``."""

from __future__ import annotations

import torch
from torch import Tensor

from .lighting import Angles, Lights, Surface, column
from .shapes import mix, smooth_step


def shade_skin_and_hair(
    surface: Surface, angle: Angles, shadow: Tensor, occlusion: Tensor, light: Lights
) -> Tensor:
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


def shade_cartoon(
    surface: Surface, angle: Angles, shadow: Tensor, occlusion: Tensor, light: Lights
) -> Tensor:
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


def shade_fur(surface: Surface, angle: Angles, shadow: Tensor, occlusion: Tensor, light: Lights) -> Tensor:
    """Linear RGB ``[3, n]`` of a cat: fur is lit softly at its edges and catches the light from behind."""
    s, key_colour = surface, column(light.key_colour)
    wrap = 0.25 * s.hair
    lit = ((angle.key + wrap) / (1 + wrap) ** 1.4).clamp_(min=0) * shadow
    ambient = mix(column(light.ground), column(light.sky), angle.sky) * occlusion
    rgb = s.albedo * (lit * key_colour + ambient)
    highlight = angle.half**s.gloss * s.specular * (s.gloss + 8) / 40 * shadow
    rgb = rgb + highlight * key_colour * 0.4
    fluff = (1 - angle.view) ** 2 * (angle.rim * column(light.rim_colour) * 0.8 + 0.12 * s.hair * occlusion)
    rgb = rgb + fluff * (1 + 0.5 * s.strands) * (0.2 + 0.8 * s.albedo.clamp(0, 1))
    return rgb + s.glint * (0.35 + 0.65 * shadow)
