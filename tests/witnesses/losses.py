"""Terms that the published training code has as options and no published command uses."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def latent_norm_over_layers(latents: Tensor) -> Tensor:
    """The published code's latent norm for a network without a mean latent: ``sum(||latent||_2 over axis 1) / B``.

    For z ``[B, D]`` it equals ``losses.latent_norm``; for W+ the norm runs over the layers and is summed over channels.
    """
    return latents.norm(dim=1).sum() / latents.shape[0]


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of two feature maps ``[B, C, H, W]``."""
    return F.mse_loss(features, target)


def style_loss(features: Tensor, target: Tensor) -> Tensor:
    """MSE of per-channel means plus MSE of per-channel standard deviations (unbiased, 1e-5 inside the root)."""
    mean, deviation = _channel_statistics(features)
    target_mean, target_deviation = _channel_statistics(target)
    return F.mse_loss(mean, target_mean) + F.mse_loss(deviation, target_deviation)


def normalised_content_loss(features: Tensor, target: Tensor) -> Tensor:
    """MSE of two feature maps after each channel was brought to zero mean and unit deviation."""
    mean, deviation = _channel_statistics(features)
    target_mean, target_deviation = _channel_statistics(target)
    return F.mse_loss((features - mean) / deviation, (target - target_mean) / target_deviation)


def _channel_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean(dim=(2, 3), keepdim=True)
    return mean, (features.var(dim=(2, 3), keepdim=True, unbiased=True) + 1e-5).sqrt()
