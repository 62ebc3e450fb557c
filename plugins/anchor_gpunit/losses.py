"""The losses of GP-UNIT's two stages, as functions of tensors. All are means over the batch, without weights.

Where paper and published code differ, the paper's form is the default and the code's has a name.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: Weights of stage I: lambda_s, lambda_r; the others are 1.
SHAPE_WEIGHT, NORM_WEIGHT = 5.0, 0.001
#: Weights of stage II: lambda_1 to lambda_4.
CONTENT_WEIGHT, STYLE_WEIGHT, MASK_WEIGHT, RECONSTRUCTION_WEIGHT = 1.0, 50.0, 1.0, 1.0
#: Weight of the perceptual loss's maps beside that of pixels.
PERCEPTUAL_WEIGHT = 0.3

# ------------------------------------------------------------------------------------------------ both stages


def perceptual_loss(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """0.3 times the sum over maps of the mean absolute difference; ``wanted`` gets no gradient."""
    return PERCEPTUAL_WEIGHT * sum(
        (F.l1_loss(ours, theirs.detach()) for ours, theirs in zip(maps, wanted, strict=True)),
        start=maps[0].new_zeros(()),
    )


# ------------------------------------------------------------------------------------------------ stage I


def appearance_loss(images: Tensor, wanted: Tensor) -> Tensor:
    """The pixels' part of L_arec: mean squared difference of pictures ``[B, 3, H, W]``."""
    return F.mse_loss(images, wanted)


def shape_loss(shapes: Tensor, wanted: Tensor) -> Tensor:
    """L_srec of equation 2 and the second part of L_dis, without lambda_s: mean absolute difference of shapes."""
    return F.l1_loss(shapes, wanted)


def shapes_at(shapes: Tensor, side: int) -> Tensor:
    """Shapes ``[B, 3, H, W]`` brought to the side of the shape head."""
    return F.interpolate(shapes, (side, side), mode="bilinear", align_corners=False)


def distance_loss(first: Tensor, second: Tensor, *, one_sided: bool = False) -> Tensor:
    """The first part of L_dis: ``|E_c(x) - E_c(y)|_1`` of the contents of pairs, ``[P, 1, s, s]``.

    :param one_sided: the gradient goes to ``first`` alone, as in the published code.
    """
    return F.l1_loss(first, second.detach() if one_sided else second)


def norm_loss(content: Tensor, *, whole_batch: bool = False) -> Tensor:
    """The second part of L_reg, without lambda_r: ``E_x |E_c(x)|_2`` of contents ``[B, 1, s, s]``.

    :param whole_batch: one norm of all contents together, as in the published code.
    """
    return content.norm() if whole_batch else content.flatten(1).norm(dim=1).mean()


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The first part of L_reg: cross-entropy of the classifier; its input's gradient is reversed before."""
    return F.cross_entropy(logits, labels)


# ------------------------------------------------------------------------------------------------ stage II


def generator_loss(logits: Tensor, *, saturating: bool = True) -> Tensor:
    """The generator's part of L_adv: ``E log(1 - D(y^))`` of logits ``[B]``.

    :param saturating: False for ``-E log D(y^)``, as in the published code.
    """
    return -F.softplus(logits).mean() if saturating else F.softplus(-logits).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's part of L_adv (equation 3): ``-E log D(y) - E log(1 - D(y^))`` of logits."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Half of the mean squared gradient of the real logits at the pictures (Mescheder et al. 2018).

    The published code adds it in every step; the paper does not mention it.

    :param images: the real pictures, which must require gradients.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def content_loss(content: Tensor, wanted: Tensor) -> Tensor:
    """L_con of equation 5, without lambda_1: mean absolute difference of coarse contents."""
    return F.l1_loss(content, wanted)


def style_loss(style: Tensor, wanted: Tensor) -> Tensor:
    """L_sty of equation 4, without lambda_2: mean absolute difference of f_D; ``wanted`` gets no gradient."""
    return F.l1_loss(style, wanted.detach())


def mask_loss(masks: Sequence[Tensor]) -> Tensor:
    """L_msk of equation 6, without lambda_3: the sum over skips of the mask's mean."""
    return sum((mask.abs().mean() for mask in masks), start=masks[0].new_zeros(()))


def reconstruction_loss(images: Tensor, wanted: Tensor) -> Tensor:
    """The pixels' part of L_rec, without lambda_4: mean absolute difference of pictures."""
    return F.l1_loss(images, wanted)
