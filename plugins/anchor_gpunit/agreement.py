"""How well a content encoder knows what a hub draws of one latent in its classes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.hubs.base import Hub

#: Pictures encoded at once.
BATCH = 64


@torch.no_grad()
def pictures_of_latents(hub: Hub, latents: int, seed: int = 0) -> Tensor:
    """The same latents in every class of a hub: ``[classes, latents, 3, H, W]`` in [-1, 1]."""
    z = hub.base.sample(latents, seed=seed)
    return torch.stack([hub.of_class(index).image(z).clamp(-1, 1) for index in range(len(hub.classes))])


@torch.no_grad()
def descriptions(pictures: Tensor, describe: Callable[[Tensor], Tensor]) -> Tensor:
    """What ``describe`` finds in pictures ``[K, N, 3, H, W]``, flat: ``[K, N, D]``."""
    flat = torch.cat([describe(part).flatten(1) for part in pictures.flatten(0, 1).split(BATCH)])
    return flat.view(*pictures.shape[:2], -1)


def small_pixels(side: int) -> Callable[[Tensor], Tensor]:
    """What describes pictures by their pixels, averaged down to that side."""
    return lambda pictures: F.adaptive_avg_pool2d(pictures, side)


def agreement(found: Tensor) -> dict[str, float]:
    """Over all ordered pairs of classes of descriptions ``[K, N, D]``: by mean absolute difference.

    ``nearest``: how often the same latent's is the nearest of all N (chance: 1 / N). ``ratio``: the mean distance for
    one latent over that for two latents; 1 is chance, 0 is perfect.
    """
    count = found.shape[1]
    nearest, same, other = [], [], []
    for first, second in permutations(range(len(found)), 2):
        distances = torch.cdist(found[first], found[second], p=1)
        own = distances.diagonal()
        nearest.append((distances.argmin(1) == torch.arange(count, device=found.device)).float().mean())
        same.append(own.mean())
        other.append((distances.sum() - own.sum()) / (count * (count - 1)))
    ratio = torch.stack(same).mean() / torch.stack(other).mean()
    return {"nearest": round(float(torch.stack(nearest).mean()), 4), "ratio": round(float(ratio), 4)}
