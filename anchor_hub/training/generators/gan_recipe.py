"""What trainings of a hub have in common: a generator, its moving average, and a discriminator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub.training.engine.average import WeightAverage, average_decay
from anchor_hub.training.engine.recipe import Recipe, TrainingContext


class GANRecipe(Recipe):
    """A recipe that trains a generator against a discriminator and exports the generator's average as a hub.

    ``setup`` sets what is declared here; ``hub_name`` names the hub, ``keep_discriminator`` puts the critic into it,
    ``half`` stores its weights in half precision.
    """

    hub_name: str
    keep_discriminator: bool
    half: bool = False
    #: Names of the classes of a class-conditional hub.
    classes: Sequence[str] = ()

    context: TrainingContext
    options: Any
    generator: Any
    discriminator: Any
    average: WeightAverage[Any]
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer

    def _follow(self, index: int) -> None:
        """The moving average takes up the generator of step `index`."""
        images = (index + 1) * self.context.batch
        half_life, rampup = self.options.average_half_life, self.options.average_rampup
        self.average.update(self.generator, average_decay(self.context.batch, images, half_life, rampup))

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.module.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.module.load_state_dict(state["average"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])

    def export(
        self, folder: Path, provenance: Mapping[str, Any], license: Mapping[str, Any] | None = None
    ) -> Path:
        """The averaged generator as a hub bundle."""
        from anchor_hub.hubs.base import Hub

        generator = self.averaged_generator()
        if self.half:  # the hub is what its file holds: statistics and fingerprint are of the rounded weights
            generator = generator.half().float()
        hub = Hub.from_generator(generator, self.hub_name, classes=self.classes)
        return hub.save(
            folder,
            provenance=provenance,
            license=license,
            card=self._card(provenance),
            discriminator=self.discriminator if self.keep_discriminator else None,
            half=self.half,
            overwrite=True,
        )

    @abstractmethod
    def averaged_generator(self) -> nn.Module:
        """A generator of its own with the averaged weights, as the hub is to hold it."""

    @abstractmethod
    def introduction(self) -> str:
        """What the hub's card says first."""

    def _card(self, provenance: Mapping[str, Any]) -> str:
        facts = "\n".join(
            f"- {key.replace('_', ' ')}: {value}"
            for key, value in provenance.items()
            if isinstance(value, (str, int, float))
        )
        return f"# {self.hub_name}\n\n{self.introduction()}\n\n## Training\n\n{facts}\n"


def discriminator_losses(loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> dict[str, float | Tensor]:
    """What a discriminator's step reports."""
    return {
        "discriminator": loss.detach(),
        "real_logit": real_logits.detach().mean(),
        "fake_logit": fake_logits.detach().mean(),
    }
