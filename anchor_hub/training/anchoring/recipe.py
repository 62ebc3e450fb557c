"""Latent-space anchoring of one domain against a frozen hub, as a recipe of the trainer.

The paper's picture (equations 1-6): ``z = E(x)``, ``f = F(z)``, ``x' = R(f)``, with the hub frozen. Two objectives:

* ``published`` (:mod:`~anchor_hub.training.anchoring.published_objective`): the paper's reconstruction, latent norm
  and image adversarial terms.
* ``aligned``: the same reconstruction, and terms that make the *meaning* of a latent agree between domains: random
  appearance in the finer layers, a penalty in the whitened latent space, and terms on sampled latents. For these, the
  regressor must produce images of the domain that share the hub's edges and regions, and the encoder must find the
  latent in the image again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.modality.pictures import from_unit
from anchor_hub.networks.anchor_discriminators import PatchDiscriminator
from anchor_hub.networks.regressors import Regressor
from anchor_hub.networks.stylegan2 import mix_styles
from anchor_hub.training.anchoring.consensus import LinearConsensus
from anchor_hub.training.anchoring.distillation import Distillation, check_distillation
from anchor_hub.training.anchoring.domain_recipe import DomainRecipe
from anchor_hub.training.anchoring.losses import latent_consistency, mahalanobis, pyramid_loss, soft_dice
from anchor_hub.training.anchoring.options import AnchorOptions, aligned_weights, settings_row
from anchor_hub.training.anchoring.published_objective import PublishedObjective, published_weights
from anchor_hub.training.anchoring.structure import edge_agreement_loss, region_colour_loss
from anchor_hub.training.base import OWN, Batch, TrainingContext
from anchor_hub.training.generators.gan_losses import d_logistic, g_nonsaturating, r1_penalty

WHITENING_FLOOR = 1e-3  # of the largest eigenvalue: directions that vary less cannot be seen in the picture
TRUNCATIONS = (0.3, 1.0)  # of the sampled latents: from nearly the mean latent to the hub's full variety
R1_EVERY = 8
R1_GAMMA = 0.1  # of the sum over all patches
# Where sharpness counts, the critic sees fine detail, and R1 gamma stays below 0.01: from there on no critic
# notices blur. Label maps have no texture: there such a critic outvotes all terms. RGB: not measured.
DETAILED, DETAILED_R1_GAMMA = ("gray",), 0.002
LEARNING_RATE = 1e-3  # of the aligned objective
WARM_UP_STEPS = 100
APPEARANCE_UNTIL = 0.5  # share of the images over which the samples' appearance comes in: codes need a meaning first
CONSENSUS_FROM = 0.2  # share of the images after which the regressor learns from the consensus of its readings
DECAY_FROM = 0.6  # share of the images after which the learning rate falls linearly to 2 %

# Of a map and the hub's picture of the same latent; of images and, with weights of their own, of samples.
STRUCTURE_TERMS = {"edges": edge_agreement_loss, "regions": region_colour_loss}


class AnchorRecipe(DomainRecipe):
    """Trains the encoder and the regressor of one domain on images of that domain alone.

    The parameters are :class:`DomainRecipe`'s.
    """

    name = "anchor"

    def __init__(
        self,
        domain: AnchoredDomain,
        options: AnchorOptions,
        total_images: int | None = None,
        *,
        start: Mapping[str, str] | None = None,
        half: bool = False,
    ) -> None:
        super().__init__(domain, options, total_images, start=start, half=half)
        self._progress = 1.0  # share of the images seen, where the run's length is known
        self.row = settings_row(self._reads)
        self.weights = aligned_weights(self.row, options.weights if options.objective == "aligned" else {})
        if options.objective == "published":
            published_weights(self.row, options.weights)  # reports a wrong name before the data are read
        if options.distill:
            check_distillation(domain, options.distill, total_images)

    # ------------------------------------------------------------------ set-up

    def setup(self, context: TrainingContext) -> None:
        self.context = context
        if self.hub.device.type == "cuda":  # every process has a GPU of its own
            self.hub.to(context.device)
        context.place(self.hub.generator)  # the layout of its weights, not their values: a seventh faster on a CPU
        assert self.domain.encoder is not None
        self.encoder = self.domain.encoder
        self.regressor = self.domain.regressor if isinstance(self.domain.regressor, Regressor) else None
        self.published = (
            PublishedObjective(self.domain, self.options, context) if self.options.objective == "published" else None
        )
        self.networks: dict[str, nn.Module] = {"encoder": self.encoder}
        if self.regressor is not None:
            self.networks["regressor"] = self.regressor
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        if self.published is not None:
            self.networks.update(self.published.discriminators)
            self.optimizers = self.published.optimizers
        else:
            trained = [p for module in self.networks.values() for p in module.parameters()]
            rate = self.options.learning_rate or LEARNING_RATE
            self.optimizers["networks"] = torch.optim.Adam(trained, lr=rate, betas=(0.9, 0.99), fused=True)
            if self.regressor is not None and self.weights.adversarial:
                detail = self.row in DETAILED
                critic = PatchDiscriminator(self._reads.input_channels, num_layers=4, detail=detail)
                self.networks["discriminator"] = critic
                self.optimizers["discriminator"] = torch.optim.Adam(
                    critic.parameters(), lr=rate / 2, betas=(0.0, 0.99), fused=True
                )
            if self.regressor is not None and self.weights.consensus:
                self.networks["consensus"] = LinearConsensus(self.regressor, self.hub.feature_channels)
        for module in self.networks.values():
            context.place(module)
        self.mean, self.whitening = self.hub.whitening(WHITENING_FLOOR)
        self.distillation: Distillation | None = None
        if self.options.distill:
            assert self.total_images is not None
            first, end = (self._main_images or 0) // context.batch, -(-self.total_images // context.batch)
            self.distillation = Distillation(self.domain, context, self.whitening, first, end)

    @property
    def _main_images(self) -> int | None:
        """Images of the phase before the distillation; None where the run's length is not known."""
        return None if self.total_images is None else self.total_images - self.options.distill

    # ------------------------------------------------------------------ one step

    def step(self, batches: Mapping[str, Batch], index: int) -> dict[str, float | Tensor]:
        """One optimiser step on samples of the domain, as the modality collates them."""
        batch = batches[OWN].images
        if self.published is not None:
            return self.published.step(batch)
        inputs = self.context.place(self._reads.to_network(batch))
        if self.distillation is not None and index >= self.distillation.first:
            return dict(self.distillation.step(inputs, batch, index))
        self._set_learning_rate(index)
        terms = self._own_domain_terms(inputs) if self.regressor is None else self._terms(inputs, batch)
        fakes = terms.pop("fakes", None)
        losses = {name: value for name, value in terms.items() if name in vars(self.weights)}
        total = sum(getattr(self.weights, name) * value for name, value in losses.items())
        optimizer = self.optimizers["networks"]
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[union-attr]
        self._update(optimizer)
        report: dict[str, float | Tensor] = {name: value.detach() for name, value in losses.items()}
        if fakes is not None:
            report["discriminator"] = self._discriminator_step(inputs, fakes, index)
        return report

    def _set_learning_rate(self, index: int) -> None:
        """A short warm-up (codes leave the mean latent slowly), and a linear end where the run's length is known."""
        factor = min(1.0, (index + 1) / WARM_UP_STEPS)
        if self._main_images:
            self._progress = index * self.context.batch / self._main_images
            factor *= min(1.0, max(0.02, (1 - self._progress) / (1 - DECAY_FROM)))
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

    def _random_latents(self, count: int) -> Tensor:
        """Random latents as the hub samples them, from torch's default generator, seeded before every step."""
        return self.hub.sample(count)

    def _sampled_latents(self, count: int) -> tuple[Tensor, Tensor]:
        """Latents like those of other domains' encoders: ``(structure codes [C, L, D], latents [count, L, D])``.

        The first half (C) have one code in all structure layers and another code above, which this domain's encoder can
        find again; the other half change codes at any layer, since encoders may use every layer of W+. All latents are
        pulled towards the mean latent by random amounts: encoders stay closer to the mean than samples do.
        """
        hub, pure = self.hub, (count + 1) // 2
        pull = torch.empty(2, count, 1, 1, device=self.context.device).uniform_(*TRUNCATIONS)
        first, second = (
            self.mean + pull[k] * (hub.expand(self._random_latents(count)) - self.mean) for k in range(2)
        )
        crossover = torch.randint(1, hub.num_latents + 1, (count,))
        crossover[:pure] = self.domain.structure_layers
        return hub.expand(first[:pure]), mix_styles(first, second, crossover, hub.num_latents)

    def _codes(self, inputs: Tensor) -> Tensor:
        """The encoder's final codes ``[B, L, D]``: offsets plus the hub's mean latent, float32."""
        with self.context.autocast():
            offsets = self.domain.offsets(inputs)
        return offsets.float() + self.mean

    def _terms(self, inputs: Tensor, batch: Tensor) -> dict[str, Tensor]:
        """All terms of the ``aligned`` objective for a domain with a regressor."""
        weights, structure, hub = self.weights, self.domain.structure_layers, self.hub
        count = inputs.shape[0]
        shows, shows_samples = (
            any(getattr(weights, prefix + term) for term in STRUCTURE_TERMS) for prefix in ("", "sampled_")
        )
        resolutions = self.regressor.resolutions  # type: ignore[union-attr]
        terms: dict[str, Tensor] = {}

        # The hub's own latents: the regressor has never seen a true image for them, so it is told what one looks like.
        sampled, latents = self._sampled_latents(count)
        with torch.no_grad(), self.context.autocast():
            drawn = hub.synthesize(latents, features=resolutions, image=shows_samples, noise="random")
        with self.context.autocast():
            read = self.regressor(drawn.features)  # type: ignore[misc]
        fakes = self._reads.as_input(read.float())
        found: Tensor | None = None
        if weights.consistency:
            found = self._codes(fakes[: len(sampled)])[:, :structure]
            terms["consistency"] = latent_consistency(found, sampled[:, :structure], self.mean, self.whitening)

        # The domain's images: encoded, given the appearance of random samples, read back.
        codes = self._codes(inputs)[:, :structure]
        coarse = codes
        if self.options.appearance:
            # The part that all codes share cancels in E(x) + w - E(R(F(w))); with a gradient there it would drift.
            appearance, shared = self._appearance(fakes.detach(), latents, found), codes.mean(0)
            given = appearance.flatten(1).any(1)[:, None, None]
            coarse = torch.where(given, codes - shared + shared.detach() + appearance, codes)
        latents = torch.cat([coarse, hub.expand(self._random_latents(count))[:, structure:]], dim=1)
        with self.context.autocast():
            encoded = hub.synthesize(latents, features=resolutions, image=shows, noise="random", learned=structure)
            output = self.regressor(encoded.features)  # type: ignore[misc]
        terms["reconstruction"] = self._reads.reconstruction_loss(output.float(), batch)
        if weights.dice:
            terms["dice"] = soft_dice(output, inputs)
        if weights.consensus:
            consensus = self.networks["consensus"]
            assert isinstance(consensus, LinearConsensus)
            own, others = (encoded.features, inputs), (drawn.features, fakes.detach())
            consensus.learn(own, others, self.context.group.average)
            if consensus.ready and self._progress >= CONSENSUS_FROM:
                wanted = consensus.read(drawn.features, (self.hub.size, self.hub.size))
                terms["consensus"] = nn.functional.cross_entropy(read.float(), wanted)
        terms["mahalanobis"] = mahalanobis(codes, self.mean, self.whitening)
        if weights.centre:
            terms["centre"] = mahalanobis(codes.mean(0), self.mean, self.whitening)
        if weights.adversarial:
            critic = self.networks["discriminator"].requires_grad_(False)
            with self.context.autocast():
                terms["adversarial"] = g_nonsaturating(critic(fakes).float())
            terms["fakes"] = fakes.detach()
        for prefix, maps, output in (("", inputs, encoded), ("sampled_", fakes, drawn)):
            for term, agreement in STRUCTURE_TERMS.items():
                if getattr(weights, prefix + term) and output.image is not None:
                    terms[prefix + term] = agreement(maps, output.image)
        return terms

    @torch.no_grad()
    def _appearance(self, fakes: Tensor, latents: Tensor, found: Tensor | None) -> Tensor:
        """The part of sampled latents that the domain's images cannot show (colours), ``[B, structure layers, D]``.

        The difference between ``latents`` and the codes of the images ``fakes`` that were decoded from them; zero for
        images that keep the mean appearance. ``found``: the codes of the first images, if known.
        """
        share = self.options.appearance * min(1.0, self._progress / APPEARANCE_UNTIL)
        given = torch.rand(len(fakes), 1, 1, device=fakes.device).flatten() < share
        codes = latents[:, : self.domain.structure_layers].clone()  # a difference of zero, until a code is known
        known = 0 if found is None else len(found)
        if found is not None:
            codes[:known] = found
        missing = given.nonzero().flatten()
        missing = missing[missing >= known]
        if len(missing):  # only what is given is worth a pass of the encoder
            codes[missing] = self._codes(fakes[missing])[:, : self.domain.structure_layers]
        return torch.where(given[:, None, None], latents[:, : self.domain.structure_layers] - codes, 0.0)

    def _own_domain_terms(self, inputs: Tensor) -> dict[str, Tensor]:
        """Terms for the domain the hub itself generates: inversion of its images and of its samples."""
        structure = self.domain.structure_layers
        with self.context.autocast():
            codes = self.domain.codes(inputs)
            picture = self.hub.image(codes)
        count, layers = inputs.shape[0], self.hub.num_latents
        crossover = torch.randint(1, layers + 1, (count,))  # = layers: one code for all of them
        sampled = mix_styles(self._random_latents(count), self._random_latents(count), crossover, layers)
        with torch.no_grad(), self.context.autocast():
            drawn = self.hub.image(sampled, noise="random")
        with self.context.autocast():
            found = self.domain.codes(drawn.float().clamp(-1, 1))
            redrawn = self.hub.image(found)
        return {
            "reconstruction": pyramid_loss(picture, inputs) + pyramid_loss(redrawn, drawn),
            "mahalanobis": mahalanobis(codes[:, :structure], self.mean, self.whitening),
            "consistency": latent_consistency(found[:, :structure], sampled[:, :structure], self.mean, self.whitening),
            "edges": edge_agreement_loss(inputs, picture) + edge_agreement_loss(drawn, redrawn),
        }

    def _discriminator_step(self, reals: Tensor, fakes: Tensor, index: int) -> Tensor:
        critic, optimizer = self.networks["discriminator"].requires_grad_(True), self.optimizers["discriminator"]
        optimizer.zero_grad(set_to_none=True)
        with self.context.autocast():
            loss = d_logistic(*critic(torch.cat([reals, fakes])).float().chunk(2))
        penalty: Tensor | float = 0.0
        if index % R1_EVERY == 0:  # in float32: on CPUs second derivatives of bfloat16 convolutions are wrong
            reals = reals.detach().float().requires_grad_(True)
            gamma = DETAILED_R1_GAMMA if self.row in DETAILED else R1_GAMMA
            penalty = r1_penalty(critic(reals), reals) * (gamma / 2 * R1_EVERY)
        (loss + penalty).backward()
        self._update(optimizer)
        return loss.detach()

    def _update(self, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.context.average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()

    # ------------------------------------------------------------------ what the trainer shows and keeps

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, list[Tensor]]:
        """Rows of a contact sheet: inputs, the hub's pictures of them, both read back; hub samples, and read."""
        domain, hub, batch = self.domain, self.hub, batches[OWN].images
        for module in self.networks.values():
            module.eval()
        latents = domain.encode(self.context.place(self._reads.to_network(batch)))
        sampled = hub.sample(len(batch), seed=self.context.seed)

        def pictures(images: Tensor) -> list[Tensor]:
            return list(from_unit(images).cpu())

        def read(codes: Tensor) -> list[Tensor]:
            return [self._reads.preview(s) for s in self._reads.from_network(domain.decode(codes).float().cpu())]

        rows = {
            "input": [self._reads.preview(sample, hub.size) for sample in batch.cpu()],
            "hub picture": pictures(hub.image(latents)),
            "read back": read(latents),
            "hub sample": pictures(hub.image(sampled)),
            "hub sample, read": read(sampled),
        }
        for module in self.networks.values():
            module.train()
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Networks and optimisers, without the hub, which never changes."""
        own = {} if self.distillation is None else {"distillation": self.distillation.state_dict()}
        return {
            **own,
            "networks": {name: module.state_dict() for name, module in self.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, module in self.networks.items():
            module.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.distillation is not None:
            self.distillation.load_state_dict(state["distillation"])
