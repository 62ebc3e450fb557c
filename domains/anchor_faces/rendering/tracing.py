"""Traces a group of samples: where rays meet the scene, and the surface's direction, shadow and occlusion there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import DISTANCE, cast_rays
from .marching import LANES, compact, march
from .scene import Bodies, Scene, nearest
from .shapes import length

SUPERSAMPLING = 2
COARSE = 4  # the first pass casts one ray per COARSE x COARSE rays of the second


@dataclass
class Hits:
    """Where one sample's rays meet a surface: tensors over its hits ``[n]``, vectors in the head frame."""

    x: Tensor
    y: Tensor
    z: Tensor
    normal: tuple[Tensor, Tensor, Tensor]
    ray: tuple[Tensor, Tensor, Tensor]
    depth: Tensor  # distance from the camera
    pixel: Tensor  # number of the ray in the supersampled picture; padding repeats the first hit
    shadow: Tensor  # 0 in the main light's shadow, 1 lit
    occlusion: Tensor  # 0 in crevices, 1 in the open
    bodies: Bodies
    parts: Bodies

    def by_body(self) -> Iterator[tuple[str, Tensor]]:
        """Each body that was hit, with the numbers of its hits, where the body is the nearest one."""
        body = torch.stack(list(self.bodies.values())).argmin(0)
        for number, name in enumerate(self.bodies):
            where = (body == number).nonzero().squeeze(1)
            if where.numel():
                yield name, where


def trace(scene: Scene, key_light: Tensor, sharpness: Tensor, size: int) -> list[Hits]:
    """Trace all samples of a scene at ``size`` pixels, ``SUPERSAMPLING`` squared rays per pixel.

    ``key_light`` ``[3, samples, 1]`` points towards the main light in the head frame, ``sharpness`` ``[samples, 1]``.
    """
    p = scene.parameters
    rays_across = size * SUPERSAMPLING
    origin = list(p.origin)
    depth, rays, pixel, valid = _find_surface(scene, origin, rays_across)
    x, y, z = (o + r * depth for o, r in zip(origin, rays, strict=True))
    bodies, parts = scene.bodies(x, y, z)
    normal = _normals(scene, x, y, z, nearest(bodies), 1.2 * p.half_field / rays_across)
    shadow, occlusion = _shadow_and_occlusion(
        scene, (x, y, z), normal, key_light, sharpness, pixel, valid, size
    )
    hits = []
    for sample, count in enumerate(valid.sum(1).tolist()):
        part = (sample, slice(0, -(-max(count, 1) // LANES) * LANES))
        hits.append(
            Hits(
                x=x[part],
                y=y[part],
                z=z[part],
                normal=(normal[0][part], normal[1][part], normal[2][part]),
                ray=(rays[0][part], rays[1][part], rays[2][part]),
                depth=depth[part],
                pixel=pixel[part],
                shadow=shadow[part],
                occlusion=occlusion[part],
                bodies={name: distance[part] for name, distance in bodies.items()},
                parts={name: distance[part] for name, distance in parts.items()},
            )
        )
    return hits


def _find_surface(
    scene: Scene, origin: Sequence[Tensor], across: int
) -> tuple[Tensor, Sequence[Tensor], Tensor, Tensor]:
    """(depth, ray directions, ray numbers, mask), one column per hit. A coarse pass finds the rays worth tracing."""
    p = scene.parameters
    samples, coarse = p.half_field.shape[0], across // COARSE
    cell = 2 * p.half_field / coarse
    start = torch.full((samples, coarse * coarse), DISTANCE - 1.45)
    everywhere = torch.ones_like(start, dtype=torch.bool)
    depth, hit = march(
        scene.distance, origin, list(cast_rays(p, coarse)), start, everywhere,
        far=DISTANCE + 1.35, steps=26, tolerance=cell * 0.80, relaxation=1.0, secant=False,
    )  # fmt: skip
    grid = torch.where(hit, depth, 99.0).view(samples, coarse, coarse)
    start = grid.repeat_interleave(COARSE, 1).repeat_interleave(COARSE, 2).reshape(samples, -1)
    pixel, valid, (start, *rays) = compact(start < 90, start, *cast_rays(p, across))
    tolerance = 2.5e-3 * (128 / across) ** 0.5
    depth, hit = march(
        scene.distance, origin, rays, start, valid,
        far=DISTANCE + 1.4, steps=34, tolerance=tolerance, relaxation=0.92, secant=True,
    )  # fmt: skip
    _, valid, (depth, x, y, z, pixel) = compact(hit & valid, depth, *rays, pixel)
    return depth, (x, y, z), pixel, valid


def _normals(
    scene: Scene, x: Tensor, y: Tensor, z: Tensor, here: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    slope_x = scene.distance(x + offset, y, z) - here
    slope_y = scene.distance(x, y + offset, z) - here
    slope_z = scene.distance(x, y, z + offset) - here
    norm = length(slope_x, slope_y, slope_z) + 1e-9
    return slope_x / norm, slope_y / norm, slope_z / norm


def _shadow_and_occlusion(
    scene: Scene,
    points: Sequence[Tensor],
    normal: Sequence[Tensor],
    light: Tensor,
    sharpness: Tensor,
    ray: Tensor,
    valid: Tensor,
    size: int,
) -> tuple[Tensor, Tensor]:
    """Shadow and occlusion of the hits: they vary slowly, so the hits of a pixel share what one of them gives."""
    samples, across = ray.shape[0], size * SUPERSAMPLING
    pixel = (ray // across) // SUPERSAMPLING * size + (ray % across) // SUPERSAMPLING
    pixel = torch.where(valid, pixel, size * size)  # padding goes to a bin of its own
    speaker = torch.full((samples, size * size + 1), -1, dtype=torch.long)
    columns = torch.arange(ray.shape[1]).expand_as(ray)
    speaker.scatter_reduce_(1, pixel, columns, "amax")
    cell, real, (source,) = compact(speaker[:, :-1] >= 0, speaker[:, :-1])
    source = source.clamp(min=0)
    at = [v.gather(1, source) for v in points]
    facing = [v.gather(1, source) for v in normal]
    shadow = _shadow(scene, at, facing, light, sharpness, real)
    occlusion, weights = torch.zeros_like(shadow), 0.0
    for distance, weight in ((0.05, 1.0), (0.14, 0.8), (0.32, 0.6)):
        free = scene.distance(*(a + n * distance for a, n in zip(at, facing, strict=True))) / distance
        occlusion += weight * free.clamp_(0, 1)
        weights += weight
    occlusion = 0.22 + 0.78 * (occlusion / weights)
    place = torch.zeros(samples, size * size + 1, dtype=torch.long)
    row, column = real.nonzero(as_tuple=True)
    place[row, cell[row, column]] = column
    back = place.gather(1, pixel)
    return shadow.gather(1, back), occlusion.gather(1, back)


def _shadow(
    scene: Scene,
    at: Sequence[Tensor],
    facing: Sequence[Tensor],
    light: Tensor,
    sharpness: Tensor,
    real: Tensor,
) -> Tensor:
    towards = facing[0] * light[0] + facing[1] * light[1] + facing[2] * light[2]
    source, valid, near = compact(
        (towards > -0.15) & real, *(a + n * 0.04 for a, n in zip(at, facing, strict=True))
    )
    travelled, lit = torch.full_like(near[0], 0.04), torch.ones_like(near[0])
    for _ in range(9):
        free = scene.distance(*(n + travelled * direction for n, direction in zip(near, light, strict=True)))
        lit = lit.minimum(0.66 + 0.5 * sharpness * free / (travelled + 0.10))
        travelled = travelled + free.clamp_(0.05, 0.30)
    lit = lit.clamp_(0, 1)
    lit = 0.12 + 0.88 * lit * lit * (3 - 2 * lit)
    shadow = torch.zeros_like(towards)
    row, column = valid.nonzero(as_tuple=True)
    shadow[row, source[row, column]] = lit[row, column]
    return shadow
