"""Files of "UI2I via pre-trained StyleGAN2": factors of a generator and results of inversion, read as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.errors import CheckpointError


@dataclass(frozen=True)
class PublishedInversion:
    """The result for one picture: ``latent`` is w ``[D]``, ``weight`` v ``[D]`` with w = v V, ``noise`` the noise maps.

    As published, latent and weight of the k-th picture are the state after 100 (k + 1) steps, not the last one.
    """

    name: str
    latent: Tensor
    weight: Tensor | None
    noise: tuple[Tensor, ...]


def read_factor(path: str | Path) -> Tensor:
    """V ``[D, D]``, float32, eigenvectors in columns, of a factor file ``{"ckpt": path, "eigvec": V}``.

    :raises CheckpointError: another file, or a matrix that is not square or not finite. No code of the file runs.
    """
    raw = load_raw(path)
    vectors = raw.content.get("eigvec") if isinstance(raw.content, Mapping) else None
    if not isinstance(vectors, Tensor):
        raise raw.error("lacks the entry 'eigvec' of a factor file; give a file of closed-form factorisation")
    if vectors.ndim != 2 or vectors.shape[0] != vectors.shape[1] or not vectors.is_floating_point():
        raise raw.error(f"'eigvec' must be a square matrix [D, D], got {list(vectors.shape)}")
    if not bool(torch.isfinite(vectors).all()):
        raise raw.error("'eigvec' holds NaN or infinity: the file is damaged, copy it again")
    return vectors.clone() if vectors.dtype == torch.float64 else vectors.float().clone()


def is_inversions(content: Any) -> bool:
    """Whether a checkpoint's content is results of inversion: ``{picture: {"img", "latent", "weight", "noise"}}``."""
    return isinstance(content, Mapping) and bool(content) and all(
        isinstance(name, str) and isinstance(entry, Mapping) and isinstance(entry.get("latent"), Tensor)
        for name, entry in content.items()
    )  # fmt: skip


def read_inversions(path: str | Path) -> list[PublishedInversion]:
    """The results in a file of inversion, in the file's order.

    :raises CheckpointError: another file, or latents that do not fit. No code of the file runs.
    """
    raw = load_raw(path)
    if not is_inversions(raw.content):
        raise raw.error("is no result of inversion: it must map pictures to their 'latent', 'weight' and 'noise'")
    found = []
    for name, entry in raw.content.items():
        latent, weight, noise = entry["latent"], entry.get("weight"), entry.get("noise") or ()
        fits = isinstance(noise, (list, tuple)) and all(isinstance(one, Tensor) for one in noise)
        if not fits or (weight is not None and not isinstance(weight, Tensor)):
            raise raw.error(f"the result of {ascii(name)[:60]} holds something else than tensors: it is damaged")
        if latent.numel() != latent.shape[-1] or (weight is not None and weight.numel() != latent.numel()):
            raise raw.error(f"the latent of {ascii(name)[:60]} must be [1, D], got {list(latent.shape)}")
        row = None if weight is None else weight.reshape(-1).clone()
        found.append(PublishedInversion(name, latent.reshape(-1).clone(), row, tuple(one.clone() for one in noise)))
    return found


def published_latents(results: list[PublishedInversion], vectors: Tensor | None = None) -> Tensor:
    """w ``[N, D]`` of results: ``weight @ V`` where the factor is given, as published scripts do, else ``latent``.

    :param vectors: V ``[D, D]`` of :func:`read_factor`: the very one that the results were found with.
    :raises CheckpointError: results of different sizes, or a factor of another size.
    """
    if len({row.latent.shape for row in results}) > 1:
        raise CheckpointError("the results are of different generators: their latents differ in size")
    rows = [row.latent if vectors is None or row.weight is None else row.weight for row in results]
    if vectors is None:
        return torch.stack(rows)
    if len(vectors) != len(rows[0]):
        raise CheckpointError(f"the factor is of latents of {len(vectors)} numbers, the results have {len(rows[0])}")
    return torch.stack([
        row.latent if row.weight is None else row.weight.to(vectors) @ vectors for row in results
    ])  # fmt: skip
