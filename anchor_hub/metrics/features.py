"""The base of all feature extractors, and the reader of weight files."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.errors import DataError
from anchor_hub.metrics.frechet import FeatureStatistics
from anchor_hub.system.guarded import read_regular
from anchor_hub.system.inputs import shown


class Extractor(ABC):
    """Features of pictures.

    ``short`` names the distance (``fd_<short>``), ``name`` the network; ``sha256`` is that of the weight file;
    ``resize`` and ``preprocessing`` say how pictures reach the network, to be recorded beside every number;
    ``dimensions`` is the length of a feature vector.
    """

    name: str
    sha256: str
    resize: str
    preprocessing: str
    dimensions: int

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    @property
    def short(self) -> str:
        return self.name

    @abstractmethod
    def features(self, pictures: Tensor) -> Tensor:
        """Feature vectors ``[B, D]`` of uint8 ``[B, 3, H, W]`` on the extractor's device."""

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Feature vectors, float32 ``[B, D]`` on the CPU, of uint8 ``[B, 3, H, W]``.

        :raises DataError: pictures of another type or shape.
        """
        if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
            raise DataError(f"an extractor takes uint8 [B, 3, H, W], not {pictures.dtype} {list(pictures.shape)}")
        return self.features(pictures.to(self.device)).float().cpu()

    def statistics(self, pictures: Tensor | Iterable[Tensor], batch: int = 32) -> FeatureStatistics:
        """Statistics of uint8 ``[N, 3, H, W]``, or of an iterable of such batches."""
        found = FeatureStatistics()
        for part in pictures.split(batch) if isinstance(pictures, Tensor) else pictures:
            found.update(self(part))
        return found

    def describe(self) -> dict[str, Any]:
        """The facts to record beside every distance that this extractor measures."""
        return {"metric": f"fd_{self.short}", "preprocessing": self.preprocessing, "sha256": self.sha256}


def read_weights(path: Path, wanted: str) -> tuple[bytes, str]:
    """The bytes of a weight file and their SHA-256.

    :param wanted: the kind of file that the message asks for.
    :raises DataError: the file cannot be read.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise DataError(
            f"{shown(path)}: the extractor's weights cannot be read ({error.strerror or error}); "
            f"give --extractor the path of {wanted}"
        ) from None
    return data, hashlib.sha256(data).hexdigest()


def unit_features(features: Tensor) -> Tensor:
    """Features ``[B, C, h, w]`` of unit length at every place."""
    return F.normalize(features, dim=1, eps=1e-10)


def cosine_gap(difference: Tensor, maps: int = 1) -> Tensor:
    """``[B]``: 1 minus the cosine, averaged over places, of two unit features whose difference is ``[B, C, h, w]``.

    :param maps: how many maps a distance averages; this is the share of one.
    """
    return difference.square().sum(1).mean((1, 2)) / (2 * maps)
