"""Inversion: finds the latents whose hub images come near given pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.errors import ConfigError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.plugins.registry import registry
from anchor_hub.system.config import validate


class InverterOptions(BaseModel):
    """The options of one inverter; a subclass names them, with defaults and ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Inverter(ABC):
    """Finds latents of a hub for pictures. Plugins register subclasses (``anchor_register_inverters``)."""

    Options: ClassVar[type[InverterOptions]] = InverterOptions

    def __init__(self, hub: Hub, options: InverterOptions) -> None:
        self.hub, self.options = hub, options

    @abstractmethod
    def __call__(self, images: Tensor, *, start: Tensor | None = None) -> Tensor:
        """W+ latents ``[B, L, D]`` of ``[B, 3, H, W]`` in [-1, 1] at the hub's size.

        :param start: latents to begin from, e.g. an encoder's.
        """


class SearchOptions(InverterOptions):
    """See :func:`invert`."""

    steps: int = Field(default=200, ge=0)
    lr: float = Field(default=0.1, gt=0)
    regulariser: float = Field(default=0.02, ge=0)


class WPlusSearch(Inverter):
    """:func:`invert` with a code for each layer."""

    Options = SearchOptions
    space: ClassVar[str] = "w+"

    def __call__(self, images: Tensor, *, start: Tensor | None = None) -> Tensor:
        return invert(self.hub, images, start=start, space=self.space, **self.options.model_dump())


class WSearch(WPlusSearch):
    """:func:`invert` with one code for all layers."""

    space = "w"


def open_inverter(name: str, hub: Hub, options: Mapping[str, Any], steps: int = 0) -> Inverter:
    """The registered inverter of that name for a hub.

    :param steps: what ``--invert`` says: the option of that name, where the inverter has it and ``options`` do not.
    :raises InverterNotFoundError: nobody registered it. :raises UsageError: an option that it does not take.
    """
    record = registry().inverters[name]
    kind = registry().load(record.spec.target, f"inverter {name!r}")
    if steps and "steps" in kind.Options.model_fields:
        options = {"steps": steps, **options}
    try:
        found: Inverter = kind(hub, validate(dict(options), kind.Options, f"options of the inverter {name!r}"))
    except ConfigError as error:
        raise UsageError(str(error)) from None
    return found


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
    """
    if space not in ("w", "w+"):
        raise UsageError(f"unknown latent space {space!r}: use 'w' or 'w+'")
    if images.ndim != 4 or tuple(images.shape[1:]) != (hub.config.image_channels, hub.size, hub.size):
        raise UsageError(
            f"inversion needs images [B, {hub.config.image_channels}, {hub.size}, {hub.size}], "
            f"got {list(images.shape)}"
        )
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
    for step in range(steps + 1):
        with torch.enable_grad():
            latents = begin if step == 0 and space == "w+" else hub.expand(mean + codes @ colouring)
            if step == 0 and space == "w+":
                # The first error is that of the start itself; its gradient is taken through the codes.
                latents = latents + (codes - codes.detach()) @ colouring
            error = pyramid_error(hub.image(latents), target)
            loss = error + regulariser * codes.square().mean(dim=(1, 2))
        better = loss.detach() < lowest
        lowest = torch.where(better, loss.detach(), lowest)
        best = torch.where(better[:, None, None], latents.detach(), best)
        if step < steps:
            optimiser.zero_grad(set_to_none=True)
            # A sum keeps the images independent of one another: Adam works on each coordinate alone.
            loss.sum().backward()
            optimiser.step()
            schedule.step()
    return best


def pyramid_error(images: Tensor, target: Tensor) -> Tensor:
    """Mean squared error per image ``[B]``, summed over halved resolutions down to 8 px."""
    error = (images - target).square().mean(dim=(1, 2, 3))
    while images.shape[-1] > 8:
        images, target = F.avg_pool2d(images, 2), F.avg_pool2d(target, 2)
        error = error + (images - target).square().mean(dim=(1, 2, 3))
    return error
