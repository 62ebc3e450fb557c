"""Statistics of a hub's latents: mean, covariance, and the roots of the covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from anchor_hub.networks.stylegan2 import Generator

#: Mapped samples behind a hub's mean latent and covariance.
STATISTICS_SAMPLES = 10_000


def covariance_roots(covariance: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """``C ** -1/2`` and ``C ** 1/2`` of a covariance ``[D, D]``, computed in float64 on the CPU.

    :param floor: eigenvalues below this share of the largest are lifted to it.
    """
    values, vectors = torch.linalg.eigh(covariance.double().cpu())
    values = values.clamp(min=max(float(values.max()) * floor, 1e-12))
    return (vectors * values.rsqrt()) @ vectors.T, (vectors * values.sqrt()) @ vectors.T


@torch.no_grad()
def latent_statistics(
    generator: Generator, *, seed: int = 0, samples: int = 10_000, chunk: int = 1000
) -> tuple[Tensor, Tensor]:
    """Mean ``[D]`` and covariance ``[D, D]`` of ``samples`` mapped codes, accumulated in float64.

    The codes of a class-conditional generator are of all its classes, drawn uniformly.
    """
    classes = getattr(generator.config, "classes", 0)
    stream = torch.Generator().manual_seed(seed)
    weight = next(generator.parameters())
    mapped = []
    for begin in range(0, samples, chunk):
        z = torch.randn(min(chunk, samples - begin), generator.config.code_dim, generator=stream)
        labels = (torch.randint(classes, (len(z),), generator=stream).to(weight.device),) if classes else ()
        mapped.append(generator.mapping(z.to(weight), *labels).double().cpu())
    w = torch.cat(mapped)
    centred = w - w.mean(dim=0)
    return w.mean(dim=0).float(), (centred.T @ centred / max(len(w) - 1, 1)).float()
