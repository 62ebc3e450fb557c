"""StyleGAN2's projection as published: equation 5 with a step-size schedule, latent noise and optimised noise maps.

Karras et al. (2020, arXiv:1912.04958), appendix D; equation 5 of Huang et al. (2020, UI2I via StyleGAN2).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from anchor_hub.inversion.base import Inversion, Inverter, InverterOptions, Progress, check_images
from anchor_hub.inversion.descent import Descent, PictureError, Plan
from anchor_hub.inversion.noise import noise_maps
from anchor_hub.inversion.perceptual import NONE, PerceptualNetwork, perceptual_network
from anchor_hub.inversion.schedules import noise_share
from anchor_hub.system.seeds import derive_seed


class DescentOptions(InverterOptions):
    """What projection and factor have in common; the defaults are the published ones."""

    steps: int = Field(default=1000, ge=0, description="Steps of Adam; 0 returns the start")
    lr: float = Field(default=0.1, gt=0, description="Largest step size")
    warm_up: float = Field(default=0.05, ge=0, le=1, description="Share of the steps in which the step size rises")
    ramp_down: float = Field(default=0.25, ge=0, le=1, description="Share of the steps in which it falls to 0")
    perceptual: str = Field(default="auto", description="Perceptual network: auto, none, or a name")
    perceptual_weight: float = Field(default=1.0, ge=0, description="Weight of the perceptual term")
    pixel: Literal["l1", "mse"] = Field(default="l1", description="Pixel term: mean absolute or mean squared error")
    pixel_weight: float = Field(default=1.0, ge=0, description="Weight of the pixel term")
    noise: Literal["optimised", "const"] = Field(
        default="optimised", description="Noise maps: optimised with the latents, or the hub's own"
    )
    noise_regularize: float = Field(default=1e5, ge=0, description="Weight of the noise maps' regulariser")
    patience: int = Field(default=0, ge=0, description="End a picture after so many steps without gain; 0: never")
    seed: int = Field(default=0, description="Seed of noise maps and latent noise, which all pictures share")


class DescentInverter(Inverter):
    """An inverter that runs a :class:`Descent` from the mean latent, or from ``start``."""

    Options = DescentOptions
    options: DescentOptions

    def __call__(self, images: Tensor, *, start: Tensor | None = None) -> Tensor:
        return self.run(images, start=start).latents

    def run(
        self, images: Tensor, *, start: Tensor | None = None, names: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Inversion:  # fmt: skip
        check_images(self.hub, images)
        if progress is not None:
            progress(0, self.options.steps)
        found = self.descent(images, start).run(names, progress)
        network = self.network()
        found.record = {"perceptual": NONE} if network is None else network.record()
        return found

    def descent(self, images: Tensor, start: Tensor | None = None) -> Descent:
        """The optimisation of a batch, before its first step."""
        options = self.options
        begin = self.hub.mean_latent.expand(len(images), -1) if start is None else start.to(self.hub.mean_latent)
        codes, latents_of = self.codes(self.hub.expand(begin).detach())
        error = PictureError(
            images.to(self.hub.mean_latent), self.network(), pixel=options.pixel, pixel_weight=options.pixel_weight,
            perceptual_weight=options.perceptual_weight,
        )  # fmt: skip
        plan = Plan(
            options.steps, options.lr, options.warm_up, options.ramp_down, options.noise_regularize, options.patience
        )
        maps = noise_maps(self.hub, len(images), self._seed("noise")) if options.noise == "optimised" else []
        return Descent(self.hub, codes, latents_of, error, plan, maps=maps, disturb=self.disturbance())

    @abstractmethod
    def codes(self, start: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """What is optimised, made of latents ``[B, L, D]``, and the way from it back to latents."""

    def disturbance(self) -> Callable[[int], Tensor | None]:
        """What is added to the latents of a step."""
        return lambda step: None

    def network(self) -> PerceptualNetwork | None:
        """The perceptual network, loaded once."""
        if not hasattr(self, "_network"):
            unused = not self.options.perceptual_weight
            self._network = None if unused else perceptual_network(self.options.perceptual, hub=self.hub)
        return self._network

    def _seed(self, what: str) -> int:
        return derive_seed(self.options.seed, what)


class ProjectionOptions(DescentOptions):
    """See :class:`Projection`."""

    latent_noise: float = Field(default=0.05, ge=0, description="Latent noise at the first step, in deviations of w")
    latent_ramp: float = Field(default=0.75, ge=0, le=1, description="Share of the steps in which it falls to 0")


class Projection(DescentInverter):
    r"""One code for all layers: :math:`\arg\min_w \|I - G(w)\|_1 + \|\Phi(I) - \Phi(G(w))\|_2` (equation 5).

    The latent noise of a step has the deviation ``latent_noise * sqrt(trace of w's covariance) * (1 - t / ramp)^2``.
    """

    Options = ProjectionOptions
    options: ProjectionOptions
    plus: ClassVar[bool] = False

    def codes(self, start: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        codes = start if self.plus else start.mean(dim=1, keepdim=True)
        return codes, self.hub.expand

    def disturbance(self) -> Callable[[int], Tensor | None]:
        options, hub = self.options, self.hub
        deviation = float(hub.covariance.diagonal().sum().clamp_min(0).sqrt())
        stream = torch.Generator().manual_seed(self._seed("latents"))
        layers = hub.num_latents if self.plus else 1

        def draw(step: int) -> Tensor | None:
            share = noise_share(step, options.steps, options.latent_noise, options.latent_ramp) if options.steps else 0
            if step >= options.steps or not share:
                return None
            noise = torch.randn(1, layers, hub.latent_dim, generator=stream)
            return share * deviation * noise.to(hub.mean_latent)

        return draw


class ProjectionPlus(Projection):
    """The same with a code for each layer."""

    plus = True
