"""The published objective of latent-space anchoring (equation 5), step by step as the authors train.

One step: encode, decode, read; the latent discriminator's step (if weighted); the image discriminator's step; then the
networks' step against the updated discriminators. No EMA, no R1, no schedule, Ranger with learning rate 1e-4.

One thing differs from the published commands: their image discriminator sees a second folder of unpaired photographs.
A domain is trained here on its own images alone, so the discriminator's real images are the frozen hub's samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.networks.anchor_discriminators import LatentDiscriminator
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig
from anchor_hub.training import anchor_losses as losses
from anchor_hub.training.anchor_presets import published_preset
from anchor_hub.training.ranger import Ranger

if TYPE_CHECKING:
    from anchor_hub.domain import AnchoredDomain
    from anchor_hub.training.anchor_options import AnchorOptions
    from anchor_hub.training.recipe import TrainingContext


class PublishedObjective:
    """Losses, discriminators and optimisers of the published training.

    :param options: ``weights`` replaces entries of the published table (``reconstruction``, ``latent_norm``,
        ``image_adversarial``, ``latent_adversarial``).
    """

    def __init__(self, domain: AnchoredDomain, options: AnchorOptions, context: TrainingContext) -> None:
        self.domain, self.hub, self.modality, self.context = domain, domain.hub, domain.modality, context
        preset = published_preset(self.modality.name)
        self.weights = {**preset.weights, **options.weights}
        self.discriminators: dict[str, nn.Module] = {}
        self.size = min(self.hub.size, preset.image_size)
        if self.weights["image_adversarial"]:
            channels = {r: c for r, c in self.hub.feature_channels.items() if r <= self.size}
            config = DiscriminatorConfig(size=self.size, channels=channels)
            self.discriminators["image_discriminator"] = Discriminator(config)
        if self.weights["latent_adversarial"]:
            self.discriminators["latent_discriminator"] = LatentDiscriminator(
                self.hub.latent_dim, self.hub.mean_latent
            )
        rate = preset.learning_rate
        trained = [p for m in (domain.encoder, domain.regressor) if m is not None for p in m.parameters()]
        self.optimizers: dict[str, torch.optim.Optimizer] = {"networks": Ranger(trained, lr=rate)}
        for name, module in self.discriminators.items():
            self.optimizers[name] = Ranger(module.parameters(), lr=rate)

    def step(self, batch: Tensor) -> dict[str, float | Tensor]:
        """One step on samples of the domain; returns the terms and the discriminators' losses, unweighted."""
        context, hub, weights = self.context, self.hub, self.weights
        regressor = self.domain.regressor
        assert self.domain.encoder is not None
        inputs = context.place(self.modality.to_network(batch))
        with context.autocast():
            latents = self.domain.encoder(inputs).float() + hub.mean_latent
            resolutions = regressor.resolutions if regressor is not None else ()
            out = hub.synthesize(latents, features=resolutions, image=True, noise="random")
            output = out.image if regressor is None else regressor(out.features)
            picture = F.adaptive_avg_pool2d(out.image, self.size)

        report: dict[str, float | Tensor] = {}
        if "latent_discriminator" in self.discriminators:
            reals = hub.map(torch.randn(latents.shape[0] * hub.num_latents, hub.latent_dim, device=context.device))
            report["latent_discriminator"] = self._discriminator_step(
                "latent", reals, losses.latent_rows(latents).detach()
            )
        if "image_discriminator" in self.discriminators:
            with torch.no_grad(), context.autocast():
                samples = hub.map(torch.randn(latents.shape[0], hub.latent_dim, device=context.device))
                reals = F.adaptive_avg_pool2d(hub.synthesize(samples, noise="random").image, self.size)
            report["image_discriminator"] = self._discriminator_step("image", reals, picture.detach())

        terms = {
            "reconstruction": self._reconstruction(output.float(), inputs),
            "latent_norm": losses.latent_norm(latents, hub.mean_latent),
        }
        if "latent_discriminator" in self.discriminators:
            logits = self.discriminators["latent_discriminator"](losses.latent_rows(latents))
            terms["latent_adversarial"] = losses.adversarial_generator(logits)
        if "image_discriminator" in self.discriminators:
            with context.autocast():
                logits = self.discriminators["image_discriminator"](picture)
            terms["image_adversarial"] = losses.adversarial_generator(logits.float())
        optimizer = self.optimizers["networks"]
        optimizer.zero_grad(set_to_none=True)
        losses.weighted_total(terms, weights).backward()
        self._update(optimizer)
        report.update({name: value.detach() for name, value in terms.items()})
        return report

    def _reconstruction(self, output: Tensor, inputs: Tensor) -> Tensor:
        if self.modality.name == "segmentation":
            return losses.reconstruction_cross_entropy(output, inputs)
        return losses.reconstruction_l2(output, inputs)

    def _discriminator_step(self, kind: str, reals: Tensor, fakes: Tensor) -> Tensor:
        """The published discriminator loss carries the weight of the generator's term."""
        critic, optimizer = self.discriminators[f"{kind}_discriminator"], self.optimizers[f"{kind}_discriminator"]
        optimizer.zero_grad(set_to_none=True)
        with self.context.autocast():
            loss = losses.adversarial_discriminator(critic(reals).float(), critic(fakes).float())
        (loss * self.weights[f"{kind}_adversarial"]).backward()
        self._update(optimizer)
        return loss.detach()

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        self.context.average_gradients(p for group in optimizer.param_groups for p in group["params"])
        optimizer.step()
