"""Losses of latent-space anchoring: the published terms, and the additions that keep latents inside the hub.

Latents are ``[B, L, D]`` W+ codes with the mean latent already added (or ``[B, D]``); every loss is a scalar
with weight 1. The published objective is ``sum of weight * term`` (equation 5); its weights per modality are in
:mod:`anchor_hub.training.anchoring.presets`. Reductions follow the published code where the paper leaves them open.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.errors import ConfigError


# --- reconstruction (equation 6) ---------------------------------------------------------------------------
def reconstruction_l2(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over all elements of two tensors of one shape: RGB, sketches, drawn landmarks."""
    return F.mse_loss(output, target)


def reconstruction_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of logits ``[B, K, H, W]``, mean over pixels; one-hot pixels without a class are not counted.

    0 where no pixel has a class.

    ``target``: one-hot ``[B, K, H, W]``, or class ids ``[B, H, W]`` / ``[B, 1, H, W]`` of an integer type.
    """
    if target.is_floating_point():
        nothing = target.sum(dim=1) == 0
        # -100 is what cross_entropy leaves out; its own mean over no pixel at all would be NaN.
        ids = target.argmax(dim=1).masked_fill(nothing, -100)
        return F.cross_entropy(logits, ids, reduction="sum") / (~nothing).sum().clamp(min=1)
    if target.dim() == logits.dim():
        target = target.squeeze(1)
    return F.cross_entropy(logits, target.long())


def soft_dice(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice coefficient of each class, mean over the classes that the batch holds.

    ``logits`` [B, K, H, W], ``target`` one-hot of that shape. Every class counts the same, however few pixels it has;
    the cross-entropy hardly notices eyebrows that are read as skin. Ours; in [0, 1], 0 for a perfect and certain map.
    """
    labelled = target.float().sum(dim=1, keepdim=True)  # 0 where a pixel has no class and counts nowhere
    shares, wanted = (logits.float().softmax(dim=1) * labelled).flatten(2), target.float().flatten(2)
    both, sums = (shares * wanted).sum((0, 2)), (shares + wanted).sum((0, 2))
    present = (wanted.sum((0, 2)) > 0).float()
    dice = 2 * both / sums.clamp(min=1e-6)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def pyramid_loss(output: Tensor, target: Tensor, levels: int = 4) -> Tensor:
    """Mean absolute plus squared error over a pyramid of ``levels`` halvings; images [B, C, H, W], scalar.

    Coarse levels weigh as much as fine ones, so the training finds layout before texture.
    """
    output, target = output.float(), target.float()
    total = output.new_zeros(())
    for _ in range(levels):
        difference = output - target
        total = total + difference.abs().mean() + difference.square().mean()
        output = F.avg_pool2d(output, 2)
        target = F.avg_pool2d(target, 2)
    return total / levels


# --- latent terms ------------------------------------------------------------------------------------------
def latent_norm(latents: Tensor, mean: Tensor | None = None) -> Tensor:
    """Equation 3: mean over the batch of ``||latent - mean||_2``, not squared; for W+ the norm over all L x D entries.

    ``mean``: ``[D]``, ``[L, D]`` or ``None`` (no centring, as for the z of BigGAN).
    """
    centred = latents if mean is None else latents - mean
    return centred.flatten(1).norm(dim=1).mean()


def attention_norm(gates: Tensor) -> Tensor:
    """Sparsity of the attention regressor's gates ``[B, C, 1, 1]``: mean over the batch of the sum of
    absolute values."""
    return gates.abs().sum() / gates.shape[0]


# --- adversarial terms (equation 4): d_logistic and g_nonsaturating of gan_losses, on images or on rows of latents ---
def latent_rows(latents: Tensor) -> Tensor:
    """W+ codes ``[B, L, D]`` as rows ``[B * L, D]`` for the latent discriminator."""
    return latents.reshape(-1, latents.shape[-1])


# --- staying inside the hub: ours --------------------------------------------------------------------------
def whiten(latents: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """``(latents - mean) @ whitening`` in float32, whatever the autocast; ``[..., D]`` in and out."""
    with torch.autocast(latents.device.type, enabled=False):
        return (latents.float() - mean.float()) @ whitening.float()


def mahalanobis(latents: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """Mean squared distance from the mean latent in the whitened space of mapped samples.

    ``mean over B, L and D of ((latents - mean) @ whitening)^2``: 1 for samples of the hub's mapping network
    (less where the eigenvalue floor holds), so the value reads as "how far outside the hub". Unlike the
    published norm, the distance is small along directions in which the hub varies, and large along directions in
    which it never does.

    ``latents`` ``[B, L, D]`` or ``[B, D]``; ``mean`` ``[D]`` and ``whitening`` ``[D, D]`` from
    :meth:`~anchor_hub.hubs.base.Hub.whitening`.
    """
    return whiten(latents, mean, whitening).square().mean()


def latent_consistency(encoded: Tensor, sampled: Tensor, mean: Tensor, whitening: Tensor) -> Tensor:
    """``mean ||(E(R(G(w))) - w) W||^2``: how far a sampled latent w moves when it is decoded to the domain and encoded.

    ``encoded`` ``[B, L, D]``; ``sampled`` ``[B, L, D]`` or ``[B, D]`` (one code for all layers). Mean over
    all entries: about 2 for an encoder that returns unrelated samples, 0 for a perfect cycle.
    """
    if sampled.dim() == encoded.dim() - 1:
        sampled = sampled.unsqueeze(1)
    return whiten(encoded - sampled + mean, mean, whitening).square().mean()


# --- the objective -----------------------------------------------------------------------------------------
def weighted_total(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Equation 5: ``sum of weights[name] * terms[name]``.

    :raises ConfigError: a term has no weight, or there is no term.
    """
    unknown = [name for name in terms if name not in weights]
    if unknown or not terms:
        raise ConfigError(f"anchoring objective: no weight for {unknown or 'an empty set of terms'}")
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()
