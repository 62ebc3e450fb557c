"""The constants of a BigGAN training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BigGANOptions:
    """All constants of training a class-conditional hub.

    Attributes:
        learning_rate, discriminator_learning_rate: of Adam (betas 0 and 0.999, epsilon 1e-6).
        discriminator_steps: discriminator steps per generator step; a step of the trainer holds images for all of them.
        share_fakes: whether the generator's step takes the images of the last discriminator step instead of fresh ones,
            which saves a forward pass (a fifth of the time).
        augment: names of the differentiable augmentations that real and generated images pass before the discriminator.
        augment_target, augment_images: of adaptive augmentation (``augment`` begins with "ada"), see
            :mod:`anchor_hub.training.generators.adaptive`.
        class_deviation: standard deviation of the class embedding's first values; None: orthogonal, as published. Long
            vectors let the class count as much as the latent from the first step, which short trainings need.
        diversity: weight of :func:`~anchor_hub.training.generators.gan_losses.mode_seeking`, against a generator that
            draws one picture for all latents; 0, as published, leaves it out. Small batches of few images need it.
        mismatch: weight of the discriminator's term that calls real images with a wrong class false (Reed et al. 2016,
            arXiv:1605.05396); 0, as published, leaves the term out. It separates classes that look alike sooner.
        average_half_life: half-life of the generator's moving average, in images.
        average_rampup: early in a run, the half-life is at most this part of the images seen; None: always as given.
    """

    learning_rate: float = 1e-4
    discriminator_learning_rate: float = 4e-4
    discriminator_steps: int = 1
    share_fakes: bool = False
    augment: tuple[str, ...] = ()
    class_deviation: float | None = None
    diversity: float = 0.0
    mismatch: float = 0.0
    average_half_life: float = 10_000.0
    average_rampup: float | None = 0.05
    augment_target: float = 0.6
    augment_images: int = 500_000

    def to_dict(self) -> dict[str, Any]:
        """The options as plain JSON values, without those that are left out."""
        left_out = set() if self.mismatch else {"mismatch"}
        if self.augment[:1] != ("ada",):
            left_out |= {"augment_target", "augment_images"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}
