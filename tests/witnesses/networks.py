"""Parts of published networks and of their use that no option of the product reaches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from anchor_hub.errors import CheckpointError
from anchor_hub.networks.anchor_discriminators import LatentDiscriminator
from anchor_hub.networks.stylegan2 import StyledConv


def mix_layers(codes: Tensor, other: Tensor, layers: Sequence[int], alpha: float = 1.0) -> Tensor:
    """Codes ``[B, L, D]`` with the given layers replaced by (or, ``alpha`` < 1, blended with) those of ``other``."""
    mixed = codes.clone()
    index = list(layers)
    mixed[:, index] = alpha * other[:, index] + (1 - alpha) * codes[:, index]
    return mixed


def truncated_normal(uniform: Tensor, truncation: float = 1.0) -> Tensor:
    """``truncation`` times a standard normal cut to [-2, 2], by inversion of uniform numbers in [0, 1).

    ``x = Phi^-1(Phi(-2) + U (Phi(2) - Phi(-2)))``, in float64, returned as float32 of the same shape. The range is
    [-2 truncation, 2 truncation].
    """
    low, high = (0.5 * (1 + math.erf(bound / math.sqrt(2))) for bound in (-2.0, 2.0))
    normal = torch.special.ndtri(low + uniform.double() * (high - low))
    return normal.float() * truncation


def latent_discriminator_from_published(
    published: Mapping[str, Tensor], mean_latent: Tensor
) -> LatentDiscriminator:
    """The published ``latentD`` with its weights; ``mean_latent`` ``[L, D]`` or ``[D]``.

    :raises CheckpointError: unknown or missing entries.
    """
    parts = {"linear.0": "hidden", "linear.1": "output"}
    state: dict[str, Tensor] = {}
    for name, value in published.items():
        stem, _, leaf = name.rpartition(".")
        if stem not in parts:
            raise CheckpointError(f"latent discriminator entry {name!r} is not one of the published one's")
        state[f"{parts[stem]}.{leaf}"] = value
    if "hidden.weight" not in state:
        raise CheckpointError("published latent discriminator lacks 'linear.0.weight'")
    hidden, width = state["hidden.weight"].shape
    discriminator = LatentDiscriminator(width - 1, mean_latent, hidden).to(state["hidden.weight"].dtype)
    discriminator.load_state_dict(state)
    return discriminator


def modulated_conv(layer: StyledConv, x: Tensor, latent: Tensor) -> Tensor:
    """What a styled convolution computes first, ``d * conv(s * x, w)``: ``[B, out, R, R]``."""
    style, coefficient = layer._coefficients(latent)
    y = layer._conv(x, style)
    return y * coefficient[:, :, None, None].to(y.dtype)
