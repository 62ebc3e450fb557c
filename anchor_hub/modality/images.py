"""``rgb`` and ``gray``: pictures, read back with the squared error."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.modality.base import Modality, resized_preview, to_bytes


class _Picture(Modality):
    """Samples are uint8 ``[C, H, W]``; networks see them in [-1, 1]."""

    channels: int

    def __init__(self) -> None:
        self.input_channels = self.output_channels = self.channels

    def to_network(self, samples: Tensor) -> Tensor:
        return samples.float() / 127.5 - 1

    def from_network(self, output: Tensor) -> Tensor:
        return to_bytes(output)

    def as_input(self, output: Tensor) -> Tensor:
        return output.clamp(-1, 1)

    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        return F.mse_loss(output, self.to_network(samples).to(output))

    def flip(self, samples: Tensor) -> Tensor:
        return samples.flip(-1)

    def write(self, sample: Tensor, path: Path | str) -> Path:
        from PIL import Image

        from anchor_hub.data.grid import save_png

        pixels = sample.cpu().permute(1, 2, 0).numpy()
        return save_png(Image.fromarray(pixels if self.channels == 3 else pixels[..., 0]), path)

    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        return resized_preview(sample.cpu().expand(3, -1, -1).to(torch.uint8), size)


class RGB(_Picture):
    """Colour pictures: uint8 ``[3, H, W]``."""

    name = "rgb"
    channels = 3

    def read(self, path: Path | str, size: int) -> Tensor:
        from anchor_hub.data.reading import read_rgb

        return read_rgb(path, size)


class Gray(_Picture):
    """Pictures of one channel (sketches, depth maps): uint8 ``[1, H, W]``."""

    name = "gray"
    channels = 1

    def read(self, path: Path | str, size: int) -> Tensor:
        from anchor_hub.data.reading import read_gray

        return read_gray(path, size)
