"""Training a class-conditional hub: BigGAN, with every constant an option.

Brock et al. (2019, arXiv:1809.11096). One step: one or several discriminator steps on the hinge loss, each with fresh
images and fresh latents; a generator step on the hinge loss; the moving average of the generator. Spectral norm is part
of the networks. Batch norms of the exported generator get *standing statistics*: means over many batches of samples.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.modality.pictures import from_unit
from anchor_hub.networks.biggan import BigGAN, BigGANConfig
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminator, BigGANDiscriminatorConfig
from anchor_hub.networks.biggan_layers import standing_statistics
from anchor_hub.training.base import OWN, Batch, RecipeOptions, TrainingContext, TrainingPlan
from anchor_hub.training.engine.average import WeightAverage
from anchor_hub.training.engine.randomness import mix_seed
from anchor_hub.training.generators.biggan_options import BigGANOptions as BigGANOptions
from anchor_hub.training.generators.biggan_training import BIGGAN_PRESETS, classes_of, configs, constants
from anchor_hub.training.generators.choices import BigGANChoices
from anchor_hub.training.generators.gan_losses import d_hinge, difference, g_hinge, mode_seeking, pairs_of_one_class
from anchor_hub.training.generators.gan_recipe import GANRecipe, discriminator_losses

if TYPE_CHECKING:
    from anchor_hub.data.image_folder import ImageFolder

BETAS = (0.0, 0.999)
EPSILON = 1e-6
#: Columns of the sample sheet (a latent each), and its largest number of rows (a class each).
SHOWN_LATENTS, SHOWN_CLASSES = 8, 24
#: Number of batches for the batch norms' statistics of a sample sheet; an export takes many more.
SHOWN_BATCHES, STANDING_BATCHES, STANDING_BATCH = 8, 128, 32


class Fakes(NamedTuple):
    """Generated images ``[B, 3, H, W]`` and their classes ``[B]``."""

    images: Tensor
    labels: Tensor


class BigGANRecipe(GANRecipe):
    """Trains a BigGAN against a projection discriminator on labelled images.

    :param classes: names of the classes, in the order of the labels.
    :param hub_name: names the hub that :meth:`export` writes; with ``keep_discriminator`` it holds the critic, too,
        with ``half`` its weights are stored in half precision.
    """

    name = "biggan"
    Options: ClassVar[type[RecipeOptions]] = BigGANChoices

    def __init__(
        self,
        config: BigGANConfig,
        discriminator_config: BigGANDiscriminatorConfig,
        classes: Sequence[str],
        options: BigGANOptions | None = None,
        *,
        hub_name: str = "hub",
        keep_discriminator: bool = False,
        half: bool = False,
    ) -> None:
        if config.classes != len(classes):
            raise ValueError(f"{len(classes)} class names do not fit a generator of {config.classes} classes")
        self.config, self.discriminator_config, self.classes = config, discriminator_config, tuple(classes)
        self.options, self.hub_name = options or BigGANOptions(), hub_name
        self.keep_discriminator, self.half, self.size = keep_discriminator, half, config.size
        self._choices = BigGANChoices()

    @classmethod
    def build(cls, plan: TrainingPlan, options: BigGANChoices, required: Mapping[str, Any]) -> BigGANRecipe:
        """The recipe, with two classes until the classes of the files are known."""
        recipe = cls(
            *configs(options, classes=2), ("0", "1"), constants(options), hub_name=plan.name,
            keep_discriminator=options.keep_discriminator, half=options.half,
        )  # fmt: skip
        recipe._choices, recipe.batch = options, int(options.of_preset(BIGGAN_PRESETS)["batch"])
        return recipe

    def images_per_step(self, batch: int | None) -> int:
        return super().images_per_step(batch) * self.options.discriminator_steps

    def labels(self, data: str, folder: str | Path, files: ImageFolder) -> tuple[tuple[str, ...], Tensor]:
        """Class names and labels, from class folders or a table's column; makes the networks fit these classes."""
        self.classes, labels = classes_of(self._choices, folder, files)
        self.config, self.discriminator_config = configs(self._choices, len(self.classes))
        return self.classes, labels

    def describe(self) -> dict[str, Any]:
        """The settings that a resumed run must share, as plain JSON values."""
        return {
            "generator": self.config.to_dict(),
            "discriminator": self.discriminator_config.to_dict(),
            "classes": list(self.classes),
            **self.options.to_dict(),
        }

    def setup(self, context: TrainingContext) -> None:
        self.context, self.adaptive = context, self.adaptive_augment(context)
        options = self.options
        self.generator = context.place(BigGAN(self.config)).train()
        if options.class_deviation is not None:
            nn.init.normal_(self.generator.embedding.weight, std=options.class_deviation)
        self.discriminator = context.place(BigGANDiscriminator(self.discriminator_config)).train()
        self.average = WeightAverage(self.generator)
        self.generator_optimizer = _adam(self.generator, options.learning_rate)
        self.discriminator_optimizer = _adam(self.discriminator, options.discriminator_learning_rate)
        self.shown = torch.randn(SHOWN_LATENTS, self.config.num_latents, self.config.latent_dim)

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        batch = batches[OWN]
        assert batch.labels is not None
        real = self.context.place(self.context.modality.to_network(batch.images))
        parts = self.options.discriminator_steps
        losses: dict[str, float | Tensor] = {}
        fakes: Fakes | None = None
        for number, (images, labels) in enumerate(zip(real.chunk(parts), batch.labels.chunk(parts), strict=True)):
            shared = self.options.share_fakes and number == parts - 1
            with torch.set_grad_enabled(shared):
                fakes = self._fakes(len(images))
            losses = self._discriminator_step(images, labels, fakes)
        if fakes is None or not self.options.share_fakes:
            fakes = self._fakes(len(real) // parts)
        losses.update(self._generator_step(fakes, real, batch.labels))
        self._follow(index)
        return losses

    def _discriminator_step(self, real: Tensor, labels: Tensor, fakes: Fakes) -> dict[str, float | Tensor]:
        fake = fakes.images.detach()
        self.discriminator.requires_grad_(True)
        changed = [self.seen(images.float()) for images in (fake, real)]
        classes = [fakes.labels, labels]
        if self.options.mismatch:  # half of the images are enough
            others = torch.randint(1, self.config.classes, (-(-len(real) // 2),)).to(labels)
            changed.append(changed[1][: len(others)])
            classes.append((labels[: len(others)] + others) % self.config.classes)
        with self.context.autocast():
            logits = self.discriminator(self.context.place(torch.cat(changed)), torch.cat(classes)).float()
        fake_logits, real_logits, *wrong = logits.split([len(images) for images in changed])
        total = loss = d_hinge(real_logits, fake_logits)
        if wrong:
            total = loss + self.options.mismatch * F.relu(1 + wrong[0]).mean()
        self.context.descend(self.discriminator, self.discriminator_optimizer, total)
        return {**discriminator_losses(loss, real_logits, fake_logits), **self.watched(real_logits)}

    def _generator_step(self, fakes: Fakes, real: Tensor, labels: Tensor) -> dict[str, float | Tensor]:
        self.discriminator.requires_grad_(False)
        images = self.context.place(self.seen(fakes.images.float()))
        with self.context.autocast():
            logits = self.discriminator(images, fakes.labels).float()
        losses = {"generator": g_hinge(logits)}
        total = losses["generator"]
        if self.options.diversity:
            enough = difference(real, pairs_of_one_class(labels.to(real.device)))
            losses["diversity"] = mode_seeking(fakes.images.float(), enough)
            total = total + self.options.diversity * losses["diversity"]
        self.context.descend(self.generator, self.generator_optimizer, total)
        return {name: value.detach() for name, value in losses.items()}

    def _fakes(self, count: int) -> Fakes:
        """Generated images of fresh latents and classes; for ``diversity``, both halves have the same classes."""
        device = self.context.device
        z = torch.randn(count, self.config.num_latents, self.config.latent_dim).to(device)
        labels = torch.randint(self.config.classes, (count,))
        if self.options.diversity and count > 1:
            half = count // 2
            labels[half : 2 * half] = labels[:half]
        labels = labels.to(device)
        with self.context.autocast():
            image = self.generator(z, labels).image
        assert image is not None
        return Fakes(image, labels)

    # -- what the trainer asks for -------------------------------------------------------------------------------------

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        """A row per class: the same latents in each class, through the averaged generator."""
        network = copy.deepcopy(self.average.module)
        with self.context.autocast():
            self._settle(network, SHOWN_BATCHES)
            step = max(1, -(-len(self.classes) // SHOWN_CLASSES))
            rows = {}
            for index in range(0, len(self.classes), step):
                labels = torch.full((SHOWN_LATENTS,), index, device=self.context.device)
                rows[self.classes[index]] = list(
                    from_unit(network(self.shown.to(self.context.device), labels).image.float()).cpu()
                )
        return rows

    def _settle(self, generator: BigGAN, batches: int) -> None:
        """Compute batch-norm statistics for a copy of the averaged generator, whose weights no batch has passed yet."""
        device = next(generator.parameters()).device
        standing_statistics(generator, standing_batches(self.config, self.context.seed, batches, device))
        generator.eval()

    def averaged_generator(self) -> BigGAN:
        """The averaged generator with standing statistics."""
        generator = BigGAN(self.config)
        generator.load_state_dict(self.average.module.state_dict())
        self._settle(generator, STANDING_BATCHES)
        return generator

    def introduction(self) -> str:
        return (
            f"A class-conditional BigGAN generator of {self.config.size} px, trained by `anchor hubs train --arch "
            f"biggan`: the hub that domains are anchored to.\n\nClasses: {', '.join(self.classes)}."
        )


def standing_batches(
    config: BigGANConfig, seed: int, batches: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Latents and labels for the batch norms' statistics; classes take turns, and ``seed`` fixes everything."""
    stream = torch.Generator().manual_seed(mix_seed(seed, "standing"))
    for number in range(batches):
        z = torch.randn(STANDING_BATCH, config.num_latents, config.latent_dim, generator=stream)
        labels = (torch.arange(STANDING_BATCH) + number * STANDING_BATCH) % config.classes
        yield z.to(device), labels.to(device)


def _adam(module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=learning_rate, betas=BETAS, eps=EPSILON, fused=True)
