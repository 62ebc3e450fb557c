"""Landmarks: points on a face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image, ImageChops
from torch import Tensor

from anchor_hub.errors import ConfigError, DataError, ImageError, UsageError
from anchor_hub.images.reading import IMAGE_EXTENSIONS, crop_box, open_image, resize_smooth, to_gray
from anchor_hub.images.writing import PICTURE_SUFFIXES, write_bytes, write_image
from anchor_hub.modality.base import Modality, resized
from anchor_hub.modality.landmark_drawing import MIRRORED_68, draw, expected_points, heat_divergence
from anchor_hub.modality.pictures import from_unit, to_sample, to_unit
from anchor_hub.modality.point_files import POINT_EXTENSIONS, encode_points, read_points
from anchor_hub.modality.traits import Traits
from anchor_hub.system.inputs import shown

# A jaw may leave the picture a little; points farther out belong to another image or are in other units.
MARGIN = 0.5
# The largest difference between colour channels that JPEG leaves in a black-and-white drawing.
COLOURED = 48


class Landmarks(Modality):
    """Points on a face. Samples float32 ``[N, 2]``: x to the right, y down, in pixels of a ``size`` image.

    The image's edges are at 0 and ``size``. Encoders see the points drawn as dlib's polylines, one channel in
    [-1, 1]; regressors give a heat map (as logits) per point, ``[B, N, H, W]``, whose mean is the point.
    Files: ``.json`` (``{"size": [w, h], "points": [[x, y], ...]}``, or a bare list in pixels of the size
    asked for), ``.pts``, ``.csv``; or pictures of drawn landmarks, whose samples are uint8 ``[1, H, W]``.

    Methods that need the side of the image take it as ``side``; without it they go by :attr:`size`.

    :param points: N. 68 are in dlib's (iBUG) order; others are drawn as dots.
    :param drawn: the published variant: regressors give the drawing itself, with the squared error.
    :param size: side of the image that points refer to; :meth:`at` gives the modality of another one.
    :param sigma: width of a heat map's target in pixels of a 64 px image.
    """

    name = "landmarks"
    extensions = (*POINT_EXTENSIONS, *IMAGE_EXTENSIONS)

    def __init__(
        self,
        points: int = 68,
        drawn: bool = False,
        size: int | None = None,
        sigma: float = 1.0,
        *,
        fit: str = "stretch",
    ) -> None:
        super().__init__(fit=fit)
        if isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= 1000:
            raise ConfigError(
                f"modality landmarks: points is {points!r}, must be a whole number from 1 to 1000"
            )
        if not 0.1 <= sigma <= 100:
            raise ConfigError(f"modality landmarks: sigma is {sigma!r}, must be 0.1 to 100 pixels")
        self.points, self.drawn, self.size, self.sigma = points, bool(drawn), size, float(sigma)
        self.output_suffix = ".png" if self.drawn else ".json"
        self.output_suffixes = PICTURE_SUFFIXES if self.drawn else (*POINT_EXTENSIONS, *PICTURE_SUFFIXES)

    @property
    def traits(self) -> Traits:
        """The number of points; 0 if samples are drawings."""
        return Traits(points=0 if self.drawn else self.points)

    @property
    def input_channels(self) -> int:
        return 1

    @property
    def output_channels(self) -> int:
        return 1 if self.drawn else self.points

    def options(self) -> dict[str, Any]:
        """``points``, and what differs from the defaults."""
        table: dict[str, Any] = {"points": self.points}
        if self.drawn:
            table["drawn"] = True
        if self.size is not None:
            table["size"] = self.size
        if self.sigma != 1.0:
            table["sigma"] = self.sigma
        return {**table, **super().options()}

    def _side(self, side: int | None) -> int:
        side = self.size if side is None else side
        if side is None:
            raise UsageError(
                "modality landmarks: the side of the points' image is not known; give it in pixels: modality.at(64), "
                "or the option size=64"
            )
        return side

    def read(self, path: str | Path, size: int) -> Tensor:
        """float32 ``[N, 2]`` scaled to ``size``, or uint8 ``[1, size, size]`` of a drawing.

        :raises ImageError: another number of points, NaN, far outside the image, no landmark file.
        """
        if Path(path).suffix.lower() not in POINT_EXTENSIONS:
            return to_sample(resize_smooth(to_gray(_open_drawing(path), path), size, self.fit))
        found, extent = read_points(path)
        if len(found) != self.points:
            raise ImageError(
                f"{shown(path)}: holds {len(found)} points, not {self.points}; use files of one scheme"
            )
        width, height = extent or (size, size)
        left, top, right, bottom = crop_box(width, height, self.fit)
        points = torch.tensor(found, dtype=torch.float64) - torch.tensor([left, top], dtype=torch.float64)
        points = points * torch.tensor([size / (right - left), size / (bottom - top)], dtype=torch.float64)
        if bool(((points < -MARGIN * size) | (points > (1 + MARGIN) * size)).any()):
            hint = 'check the "size" in the file' if extent else 'write {"size": [w, h], "points": [...]}'
            raise ImageError(f"{shown(path)}: has points far outside its image; {hint}")
        return points.float()

    def to_network(self, samples: Tensor, side: int | None = None) -> Tensor:
        """Drawn, float32 ``[B, 1, H, W]`` in [-1, 1]."""
        return to_unit(samples) if samples.ndim == 4 else draw(samples, self._side(side)) * 2 - 1

    def from_network(self, output: Tensor, side: int | None = None) -> Tensor:
        """Points ``[B, N, 2]`` of heat map logits (as large as their image, where no side is declared), or
        uint8 ``[B, 1, H, W]`` where ``drawn``."""
        if self.drawn:
            return from_unit(output)
        return expected_points(output.detach(), side or self.size or int(output.shape[-1]))

    def as_input(self, output: Tensor, side: int | None = None) -> Tensor:
        """The heat maps' mean points, drawn; differentiable."""
        if self.drawn:
            return output.clamp(-1, 1)
        side = side or self.size or int(output.shape[-1])
        return draw(expected_points(output, side), side) * 2 - 1

    def reconstruction_loss(self, output: Tensor, samples: Tensor, side: int | None = None) -> Tensor:
        """Divergence of the heat maps from Gaussians around the points (nats), plus ten times the mean
        distance of their mean points as a share of the image's side. ``drawn``: the squared error.
        """
        if self.drawn:
            return F.mse_loss(output.float(), self.to_network(samples, side).to(output.device))
        if samples.ndim == 4:
            raise UsageError(
                "heat maps are learned from points; give .json, .pts or .csv files, or set drawn: true"
            )
        size = self._side(side)
        target = samples.to(output.device).float()
        distance = (expected_points(output, size) - target).square().sum(-1).add(1e-6).sqrt().mean()
        return heat_divergence(output, target, size, self.sigma * size / 64) + 10 * distance / size

    def flip(self, samples: Tensor, side: int | None = None) -> Tensor:
        """Mirrored; the points exchange left and right. :raises UsageError: not dlib's 68 points."""
        if samples.ndim != 3 or not samples.is_floating_point():
            return samples.flip(-1)
        if self.points != 68:
            raise UsageError(
                f"--mirror: which of {self.points} points change places is not known (only for dlib's 68); leave it out"
            )
        mirrored = samples[:, list(MIRRORED_68)]
        return torch.stack([self._side(side) - mirrored[..., 0], mirrored[..., 1]], dim=-1)

    def write(self, sample: Tensor, path: str | Path, side: int | None = None) -> None:
        """Points as ``.json``, ``.pts`` or ``.csv``; drawn, as a picture."""
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in POINT_EXTENSIONS:
            write_image(self._drawing(sample, side), path)
        elif sample.ndim == 3:
            raise DataError(f"{path}: these landmarks are a drawing; write them as .png")
        else:
            # str() of a float32 is the shortest text that reads back as the same number.
            numbers = sample.cpu().numpy()
            points = [(float(str(x)), float(str(y))) for x, y in numbers]
            write_bytes(path, encode_points(points, self._side(side), suffix))

    def preview(self, sample: Tensor, size: int | None = None, side: int | None = None) -> Tensor:
        """White lines on black."""
        return resized(self._drawing(sample, side).expand(3, -1, -1), size).contiguous()

    def _drawing(self, sample: Tensor, side: int | None) -> Tensor:
        if sample.ndim == 3:
            return sample.cpu()
        return (draw(sample[None].cpu().float(), self._side(side))[0] * 255).round().to(torch.uint8)


def _open_drawing(path: str | Path) -> Image.Image:
    """The picture of a drawn map. :raises ImageError: a coloured picture, which is a photograph and no drawing."""
    image = open_image(path)
    if image.mode in ("RGB", "RGBA", "P", "CMYK"):
        red, green, blue = image.convert("RGB").split()
        apart: list[Any] = [ImageChops.difference(green, other).getextrema() for other in (red, blue)]
        if max(most for _, most in apart) > COLOURED:
            raise ImageError(
                f"{shown(path)}: is a coloured picture, not drawn landmarks; give points (.json, .pts, .csv) or "
                "drawings in black and white"
            )
    return image
