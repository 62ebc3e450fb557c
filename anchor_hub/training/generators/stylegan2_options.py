"""The constants of a StyleGAN2 training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from anchor_hub.training.generators.stopping import StopOptions


@dataclass(frozen=True)
class HubOptions:
    """All constants of training a StyleGAN2 hub.

    Attributes:
        learning_rate: of both networks, before the correction for lazy regularisation.
        r1_gamma: weight of R1 (gamma / 2 * penalty). 10 as published for large images; small images have
            fewer pixels for the gradient's squared length to add up over, and need less: `small` takes 2.
        r1_every, path_length_every: lazy regularisation, in steps; the losses are scaled up by it.
        path_length_weight: 2 as published; 0 leaves out the regulariser and the correction of Adam that belongs to it.
        path_batch_shrink: the path-length batch is the batch divided by this.
        style_mixing: probability that a batch mixes two latents, at one random layer for the whole batch.
        noise: whether synthesis adds random noise. Without it the noise strengths stay 0, and every detail comes from
            the latent: small hubs in short trainings otherwise use noise as a cheap stand-in for detail.
        average_half_life: half-life of the moving average in images.
        average_rampup: early in a run, the half-life is at most this part of the images seen; None: always as given.
        augment: differentiable augmentations that real and generated images pass before the discriminator, by name.
        discriminator_warmup: images for which the discriminator learns alone (a fresh one beside a trained generator).
        augment_target, augment_images: of adaptive augmentation (``augment`` begins with "ada"), see
            :mod:`anchor_hub.training.generators.adaptive`.
        critic: "stylegan2" or "projected", see :mod:`anchor_hub.training.generators.critics`.
        critic_side: side in pixels that the projected critic's classifier sees images at; None: by the images' size.
        stop: when the training has enough before its budget is spent; None: never.
    """

    learning_rate: float = 0.002
    r1_gamma: float = 10.0
    r1_every: int = 16
    path_length_weight: float = 2.0
    path_length_every: int = 4
    path_batch_shrink: int = 2
    style_mixing: float = 0.9
    noise: bool = True
    average_half_life: float = 10_000.0
    average_rampup: float | None = 0.05
    augment: tuple[str, ...] = ()
    discriminator_warmup: int = 0
    augment_target: float = 0.6
    augment_images: int = 500_000
    critic: str = "stylegan2"
    critic_side: int | None = None
    stop: StopOptions | None = None

    def to_dict(self) -> dict[str, Any]:
        """The options as plain JSON values, without those that are left out."""
        optional = ("augment", "discriminator_warmup", "critic_side", "stop")
        left_out = {name for name in optional if not getattr(self, name)}
        if self.augment[:1] != ("ada",):
            left_out |= {"augment_target", "augment_images"}
        if self.critic == "stylegan2":
            left_out |= {"critic"}
        values = {name: value for name, value in asdict(self).items() if name not in left_out}
        return values if self.stop is None else {**values, "stop": self.stop.to_dict()}
