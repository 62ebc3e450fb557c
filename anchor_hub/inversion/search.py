"""Inversion: finds the latents whose hub images come near given pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.inversion.base import (
    IMPROVEMENT,
    Inversion,
    Inverter,
    InverterOptions,
    Progress,
    check_finite,
    check_images,
)


class SearchOptions(InverterOptions):
    """See :func:`invert`."""

    steps: int = Field(default=200, ge=0, description="Steps of Adam; 0 returns the start")
    lr: float = Field(default=0.1, gt=0, description="First step size, in deviations of the latent")
    regulariser: float = Field(default=0.02, ge=0, description="Pull towards the hub's own samples")
    patience: int = Field(default=0, ge=0, description="End a picture after so many steps without gain; 0: never")


class WPlusSearch(Inverter):
    """:func:`invert` with a code for each layer."""

    Options = SearchOptions
    options: SearchOptions
    space: ClassVar[str] = "w+"

    def __call__(self, images: Tensor, *, start: Tensor | None = None) -> Tensor:
        return self.run(images, start=start).latents

    def run(
        self, images: Tensor, *, start: Tensor | None = None, names: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Inversion:  # fmt: skip
        return search(
            self.hub, images, start=start, space=self.space, names=names, progress=progress,
            **self.options.model_dump(),
        )  # fmt: skip


class WSearch(WPlusSearch):
    """:func:`invert` with one code for all layers."""

    space = "w"


def invert(
    hub: Hub,
    images: Tensor,
    *,
    steps: int = 200,
    lr: float = 0.1,
    regulariser: float = 0.02,
    start: Tensor | None = None,
    space: str = "w+",
) -> Tensor:
    """W+ latents ``[B, L, D]`` whose images come near ``images``, found with Adam in whitened latent coordinates.

    Minimises, for every image on its own, the squared error summed over a pyramid of resolutions (full size
    down to 8 px), plus ``regulariser`` times the mean squared whitened coordinate, which is 1 for the hub's
    own samples: latents far from those look right only through the hub's own RGB.

    :param images: ``[B, 3, size, size]`` in [-1, 1], at the hub's size.
    :param lr: first step size in whitened units; it falls to zero along a cosine.
    :param start: latents ``[B, D]`` or ``[B, L, D]`` to begin from, e.g. an encoder's; default: the mean latent.
    :param space: ``"w+"`` optimises a code per layer, ``"w"`` one for all of them.
    :returns: for each image the latents of the lowest error met, the start included.
    :raises UsageError: an unknown space, images of another size, fewer than 0 steps.
    :raises ImageError: the search of an image met NaN or infinity.
    """
    return search(hub, images, steps=steps, lr=lr, regulariser=regulariser, start=start, space=space).latents


def search(
    hub: Hub, images: Tensor, *, steps: int, lr: float, regulariser: float, start: Tensor | None = None,
    space: str = "w+", patience: int = 0, names: Sequence[str] = (), progress: Progress | None = None,
) -> Inversion:  # fmt: skip
    """What :func:`invert` does, with errors and steps.

    :param patience: ends an image after so many steps without a lower error; 0: never.
    :param names: what messages call the images. :param progress: called with the steps done and their number.
    """
    if space not in ("w", "w+"):
        raise UsageError(f"unknown latent space {space!r}: use 'w' or 'w+'")
    check_images(hub, images)
    if steps < 0:
        raise UsageError(f"inversion steps must be 0 or more, got {steps}")
    target = images.to(hub.mean_latent)
    mean, whitening = hub.whitening()
    colouring = hub.colouring()[1]
    begin = mean.expand(len(images), -1) if start is None else start.to(mean)
    begin = hub.expand(begin).detach()
    codes = (begin - mean) @ whitening
    codes = (codes.mean(dim=1, keepdim=True) if space == "w" else codes).detach().clone().requires_grad_(True)
    optimiser = torch.optim.Adam([codes], lr=lr, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))

    best, lowest = begin.clone(), torch.full((len(images),), torch.inf, device=target.device)
    improved = torch.zeros(len(images), dtype=torch.long, device=target.device)
    ended, spoilt, reference = torch.full_like(improved, steps), torch.full_like(improved, -1), lowest.clone()
    for step in range(steps + 1):
        if progress is not None:
            progress(step, steps)
        with torch.enable_grad():
            latents = begin if step == 0 and space == "w+" else hub.expand(mean + codes @ colouring)
            if step == 0 and space == "w+":
                # The first error is that of the start itself; its gradient is taken through the codes.
                latents = latents + (codes - codes.detach()) @ colouring
            error = pyramid_error(hub.image(latents), target)
            loss = error + regulariser * codes.square().mean(dim=(1, 2))
        running = step <= ended
        better = (loss.detach() < lowest) & running
        lowest = torch.where(better, loss.detach(), lowest)
        best = torch.where(better[:, None, None], latents.detach(), best)
        spoilt = torch.where(~torch.isfinite(loss.detach()) & (spoilt < 0) & running, step, spoilt)
        if patience:
            much = (loss.detach() < reference * (1 - IMPROVEMENT)) & running
            reference = torch.where(much, loss.detach(), reference)
            improved = torch.where(much, step, improved)
            ended = torch.where(running & (step - improved >= patience), ended.clamp(max=step), ended)
            if bool((ended <= step).all()):
                break
        if step < steps:
            optimiser.zero_grad(set_to_none=True)
            # A sum keeps the images independent of one another: Adam works on each coordinate alone.
            loss.sum().backward()
            optimiser.step()
            schedule.step()
    check_finite(torch.where(spoilt < 0, 0.0, torch.nan), names, spoilt)
    if progress is not None:
        progress(steps, steps)
    return Inversion(best, lowest, None, ended, {"perceptual": "none"})


def pyramid_error(images: Tensor, target: Tensor) -> Tensor:
    """Mean squared error per image ``[B]``, summed over halved resolutions down to 8 px."""
    error = (images - target).square().mean(dim=(1, 2, 3))
    while images.shape[-1] > 8:
        images, target = F.avg_pool2d(images, 2), F.avg_pool2d(target, 2)
        error = error + (images - target).square().mean(dim=(1, 2, 3))
    return error
