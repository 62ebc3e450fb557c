"""Rendering samples: from (seed, index) to pictures of every modality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .background import background
from .camera import DISTANCE
from .factors import Factors, sample_factors
from .landmarks import landmarks
from .lighting import Lights, angles, lights, shade, shade_cartoon
from .parameters import Parameters
from .person_geometry import person_parameters
from .person_surface import add_lenses, person_surface
from .scene import PersonScene, Scene
from .sketch import ink_outlines, pencil_sketch
from .tracing import SUPERSAMPLING, Hits, trace

RENDERER_VERSION = 1  # rises whenever a picture changes
GROUP = 4  # samples traced together: larger groups fall out of the cache

# modality: (kind, picture)
MODALITIES: dict[str, tuple[str, str]] = {
    "face": ("person", "rgb"),
    "seg": ("person", "label"),
    "sketch": ("person", "sketch"),
    "landmark": ("person", "landmark"),
    "depth": ("person", "depth"),
    "normal": ("person", "normal"),
    "toon": ("toon", "rgb"),
    "toon_seg": ("toon", "label"),
}
NEAREST_DEPTH, FARTHEST_DEPTH = DISTANCE - 1.1, DISTANCE + 0.9  # 1 and 0 of the depth picture


def render(seed: int, indices: Sequence[int], size: int, modalities: Sequence[str]) -> list[dict[str, Any]]:
    """Render samples ``indices`` of data set ``seed``, ``size`` pixels square (a multiple of 16).

    Returns one dict per index, with ``factors`` and an entry per modality: ``face`` and ``toon`` and ``cat`` RGB
    ``[3, size, size]`` in [0, 1]; ``seg``, ``toon_seg`` and ``cat_seg`` class numbers ``[size, size]`` int64 in
    CelebAMask-HQ's order; ``sketch`` ``[size, size]`` in [0, 1], white paper; ``landmark`` ``[68, 2]`` pixels (x right,
    y down, pixel centres at halves); ``depth`` ``[size, size]`` in [0, 1], near is 1 and background 0; ``normal``
    ``[3, size, size]`` unit vectors (right, up, towards the camera).

    A sample is the same bit for bit whatever the other indices and modalities are. Raises ValueError for an unknown
    modality, a size that is not a positive multiple of 16, or a negative seed or index.
    """
    if size < 16 or size % 16:
        raise ValueError(f"size must be a positive multiple of 16, got {size}")
    unknown = sorted(set(modalities) - set(MODALITIES))
    if unknown:
        raise ValueError(f"unknown modality {', '.join(unknown)}; choose from {', '.join(MODALITIES)}")
    factors = {index: sample_factors(seed, index) for index in indices}
    results: dict[int, dict[str, Any]] = {index: {"factors": factors[index]} for index in factors}
    with _one_thread(), torch.inference_mode():
        for kind, start in KINDS.items():
            wanted = {name: picture for name, (of, picture) in MODALITIES.items() if of == kind and name in modalities}
            if not wanted:
                continue
            prepared = {index: start.parameters(factors[index]) for index in factors}
            for group in _groups(prepared):
                pictures = _render_group(
                    start, [prepared[i] for i in group], [factors[i] for i in group], size, set(wanted.values())
                )
                for index, picture in zip(group, pictures, strict=True):
                    results[index].update({name: picture[source] for name, source in wanted.items()})
    return [results[index] for index in indices]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads would split tensors at other places and change last bits; see ``marching``."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _groups(prepared: dict[int, Parameters]) -> Iterator[list[int]]:
    """Indices in groups that share a hair style, at most ``GROUP`` each."""
    by_style: dict[str, list[int]] = {}
    for index, p in prepared.items():
        by_style.setdefault(p.hair_style, []).append(index)
    for indices in by_style.values():
        for first in range(0, len(indices), GROUP):
            yield indices[first : first + GROUP]


class Person:
    """How a kind is drawn: photographic people."""

    cartoon = False

    def parameters(self, f: Factors) -> Parameters:
        return person_parameters(f, cartoon=self.cartoon)

    def scene(self, samples: Sequence[Parameters]) -> Scene:
        return PersonScene(samples)

    def lights(self, p: Parameters, f: Factors) -> Lights:
        return lights(p, f, sum(p.skin_colour) / 3)

    def paint(self, hits: Hits, p: Parameters, light: Lights) -> Painted:
        surface = person_surface(hits, p, light)
        shader = shade_cartoon if self.cartoon else shade
        rgb = shader(surface, angles(hits.normal, hits.ray, light), hits.shadow, hits.occlusion, light)
        if p.glasses:
            rgb = add_lenses(rgb, surface.label, hits, p)
        return Painted(rgb, surface.label, surface.strands)

    def finish(self, rgb: Tensor, buffers: Buffers, p: Parameters) -> Tensor:
        if not self.cartoon:
            return rgb
        return ink_outlines(rgb, buffers.depth, buffers.normal, buffers.label)


class Toon(Person):
    """Cartoon twins: larger eyes, smaller noses, flat light and dark outlines."""

    cartoon = True


@dataclass
class Painted:
    """Colour, class and strand pattern of the hits of a sample, ``[3, n]``, ``[n]``, ``[n]``."""

    rgb: Tensor
    label: Tensor
    strands: Tensor


KINDS: dict[str, Person] = {"person": Person(), "toon": Toon()}


@dataclass
class Buffers:
    """The supersampled picture ``[3, n, n]`` and what goes with it ``[n, n]``."""

    rgb: Tensor
    label: Tensor
    depth: Tensor
    normal: Tensor  # in the world
    strands: Tensor


def _render_group(
    kind: Person, samples: Sequence[Parameters], factors: Sequence[Factors], size: int, wanted: set[str]
) -> list[dict[str, Tensor]]:
    scene = kind.scene(samples)
    results: list[dict[str, Tensor]] = [{} for _ in samples]
    if "landmark" in wanted:
        for result, points in zip(results, landmarks(scene, samples, size), strict=True):
            result["landmark"] = points
    if wanted == {"landmark"}:
        return results
    light = [kind.lights(p, f) for p, f in zip(samples, factors, strict=True)]
    key = torch.tensor([each.key for each in light]).t().unsqueeze(-1).contiguous()
    sharpness = torch.tensor([[each.sharpness] for each in light])
    for hits, p, f, own, result in zip(
        trace(scene, key, sharpness, size), samples, factors, light, results, strict=True
    ):
        buffers = _compose(hits, kind.paint(hits, p, own), p, background(f, size))
        result.update(_pictures(kind, buffers, p, f, size, wanted))
    return results


def _compose(hits: Hits, painted: Painted, p: Parameters, behind: Tensor) -> Buffers:
    """Put the hits in front of the background."""
    n = behind.shape[-1] * SUPERSAMPLING
    rgb = behind.repeat_interleave(SUPERSAMPLING, 1).repeat_interleave(SUPERSAMPLING, 2).reshape(3, -1).clone()
    rgb[:, hits.pixel] = painted.rgb
    label = torch.zeros(n * n, dtype=torch.long)
    label[hits.pixel] = painted.label
    depth = torch.full((n * n,), DISTANCE + 1.5)
    depth[hits.pixel] = hits.depth
    normal = torch.tensor([[0.0], [0.0], [1.0]]).repeat(1, n * n)
    x, y, z = hits.normal
    normal[:, hits.pixel] = torch.stack([row[0] * x + row[1] * y + row[2] * z for row in p.rotation])
    strands = torch.zeros(n * n)
    strands[hits.pixel] = painted.strands
    return Buffers(
        _tone_map(rgb).view(3, n, n), label.view(n, n), depth.view(n, n), normal.view(3, n, n), strands.view(n, n)
    )


def _tone_map(linear: Tensor) -> Tensor:
    """Linear light to display values in [0, 1], with highlights rolled off like film (ACES fit)."""
    c = linear * 0.80
    return ((c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14)).clamp_(0, 1) ** (1 / 2.2)


def _pictures(
    kind: Person, b: Buffers, p: Parameters, f: Factors, size: int, wanted: set[str]
) -> dict[str, Tensor]:
    """The pictures asked for, brought down from the supersampled buffers."""
    pictures = {}
    if "rgb" in wanted:
        pictures["rgb"] = kind.finish(F.avg_pool2d(b.rgb[None], SUPERSAMPLING)[0], b, p)
    if "label" in wanted:
        pictures["label"] = _majority(b.label, size)
    if "depth" in wanted:
        nearest = -F.max_pool2d(-b.depth[None, None], SUPERSAMPLING)[0, 0]
        pictures["depth"] = ((FARTHEST_DEPTH - nearest) / (FARTHEST_DEPTH - NEAREST_DEPTH)).clamp_(0, 1)
    if "normal" in wanted:
        pictures["normal"] = F.normalize(F.avg_pool2d(b.normal[None], SUPERSAMPLING)[0], dim=0)
    if "sketch" in wanted:
        seed = int(f["background_phase"]) + 1
        pictures["sketch"] = pencil_sketch(b.rgb, b.depth, b.normal, b.label, b.strands, size, seed)
    return pictures


def _majority(label: Tensor, size: int) -> Tensor:
    """The commonest class of each pixel's rays; the first of them where none is commoner."""
    rays = label.view(size, SUPERSAMPLING, size, SUPERSAMPLING).permute(0, 2, 1, 3).reshape(size, size, -1)
    votes = (rays.unsqueeze(-1) == rays.unsqueeze(-2)).sum(-1)
    return rays.gather(-1, votes.argmax(-1, keepdim=True)).squeeze(-1)
