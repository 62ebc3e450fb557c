"""Losses that measure how far a map and the hub's picture of the same latent share their structure.

Latent-space anchoring trains one domain alone: nothing tells the encoder *which* face belongs to a label
map, only that the map can be read back. The losses here define "the same structure" without any image of
another domain: where the map changes, the hub's picture changes, and inside one region of the map the
picture has one colour. Both losses compare tensors of one batch and are differentiable in both.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def edge_strength(images: Tensor) -> Tensor:
    """Length of the spatial gradient over all channels, lightly blurred.

    ``images`` [B, C, H, W] of any range; returns [B, 1, H, W] ≥ 0, in units of the images per pixel.
    """
    dx = F.pad(images[..., :, 1:] - images[..., :, :-1], (0, 1, 0, 0))
    dy = F.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    strength = (dx.square() + dy.square()).sum(1, keepdim=True).add(1e-6).sqrt()
    return F.avg_pool2d(strength, 3, stride=1, padding=1, count_include_pad=False)


def edge_agreement_loss(maps: Tensor, pictures: Tensor) -> Tensor:
    r"""One minus the correlation of the two edge images: :math:`1 - \mathrm{corr}(|\nabla m|, |\nabla y|)`.

    ``maps`` [B, C, H, W] and ``pictures`` [B, 3, H', W'] (resized to the maps' size); scalar in [0, 2].
    """
    if pictures.shape[-2:] != maps.shape[-2:]:
        pictures = F.interpolate(pictures, size=maps.shape[-2:], mode="bilinear", align_corners=False)
    # With the square root, one strong outline does not outvote all the fine ones.
    a = edge_strength(maps.float()).sqrt().flatten(1)
    b = edge_strength(pictures.float()).sqrt().flatten(1)
    a = a - a.mean(1, keepdim=True)
    b = b - b.mean(1, keepdim=True)
    correlation = (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1) + 1e-8).sqrt()
    return 1 - correlation.mean()


def region_colour_loss(regions: Tensor, pictures: Tensor) -> Tensor:
    r"""Share of the picture's colour variance that its regions do not explain.

    ``regions`` [B, K, H, W] are soft assignments that sum to one over K; ``pictures`` [B, 3, H, W].
    With region means :math:`\mu_k = \sum p_k y / \sum p_k` the loss is
    :math:`\sum \|y - \sum_k p_k \mu_k\|^2 / \sum \|y - \bar y\|^2`, a scalar in [0, 1] for hard regions.
    """
    if pictures.shape[-2:] != regions.shape[-2:]:
        pictures = F.interpolate(pictures, size=regions.shape[-2:], mode="bilinear", align_corners=False)
    shares = regions.float().flatten(2)
    colours = pictures.float().flatten(2)
    means = torch.einsum("bkn,bcn->bkc", shares, colours) / (shares.sum(2, keepdim=True) + 1e-3)
    explained = torch.einsum("bkn,bkc->bcn", shares, means)
    residual = (colours - explained).square().sum((1, 2))
    total = (colours - colours.mean(2, keepdim=True)).square().sum((1, 2)) + 1e-3
    return (residual / total).mean()
