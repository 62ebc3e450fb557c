"""What judges a hub's images in its training: the contract of critics, and StyleGAN2's own discriminator.

A recipe owns the steps, a critic everything that differs between critics: networks and their optimiser, the losses of
both sides, a penalty or none, what checkpoints and bundles hold of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import torch
from torch import Tensor, nn

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.networks.stylegan2_config import StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import Discriminator
from anchor_hub.training.base import TrainingContext
from anchor_hub.training.generators.gan_losses import d_logistic, g_nonsaturating, lazy_adam_settings, r1_penalty
from anchor_hub.training.generators.start import HubStart, discriminator_config
from anchor_hub.training.generators.stylegan2_options import HubOptions

BETAS = (0.0, 0.99)
#: Name of a critic -> (module, class).
CRITICS = {
    "stylegan2": ("anchor_hub.training.generators.critics", "StyleGAN2Critic"),
    "projected": ("anchor_hub.training.generators.projected_critic", "ProjectedCritic"),
}
#: Images as a critic sees them, that is augmented.
Seen = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class CriticSetting:
    """What a critic is built for: the hub's architecture, the training's constants, where it starts from."""

    config: StyleGAN2Config
    options: HubOptions
    start: HubStart | None = None
    compile: bool = False


class Critic(ABC):
    """Judges images and learns to tell real ones from generated ones.

    ``network`` is what learns, and all that checkpoints hold besides the state of ``optimizer``.

    :param seen: augments images before the critic sees them.
    """

    #: Whether bundles can keep the network (``--keep-discriminator``), for trainings that go on from them.
    keepable: ClassVar[bool] = False
    network: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, setting: CriticSetting, context: TrainingContext, seen: Seen) -> None:
        self.options, self.context, self.seen = setting.options, context, seen
        self._frozen: list[nn.Module] = []

    @classmethod  # noqa: B027  (nothing stands in the way of most)
    def check(cls, setting: CriticSetting) -> None:
        """Raise what stands in the way of building one, before images are read."""

    @abstractmethod
    def judged(self, real: Tensor, fake: Tensor) -> list[Tensor]:
        """Logits ``[B, ...]`` of real and of generated images, as they are seen; positive means real."""

    @abstractmethod
    def loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The critic's loss, ``[]``, of the logits that :meth:`judged` gives."""

    @abstractmethod
    def generator_loss(self, images: Tensor) -> Tensor:
        """The generator's loss, ``[]``, of its images ``[B, 3, S, S]``; gradients reach the images alone."""

    def penalty(self, real: Tensor, index: int) -> dict[str, Tensor]:
        """Take a step down a penalty where one is due at step ``index``; what it was, by name. Default: none."""
        return {}

    def freeze(self, parts: Iterable[nn.Module]) -> None:
        """Keep parts of the network as they are, for good."""
        self._frozen.extend(parts)

    def learns(self, learns: bool) -> None:
        """Whether the network's weights, but for frozen parts, get gradients."""
        self.network.requires_grad_(learns)
        for part in self._frozen:
            part.requires_grad_(False)

    def learn(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take a step; the loss and both kinds' logits."""
        self.learns(True)
        with self.context.autocast():
            real_logits, fake_logits = self.judged(real, fake)
        loss = self.loss(real_logits, fake_logits)
        self.context.descend(self.network, self.optimizer, loss)
        return loss, real_logits, fake_logits



def critic_class(name: str) -> type[Critic]:
    """The class of a critic. :raises UsageError: no such critic."""
    if name not in CRITICS:
        raise UsageError(f"--critic {name!r} is not known.{did_you_mean(name, CRITICS)}")
    module, found = CRITICS[name]
    return getattr(import_module(module), found)  # type: ignore[no-any-return]


class StyleGAN2Critic(Critic):
    """The residual discriminator of StyleGAN2: logistic loss, and R1 every few steps (Karras et al. 2020)."""

    keepable = True
    network: Discriminator

    def __init__(self, setting: CriticSetting, context: TrainingContext, seen: Seen) -> None:
        super().__init__(setting, context, seen)
        options, config = setting.options, discriminator_config(setting.config)
        share, group = context.batch // context.group.world, config.stddev_group
        if share % min(share, group):
            raise UsageError(
                f"the discriminator compares images in groups of {group}: --batch (per process) must be a "
                f"multiple of {group}, not {share}"
            )
        self.network = context.place(Discriminator(config))
        if setting.start is not None and setting.start.discriminator is not None:
            self.network.load_state_dict(setting.start.discriminator.state_dict())
        self.optimizer = adam(self.network, options.learning_rate, options.r1_every if options.r1_gamma else None)
        # R1 differentiates twice, which compiled networks cannot do, so it uses the plain module. It runs in float32:
        # torch's second derivative of a bfloat16 convolution on CPUs (oneDNN) is wrong. For the first convolutions of
        # the discriminator's blocks, a third of R1's gradient was left, in another direction.
        self.fast = torch.compile(self.network) if setting.compile else self.network

    def judged(self, real: Tensor, fake: Tensor) -> list[Tensor]:
        """The logits ``[B, 1]`` of real and generated images, from one pass where the batch allows it.

        That costs less: one pass does the work per weight only once. The samples are interleaved so that each group of
        the minibatch standard deviation holds one kind.
        """
        kinds = [self.seen(real), self.seen(fake)]
        group = self.network.config.stddev_group
        if len(real) % group:
            return [self.fast(images).float() for images in kinds]
        both = torch.cat([images.unflatten(0, (group, -1)) for images in kinds], dim=1)
        logits = self.fast(both.flatten(0, 1)).float().unflatten(0, (group, -1))
        return [part.flatten(0, 1) for part in logits.chunk(2, dim=1)]

    def loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return d_logistic(real_logits, fake_logits)

    def generator_loss(self, images: Tensor) -> Tensor:
        self.learns(False)
        return g_nonsaturating(self.fast(self.seen(images)).float())

    def penalty(self, real: Tensor, index: int) -> dict[str, Tensor]:
        options = self.options
        if not options.r1_gamma or index % options.r1_every:
            return {}
        real = real.detach().requires_grad_(True)
        penalty = r1_penalty(self.network(self.seen(real)), real)
        self.context.descend(self.network, self.optimizer, options.r1_gamma / 2 * options.r1_every * penalty)
        return {"r1": penalty.detach()}


def adam(module: nn.Module, learning_rate: float, interval: int | None) -> torch.optim.Adam:
    """Adam as StyleGAN2 runs it, corrected where a regulariser runs every so many steps."""
    learning_rate, betas = lazy_adam_settings(learning_rate, BETAS, interval)
    # One fused kernel instead of a dozen passes over the weights.
    return torch.optim.Adam(module.parameters(), lr=learning_rate, betas=betas, eps=1e-8, fused=True)
