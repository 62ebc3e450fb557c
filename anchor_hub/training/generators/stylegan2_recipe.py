"""Training a hub: StyleGAN2 as published, with every constant an option.

Karras et al. (2020, arXiv:1912.04958). One step: discriminator on the logistic loss; every 16th step R1 on
the same real images; generator on the non-saturating loss; every 4th step, where asked for, path-length
regularisation; the moving average of the generator. Each part has its own fresh latents, backward pass and
optimiser step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anchor_hub.errors import UsageError
from anchor_hub.modality.pictures import from_unit
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config, mix_styles
from anchor_hub.networks.stylegan2_discriminator import Discriminator
from anchor_hub.training.base import Batch, RecipeOptions, TrainingContext, TrainingPlan
from anchor_hub.training.engine.average import WeightAverage
from anchor_hub.training.generators.augment import augment
from anchor_hub.training.generators.choices import StyleGAN2Choices
from anchor_hub.training.generators.gan_losses import (
    d_logistic,
    g_nonsaturating,
    lazy_adam_settings,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)
from anchor_hub.training.generators.gan_recipe import GANRecipe, discriminator_losses
from anchor_hub.training.generators.start import HubStart, discriminator_config
from anchor_hub.training.generators.stylegan2_options import HubOptions as HubOptions
from anchor_hub.training.generators.stylegan2_training import PRESETS, config, constants, start_of

BETAS = (0.0, 0.99)
SHOWN_SAMPLES = 64


class HubRecipe(GANRecipe):
    """Trains a StyleGAN2 generator against a residual discriminator of the same channels.

    `hub_name` names the hub that `export` writes, `keep_discriminator` puts the critic into it, `half` stores its
    weights in half precision. With `start` (of the same configuration) the networks begin as that hub's. Samples are
    RGB images of the configuration's size.
    """

    name = "stylegan2"
    Options: ClassVar[type[RecipeOptions]] = StyleGAN2Choices

    def __init__(
        self,
        config: StyleGAN2Config,
        options: HubOptions | None = None,
        *,
        hub_name: str = "hub",
        compile: bool = False,
        keep_discriminator: bool = False,
        half: bool = False,
        start: HubStart | None = None,
    ) -> None:
        self.config, self.options, self.hub_name = config, options or HubOptions(), hub_name
        self.compile, self.keep_discriminator, self.half, self.start = compile, keep_discriminator, half, start
        self.size = config.size

    @classmethod
    def build(cls, plan: TrainingPlan, options: StyleGAN2Choices, required: Mapping[str, Any]) -> HubRecipe:
        start = start_of(options)
        recipe = cls(
            config(options, start), constants(options, start), hub_name=plan.name, compile=options.compile,
            keep_discriminator=options.keep_discriminator, half=options.half, start=start,
        )  # fmt: skip
        recipe.batch = int(options.of_preset(PRESETS)["batch"])
        return recipe

    def describe(self) -> dict[str, Any]:
        """The settings that a resumed run must share, as plain JSON values."""
        start = {} if self.start is None else self.start.options()
        return {"generator": self.config.to_dict(), **self.options.to_dict(), **start}

    def setup(self, context: TrainingContext) -> None:
        self.context = context
        share = context.batch // context.group.world
        group = discriminator_config(self.config).stddev_group
        if share % min(share, group):
            raise UsageError(
                f"the discriminator compares images in groups of {group}: --batch (per process) must be a "
                f"multiple of {group}, not {share}"
            )
        self.generator = context.place(Generator(self.config))
        self.discriminator = context.place(Discriminator(discriminator_config(self.config)))
        if self.start is not None:
            self.generator.load_state_dict(self.start.generator.state_dict())
            if self.start.discriminator is not None:
                self.discriminator.load_state_dict(self.start.discriminator.state_dict())
        self.average = WeightAverage(self.generator)
        options = self.options
        self.generator_optimizer = _adam(
            self.generator,
            options.learning_rate,
            options.path_length_every if options.path_length_weight else None,
        )
        self.discriminator_optimizer = _adam(
            self.discriminator, options.learning_rate, options.r1_every if options.r1_gamma else None
        )
        self.noise = "random" if options.noise else "none"
        self.mean_path_length = torch.zeros((), device=context.device)
        self.shown = torch.randn(SHOWN_SAMPLES, self.config.code_dim)
        # R1 and path lengths differentiate twice, which compiled networks cannot do, so they use the plain modules.
        # They run in float32: torch's second derivative of a bfloat16 convolution on CPUs (oneDNN) is wrong. For the
        # first convolutions of the discriminator's blocks, a third of R1's gradient was left, in another direction.
        self.fast_synthesis = (
            torch.compile(self.generator.synthesis) if self.compile else self.generator.synthesis
        )
        self.fast_discriminator = torch.compile(self.discriminator) if self.compile else self.discriminator

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        options = self.options
        real = self.context.place(self.context.modality.to_network(self.images(batches)))
        losses = self._discriminator_step(real)
        if options.r1_gamma and index % options.r1_every == 0:
            losses["r1"] = self._r1_step(real)
        if index * self.context.batch < options.discriminator_warmup:
            return losses
        losses["generator"] = self._generator_step(len(real))
        if options.path_length_weight and index % options.path_length_every == 0:
            losses["path_length"] = self._path_length_step(max(1, len(real) // options.path_batch_shrink))
        self._follow(index)
        return losses

    def critic_learns(self, learns: bool) -> None:
        """Whether the discriminator's weights get gradients; recipes that freeze a part of it say so here."""
        self.discriminator.requires_grad_(learns)

    def _discriminator_step(self, real: Tensor) -> dict[str, float | Tensor]:
        self.critic_learns(True)
        with self.context.autocast():
            with torch.no_grad():
                fake = self._image(self._latents(len(real)))
            real_logits, fake_logits = self._judged(self._seen(real), self._seen(fake))
        loss = d_logistic(real_logits, fake_logits)
        self.context.descend(self.discriminator, self.discriminator_optimizer, loss)
        return discriminator_losses(loss, real_logits, fake_logits)

    def _judged(self, real: Tensor, fake: Tensor) -> list[Tensor]:
        """The logits of real and generated images, from one pass where the batch allows it, which costs less.

        One pass does the work per weight only once. The samples are interleaved so that each group of the minibatch
        standard deviation holds one kind.
        """
        group = self.discriminator.config.stddev_group
        if len(real) % group:
            return [self.fast_discriminator(images).float() for images in (real, fake)]
        both = torch.cat([images.unflatten(0, (group, -1)) for images in (real, fake)], dim=1)
        logits = self.fast_discriminator(both.flatten(0, 1)).float().unflatten(0, (group, -1))
        return [part.flatten(0, 1) for part in logits.chunk(2, dim=1)]

    def _r1_step(self, real: Tensor) -> Tensor:
        real = real.detach().requires_grad_(True)
        penalty = r1_penalty(self.discriminator(self._seen(real)), real)
        weight = self.options.r1_gamma / 2 * self.options.r1_every
        self.context.descend(self.discriminator, self.discriminator_optimizer, weight * penalty)
        return penalty.detach()

    def _generator_step(self, count: int) -> Tensor:
        self.critic_learns(False)
        with self.context.autocast():
            logits = self.fast_discriminator(self._seen(self._image(self._latents(count)))).float()
        loss = g_nonsaturating(logits)
        self.context.descend(self.generator, self.generator_optimizer, loss)
        return loss.detach()

    def _path_length_step(self, count: int) -> Tensor:
        latents = self._latents(count)
        image = self.generator.synthesis(latents, noise=self.noise).image
        assert image is not None
        penalty, self.mean_path_length = path_length_penalty(path_lengths(image, latents), self.mean_path_length)
        # One running mean for all processes: a checkpoint holds one.
        self.mean_path_length = self.context.group.average(self.mean_path_length)
        weight = self.options.path_length_weight * self.options.path_length_every
        self.context.descend(self.generator, self.generator_optimizer, weight * penalty)
        return penalty.detach()

    def _latents(self, count: int) -> Tensor:
        """W+ [count, L, D] of fresh latents, with probability `style_mixing` mixed from two at one random layer."""
        layers, device = self.config.num_latents, self.context.device
        z = torch.randn(2, count, self.config.code_dim).to(device)
        mixed = float(torch.rand(())) < self.options.style_mixing
        crossover = int(torch.randint(1, layers, ())) if mixed else layers
        first = self.generator.mapping(z[0])
        return mix_styles(first, self.generator.mapping(z[1]) if mixed else first, crossover, layers)

    def _image(self, latents: Tensor) -> Tensor:
        image = self.fast_synthesis(latents, noise=self.noise).image
        assert image is not None
        return image

    def _seen(self, images: Tensor) -> Tensor:
        """Images as the discriminator sees them."""
        return augment(images, self.options.augment)

    # -- what the trainer asks for -------------------------------------------------------------------------------------

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Tensor]:
        """64 fixed latents through the averaged generator, 8 by 8."""
        network = self.average.module
        rows = []
        with self.context.autocast():
            for z in self.shown.split(self.context.batch):
                latents = network.mapping(z.to(self.context.device))
                rows.append(network.synthesis(latents, noise="const").image)
        images = torch.cat([row for row in rows if row is not None])
        return {"hub": from_unit(images).cpu()}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "mean_path_length": self.mean_path_length}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.mean_path_length = state["mean_path_length"].to(self.context.device)

    def averaged_generator(self) -> Generator:
        generator = Generator(self.config)
        generator.load_state_dict(self.average.module.state_dict())
        return generator

    def introduction(self) -> str:
        return (
            f"A StyleGAN2 generator of {self.config.size} px (latents of {self.config.latent_dim}), trained by "
            "`anchor hubs train`: the hub that domains are anchored to."
        )


def _adam(module: nn.Module, learning_rate: float, interval: int | None) -> torch.optim.Adam:
    learning_rate, betas = lazy_adam_settings(learning_rate, BETAS, interval)
    # One fused kernel instead of a dozen passes over the weights.
    return torch.optim.Adam(module.parameters(), lr=learning_rate, betas=betas, eps=1e-8, fused=True)
