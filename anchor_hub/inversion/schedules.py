"""The schedules of StyleGAN2's projection: step size and latent noise over the steps (appendix D of the paper)."""

from __future__ import annotations

import math


def step_size(step: int, steps: int, lr: float, *, warm_up: float = 0.05, ramp_down: float = 0.25) -> float:
    """The step size of a step: linear warm-up over the first share of the steps, cosine to 0 over the last.

    ``lr (1/2 - 1/2 cos(pi min(1, (1 - t) / ramp_down))) min(1, t / warm_up)`` with ``t = step / steps``.

    :param warm_up, ramp_down: shares of the steps; 0 for none.
    """
    done = step / steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / ramp_down)) if ramp_down else 1.0
    return lr * down * (min(1.0, done / warm_up) if warm_up else 1.0)


def noise_share(step: int, steps: int, strength: float = 0.05, ramp: float = 0.75) -> float:
    """The standard deviation of the latent noise of a step, in those of w: ``strength max(0, 1 - t / ramp)^2``."""
    return strength * max(0.0, 1 - step / steps / ramp) ** 2 if ramp else 0.0
