"""Exponential moving average of weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

ModuleType = TypeVar("ModuleType", bound=nn.Module)


def average_decay(batch: int, images: int, half_life: float = 10_000.0, rampup: float | None = 0.05) -> float:
    """The decay of one step: 0.5 ** (batch / h) with h = min(half_life, rampup * images seen).

    `half_life` is in images; StyleGAN2 uses 10,000 (0.5 ** (32 / 10000) at a batch of 32). With `rampup`,
    the average of a young run forgets faster: its half-life is never more than that part of the images seen
    (here 5%), so that samples are worth looking at from the first minutes. None keeps the half-life fixed,
    as first published.
    """
    return ema_decay(batch, half_life if rampup is None else min(half_life, rampup * images))


class WeightAverage(Generic[ModuleType]):
    """Keeps `.module`, a frozen copy of a module whose parameters follow the original's, slowly.

    Buffers are copied. The copy is in evaluation mode and never needs gradients.
    """

    def __init__(self, module: ModuleType) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    def update(self, module: ModuleType, decay: float) -> None:
        """average = decay * average + (1 - decay) * current."""
        ema_update(self.module, module, decay)


def ema_decay(batch_size: int, half_life_images: float = 10_000.0) -> float:
    """Decay per step whose half-life is ``half_life_images`` images: ``0.5 ** (batch_size / half_life_images)``.

    The published 0.99778 is this formula with a batch of 32.
    """
    if half_life_images <= 0:
        return 0.0
    return float(0.5 ** (batch_size / half_life_images))


def lerp_parameters(averages: Iterable[Tensor], values: Iterable[Tensor], decay: float) -> None:
    """``average <- decay * average + (1 - decay) * value`` in place, without gradient."""
    with torch.no_grad():
        for average, value in zip(averages, values, strict=True):
            average.lerp_(value.to(average), 1.0 - decay)


def ema_update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential moving average of the parameters, ``average <- decay * average + (1 - decay) * model``.

    Buffers are copied. Both modules must be of the same architecture.
    """
    lerp_parameters(average.parameters(), model.parameters(), decay)
    with torch.no_grad():
        for kept, current in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(current)
