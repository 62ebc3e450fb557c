"""Semantic directions of a hub's latents, in closed form from its weights (Shen and Zhou 2020, SeFa).

A modulation layer turns w into A w + b, so that moving w by ``a n`` changes it by ``a A n`` (equation 6 of Huang et al.
2020, "UI2I via pre-trained StyleGAN2"). The directions n that change it most are the eigenvectors of ``A^T A``
(equations 7 and 8), A all modulation weights below each other. They are the hub's, and mean the same in a domain whose
generator is a fine-tuned copy of the hub's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from anchor_hub.checkpoints.factor_files import read_factor
from anchor_hub.errors import CheckpointError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.inversion.factor import factorise

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_STRENGTHS = re.compile(rf"({_NUMBER})(?:\.\.({_NUMBER}))?")


@dataclass(frozen=True)
class Directions:
    """Directions of a hub's latents, the strongest first; they count from 0.

    :param vectors: ``[D, D]``, a direction of length 1 in each row.
    :param deviations: ``[D]``, standard deviation of the hub's sampled latents along each direction.
    :param values: ``[D]``, singular values of A, falling; None where a file gave the directions.
    """

    hub: Hub
    vectors: Tensor
    deviations: Tensor
    values: Tensor | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def check(self, number: int) -> int:
        """The number itself. :raises UsageError: there is no such direction."""
        if not 0 <= number < len(self):
            raise UsageError(f"hub {self.hub.name!r} has directions 0 to {len(self) - 1}, not {number}")
        return number

    def moved(self, latents: Tensor, number: int, strength: float, layers: Iterable[int] | None = None) -> Tensor:
        """``w + strength * deviation * n`` of latents ``[B, L, D]``, in some layers.

        :param strength: in standard deviations of the hub's latents along the direction; 0 changes nothing.
        :param layers: W+ layers to move; default: all.
        :raises UsageError: no such direction.
        """
        number = self.check(number)
        step = (self.vectors[number] * self.deviations[number] * strength).to(latents)
        latents = self.hub.expand(latents)
        if layers is None:
            return latents + step
        mask = torch.zeros(self.hub.num_latents, 1, device=latents.device, dtype=latents.dtype)
        mask[list(layers)] = 1
        return latents + mask * step


def directions_of(hub: Hub, factor: str | Path | None = None) -> Directions:
    """The directions of a StyleGAN2 hub.

    :param factor: a published factor file, ``{"ckpt", "eigvec"}`` with eigenvectors in columns, in place of the hub's
        own factorisation. The signs of its directions are the file's; the hub's own have their largest entry positive.
    :raises UsageError: the hub is no StyleGAN2. :raises CheckpointError: a bad file, or one of another latent size.
    """
    if not hub.layers_share_code:
        raise UsageError(f"hub {hub.name!r}: directions come from the modulation weights of a StyleGAN2; it has none")
    values = None
    if factor is None:
        found = factorise(hub)
        vectors, values = found.vectors.T, found.values
    else:
        vectors = read_factor(Path(factor)).T.double()
        if len(vectors) != hub.latent_dim:
            raise CheckpointError(
                f"{factor}: has directions of {len(vectors)} numbers, latents of hub {hub.name!r} have {hub.latent_dim}"
            )
    vectors = torch.nn.functional.normalize(vectors.double().cpu(), dim=1)
    variances = ((vectors @ hub.covariance.double().cpu()) * vectors).sum(dim=1)
    return Directions(hub, vectors.to(hub.mean_latent), variances.clamp(min=0).sqrt().to(hub.mean_latent), values)


def parse_strengths(text: str, steps: int = 7) -> list[float]:
    """``"-3..3"`` to ``steps`` strengths from -3 to 3, both included; ``"2"`` to that one.

    :raises UsageError: not of that form, or fewer than 2 steps for a range.
    """
    match = _STRENGTHS.fullmatch(text.replace(" ", ""))
    if match is None:
        raise UsageError(f"--strength {text!r}: write one number, or a range such as -3..3")
    first = float(match[1])
    if match[2] is None:
        return [first]
    if steps < 2:
        raise UsageError(f"--steps {steps}: the range {text} needs 2 pictures at least")
    last = float(match[2])
    # From both ends, so that a symmetric range meets 0 exactly.
    return [(first * (steps - 1 - index) + last * index) / (steps - 1) for index in range(steps)]
