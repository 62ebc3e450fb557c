"""Tiny trainings of GP-UNIT: 32 px, four channels, a hub of 16 px."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from anchor_gpunit.networks.configs import ContentConfig
from anchor_gpunit.networks.content import ContentEncoder
from anchor_gpunit.prior import ContentPrior
from anchor_hub import Modality, build_modality
from anchor_hub.training import Samples

SIDE = 32
DISTILL: dict[str, Any] = {"size": SIDE, "width": 4, "content_side": 4, "perceptual": "none"}
TRANSLATE: dict[str, Any] = {
    "width": 4, "style_width": 4, "style_halvings": 2, "discriminator_width": 4, "perceptual": "none",
    "sampler_codes": 100,
}  # fmt: skip


def rgb() -> Modality:
    """The modality of colour pictures."""
    return build_modality({"name": "rgb"})


def pictures(count: int = 12, side: int = SIDE, seed: int = 0) -> Samples:
    """Random pictures."""
    rows = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator(seed))
    return Samples(rows, rgb())


def generator(seed: int) -> torch.Generator:
    """A seeded generator."""
    return torch.Generator().manual_seed(seed)


def tiny_prior(side: int = SIDE, seed: int = 0) -> ContentPrior:
    """A prior of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ContentPrior("tiny-content", ContentEncoder(ContentConfig(side, 4, 4)))


def weights_of(state: Any) -> list[Tensor]:
    """All tensors of a nested state, in order."""
    if isinstance(state, Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return [tensor for value in values for tensor in weights_of(value)]
