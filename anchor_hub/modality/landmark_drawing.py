"""Landmarks as pictures and as heat maps, differentiable in the points."""

from __future__ import annotations

import torch
from torch import Tensor

# The 68 points of dlib and iBUG as polylines: first and last point, and whether the line closes.
LINES = (
    (0, 16, False), (17, 21, False), (22, 26, False), (27, 30, False), (31, 35, False),
    (36, 41, True), (42, 47, True), (48, 59, True), (60, 67, True),
)  # fmt: skip
# Which point each one becomes when a face is mirrored.
MIRRORED_68 = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
)  # fmt: skip


def segments(points: int) -> tuple[list[int], list[int]]:
    """First and second point of every line drawn; other numbers than 68 are dots (lines of no length)."""
    if points != 68:
        return list(range(points)), list(range(points))
    pairs = [(index, index + 1) for first, last, _ in LINES for index in range(first, last)]
    pairs += [(last, first) for first, last, closed in LINES if closed]
    return [first for first, _ in pairs], [second for _, second in pairs]


def draw(points: Tensor, size: int) -> Tensor:
    """Points ``[B, N, 2]`` in pixels as anti-aliased lines: float32 ``[B, 1, size, size]`` in [0, 1].

    As the face renderer draws its landmark maps: lines 0.7 px wide up to 128 px, wider above in proportion.
    """
    half_width = (0.35 if points.shape[1] == 68 else 1.0) * max(1.0, size / 128)
    first, second = segments(points.shape[1])
    # One picture at a time keeps the work in the cache.
    return torch.stack([_draw_one(one[first], one[second], size, half_width) for one in points.float()])


def _draw_one(start: Tensor, end: Tensor, size: int, half_width: float) -> Tensor:
    centres = torch.arange(size, device=start.device, dtype=start.dtype) + 0.5
    axis = end - start
    length = axis.square().sum(1).clamp_min(1e-6)[:, None, None]
    x, y = centres - start[:, 0, None], centres - start[:, 1, None]  # [lines, size] each
    across = (x * axis[:, 0, None])[:, None, :] + (y * axis[:, 1, None])[:, :, None]
    place = (across / length).clamp(0, 1)
    # |p - a - t d|^2 = |p - a|^2 - t (2 (p - a).d - t |d|^2): everything but t is separable in x and y.
    squared = (x.square()[:, None, :] + y.square()[:, :, None]) - place * (2 * across - place * length)
    nearest = squared.amin(0).clamp_min(1e-8).sqrt()
    return (half_width + 0.5 - nearest).clamp(0, 1)[None]


def expected_points(logits: Tensor, size: float) -> Tensor:
    """Mean positions ``[B, N, 2]``, in pixels of a ``size`` image, of heat map logits ``[B, N, H, W]``."""
    height, width = logits.shape[-2:]
    heat = logits.float().flatten(2).softmax(dim=-1).unflatten(2, (height, width))
    x = (torch.arange(width, device=logits.device) + 0.5) * (size / width)
    y = (torch.arange(height, device=logits.device) + 0.5) * (size / height)
    return torch.stack([heat.sum(2) @ x, heat.sum(3) @ y], dim=-1)


def heat_divergence(logits: Tensor, points: Tensor, size: float, sigma: float) -> Tensor:
    r"""Mean Kullback-Leibler divergence, in nats, of the maps' softmax from Gaussians around the points.

    The target is :math:`\propto \exp(-\|p - \mu\|^2 / 2 \sigma^2)` over pixel centres, sigma in pixels
    of ``size``; points outside the image are moved to its edge.
    """
    height, width = logits.shape[-2:]
    points = points.to(logits.device).float().clamp(0, size)
    x = (torch.arange(width, device=logits.device) + 0.5) * (size / width)
    y = (torch.arange(height, device=logits.device) + 0.5) * (size / height)
    # A Gaussian is a product over x and y, so its logarithm is a sum and its normalisation separates, too.
    log_x = (-(x - points[..., 0, None]).square() / (2 * sigma**2)).log_softmax(-1)
    log_y = (-(y - points[..., 1, None]).square() / (2 * sigma**2)).log_softmax(-1)
    target_x, target_y = log_x.exp(), log_y.exp()
    entropy = -(target_x * log_x).sum(-1) - (target_y * log_y).sum(-1)
    logits = logits.float()
    agreement = ((logits @ target_x[..., None])[..., 0] * target_y).sum(-1)
    return (logits.flatten(2).logsumexp(-1) - agreement - entropy).mean()
