"""The optimisation behind projection and factor: Adam on codes and noise maps, the best state of every picture kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anchor_hub.hubs.base import Hub
from anchor_hub.inversion.base import IMPROVEMENT, Inversion, Progress, check_finite
from anchor_hub.inversion.noise import noise_loss, normalise_
from anchor_hub.inversion.perceptual import PerceptualNetwork
from anchor_hub.inversion.schedules import step_size

#: So often NaN is looked for, which on a GPU waits for its work.
CHECK_EVERY = 20


class PictureError:
    """How far pictures are from their targets, per picture: the first terms of equation 5.

    :param targets: ``[B, 3, H, W]`` in [-1, 1]. :param network: None: pixels alone.
    :param pixel: ``l1`` (the paper's ``||I - G||_1``) or ``mse``, both means over the picture.
    """

    def __init__(
        self, targets: Tensor, network: PerceptualNetwork | None, *, pixel: str = "l1", pixel_weight: float = 1.0,
        perceptual_weight: float = 1.0,
    ) -> None:  # fmt: skip
        self.targets, self.pixel = targets, pixel
        self.network = network if perceptual_weight else None
        self.pixel_weight, self.perceptual_weight = pixel_weight, perceptual_weight
        with torch.no_grad():
            self.described = [] if self.network is None else self.network.describe(targets)

    def __call__(self, pictures: Tensor) -> Tensor:
        """``[B]``."""
        difference = pictures - self.targets
        terms = difference.abs() if self.pixel == "l1" else difference.square()
        total = self.pixel_weight * terms.flatten(1).mean(1)
        if self.network is not None:
            total = total + self.perceptual_weight * self.network.distance(pictures, self.described)
        return total


@dataclass(frozen=True)
class Plan:
    """How long and how fast: see :class:`~anchor_hub.inversion.projection.DescentOptions`."""

    steps: int
    lr: float = 0.1
    warm_up: float = 0.05
    ramp_down: float = 0.25
    noise_weight: float = 1e5
    patience: int = 0


class Descent:
    """One batch on its way: :meth:`step` moves it, :attr:`best` and :attr:`lowest` are the best state met.

    :param codes: where to begin, ``[B, ...]``. :param latents_of: codes to latents ``[B, L, D]``, differentiable.
    :param error_of: pictures to errors ``[B]``. :param maps: noise maps to optimise, too; empty: the hub's own stay.
    :param disturb: gives what is added to the latents of a step (StyleGAN2's latent noise), or None.
    """

    def __init__(
        self, hub: Hub, codes: Tensor, latents_of: Callable[[Tensor], Tensor], error_of: Callable[[Tensor], Tensor],
        plan: Plan, *, maps: Sequence[Tensor] = (), disturb: Callable[[int], Tensor | None] = lambda step: None,
    ) -> None:  # fmt: skip
        self.hub, self.latents_of, self.error_of, self.plan, self.disturb = hub, latents_of, error_of, plan, disturb
        self.codes = codes.detach().clone().requires_grad_(True)
        self.maps = [one.detach().clone().requires_grad_(True) for one in maps]
        self.adam = torch.optim.Adam([self.codes, *self.maps], lr=plan.lr, betas=(0.9, 0.999), eps=1e-8)
        batch = len(codes)
        with torch.no_grad():
            self.best = self.hub.expand(latents_of(self.codes)).clone()
        self.best_maps = [one.detach().clone() for one in self.maps]
        self.lowest = torch.full((batch,), torch.inf, device=codes.device, dtype=codes.dtype)
        self.reference = self.lowest.clone()
        self.improved = torch.zeros(batch, dtype=torch.long, device=codes.device)
        self.ended = torch.full((batch,), plan.steps, dtype=torch.long, device=codes.device)
        self.spoilt = torch.full((batch,), -1, dtype=torch.long, device=codes.device)
        self.errors = self.lowest.clone()
        self.noise_losses = torch.zeros_like(self.lowest)

    def step(self, number: int) -> None:
        """Evaluate the state, keep what is better, move: Adam, then noise maps of mean 0 and deviation 1."""
        self.adam.param_groups[0]["lr"] = step_size(
            number, self.plan.steps, self.plan.lr, warm_up=self.plan.warm_up, ramp_down=self.plan.ramp_down
        )
        self.adam.zero_grad(set_to_none=True)
        with torch.enable_grad():
            latents = self.evaluate(number)
            loss = self.errors
            if self.maps:
                losses = noise_loss(self.maps)
                self.noise_losses = losses.detach()
                loss = loss + self.plan.noise_weight * losses
        self.keep(number, latents)
        # A sum keeps the pictures independent of one another: Adam works on each number alone.
        loss.sum().backward()
        self.adam.step()
        normalise_(self.maps)

    def evaluate(self, number: int) -> Tensor:
        """Set :attr:`errors`; returns the latents of which they are."""
        latents = self.hub.expand(self.latents_of(self.codes))
        disturbance = self.disturb(number)
        if disturbance is not None:
            latents = latents + disturbance
        pictures = self.hub.image(latents, noise=self.maps or "const")
        self.errors = self.error_of(pictures).to(self.lowest)
        return latents

    @torch.no_grad()
    def keep(self, number: int, latents: Tensor) -> None:
        """Note which pictures got better, which stand still, and which met NaN."""
        errors = self.errors.detach()
        running = number <= self.ended
        self.spoilt = torch.where(~torch.isfinite(errors) & (self.spoilt < 0) & running, number, self.spoilt)
        better = (errors < self.lowest) & running
        self.lowest = torch.where(better, errors, self.lowest)
        self.best = torch.where(better[:, None, None], latents.detach(), self.best)
        for kept, now in zip(self.best_maps, self.maps, strict=True):
            torch.where(better[:, None, None, None], now, kept, out=kept)
        if self.plan.patience:
            much = (errors < self.reference * (1 - IMPROVEMENT)) & running
            self.reference = torch.where(much, errors, self.reference)
            self.improved = torch.where(much, number, self.improved)
            still = running & (number - self.improved >= self.plan.patience)
            self.ended = torch.where(still, torch.clamp(self.ended, max=number), self.ended)

    def finished(self, number: int) -> bool:
        """Whether every picture has stood still for ``patience`` steps."""
        return bool(self.plan.patience) and bool((self.ended <= number).all())

    def run(self, names: Sequence[str] = (), progress: Progress | None = None) -> Inversion:
        """All steps. :raises ImageError: a picture met NaN or infinity."""
        steps = self.plan.steps
        for number in range(steps):
            if progress is not None:
                progress(number, steps)
            self.step(number)
            if number % CHECK_EVERY == 0:
                self.check(names)
            if self.finished(number):
                break
        else:
            with torch.no_grad():
                self.keep(steps, self.evaluate(steps))
        self.check(names)
        if progress is not None:
            progress(steps, steps)
        return Inversion(self.best, self.lowest, self.best_maps or None, self.ended)

    def check(self, names: Sequence[str] = ()) -> None:
        """Raise ImageError if a picture met NaN or infinity."""
        check_finite(torch.where(self.spoilt < 0, 0.0, torch.nan), names, self.spoilt)
