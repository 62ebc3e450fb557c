"""One-channel pictures: sketches, depth."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from anchor_hub.images.reading import open_image, resize_smooth, to_gray
from anchor_hub.modality.pictures import PictureModality, to_sample


class Gray(PictureModality):
    """One-channel pictures. Samples uint8 ``[1, H, W]``; networks float32 ``[B, 1, H, W]`` in [-1, 1].

    Colour files are read by their luma, transparency as white paper.
    """

    name = "gray"
    channels = 1

    def read(self, path: str | Path, size: int) -> Tensor:
        """uint8 ``[1, size, size]``. :raises ImageError: naming file and fix."""
        image = to_gray(open_image(path, draft=2 * size), path, self.span)
        return to_sample(resize_smooth(image, size, self.fit))
