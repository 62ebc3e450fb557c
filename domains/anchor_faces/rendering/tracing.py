"""Traces a group of samples: where rays meet the scene, and the surface's direction, shadow and occlusion there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import CAMERA_NAMES, DISTANCE, cast_rays
from .marching import along, compact, gather, march
from .parameters import Parameters, stack
from .scene import LANES, Bodies, Layout, Points, Scene
from .shapes import length

SUPERSAMPLING = 2  # render._majority counts on it
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
    body: Tensor  # number of the nearest of all bodies
    bodies: tuple[str, ...]  # their names
    parts: Bodies

    def by_body(self) -> Iterator[tuple[str, Tensor]]:
        """Each body that was hit, with the numbers of its hits: where it is the nearest of all bodies."""
        for number, name in enumerate(self.bodies):
            where = (self.body == number).nonzero().squeeze(1)
            if where.numel():
                yield name, where


def trace(scene: Scene, key_light: Tensor, sharpness: Tensor, size: int) -> list[Hits]:
    """Trace all samples of a scene at ``size`` pixels, ``SUPERSAMPLING`` squared rays per pixel.

    ``key_light`` ``[3, samples]`` points towards the main light in the head frame, ``sharpness`` is ``[samples]``.
    """
    p = stack(scene.samples, CAMERA_NAMES)
    rays_across = size * SUPERSAMPLING
    depth, rays, pixel, valid, layout = _find_surface(scene, p, rays_across)
    x, y, z = along([layout.spread(o) for o in p.origin], rays, depth)(slice(None))
    bodies, parts = scene.everything(lambda part: (x[part], y[part], z[part]), layout)
    offset = layout.spread(1.2 * p.half_field / rays_across)
    body, near = _nearest_body(bodies)
    normal = _normals(scene, (x, y, z), near, offset, layout)
    shadow, occlusion = _shadow_and_occlusion(
        scene, (x, y, z), normal, key_light, sharpness, pixel, valid, layout, size
    )
    hits, first = [], 0
    for blocks in layout.sample.bincount(minlength=len(scene.samples)).tolist():
        part = slice(first, first := first + blocks)
        flat = [of[part].view(-1) for of in (x, y, z, *normal, *rays, depth, pixel, shadow, occlusion, body)]
        hits.append(
            Hits(
                x=flat[0],
                y=flat[1],
                z=flat[2],
                normal=(flat[3], flat[4], flat[5]),
                ray=(flat[6], flat[7], flat[8]),
                depth=flat[9],
                pixel=flat[10],
                shadow=flat[11],
                occlusion=flat[12],
                body=flat[13],
                bodies=scene.bodies,
                parts={name: distance[part].view(-1) for name, distance in parts.items()},
            )
        )
    return hits


def _find_surface(
    scene: Scene, p: Parameters, across: int
) -> tuple[Tensor, list[Tensor], Tensor, Tensor, Layout]:
    """(depth, ray directions, ray numbers, mask, layout), one entry per hit. A coarse pass finds where to look."""
    samples, coarse = len(scene.samples), across // COARSE
    cell = 2 * p.half_field / coarse
    layout = Layout(torch.arange(samples).repeat_interleave(coarse * coarse // LANES))
    start = torch.full((samples * coarse * coarse // LANES, LANES), DISTANCE - 1.45)
    depth, hit = march(
        scene.distance, list(p.origin), [ray.reshape(-1, LANES) for ray in cast_rays(p, coarse)],
        start, torch.ones_like(start, dtype=torch.bool), layout,
        far=DISTANCE + 1.35, steps=26, tolerance=cell * 0.80, relaxation=1.0, secant=False,
    )  # fmt: skip
    grid = torch.where(hit, depth, 99.0).view(samples, coarse, coarse)
    start = grid.repeat_interleave(COARSE, 1).repeat_interleave(COARSE, 2).reshape(-1, LANES)
    layout = Layout(torch.arange(samples).repeat_interleave(across * across // LANES))
    pixel, valid, layout = compact(start < 90, layout, samples)
    start, *rays = gather(pixel, start, *cast_rays(p, across))
    tolerance = torch.full((samples,), 2.5e-3 * (128 / across) ** 0.5)
    depth, hit = march(
        scene.distance, list(p.origin), rays, start, valid, layout,
        far=DISTANCE + 1.4, steps=34, tolerance=tolerance, relaxation=0.92, secant=True,
    )  # fmt: skip
    source, valid, layout = compact(hit & valid, layout, samples)
    depth, x, y, z, pixel = gather(source, depth, *rays, pixel)
    return depth, [x, y, z], pixel % (across * across), valid, layout


def _nearest_body(distances: Tensor) -> tuple[Tensor, Tensor]:
    """(number of the nearest body, the first of equally near ones; its distance): much faster than ``min(0)``."""
    body, near = torch.zeros_like(distances[0], dtype=torch.long), distances[0]
    for number, distance in enumerate(distances[1:], 1):
        body.masked_fill_(distance < near, number)
        near = near.minimum(distance)
    return body, near


def _normals(
    scene: Scene, at: Sequence[Tensor], here: Tensor, offset: Tensor, layout: Layout
) -> tuple[Tensor, Tensor, Tensor]:
    x, y, z = at
    slope_x = scene.distance(lambda part: (x[part] + offset[part], y[part], z[part]), layout).sub_(here)
    slope_y = scene.distance(lambda part: (x[part], y[part] + offset[part], z[part]), layout).sub_(here)
    slope_z = scene.distance(lambda part: (x[part], y[part], z[part] + offset[part]), layout).sub_(here)
    norm = length(slope_x, slope_y, slope_z).add_(1e-9)
    return slope_x.div_(norm), slope_y.div_(norm), slope_z.div_(norm)


def _shadow_and_occlusion(
    scene: Scene,
    points: Sequence[Tensor],
    normal: Sequence[Tensor],
    light: Tensor,
    sharpness: Tensor,
    ray: Tensor,
    valid: Tensor,
    layout: Layout,
    size: int,
) -> tuple[Tensor, Tensor]:
    """Both are computed once per pixel, at one of its hits, and shared by all of them: they vary slowly."""
    samples, across, pixels = len(scene.samples), size * SUPERSAMPLING, size * size
    pixel = (ray // across) // SUPERSAMPLING * size + (ray % across) // SUPERSAMPLING
    pixel += layout.spread(torch.arange(samples) * pixels)
    speaker = torch.full((samples * pixels,), -1)
    hits = valid.view(-1).nonzero().squeeze(1)
    speaker.scatter_reduce_(0, pixel.view(-1)[hits], hits, "amax")
    speaker = speaker.view(-1, LANES)
    hit_layout = layout
    cell, real, layout = compact(
        speaker >= 0, Layout(torch.arange(samples).repeat_interleave(pixels // LANES)), samples
    )
    (source,) = gather(cell, speaker)
    at, facing = gather(source, *points), gather(source, *normal)
    shadow = _shadow(scene, at, facing, light, sharpness, real, layout)
    occlusion, weights = torch.zeros_like(shadow), 0.0
    for distance, weight in ((0.05, 1.0), (0.14, 0.8), (0.32, 0.6)):
        out = torch.full((at[0].shape[0], 1), distance)
        free = scene.distance(_away(at, facing, out), layout).div_(distance)
        occlusion += free.clamp_(0, 1).mul_(weight)
        weights += weight
    occlusion = 0.22 + 0.78 * (occlusion / weights)
    place = torch.zeros(samples * pixels, dtype=torch.long)
    place[cell[real]] = real.view(-1).nonzero().squeeze(1)
    (back,) = gather(pixel, place)
    blocks = layout.sample.bincount(minlength=samples)
    first = (blocks.cumsum(0) - blocks) * LANES
    back = torch.where(valid, back, hit_layout.spread(first))  # padding takes what the sample's first pixel has
    shadow, occlusion = gather(back, shadow, occlusion)
    return shadow, occlusion


def _away(at: Sequence[Tensor], axis: Sequence[Tensor], way: Tensor) -> Callable[[slice], Points]:
    """Points shifted along an axis, given per point or block, for a slice of the blocks."""

    def shifted(part: slice) -> Points:
        x, y, z = (a[part] + v[part] * way[part] for a, v in zip(at, axis, strict=True))
        return x, y, z

    return shifted


def _shadow(
    scene: Scene,
    at: Sequence[Tensor],
    facing: Sequence[Tensor],
    light: Tensor,
    sharpness: Tensor,
    real: Tensor,
    layout: Layout,
) -> Tensor:
    towards = facing[0] * layout.spread(light[0]) + facing[1] * layout.spread(light[1])
    towards = towards + facing[2] * layout.spread(light[2])
    source, valid, near_layout = compact((towards > -0.15) & real, layout, len(scene.samples))
    near = [n.mul_(0.04).add_(a) for a, n in zip(gather(source, *at), gather(source, *facing), strict=True)]
    way = [near_layout.spread(axis) for axis in light]
    hardness = 0.5 * near_layout.spread(sharpness)
    travelled, lit = torch.full_like(near[0], 0.04), torch.ones_like(near[0])
    for _ in range(9):
        free = scene.distance(along(near, way, travelled), near_layout)
        lit = lit.minimum((hardness * free).div_(travelled + 0.10).add_(0.66))
        travelled += free.clamp_(0.05, 0.30)
    lit = lit.clamp_(0, 1)
    lit = 0.12 + 0.88 * lit * lit * (3 - 2 * lit)
    shadow = torch.zeros_like(towards)
    shadow.view(-1)[source[valid]] = lit[valid]
    return shadow
