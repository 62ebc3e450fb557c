"""DeepI2I's discriminator in training: it tells real from translated images, and compares features for equation 3."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_deepi2i.losses import gradient_penalty, wasserstein
from anchor_deepi2i.options import ADAM, DeepI2IOptions
from anchor_hub.errors import UsageError
from anchor_hub.training.base import TrainingContext
from anchor_hub.training.generators.augment import augment
from anchor_hub.training.generators.gan_losses import d_hinge, d_logistic, g_hinge, g_nonsaturating, r1_penalty
from anchor_hub.training.generators.gan_recipe import discriminator_losses

#: Weight of the gradient penalty of wgan-gp.
PENALTY = 10.0


class Critic:
    """The discriminator with its optimiser and its losses.

    :param network: takes images and classes, gives logits and maps (``judge``, ``maps``).
    """

    def __init__(self, network: Any, context: TrainingContext, options: DeepI2IOptions, family: str) -> None:
        self.network, self.context, self.options = network.train(), context, options
        self.loss = options.adversarial(family)
        self.joined = family == "biggan"  # logits of StyleGAN's kinds depend on the batch
        self.augment = options.augmentation()["augment"]
        if self.augment[:1] == ("ada",):
            raise UsageError("augment=ada: recipe deepi2i has the fixed kinds colour, translation and cutout")
        rate = options.rates(family)[2]
        self.optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=True, **ADAM[family])

    def seen(self, images: Tensor) -> Tensor:
        """Images as the discriminator sees them."""
        return self.context.place(augment(images, self.augment))

    def learn(
        self, real: Tensor, labels: Tensor, fake: Tensor, fake_labels: Tensor, index: int
    ) -> dict[str, float | Tensor]:
        """A step on real images with their classes and translations with theirs; what it lost, by name."""
        network = self.network
        network.requires_grad_(True).train()
        batches = [(self.seen(fake), fake_labels), (self.seen(real), labels)]
        if self.options.mismatch and self.joined and network.config.classes > 1:
            half = -(-len(real) // 2)
            others = torch.randint(1, network.config.classes, (half,)).to(labels)
            batches.append((batches[1][0][:half], (labels[:half] + others) % network.config.classes))
        with self.context.autocast():
            fake_logits, real_logits, *wrong = self._logits(batches)
        total = loss = self._loss(real_logits, fake_logits)
        if wrong:
            total = loss + self.options.mismatch * F.relu(1 + wrong[0]).mean()
        if self.loss == "wgan-gp":
            # In float32: torch's second derivative of a bfloat16 convolution on CPUs is wrong.
            share = torch.rand(len(real), 1, 1, 1).to(real)
            total = total + PENALTY * gradient_penalty(lambda x: self._judge(x, labels), real, fake, share)
        self.context.descend(network, self.optimizer, total)
        return {**discriminator_losses(loss, real_logits, fake_logits), **self._r1(real, labels, index)}

    def _logits(self, batches: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        if not self.joined:
            return [self._judge(*batch).float() for batch in batches]
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        sizes = [len(part) for part, _ in batches]
        return list(self._judge(self.context.place(images), labels).float().split(sizes))

    def _judge(self, images: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.network(images, labels) if self.joined else self.network(images)
        return logits

    def _loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if self.loss == "wgan-gp":
            return wasserstein(real_logits, fake_logits)
        return (d_hinge if self.loss == "hinge" else d_logistic)(real_logits, fake_logits)

    def _r1(self, real: Tensor, labels: Tensor, index: int) -> dict[str, Tensor]:
        """R1 every so many steps, in float32, for the logistic loss."""
        options = self.options
        if self.loss != "logistic" or not options.r1_gamma or index % options.r1_every:
            return {}
        images = real.detach().requires_grad_(True)
        penalty = r1_penalty(self._judge(self.seen(images), labels), images)
        self.context.descend(self.network, self.optimizer, options.r1_gamma / 2 * options.r1_every * penalty)
        return {"r1": penalty.detach()}

    def judge(
        self, images: Tensor, labels: Tensor, source: Tensor, sides: Collection[int]
    ) -> tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """The generator's adversarial loss, and features of the translations and of what they were made of.

        Only the translations pass gradients on. Both are augmented alike. In eval mode, so that the power iterations
        do not advance twice a step.
        """
        network = self.network.requires_grad_(False).eval()
        state = torch.get_rng_state()
        seen = self.seen(images)
        if self.augment:
            torch.set_rng_state(state)
        with self.context.autocast():
            logits, made = network.judge(seen, labels if self.joined else None, sides)
            with torch.no_grad():
                read = network.maps(self.seen(source), sides)
        loss = g_nonsaturating(logits.float()) if self.loss == "logistic" else g_hinge(logits.float())
        made, read = ({side: value.float() for side, value in maps.items()} for maps in (made, read))
        return loss, made, read

    def state_dict(self) -> dict[str, Any]:
        return {"discriminator": self.network.state_dict(), "discriminator_optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["discriminator_optimizer"])
