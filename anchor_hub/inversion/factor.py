"""Inversion in the space of a factorised generator (Huang et al. 2020, "UI2I via pre-trained StyleGAN2", III.B).

The eigenvectors of ``A^T A``, A all modulation weights below each other, are the generator's semantic directions
(Shen and Zhou 2020, SeFa). Latents are ``w = v V`` with these eigenvectors in the columns of V, and v is searched
(equation 9). V is orthogonal: v is w turned, which changes what Adam's separate step sizes act on, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from anchor_hub.checkpoints.factor_files import read_factor
from anchor_hub.errors import CheckpointError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.inversion.projection import DescentInverter, DescentOptions


@dataclass(frozen=True)
class Factor:
    """The space V of a hub.

    :param vectors: ``[D, D]``, eigenvectors in columns, the strongest first.
    :param values: ``[D]``, singular values of A, falling; None: not known (a published file holds vectors alone).
    """

    vectors: Tensor
    values: Tensor | None = None

    def latents(self, v: Tensor) -> Tensor:
        """``w = v V`` for ``[..., D]``; published code multiplies so, from the right, with eigenvectors in columns."""
        return v @ self.vectors.to(v)

    def solve(self, w: Tensor) -> Tensor:
        """The v of latents ``[..., D]``; of a V that is not quite orthogonal, too. :raises CheckpointError: singular V.
        """
        try:
            found = torch.linalg.solve(self.vectors.double().cpu().T, w.double().cpu().reshape(-1, w.shape[-1]).T)
        except RuntimeError:
            raise CheckpointError("the factor's matrix has no inverse: it is no factorisation of a generator") from None
        return found.T.reshape(w.shape).to(w)


def modulation_weights(hub: Hub) -> Tensor:
    """A ``[channels, D]``: the stored modulation weights of all styled convolutions and of the first ToRGB.

    That ToRGB lies between the first two convolutions; published code takes it and leaves the other ToRGBs out.

    :raises UsageError: the hub is no StyleGAN2.
    """
    # A view of a hub may run two generators of the same latents; then the hub's own is factorised.
    candidates: list[Any] = [getattr(one.generator, "synthesis", None) for one in (hub, hub.base)]
    synthesis = next((one for one in candidates if hasattr(one, "styled_convs") and hasattr(one, "block")), None)
    if synthesis is None:
        raise UsageError(f"hub {hub.name!r} has no modulation weights to factorise: take --method w-plus")
    first, *others = synthesis.styled_convs()
    layers = [first, synthesis.block(4).to_rgb, *others]
    return torch.cat([layer.affine.weight.detach() for layer in layers])


def factorise(hub: Hub) -> Factor:
    """The factor of a hub by singular value decomposition in float64: ``A = U S V^T`` (equations 7 and 8).

    Each column's largest entry is positive, so that the same hub gives the same V everywhere.

    :raises UsageError: the hub is no StyleGAN2.
    """
    _, values, rows = torch.linalg.svd(modulation_weights(hub).double().cpu(), full_matrices=False)
    rows = rows * rows.gather(1, rows.abs().argmax(dim=1, keepdim=True)).sign()
    return Factor(rows.T.contiguous(), values)


class FactorOptions(DescentOptions):
    """See :class:`FactorSearch`."""

    start: Literal["mean", "zero"] = Field(
        default="mean", description="Where v begins: at the mean latent (or an encoder's), or near 0, as published"
    )
    factor: str | None = Field(
        default=None, description="Published factor file ({'ckpt', 'eigvec'}) to use in place of the hub's own factor"
    )


class FactorSearch(DescentInverter):
    r"""One v for all layers: :math:`\arg\min_v \|I - G(vV)\|_1 + \|\Phi(I) - \Phi(G(vV))\|_2` (equation 9).

    There is no latent noise: the published code computes a noisy copy of v and uses it nowhere.
    """

    Options = FactorOptions
    options: FactorOptions

    @property
    def factor(self) -> Factor:
        """V: the hub's own or that of the file. :raises CheckpointError: a bad file, or one of another latent size."""
        if not hasattr(self, "_factor"):
            self._factor = factorise(self.hub) if self.options.factor is None else self._read(self.options.factor)
        return self._factor

    def _read(self, path: str) -> Factor:
        vectors = read_factor(Path(path))
        if len(vectors) != self.hub.latent_dim:
            raise CheckpointError(
                f"{path}: factorises latents of {len(vectors)} numbers, those of hub {self.hub.name!r} have "
                f"{self.hub.latent_dim}"
            )
        return Factor(vectors)

    def codes(self, start: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        vectors = self.factor.vectors.to(start)
        if self.options.start == "zero":
            # As published: the mean of 10,000 normal draws, which nearly is zero; the same for every picture.
            stream = torch.Generator().manual_seed(self._seed("start"))
            v = torch.randn(10_000, self.hub.latent_dim, generator=stream).mean(0).to(start).expand(len(start), 1, -1)
        else:
            v = self.factor.solve(start.mean(dim=1, keepdim=True))
        return v, lambda codes: self.hub.expand(codes @ vectors)
