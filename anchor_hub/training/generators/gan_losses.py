"""Losses and small rules of StyleGAN2 training, one function per equation.

Karras et al. (2019, arXiv:1812.04948; 2020, arXiv:1912.04958), Goodfellow et al. (2014), Mescheder et al. (2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


def d_logistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Discriminator loss ``mean softplus(-D(x)) + mean softplus(D(G(z)))``; any shape to ``[]``."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def g_nonsaturating(fake_logits: Tensor) -> Tensor:
    """Non-saturating generator loss ``mean softplus(-D(G(z)))``; logits of any shape, result ``[]``."""
    return F.softplus(-fake_logits).mean()


def d_hinge(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Hinge loss of a discriminator ``mean relu(1 - D(x)) + mean relu(1 + D(G(z)))``; any shape to ``[]``."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def g_hinge(fake_logits: Tensor) -> Tensor:
    """Generator loss beside :func:`d_hinge`: ``-mean D(G(z))``; logits of any shape, result ``[]``."""
    return -fake_logits.mean()


def mode_seeking(images: Tensor, enough: Tensor, size: int = 16) -> Tensor:
    """Mode-seeking term ``relu(r / |G(z1) - G(z2)| - 1)``, ``[]``: zero where pictures differ as real ones do.

    After Mao et al. (2019, arXiv:1903.05628), who drive pictures apart without end; here ``r``, the ``enough``, is the
    :func:`difference` of real images. Pairs are image i and i + B // 2, which should share their class.
    """
    half = len(images) // 2
    first = torch.arange(half, device=images.device)
    return F.relu(enough / (difference(images, (first, first + half), size) + 1e-3) - 1)


def difference(images: Tensor, pairs: tuple[Tensor, Tensor], size: int = 16) -> Tensor:
    """Mean absolute difference of pairs (two times indices ``[P]``) of images ``[B, C, H, W]``, ``[]``; 0 of none.

    Images are first averaged down to ``size``, so that shape counts, and not noise.
    """
    small = F.adaptive_avg_pool2d(images, min(size, images.shape[-1]))
    differences = (small[pairs[0]] - small[pairs[1]]).abs()
    return differences.mean() if len(pairs[0]) else small.new_zeros(())


def pairs_of_one_class(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Indices ``[P]`` and ``[P]`` of all pairs of images that share their class; ``labels`` ``[B]``."""
    same = (labels[:, None] == labels[None, :]).triu(diagonal=1)
    first, second = same.nonzero(as_tuple=True)
    return first, second


def r1_penalty(real_logits: Tensor, real_images: Tensor) -> Tensor:
    """R1 penalty ``mean_n || d sum(D(x)) / d x_n ||^2``, differentiable; without the factor gamma / 2.

    Args:
        real_logits: ``[B, 1]``, computed from ``real_images``.
        real_images: ``[B, C, H, W]`` with ``requires_grad``.

    Returns:
        ``[]``, to be weighted with ``gamma / 2`` and, when applied every k-th step only, with k.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()


def path_lengths(
    images: Tensor,
    latents: Tensor,
    *,
    noise: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Path lengths ``sqrt( mean_l sum_d (d sum(images * y) / d latents)_ld^2 )``, ``y ~ N(0, 1) / sqrt(H W)``.

    The paper's ``||J_w^T y||`` for W+ codes: each layer's copy of the code counts on its own.

    Args:
        images: ``[B, C, H, W]``, computed from ``latents``.
        latents: ``[B, L, D]`` with ``requires_grad``.
        noise: the N(0, 1) draw of the images' shape; None draws it from ``generator``.

    Returns:
        ``[B]``, differentiable.
    """
    if noise is None:
        device = images.device if generator is None else generator.device
        noise = torch.randn(images.shape, generator=generator, device=device).to(images)
    y = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * y).sum(), latents, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_length_penalty(lengths: Tensor, mean: Tensor, decay: float = 0.01) -> tuple[Tensor, Tensor]:
    """Path-length regulariser ``mean_b (length_b - a)^2`` with the running mean ``a = m + decay (mean(length)
    - m)``.

    Args:
        lengths: ``[B]`` from :func:`path_lengths`.
        mean: ``[]``, the running mean m so far (0 at the start of training).
        decay: 0.01 as published.

    Returns:
        The penalty, ``[]`` (the gradient flows through ``a``, too, as published), and the new mean, detached.
    """
    new_mean = mean + decay * (lengths.mean() - mean)
    return (lengths - new_mean).square().mean(), new_mean.detach()


def lazy_adam_settings(
    learning_rate: float, betas: tuple[float, float], interval: int | None
) -> tuple[float, tuple[float, float]]:
    """Adam's settings corrected for lazy regularisation, with ``c = k / (k + 1)``: ``lr c``, ``beta^c``.

    ``interval`` k is the number of main steps per regularisation step; None (no regulariser) changes nothing.
    """
    if interval is None:
        return learning_rate, betas
    if interval < 1:
        raise ValueError(f"the regularisation interval must be at least 1, got {interval}")
    c = interval / (interval + 1)
    return learning_rate * c, (betas[0] ** c, betas[1] ** c)


@torch.no_grad()
def add_orthogonal_gradient(
    parameters: Iterable[Tensor], strength: float = 1e-4, *, exclude: Iterable[Tensor] = ()
) -> None:
    """BigGAN's modified orthogonal regularisation, added to the gradients in place: ``2 s ((W W^T) * (1 - I)) W``.

    It is the gradient of ``s || W W^T * (1 - I) ||_F^2 / 2`` (equation 3 of Brock et al., 2019, up to a factor) with
    W each parameter of at least two axes, viewed as ``[first axis, -1]``; others have none.

    Args:
        parameters: those of the network, after ``backward()``. Those without a gradient are left alone.
        strength: s.
        exclude: parameters to leave out: the shared class embedding, ``generator.embedding.weight``.
    """
    left_out = {id(parameter) for parameter in exclude}
    for parameter in parameters:
        if parameter.ndim < 2 or parameter.grad is None or id(parameter) in left_out:
            continue
        w = parameter.flatten(1)
        gram = w @ w.t()
        gram.fill_diagonal_(0)
        parameter.grad.add_((gram @ w).view_as(parameter), alpha=2 * strength)
