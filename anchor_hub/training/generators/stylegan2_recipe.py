"""Training a hub: StyleGAN2 as published, with every constant an option.

Karras et al. (2020, arXiv:1912.04958). One step: the critic on real and generated images (the published one is a
discriminator on the logistic loss), and on its penalty where one is due (every 16th step R1 on the same real images);
the generator on the critic's loss; every 4th step, where asked for, path-length regularisation; the moving average of
the generator. Each part has its own fresh latents, backward pass and optimiser step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.modality.pictures import from_unit
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config, mix_styles
from anchor_hub.training.base import OWN, Batch, RecipeOptions, Samples, TrainingContext, TrainingPlan
from anchor_hub.training.engine.average import WeightAverage
from anchor_hub.training.generators.choices import StyleGAN2Choices
from anchor_hub.training.generators.critics import Critic, CriticSetting, adam, critic_class
from anchor_hub.training.generators.gan_losses import path_length_penalty, path_lengths
from anchor_hub.training.generators.gan_recipe import GANRecipe, discriminator_losses
from anchor_hub.training.generators.start import HubStart
from anchor_hub.training.generators.stopping import EarlyStop, split
from anchor_hub.training.generators.stylegan2_options import HubOptions as HubOptions
from anchor_hub.training.generators.stylegan2_training import PRESETS, config, constants, start_of

SHOWN_SAMPLES = 64


class HubRecipe(GANRecipe):
    """Trains a StyleGAN2 generator against a critic: by default a residual discriminator of the same channels.

    `hub_name` names the hub that `export` writes, `keep_discriminator` puts the critic into it, `half` stores its
    weights in half precision. With `start` (of the same configuration) the networks begin as that hub's. Samples are
    RGB images of the configuration's size.
    """

    name = "stylegan2"
    Options: ClassVar[type[RecipeOptions]] = StyleGAN2Choices
    critic: Critic
    #: What ends the training early, where the options ask for it.
    stop: EarlyStop | None = None

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
        self.held: Samples | None = None

    @classmethod
    def build(cls, plan: TrainingPlan, options: StyleGAN2Choices, required: Mapping[str, Any]) -> HubRecipe:
        start = start_of(options)
        recipe = cls(
            config(options, start), constants(options, start), hub_name=plan.name, compile=options.compile,
            keep_discriminator=options.keep_discriminator, half=options.half, start=start,
        )  # fmt: skip
        recipe.batch = int(options.of_preset(PRESETS)["batch"])
        recipe.check()
        return recipe

    @property
    def critic_setting(self) -> CriticSetting:
        """What the critic is built for."""
        return CriticSetting(self.config, self.options, self.start, self.compile)

    def check(self) -> None:
        """Raise what stands in the way of the critic and of early stop, before images are read: for ``build``.

        :raises UsageError: options that do not fit each other. :raises DataError: weights that are not on this machine.
        """
        critic = critic_class(self.options.critic)
        critic.check(self.critic_setting)
        if self.keep_discriminator and not critic.keepable:
            raise UsageError(f"--keep-discriminator: bundles keep no {self.options.critic} critic; leave it out")
        if self.options.stop is not None:
            self.options.stop.check(self.options.critic, self.start is not None)

    def describe(self) -> dict[str, Any]:
        """The settings that a resumed run must share, as plain JSON values."""
        start = {} if self.start is None else self.start.options()
        return {"generator": self.config.to_dict(), **self.options.to_dict(), **start}

    def setup(self, context: TrainingContext) -> None:
        self.context, self.adaptive = context, self.adaptive_augment(context)
        options = self.options
        self.generator = context.place(Generator(self.config))
        if self.start is not None:
            self.generator.load_state_dict(self.start.generator.state_dict())
        self.critic = critic_class(options.critic)(self.critic_setting, context, self.seen)
        self.discriminator, self.discriminator_optimizer = self.critic.network, self.critic.optimizer
        self.average = WeightAverage(self.generator)
        self.generator_optimizer = adam(
            self.generator,
            options.learning_rate,
            options.path_length_every if options.path_length_weight else None,
        )
        self.noise = "random" if options.noise else "none"
        self.mean_path_length = torch.zeros((), device=context.device)
        self.shown = torch.randn(SHOWN_SAMPLES, self.config.code_dim)
        # Path lengths differentiate twice, which compiled networks cannot do, so they use the plain module, in float32.
        self.fast_synthesis = (
            torch.compile(self.generator.synthesis) if self.compile else self.generator.synthesis
        )
        self.stop = self._early_stop()

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        options = self.options
        real = self.context.place(self.context.modality.to_network(self.images(batches)))
        losses = {**self._discriminator_step(real), **self.critic.penalty(real, index)}
        if index * self.context.batch < options.discriminator_warmup:
            return losses
        losses["generator"] = self._generator_step(len(real))
        if options.path_length_weight and index % options.path_length_every == 0:
            losses["path_length"] = self._path_length_step(max(1, len(real) // options.path_batch_shrink))
        self._follow(index)
        if self.stop is not None and self.stop.due(index):
            losses.update(self.stop.look(self.average.module, (index + 1) * self.context.batch))
        return losses

    def _discriminator_step(self, real: Tensor) -> dict[str, float | Tensor]:
        with self.context.autocast():
            with torch.no_grad():
                fake = self._image(self._latents(len(real)))
        loss, real_logits, fake_logits = self.critic.learn(real, fake)
        return {**discriminator_losses(loss, real_logits, fake_logits), **self.watched(real_logits)}

    def _generator_step(self, count: int) -> Tensor:
        with self.context.autocast():
            loss = self.critic.generator_loss(self._image(self._latents(count)))
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

    def trained_on(self, data: Mapping[str, Samples]) -> Mapping[str, Samples]:
        """All samples but those that early stop holds out."""
        stop = self.options.stop
        if stop is None or stop.patience is None:
            return data
        trained, self.held = split(data[OWN], stop.held_out)
        return {OWN: trained}

    def _early_stop(self) -> EarlyStop | None:
        stop, base, held = self.options.stop, None, None
        if stop is None:
            return None
        if stop.distance is not None and self.start is not None:
            base = self.context.place(self.start.generator).eval().requires_grad_(False)
        if self.held is not None:
            images = self.context.modality.to_network(self.held.batch(len(self.held)).images)
            held = from_unit(images.to(self.context.device))
        return EarlyStop(
            stop, self.context, size=self.config.size, code_dim=self.config.code_dim, base=base, held=held
        )

    def finished(self, step: int) -> str | None:
        return None if self.stop is None else self.stop.reason

    def state_dict(self) -> dict[str, Any]:
        stop = {} if self.stop is None else {"early_stop": self.stop.state_dict()}
        return {**super().state_dict(), "mean_path_length": self.mean_path_length, **stop}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.mean_path_length = state["mean_path_length"].to(self.context.device)
        if self.stop is not None:
            self.stop.load_state_dict(state["early_stop"])

    def averaged_generator(self) -> Generator:
        """The averaged generator; where the training stops early, in its best state."""
        best = None if self.stop is None else self.stop.exported
        generator = Generator(self.config)
        generator.load_state_dict(self.average.module.state_dict() if best is None else best)
        return generator

    def record(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**super().record(facts), **self.stop_record()}

    def stop_record(self) -> dict[str, Any]:
        """What the bundle's provenance says of early stop."""
        return {} if self.stop is None else {"early_stop": self.stop.record()}

    def introduction(self) -> str:
        return (
            f"A StyleGAN2 generator of {self.config.size} px (latents of {self.config.latent_dim}), trained by "
            "`anchor hubs train`: the hub that domains are anchored to."
        )
