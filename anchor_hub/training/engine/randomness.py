"""Randomness of a run as a pure function of (seed, step, rank): nothing to save, nothing to restore."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import torch

from anchor_hub.system.seeds import mix_seed

__all__ = ["mix_seed", "preserved_random_state", "seed_everything"]


def seed_everything(seed: int) -> None:
    """Seed torch (every device), Python's `random` and numpy's legacy generator."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Give the caller its random state back on the way out: training changes nothing else in a program."""
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        numpy.random.set_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
