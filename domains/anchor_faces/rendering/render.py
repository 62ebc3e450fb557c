"""Renders samples: from (seed, index) to pictures of every modality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.system.devices import one_thread

from .background import background
from .camera import DISTANCE
from .factors import Factors, sample_factors
from .kinds import KINDS, Buffers, Kind, Painted
from .landmarks import landmarks
from .parameters import Parameters
from .sketch import pencil_sketch
from .tracing import SUPERSAMPLING, Hits, trace

RENDERER_VERSION = 1  # rises whenever a picture changes
LARGEST_SIZE = 1024  # larger than any hub's pictures; rays are held in memory, and there are 4 per pixel
GROUP = 64  # samples of up to 64 pixels traced together: the more, the less waiting; they are held in memory

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
    "toon_landmark": ("toon", "landmark"),
    "cat": ("cat", "rgb"),
    "cat_seg": ("cat", "label"),
    "cat_sketch": ("cat", "sketch"),
    "cat_landmark": ("cat", "landmark"),
    "car": ("car", "rgb"),
    "car_seg": ("car", "label"),
    "car_front": ("car_front", "rgb"),
}
NEAREST_DEPTH, FARTHEST_DEPTH = DISTANCE - 1.1, DISTANCE + 0.9  # 1 and 0 of the depth picture


def render(seed: int, indices: Sequence[int], size: int, modalities: Sequence[str]) -> list[dict[str, Any]]:
    """Samples ``indices`` of data set ``seed``, ``size`` pixels square (a multiple of 16 up to 1,024).

    Returns one dict per index, with ``factors`` and an entry per modality:

    * ``face``, ``toon``, ``cat``, ``car``, ``car_front``: RGB ``[3, size, size]`` in [0, 1];
    * ``seg``, ``toon_seg``, ``cat_seg``: class numbers ``[size, size]`` int64 in CelebAMask-HQ's order;
    * ``car_seg``: places in ``CAR_CLASS_NAMES``, ``[size, size]`` int64; above 0 is the car's shape;
    * ``sketch``: ``[size, size]`` in [0, 1], white paper;
    * ``landmark``: ``[68, 2]`` pixels (x right, y down, pixel centres at halves);
    * ``depth``: ``[size, size]`` in [0, 1], near is 1 and background 0;
    * ``normal``: ``[3, size, size]`` unit vectors (right, up, towards the camera).

    A sample is the same bit for bit whatever the other indices and modalities are. Raises UsageError for an
    unknown modality, another size, or a negative seed or index.
    """
    return render_factors([sample_factors(seed, index) for index in indices], size, modalities)


def render_factors(factors: Sequence[Factors], size: int, modalities: Sequence[str]) -> list[dict[str, Any]]:
    """Samples as ``render`` gives them, of given factors: start from ``sample_factors`` and change any of them."""
    check_size(size)
    check_modalities(modalities)
    results: list[dict[str, Any]] = [{"factors": f} for f in factors]
    # Several threads would split tensors at other places, which changes the last bits; see ``marching``.
    with one_thread(), torch.inference_mode():
        for name, kind in KINDS.items():
            wanted = {m: picture for m, (of, picture) in MODALITIES.items() if of == name and m in modalities}
            if not wanted:
                continue
            parameters = [kind.parameters(f) for f in factors]
            for group in _groups(kind, parameters, size):
                own = [parameters[i] for i in group]
                rendered = _render_group(kind, own, [factors[i] for i in group], size, set(wanted.values()))
                for position, pictures in zip(group, rendered, strict=True):
                    results[position].update({m: pictures[picture] for m, picture in wanted.items()})
    return results


def group_length(size: int) -> int:
    """How many samples of ``size`` pixels are traced together."""
    return max(1, min(GROUP, GROUP * 64 * 64 // size**2))


def check_size(size: int) -> None:
    """Check the size of pictures. :raises UsageError: ``size`` pixels cannot be rendered."""
    if not 16 <= size <= LARGEST_SIZE or size % 16:
        raise UsageError(f"--size {size}: must be a positive multiple of 16 up to {LARGEST_SIZE:,}")


def check_modalities(modalities: Sequence[str]) -> None:
    """Check the modalities. :raises UsageError: there is none, or an unknown one."""
    if not modalities:
        raise UsageError(f"no modality given; choose from {', '.join(MODALITIES)}")
    for name in modalities:
        if name not in MODALITIES:
            raise UsageError(f"there is no modality {name!r} to render.{did_you_mean(name, MODALITIES)}")


def _groups(kind: Kind, parameters: Sequence[Parameters], size: int) -> Iterator[list[int]]:
    """Positions in groups to be traced together, ordered within as is best for the kind's scene."""
    together = group_length(size)
    for first in range(0, len(parameters), together):
        positions = range(first, min(first + together, len(parameters)))
        yield sorted(positions, key=lambda position: kind.order(parameters[position]))


def _render_group(
    kind: Kind, samples: Sequence[Parameters], factors: Sequence[Factors], size: int, wanted: set[str]
) -> list[dict[str, Tensor]]:
    scene = kind.scene(samples)
    results: list[dict[str, Tensor]] = [{} for _ in samples]
    if "landmark" in wanted:
        for result, points in zip(results, landmarks(scene, samples, size), strict=True):
            result["landmark"] = points
    if wanted == {"landmark"}:
        return results
    light = [kind.lights(p, f) for p, f in zip(samples, factors, strict=True)]
    key = torch.tensor([each.key for each in light]).t().contiguous()
    sharpness = torch.tensor([each.sharpness for each in light])
    for hits, p, f, own, result in zip(
        trace(scene, key, sharpness, size), samples, factors, light, results, strict=True
    ):
        buffers = _compose(hits, kind.paint(hits, p, own), p, kind.behind(background(f, size), p))
        result.update(_pictures(kind, buffers, p, f, size, wanted))
    return results


def _compose(hits: Hits, painted: Painted, p: Parameters, behind: Tensor) -> Buffers:
    """Put the hits in front of the background."""
    n = behind.shape[-1] * SUPERSAMPLING
    rgb = (
        behind.repeat_interleave(SUPERSAMPLING, 1).repeat_interleave(SUPERSAMPLING, 2).reshape(3, -1).clone()
    )
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
        _tone_map(rgb).view(3, n, n),
        label.view(n, n),
        depth.view(n, n),
        normal.view(3, n, n),
        strands.view(n, n),
    )


def _tone_map(linear: Tensor) -> Tensor:
    """Linear light to display values in [0, 1], with highlights rolled off like film (ACES fit)."""
    c = linear * 0.80
    return ((c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14)).clamp_(0, 1) ** (1 / 2.2)


def _pictures(
    kind: Kind, b: Buffers, p: Parameters, f: Factors, size: int, wanted: set[str]
) -> dict[str, Tensor]:
    """The pictures asked for, reduced from the supersampled buffers."""
    pictures = {}
    if "rgb" in wanted:
        pictures["rgb"] = kind.finish(F.avg_pool2d(b.rgb[None], SUPERSAMPLING)[0], b, p)
    if "label" in wanted:
        pictures["label"] = _majority(b.label)
    if "depth" in wanted:
        nearest = -F.max_pool2d(-b.depth[None, None], SUPERSAMPLING)[0, 0]
        pictures["depth"] = ((FARTHEST_DEPTH - nearest) / (FARTHEST_DEPTH - NEAREST_DEPTH)).clamp_(0, 1)
    if "normal" in wanted:
        pictures["normal"] = F.normalize(F.avg_pool2d(b.normal[None], SUPERSAMPLING)[0], dim=0)
    if "sketch" in wanted:
        seed = int(f["background_phase"]) + 1
        pictures["sketch"] = pencil_sketch(b.rgb, b.depth, b.normal, b.label, b.strands, size, seed)
    return pictures


def _majority(label: Tensor) -> Tensor:
    """The commonest class of each pixel's 2 x 2 rays; the first of them where none is commoner."""
    first, second, third, fourth = label[::2, ::2], label[::2, 1::2], label[1::2, ::2], label[1::2, 1::2]
    others = torch.where(third == fourth, third, first)
    others = torch.where((second == third) | (second == fourth), second, others)
    return torch.where((first == second) | (first == third) | (first == fourth), first, others)
