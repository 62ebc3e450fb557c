"""Colour pictures."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from anchor_hub.images.reading import open_image, resize_smooth, to_rgb
from anchor_hub.modality.pictures import PictureModality, to_sample
from anchor_hub.modality.traits import Traits


class RGB(PictureModality):
    """Colour pictures. Samples uint8 ``[3, H, W]``; networks float32 ``[B, 3, H, W]`` in [-1, 1].

    Files of any mode are read: transparency becomes white, 16 bits become 8, EXIF orientation is applied.
    """

    name = "rgb"
    channels = 3

    @property
    def traits(self) -> Traits:
        return Traits(picture=True)

    def read(self, path: str | Path, size: int) -> Tensor:
        """uint8 ``[3, size, size]``. :raises ImageError: naming file and fix."""
        image = to_rgb(open_image(path, draft=2 * size), path, self.span)
        return to_sample(resize_smooth(image, size, self.fit))
