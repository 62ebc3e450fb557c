"""Instance norm and the 1x1 convolution behind it in one, as matrix products over rows of pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-5


def normalised_projection(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    r"""``conv(instance_norm(maps))`` with a 1x1 convolution, differentiable once.

    :math:`y = W \, (f - \mu) / \sqrt{\sigma^2 + \epsilon} + b` with mean and variance of every channel over the pixels
    of its image.

    :param maps: ``[B, C, H, W]``; channels-last ones are not copied. :param weight: ``[K, C, 1, 1]``.
    :param bias: ``[K]``.
    :returns: ``[B, K, H, W]``, channels-last, of the maps' type.

    No normalised map is ever written: the deviation goes into a weight of every image's own, the mean into its bias.
    """
    rows = maps.permute(0, 2, 3, 1).flatten(1, 2)
    projected: Tensor = _Projection.apply(rows, weight.flatten(1), bias, *_moments(maps.detach()))
    return projected.unflatten(1, maps.shape[2:]).permute(0, 3, 1, 2)


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every channel of every image, ``[B, 1, C]``, at least float32.

    Batch norm's statistics of a batch of one: a sixth of the time of the same sums in torch's other operations.
    """
    running = maps.new_zeros(maps.shape[1], dtype=torch.promote_types(maps.dtype, torch.float32))
    moments = [torch.batch_norm_update_stats(image, running, running.clone(), 0.0) for image in maps.split(1)]
    mean, variance = (torch.stack(values)[:, None] for values in zip(*moments, strict=True))
    return mean, variance


class _Projection(torch.autograd.Function):
    """Rows of pixels ``[B, N, C]``, their moments, weight ``[K, C]`` and bias ``[K]`` to rows ``[B, N, K]``.

    The weight's gradient and the part of the rows' gradient that goes through mean and deviation need the same
    product, that of rows and gradients; torch would go over the whole maps for each of them.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        with torch.autocast(rows.device.type, enabled=False):
            scale = (variance + EPSILON).rsqrt()
            own = (scale.mT * weight.T).to(rows.dtype)  # [B, C, K]
            shift = bias - mean @ own.to(mean.dtype)  # the rounded weights, so that their errors cancel in the mean
            ctx.save_for_backward(rows, weight, mean, scale, own)
            return torch.baddbmm(shift.to(rows.dtype), rows, own)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        rows, weight, mean, scale, own = ctx.saved_tensors
        total = gradient.sum(1, keepdim=True, dtype=mean.dtype)  # [B, 1, K]
        product = torch.bmm(rows.mT, gradient).to(mean.dtype)
        product = (product - mean.mT * total) * scale.mT  # of normalised rows and gradients, [B, C, K]
        of_rows: Tensor | None = None
        if ctx.needs_input_grad[0]:
            count = rows.shape[1]
            slope = scale.square() * (product * weight.T).sum(2)[:, None] / -count
            constant = scale * (total @ weight) / -count - slope * mean
            through_statistics = torch.addcmul(constant.to(rows.dtype), rows, slope.to(rows.dtype))
            of_rows = torch.baddbmm(through_statistics, gradient, own.mT)
        return of_rows, product.sum(0).T, total.sum((0, 1)), None, None
