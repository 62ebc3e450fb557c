"""Losses of DeepI2I: the reconstruction on the discriminator's features, and the StyleGAN kind's adversarial ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Maps = Mapping[int, Tensor]
#: Weights alpha of the reconstruction, by side: 0.1, but 0.01 at the finest of the four (equation 3).
ALPHA = {4: 0.1, 8: 0.1, 16: 0.1, 32: 0.01}
#: Weights w of the fusion, by side (equation 5): of networks that come from a GAN, and of those trained from scratch.
FUSION = {4: 0.1, 8: 0.1, 16: 0.1, 32: 0.1}
SCRATCH_FUSION = {4: 1.0, 8: 1.0, 16: 1.0, 32: 0.1}


def paper(made: Maps, source: Maps) -> dict[int, Tensor]:
    """Equation 3, ``|D_l(x) - D_l(y)|_1`` of each image x and its own translation y; the norm is a mean over elements.

    :param made, source: side -> features ``[B, C, R, R]`` of the translations and of what they were made of.
    """
    return {side: (made[side] - source[side]).abs().mean() for side in made}


def pairs(made: Maps, source: Maps) -> dict[int, Tensor]:
    """Mean squared differences of each image and its own translation: what the BigGAN kind's code means to compute."""
    return {side: (made[side] - source[side]).square().mean() for side in made}


def published(made: Maps, source: Maps) -> dict[int, Tensor]:
    """What the BigGAN kind's published code computes: entries 0 and 1 of translations and sources, one after another.

    With a batch of two or more these are two translations of different images, not an image and its translation.
    """
    both = {side: torch.cat([made[side][:2], source[side][:1]]) for side in made}
    return {side: (maps[0] - maps[1]).square().mean() for side, maps in both.items()}


#: Name of a reconstruction loss -> its terms by side.
RECONSTRUCTIONS: dict[str, Callable[[Maps, Maps], dict[int, Tensor]]] = {
    "paper": paper, "pairs": pairs, "published": published,
}  # fmt: skip


def weighted(terms: Maps, weights: Mapping[int, float]) -> Tensor:
    """``sum_l alpha_l term_l``, ``[]``."""
    return torch.stack([weights[side] * term for side, term in terms.items() if weights.get(side)]).sum()


def wasserstein(real_logits: Tensor, fake_logits: Tensor, drift: float = 1e-3) -> Tensor:
    """Discriminator loss ``mean D(y) - mean D(x) + drift mean D(x)^2`` of the StyleGAN kind; any shape to ``[]``."""
    return fake_logits.mean() - real_logits.mean() + drift * real_logits.square().mean()


def gradient_penalty(judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """``mean_n (|d sum(D(m)) / d m_n| - 1)^2`` at the mixtures ``m = share real + (1 - share) fake``, differentiable.

    :param judge: images to logits. :param real, fake: ``[B, C, H, W]``. :param share: ``[B, 1, 1, 1]`` in [0, 1].
    """
    mixture = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(mixture).sum(), mixture, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
