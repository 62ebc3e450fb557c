"""The published objective of latent-space anchoring (equation 5), step by step as the authors train.

One step: encode, decode, read; the latent discriminator's step (if weighted); the image discriminator's step; then the
networks' step against the updated discriminators. No EMA, no R1, no schedule, Ranger with learning rate 1e-4 (unless
told otherwise).

One thing differs from the published commands: their image discriminator sees a second folder of unpaired photographs.
A domain is trained here on its own images alone, so the discriminator's real images are the frozen hub's samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.errors import NotFoundError, UsageError
from anchor_hub.networks.anchor_discriminators import LatentDiscriminator
from anchor_hub.networks.regressors import AttentionRegressor, Regressor
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig
from anchor_hub.training.anchoring import losses
from anchor_hub.training.anchoring.options import check_weights, settings_row
from anchor_hub.training.anchoring.presets import published_preset
from anchor_hub.training.anchoring.ranger import Ranger
from anchor_hub.training.generators.gan_losses import d_logistic, g_nonsaturating

if TYPE_CHECKING:
    from anchor_hub.domains.anchored import AnchoredDomain
    from anchor_hub.hubs.base import Hub
    from anchor_hub.modality import Modality
    from anchor_hub.training.anchoring.options import AnchorOptions
    from anchor_hub.training.base import TrainingContext


STDDEV_GROUP = 4  # both discriminators compare the samples of a step in groups of four


def published_weights(modality: str, overrides: Mapping[str, float]) -> dict[str, float]:
    """The published weights of a modality with overrides applied.

    :raises UsageError: an unknown term. :raises NotFoundError: nothing is published for the modality.
    """
    weights = published_preset(modality).weights
    check_weights(overrides, weights, "published")
    return {**weights, **overrides}


def published_resolutions(hub: Hub, modality: Modality) -> tuple[int, ...] | None:
    """The feature maps that a modality's published regressor reads, none finer than the hub; None where none are
    published."""
    try:
        wanted = published_preset(settings_row(modality)).resolutions
    except NotFoundError:
        return None
    finest = max(hub.feature_channels)
    return tuple(sorted({min(resolution, finest) for resolution in wanted}))


class PublishedObjective:
    """Losses, discriminators and optimisers of the published training.

    :param options: ``weights`` replaces entries of the published table (``reconstruction``, ``latent_norm``,
        ``image_adversarial``, ``latent_adversarial``, and ``attention_norm`` for the regressor ``attention``).
    :raises UsageError: a batch that the discriminators cannot divide into groups of four.
    """

    def __init__(self, domain: AnchoredDomain, options: AnchorOptions, context: TrainingContext) -> None:
        self.domain, self.hub, self.modality, self.context = domain, domain.hub, domain.modality, context
        preset = published_preset(settings_row(self.modality))
        self.weights = published_weights(settings_row(self.modality), options.weights)
        self.regressor = domain.regressor if isinstance(domain.regressor, Regressor) else None
        if self.weights["attention_norm"] and not isinstance(self.regressor, AttentionRegressor):
            raise UsageError("the term 'attention_norm' is for the regressor 'attention' (--regressor attention)")
        self._check_batch()
        self.discriminators: dict[str, nn.Module] = {}
        self.size = min(self.hub.size, preset.image_size)
        if self.weights["image_adversarial"]:
            channels = {r: c for r, c in self.hub.feature_channels.items() if r <= self.size}
            config = DiscriminatorConfig(size=self.size, channels=channels, stddev_group=STDDEV_GROUP)
            self.discriminators["image_discriminator"] = Discriminator(config)
        if self.weights["latent_adversarial"]:
            critic = LatentDiscriminator(self.hub.latent_dim, self.hub.mean_latent, group_size=STDDEV_GROUP)
            self.discriminators["latent_discriminator"] = critic
        rate = options.learning_rate or preset.learning_rate
        trained = [p for network in domain.networks() for p in network.parameters()]
        # The article names Adam without its settings; the commands use Ranger.
        kind = torch.optim.Adam if options.optimizer == "adam" else Ranger
        self.optimizers: dict[str, torch.optim.Optimizer] = {"networks": kind(trained, lr=rate)}
        for name, module in self.discriminators.items():
            self.optimizers[name] = kind(module.parameters(), lr=rate)

    def _check_batch(self) -> None:
        share, world = self.context.batch // self.context.group.world, self.context.group.world
        rows = {"image_adversarial": share, "latent_adversarial": share * self.hub.num_latents}
        for term, count in rows.items():
            if self.weights[term] and count % min(max(count, 1), STDDEV_GROUP):
                raise UsageError(
                    f"the published discriminators compare images in groups of {STDDEV_GROUP}: choose --batch as a "
                    f"multiple of {STDDEV_GROUP * world}, not {self.context.batch}"
                )

    def step(self, batch: Tensor) -> dict[str, float | Tensor]:
        """One step on samples of the domain; returns the terms and the discriminators' losses, unweighted."""
        context, hub, weights = self.context, self.hub, self.weights
        regressor = self.regressor
        gates: Tensor | None = None
        inputs = context.place(self.modality.to_network(batch))
        with context.autocast():
            latents = self.domain.encode(inputs)
            resolutions = regressor.resolutions if regressor is not None else ()
            out = hub.synthesize(latents, features=resolutions, image=True, noise="random")
            assert out.image is not None
            if regressor is None:
                output = out.image
            elif isinstance(regressor, AttentionRegressor):
                output, gates = regressor.forward_with_attention(out.features)
            else:
                output = regressor(out.features)
            picture = F.adaptive_avg_pool2d(out.image, self.size)

        report: dict[str, float | Tensor] = {}
        if "latent_discriminator" in self.discriminators:
            # In W+ every layer's code is compared with a sample of its own; chunks of z are all of one sample.
            rows = hub.num_latents if hub.layers_share_code else 1
            reals = losses.latent_rows(hub.sample(latents.shape[0] * rows))
            report["latent_discriminator"] = self._discriminator_step(
                "latent", reals, losses.latent_rows(latents).detach()
            )
        if "image_discriminator" in self.discriminators:
            with torch.no_grad(), context.autocast():
                reals = F.adaptive_avg_pool2d(hub.image(hub.sample(latents.shape[0]), noise="random"), self.size)
            report["image_discriminator"] = self._discriminator_step("image", reals, picture.detach())

        terms = {
            "reconstruction": self._reconstruction(output.float(), inputs),
            "latent_norm": losses.latent_norm(latents, hub.mean_latent),
        }
        if gates is not None and weights["attention_norm"]:
            terms["attention_norm"] = losses.attention_norm(gates.float())
        if "latent_discriminator" in self.discriminators:
            logits = self.discriminators["latent_discriminator"](losses.latent_rows(latents))
            terms["latent_adversarial"] = g_nonsaturating(logits)
        if "image_discriminator" in self.discriminators:
            with context.autocast():
                logits = self.discriminators["image_discriminator"](picture)
            terms["image_adversarial"] = g_nonsaturating(logits.float())
        optimizer = self.optimizers["networks"]
        optimizer.zero_grad(set_to_none=True)
        losses.weighted_total(terms, weights).backward()
        self._update(optimizer)
        report.update({name: value.detach() for name, value in terms.items()})
        return report

    def _reconstruction(self, output: Tensor, inputs: Tensor) -> Tensor:
        if self.modality.traits.classes:
            return losses.reconstruction_cross_entropy(output, inputs)
        return losses.reconstruction_l2(output, inputs)

    def _discriminator_step(self, kind: str, reals: Tensor, fakes: Tensor) -> Tensor:
        """The published discriminator loss carries the weight of the generator's term."""
        critic, optimizer = self.discriminators[f"{kind}_discriminator"], self.optimizers[f"{kind}_discriminator"]
        optimizer.zero_grad(set_to_none=True)
        with self.context.autocast():
            loss = d_logistic(critic(reals).float(), critic(fakes).float())
        (loss * self.weights[f"{kind}_adversarial"]).backward()
        self._update(optimizer)
        return loss.detach()

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        self.context.average_gradients(p for group in optimizer.param_groups for p in group["params"])
        optimizer.step()
