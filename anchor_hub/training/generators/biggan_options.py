"""The constants of a BigGAN training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BigGANOptions:
    """Everything that can be chosen about a class-conditional hub's training.

    Attributes:
        learning_rate, discriminator_learning_rate: of Adam (betas 0 and 0.999, epsilon 1e-6).
        discriminator_steps: discriminator steps per generator step; a step of the trainer holds images for all of them.
        share_fakes: the generator's step takes the images of the last discriminator step instead of fresh ones, which
            saves a forward pass (a fifth of the time).
        augment: names of the differentiable augmentations that real and generated images pass before the discriminator.
        class_deviation: standard deviation of the class embedding's first values; None: orthogonal, as published. Long
            vectors give the class as much say as the latent from the first step, which short trainings need.
        diversity: weight of :func:`~anchor_hub.training.generators.gan_losses.mode_seeking`, against a generator that
            draws one picture for all latents; 0, as published, leaves it out. Small batches of few images need it.
        mismatch: weight of the discriminator's term for real images with a wrong class, which it is to refuse (Reed et
            al. 2016, arXiv:1605.05396); 0, as published, leaves it out. Classes that look alike come apart sooner.
        average_half_life: half-life of the generator's moving average, in images.
        average_rampup: while the run is young the half-life is at most this part of the images seen; None: as given.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without what is left out."""
        return {name: value for name, value in asdict(self).items() if name != "mismatch" or value}
