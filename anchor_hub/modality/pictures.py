"""The common part of colour and gray pictures: uint8 samples, networks in [-1, 1], squared error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL.Image import Image
from torch import Tensor

from anchor_hub.errors import ConfigError
from anchor_hub.images.reading import Span
from anchor_hub.images.writing import PICTURE_SUFFIXES, write_image
from anchor_hub.modality.base import Modality, resized


def to_unit(samples: Tensor) -> Tensor:
    """uint8 0..255 to float32 in [-1, 1]."""
    return samples.float() / 127.5 - 1


def from_unit(images: Tensor) -> Tensor:
    """[-1, 1], clipped, to uint8 0..255, rounded: the inverse of :func:`to_unit`."""
    return ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def to_sample(image: Image) -> Tensor:
    """A Pillow image of mode L or RGB as uint8 ``[1 or 3, H, W]``."""
    array = np.array(image)
    tensor = torch.from_numpy(array)
    return tensor[None] if array.ndim == 2 else tensor.permute(2, 0, 1).contiguous()


class PictureModality(Modality):
    """Samples uint8 ``[C, H, W]``; networks take and give float32 ``[B, C, H, W]`` in [-1, 1]."""

    channels: int
    output_suffixes = PICTURE_SUFFIXES

    def __init__(self, range: Sequence[float] | None = None, *, fit: str = "stretch") -> None:
        """:param range: [low, high], the values that become black and white in files of more than 8 bits; by default
        see :func:`~anchor_hub.images.reading.to_rgb`. :raises ConfigError: no two ascending numbers."""
        super().__init__(fit=fit)
        numbers = isinstance(range, (list, tuple)) and all(type(value) in (int, float) for value in range)
        if range is not None and not (numbers and len(range) == 2 and -1e9 <= range[0] < range[1] <= 1e9):
            raise ConfigError(f"modality {self.name}: range is {range!r}, must be [low, high], e.g. [0, 4095]")
        self.span: Span | None = None if range is None else (range[0], range[1])

    def options(self) -> dict[str, Any]:
        """``range``, if there is one."""
        return {**({} if self.span is None else {"range": list(self.span)}), **super().options()}

    @property
    def input_channels(self) -> int:
        return self.channels

    @property
    def output_channels(self) -> int:
        return self.channels

    def to_network(self, samples: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` to float32 in [-1, 1]."""
        return to_unit(samples)

    def from_network(self, output: Tensor) -> Tensor:
        """Clipped to [-1, 1], to uint8 ``[B, C, H, W]``."""
        return from_unit(output)

    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        """Mean squared error in [-1, 1] units (latent-space anchoring, equation 1)."""
        return F.mse_loss(output.float(), self.to_network(samples))

    def flip(self, samples: Tensor) -> Tensor:
        """Mirrored left to right."""
        return samples.flip(-1)

    def write(self, sample: Tensor, path: str | Path) -> None:
        """A picture file in the format its suffix says."""
        write_image(sample, path)

    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        """The picture itself, gray as RGB."""
        return resized(sample.cpu().expand(3, -1, -1), size).contiguous()
