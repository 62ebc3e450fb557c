"""Modalities as a stranger writes them: without a line of the built-in ones' classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anchor_hub.images.writing import write_image
from anchor_hub.modality import Modality, Traits
from anchor_hub.modality.base import resized


class _Plain(Modality):
    """A picture file's channels, squared error."""

    mode: str
    input_channels = output_channels = 3

    def read(self, path: str | Path, size: int) -> Tensor:
        with Image.open(str(path)) as image:
            pixels = image.convert(self.mode).resize((size, size), Image.Resampling.NEAREST)
        tensor = torch.frombuffer(bytearray(pixels.tobytes()), dtype=torch.uint8)
        return tensor.reshape(size, size, -1).permute(2, 0, 1).contiguous()

    def to_network(self, samples: Tensor) -> Tensor:
        return samples.float() / 127.5 - 1

    def from_network(self, output: Tensor) -> Tensor:
        return ((output.detach() + 1) * 127.5).round().clamp(0, 255).byte()

    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        return F.mse_loss(output, self.to_network(samples))

    def flip(self, samples: Tensor) -> Tensor:
        return samples.flip(-1)

    def write(self, sample: Tensor, path: str | Path) -> None:
        write_image(sample.cpu(), path)

    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        return resized(sample.cpu().expand(3, -1, -1).contiguous(), size)


class Photo(_Plain):
    """Colour pictures that are not ``rgb``."""

    name, mode = "photo", "RGB"
    traits = Traits(picture=True)


class Zones(_Plain):
    """Label maps of three zones, a channel each, in gray files of ids."""

    name, mode = "zones", "L"
    input_channels = output_channels = 3
    traits = Traits(classes=("sky", "land", "sea"))

    def to_network(self, samples: Tensor) -> Tensor:
        return F.one_hot(samples[:, 0].long(), 3).permute(0, 3, 1, 2).float()

    def from_network(self, output: Tensor) -> Tensor:
        return output.detach().argmax(1, keepdim=True).byte()


class Corners(_Plain):
    """So many points in a text file, in shares of the image: their pixels depend on the side it was declared for."""

    name, extensions, output_suffix = "corners", (".txt",), ".txt"
    input_channels = 1

    def __init__(self, count: int, colour: Any = "red", *, fit: str = "stretch") -> None:
        super().__init__(fit=fit)
        self.count, self.colour = count, colour

    @property
    def traits(self) -> Traits:
        return Traits(points=self.count)

    @property
    def output_channels(self) -> int:  # type: ignore[override]
        return self.count

    def options(self) -> dict[str, Any]:
        return {"count": self.count, **super().options()}

    def read(self, path: str | Path, size: int) -> Tensor:
        numbers = [float(word) for word in Path(path).read_text().split()]
        return torch.tensor(numbers).reshape(-1, 2) * size

    def to_network(self, samples: Tensor) -> Tensor:
        assert self.size is not None
        maps = torch.full((len(samples), 1, self.size, self.size), -1.0)
        for row, points in enumerate((samples - 0.5).round().long().clamp(0, self.size - 1)):
            maps[row, 0, points[:, 1], points[:, 0]] = 1.0
        return maps

    def write(self, sample: Tensor, path: str | Path) -> None:
        assert self.size is not None
        Path(path).write_text(" ".join(str(float(value)) for value in (sample / self.size).flatten()))

    def flip(self, samples: Tensor) -> Tensor:
        assert self.size is not None
        return torch.stack([self.size - samples[..., 0], samples[..., 1]], -1)

    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        picture = ((self.to_network(sample[None])[0] + 1) * 127.5).byte()
        return resized(picture.expand(3, -1, -1).contiguous(), size)


class Bare(_Plain):
    """As they were written before there were traits and :meth:`at`: it says nothing, and reads ``self.size``."""

    name, mode = "bare", "RGB"

    def from_network(self, output: Tensor) -> Tensor:
        assert self.size == output.shape[-1], "hubs declare the side"
        return super().from_network(output)
