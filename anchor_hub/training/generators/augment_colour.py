"""Random colours as one linear map per image: the colours of adaptive augmentation (Karras et al. 2020, appendix B)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from anchor_hub.training.generators.augment_geometry import coins

#: Standard deviations: of brightness (in [-1, 1]), and of the logarithms to base 2 of contrast and saturation.
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0


def palettes(count: int, probability: float) -> Tensor | None:
    """Matrices ``[count, 4, 4]``, float64, that map ``(r, g, b, 1)``; ``None``: every image keeps its colours.

    In order: brightness, contrast, reversal of luma (half of the chosen), hue by any angle, saturation; each image's by
    a coin of its own.
    """
    identity = torch.eye(4, dtype=torch.float64)
    grey = torch.full((4,), 1 / math.sqrt(3), dtype=torch.float64)
    grey[3] = 0
    luma = torch.outer(grey, grey)
    chroma = torch.diag(torch.tensor([1.0, 1, 1, 0], dtype=torch.float64)) - luma
    last = torch.diag(torch.tensor([0.0, 0, 0, 1], dtype=torch.float64))
    # The cross product with the grey axis: a quarter turn of the hue.
    turn = torch.zeros(4, 4, dtype=torch.float64)
    turn[:3, :3] = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3)

    matrices, changed = identity.expand(count, 4, 4), torch.zeros(count, dtype=torch.bool)

    def apply(drawn: Tensor) -> None:
        nonlocal matrices, changed
        chosen = coins(count, probability)
        matrices = torch.where(chosen[:, None, None], drawn, identity) @ matrices
        changed = changed | chosen

    brightness = identity.repeat(count, 1, 1)
    brightness[:, :3, 3] = (torch.randn(count, 1) * BRIGHTNESS).double()
    apply(brightness)
    apply(_of(torch.exp2(torch.randn(count) * CONTRAST)) * (luma + chroma) + last)
    apply(_of(1.0 - 2.0 * torch.randint(2, (count,))) * luma + chroma + last)
    angles = (torch.rand(count).double() * 2 - 1) * math.pi
    apply(luma + _of(angles.cos()) * chroma + _of(angles.sin()) * turn + last)
    apply(luma + _of(torch.exp2(torch.randn(count) * SATURATION)) * chroma + last)
    return matrices if bool(changed.any()) else None


def recolour(images: Tensor, matrices: Tensor) -> Tensor:
    """Images ``[B, 3, H, W]`` with their colours mapped by ``[B, 4, 4]``; the identity changes no bit."""
    matrices = matrices.to(images)
    mapped = torch.baddbmm(matrices[:, :3, 3:], matrices[:, :3, :3], images.flatten(2))
    return mapped.view(images.shape)


def _of(numbers: Tensor) -> Tensor:
    """Numbers ``[B]`` as factors of matrices."""
    return numbers.double()[:, None, None]
