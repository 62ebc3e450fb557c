"""Ranger: rectified Adam with lookahead and gradient centralisation, the published anchoring optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from anchor_hub.errors import ConfigError


class Ranger(Optimizer):
    """Ranger as published with latent-space anchoring (version 20.4.11 defaults).

    Step t of a parameter p with gradient g (tensors of more than one dimension: ``g -= mean of g per first index``):

    * ``v = b2 v + (1 - b2) g^2``, ``m = b1 m + (1 - b1) g``;
    * ``N_max = 2 / (1 - b2) - 1``, ``N = N_max - 2 t b2^t / (1 - b2^t)``;
    * if ``N > n_sma_threshold``: ``p -= lr r m / (sqrt(v) + eps)`` with
      ``r = sqrt((1 - b2^t) (N-4)/(N_max-4) (N-2)/N N_max/(N_max-2)) / (1 - b1^t)``;
      else ``p -= lr m / (1 - b1^t)`` (the first five steps with ``b2 = 0.999``: no division by the gradient's
      size);
    * whenever ``t % k == 0``: ``slow += alpha (p - slow)``, ``p = slow``; slow starts as p before its first update.

    All state (step, m, v, slow) is in ``state_dict``, so training resumes exactly.

    :raises ConfigError: a hyper-parameter is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        alpha: float = 0.5,
        k: int = 6,
        n_sma_threshold: float = 5.0,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5,
        weight_decay: float = 0.0,
        centralise: bool = True,
    ) -> None:
        if lr < 0 or eps <= 0 or weight_decay < 0:
            raise ConfigError(
                f"Ranger: lr {lr}, eps {eps}, weight_decay {weight_decay} must not be negative (eps > 0)"
            )
        if not 0 <= alpha <= 1 or k < 1:
            raise ConfigError(f"Ranger: lookahead alpha {alpha} must lie in [0, 1] and k {k} be at least 1")
        if not all(0 <= beta < 1 for beta in betas):
            raise ConfigError(f"Ranger: betas {betas} must lie in [0, 1)")
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "k": k,
            "n_sma_threshold": n_sma_threshold,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "centralise": centralise,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of every parameter that has a gradient; returns the closure's loss, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        gradient = parameter.grad
        assert gradient is not None
        if gradient.is_sparse:
            raise ConfigError("Ranger: sparse gradients are not supported; use a dense embedding")
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["slow"] = parameter.detach().clone()
        beta1, beta2 = group["betas"]
        if group["centralise"] and gradient.dim() > 1:
            gradient = gradient - gradient.mean(dim=tuple(range(1, gradient.dim())), keepdim=True)
        state["step"] += 1
        step = state["step"]
        momentum, second = state["exp_avg"], state["exp_avg_sq"]
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        momentum.mul_(beta1).add_(gradient, alpha=1 - beta1)
        rectified, size = rectification(step, beta1, beta2, group["n_sma_threshold"])
        if group["weight_decay"]:
            parameter.mul_(1 - group["weight_decay"] * group["lr"])
        if rectified:
            parameter.addcdiv_(momentum, second.sqrt().add_(group["eps"]), value=-size * group["lr"])
        else:
            parameter.add_(momentum, alpha=-size * group["lr"])
        if step % group["k"] == 0:
            state["slow"].add_(parameter - state["slow"], alpha=group["alpha"])
            parameter.copy_(state["slow"])


def rectification(step: int, beta1: float, beta2: float, threshold: float) -> tuple[bool, float]:
    """Whether step t divides by ``sqrt(v)``, and the factor on ``lr m``: RAdam's variance rectification."""
    beta2_power = beta2**step
    n_max = 2 / (1 - beta2) - 1
    n = n_max - 2 * step * beta2_power / (1 - beta2_power)
    if n <= threshold:
        return False, 1 / (1 - beta1**step)
    variance = (1 - beta2_power) * (n - 4) / (n_max - 4) * (n - 2) / n * n_max / (n_max - 2)
    return True, math.sqrt(variance) / (1 - beta1**step)
