"""The base of recipes that train a hub: a generator, its moving average, and a discriminator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anchor_hub.bundles.tensorfile import halved
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.classes import classes_file
from anchor_hub.modality import Modality, build_modality
from anchor_hub.networks.discriminators import describe_discriminator
from anchor_hub.training.base import BATCH, OWN, Batch, Contents, Recipe, TrainingContext
from anchor_hub.training.engine.average import WeightAverage, average_decay
from anchor_hub.training.generators.adaptive import ADAPTIVE, AdaptiveAugment
from anchor_hub.training.generators.augment import augment


class GANRecipe(Recipe):
    """A recipe that trains a generator against a discriminator and exports the generator's average as a hub.

    ``setup`` sets what is declared here; ``hub_name`` names the hub, ``keep_discriminator`` puts the critic into it,
    ``half`` stores its weights in half precision.
    """

    kind: ClassVar[str] = "hub"
    hub_name: str
    keep_discriminator: bool
    half: bool = False
    #: Names of the classes of a class-conditional hub.
    classes: Sequence[str] = ()
    #: Default number of images of a step: that of the preset.
    batch: int = BATCH
    #: The hub that the training starts from, if any.
    start: Any = None

    context: TrainingContext
    options: Any
    generator: Any
    discriminator: Any
    average: WeightAverage[Any]
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    #: What augments the discriminator's images, where that is adaptive.
    adaptive: AdaptiveAugment | None = None

    def modality(self, data: str = OWN) -> Modality:
        """RGB, the modality that hubs generate."""
        return build_modality({"name": "rgb"})

    def images_per_step(self, batch: int | None) -> int:
        return batch or self.batch

    @staticmethod
    def images(batches: Mapping[str, Batch]) -> Tensor:
        """The samples of the only data set."""
        return batches[OWN].images

    # -- what the discriminator sees -----------------------------------------------------------------------------------

    def adaptive_augment(self, context: TrainingContext) -> AdaptiveAugment | None:
        """Adaptive augmentation, where the options ask for it: for ``setup``."""
        options = self.options
        if options.augment[:1] != (ADAPTIVE,):
            return None
        return AdaptiveAugment(
            options.augment[1:], target=options.augment_target, images=options.augment_images, group=context.group
        )

    def seen(self, images: Tensor) -> Tensor:
        """Images as the discriminator sees them."""
        return augment(images, self.options.augment) if self.adaptive is None else self.adaptive(images)

    def watched(self, real_logits: Tensor) -> dict[str, float]:
        """Let adaptive augmentation follow a step's logits of real images; the probability it had, for the log."""
        if self.adaptive is None:
            return {}
        probability = self.adaptive.probability
        self.adaptive.watch(real_logits)
        return {"augment_probability": probability}

    def _follow(self, index: int) -> None:
        """Update the moving average with the generator of step `index`."""
        images = (index + 1) * self.context.batch
        half_life, rampup = self.options.average_half_life, self.options.average_rampup
        self.average.update(self.generator, average_decay(self.context.batch, images, half_life, rampup))

    def state_dict(self) -> dict[str, Any]:
        adaptive = {} if self.adaptive is None else {"adaptive": self.adaptive.state_dict()}
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.module.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            **adaptive,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.module.load_state_dict(state["average"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        if self.adaptive is not None:
            self.adaptive.load_state_dict(state["adaptive"])

    def contents(self) -> Contents:
        """The averaged generator as a hub."""
        generator = self.averaged_generator()
        if self.half:  # the hub is what its file holds: statistics and fingerprint are of the rounded weights
            generator = generator.half().float()
        hub = Hub.from_generator(generator, self.hub_name, classes=self.classes)
        architecture, tensors = hub.architecture(), dict(hub.tensors())
        if self.half:
            tensors["generator"] = halved(tensors["generator"])
        if self.keep_discriminator:
            architecture["discriminator"] = describe_discriminator(self.discriminator)
            tensors["discriminator"] = halved(self.discriminator.state_dict())
        return Contents(
            architecture, tensors, card=self._card, name=hub.name, hub=(hub.name, hub.fingerprint),
            extras=classes_file(hub.classes),
        )  # fmt: skip

    def record(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        start = self.start.record() if self.start is not None else None
        known = {
            **facts, "data_images": facts["samples"], "minutes": round(facts["minutes"], 1),
            "device": facts["device"].split(":")[0], "architecture": facts["recipe"], "start": start,
            "classes": len(self.classes) or None, "options": self.options.to_dict(),
        }  # fmt: skip
        names = (
            "data data_images images_seen steps minutes batch seed precision mirror device processes where data_set "
            "architecture classes options start"
        )
        return self.chosen(known, names)

    @abstractmethod
    def averaged_generator(self) -> nn.Module:
        """A new generator with the averaged weights, as the hub will hold it."""

    @abstractmethod
    def introduction(self) -> str:
        """The first paragraph of the hub's card."""

    def _card(self, provenance: Mapping[str, Any]) -> str:
        return training_card(self.hub_name, self.introduction(), provenance)


def training_card(name: str, introduction: str, provenance: Mapping[str, Any]) -> str:
    """A bundle's card: its name, what it is, and the plain facts of its training."""
    facts = "\n".join(
        f"- {key.replace('_', ' ')}: {value}"
        for key, value in provenance.items()
        if isinstance(value, (str, int, float))
    )
    return f"# {name}\n\n{introduction}\n\n## Training\n\n{facts}\n"


def discriminator_losses(loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> dict[str, float | Tensor]:
    """The numbers that a discriminator's step reports."""
    return {
        "discriminator": loss.detach(),
        "real_logit": real_logits.detach().mean(),
        "fake_logit": fake_logits.detach().mean(),
    }
