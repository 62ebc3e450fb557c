"""``landmarks``: facial points, seen by encoders as a drawing and given by regressors as heat maps."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.errors import ConfigError, ImageError
from anchor_hub.modality.base import Modality, resized_preview, to_bytes

# The 68 points of dlib and iBUG as polylines: (first, last, closed).
STROKES = (
    (0, 16, False), (17, 21, False), (22, 26, False), (27, 30, False), (31, 35, False),
    (36, 41, True), (42, 47, True), (48, 59, True), (60, 67, True),
)  # fmt: skip
# Where each point goes when the picture is mirrored.
MIRRORED = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46,
    39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
)  # fmt: skip
LINE_WIDTH = 0.7  # standard deviation of a drawn line's profile in pixels
HEAT_WIDTH = 1.0  # standard deviation of a heat map's target in pixels
MAX_FILE_BYTES = 1 << 20


class Landmarks(Modality):
    """Points of a face. Samples are float32 ``[N, 2]``, (x, y) in pixels of a ``size`` × ``size`` image.

    Pixel (0, 0) covers x and y from 0 to 1. Files: ``.json`` (``{"size": [w, h], "points": [[x, y], ...]}``, or a bare
    list in pixels of the size asked for), ``.pts``, ``.csv`` (x,y per line), or a picture of drawn landmarks, which
    becomes a uint8 ``[1, H, W]`` sample. Encoders see one channel in [-1, 1]: the polylines, drawn.

    :param points: N; 68 are drawn as dlib's polylines, any other number as dots.
    :param drawn: the published variant: regressors give the one-channel drawing itself, with the squared error.
    :param size: side of the images in pixels.
    """

    name = "landmarks"
    extensions = (".json", ".pts", ".csv", ".png")
    input_channels = 1

    def __init__(self, points: int = 68, drawn: bool = False, size: int = 64) -> None:
        if not 1 <= points <= 1000:
            raise ConfigError(f"landmarks: the number of points must lie in 1..1000, not {points}")
        self.points, self.drawn, self.size = points, drawn, size
        self.output_channels = 1 if drawn else points
        self.output_suffix = ".png" if drawn else ".json"
        first, second = _segments(points)
        self._first, self._second = torch.tensor(first), torch.tensor(second)

    def options(self) -> dict[str, Any]:
        return {"name": self.name, "points": self.points, "drawn": self.drawn, "size": self.size}

    def at(self, size: int) -> Landmarks:
        return self if size == self.size else Landmarks(self.points, self.drawn, size)

    # ------------------------------------------------------------------ files

    def read(self, path: Path | str, size: int) -> Tensor:
        path = Path(path)
        if path.suffix.lower() not in (".json", ".pts", ".csv"):
            from anchor_hub.data.reading import read_gray

            return read_gray(path, size)
        rows, extent = _parse(path)
        if len(rows) != self.points:
            raise ImageError(f"{path}: holds {len(rows)} points, this domain has {self.points}")
        if not all(math.isfinite(value) for row in rows for value in row):
            raise ImageError(f"{path}: a point is NaN or infinite; detect the landmarks again")
        points = torch.tensor(rows, dtype=torch.float32)
        width, height = extent or (size, size)
        points = points * torch.tensor([size / width, size / height])
        # A jaw may leave the frame a little; twice the frame is another image's points.
        if points.min() < -size or points.max() > 2 * size:
            raise ImageError(
                f"{path}: points lie far outside the image; give its size: {{\"size\": [w, h], \"points\": ...}}"
            )
        return points

    def write(self, sample: Tensor, path: Path | str) -> Path:
        from PIL import Image

        from anchor_hub.data.grid import save_png
        from anchor_hub.files import write_file

        path = Path(path)
        if sample.ndim == 3 or path.suffix.lower() == ".png":
            drawing = sample if sample.ndim == 3 else to_bytes(self.draw(sample[None]))[0]
            return save_png(Image.fromarray(drawing[0].cpu().numpy()), path)
        rows = [[round(float(value), 3) for value in point] for point in sample.cpu()]
        return write_file(path, (json.dumps({"size": [self.size, self.size], "points": rows}) + "\n").encode())

    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        drawing = sample if sample.ndim == 3 else to_bytes(self.draw(sample[None].float()))[0]
        return resized_preview(drawing.cpu().expand(3, -1, -1), size)

    # ------------------------------------------------------------------ networks

    def draw(self, points: Tensor) -> Tensor:
        """Points ``[B, N, 2]`` as anti-aliased polylines, differentiably: ``[B, 1, size, size]`` in [-1, 1]."""
        centres = torch.arange(self.size, device=points.device) + 0.5
        start = points[:, self._first.to(points.device)]
        along = points[:, self._second.to(points.device)] - start
        squared = along.square().sum(-1).clamp_min(1e-6)[..., None, None]
        dx = centres[None, None, None, :] - start[..., 0, None, None]
        dy = centres[None, None, :, None] - start[..., 1, None, None]
        ax, ay = along[..., 0, None, None], along[..., 1, None, None]
        place = ((dx * ax + dy * ay) / squared).clamp(0, 1)
        distance = (dx - place * ax).square() + (dy - place * ay).square()
        nearest = distance.amin(dim=1, keepdim=True)
        return 2 * torch.exp(-nearest / (2 * LINE_WIDTH**2)) - 1

    def to_network(self, samples: Tensor) -> Tensor:
        if samples.ndim == 4:
            return samples.float() / 127.5 - 1
        return self.draw(samples.float())

    def expected_points(self, output: Tensor) -> Tensor:
        """Heat-map logits ``[B, N, H, W]`` to their expected positions ``[B, N, 2]`` in pixels of ``size``."""
        height, width = output.shape[-2:]
        heat = output.float().flatten(2).softmax(dim=-1).unflatten(2, (height, width))
        x = (heat.sum(2) * (torch.arange(width, device=output.device) + 0.5)).sum(-1) * (self.size / width)
        y = (heat.sum(3) * (torch.arange(height, device=output.device) + 0.5)).sum(-1) * (self.size / height)
        return torch.stack([x, y], dim=-1)

    def from_network(self, output: Tensor) -> Tensor:
        return to_bytes(output) if self.drawn else self.expected_points(output)

    def as_input(self, output: Tensor) -> Tensor:
        return output.clamp(-1, 1) if self.drawn else self.draw(self.expected_points(output))

    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        """Drawn: squared error. Heat maps: cross-entropy to Gaussians (in units of a uniform map's) plus the mean
        distance of the expected positions, in tenths of the image's side.
        """
        if self.drawn:
            return F.mse_loss(output, self.to_network(samples).to(output))
        if samples.ndim == 4:
            raise ConfigError("landmark heat maps are learned from points; give .json, .pts or .csv files, not drawings")
        points = samples.to(output.device).float().clamp(0, self.size)
        height, width = output.shape[-2:]
        x = (torch.arange(width, device=output.device) + 0.5) * (self.size / width)
        y = (torch.arange(height, device=output.device) + 0.5) * (self.size / height)
        across = torch.exp(-(x - points[..., 0, None]).square() / (2 * HEAT_WIDTH**2))
        down = torch.exp(-(y - points[..., 1, None]).square() / (2 * HEAT_WIDTH**2))
        target = (down[..., :, None] * across[..., None, :]).flatten(2)
        target = target / target.sum(-1, keepdim=True).clamp_min(1e-8)
        entropy = -(target * output.float().flatten(2).log_softmax(dim=-1)).sum(-1).mean() / math.log(height * width)
        distance = (self.expected_points(output) - points).square().sum(-1).add(1e-6).sqrt().mean()
        return entropy + 10 * distance / self.size

    def flip(self, samples: Tensor) -> Tensor:
        if samples.dtype == torch.uint8:
            return samples.flip(-1)
        order = list(MIRRORED) if self.points == 68 else list(range(self.points))
        mirrored = samples[..., order, :].clone()
        mirrored[..., 0] = self.size - mirrored[..., 0]
        return mirrored


def _segments(points: int) -> tuple[list[int], list[int]]:
    """First and second point of every drawn line; a dot is a line from a point to itself."""
    if points != 68:
        return list(range(points)), list(range(points))
    first: list[int] = []
    second: list[int] = []
    for begin, end, closed in STROKES:
        for point in range(begin, end + closed):
            first.append(point)
            second.append(point + 1 if point < end else begin)
    return first, second


def _parse(path: Path) -> tuple[list[list[float]], tuple[float, float] | None]:
    """Points of a file and the image's (width, height) if the file says it."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImageError(f"{path}: too large for a landmark file")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ImageError(f"{path}: not a text file of landmarks (.json, .pts or .csv)") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        if path.suffix.lower() == ".json":
            return _parse_json(json.loads(text))
        if path.suffix.lower() == ".pts":
            body = text[text.index("{") + 1 : text.index("}")]
            return [_pair(line.split()) for line in body.splitlines() if line.strip()], None
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
        if rows and not _is_number(rows[0][0]):
            rows = rows[1:]
        return [_pair(row) for row in rows], None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ImageError(f"{path}: not a landmark file ({str(error)[:100]}); expected x and y of every point") from error


def _parse_json(value: Any) -> tuple[list[list[float]], tuple[float, float] | None]:
    extent = None
    if isinstance(value, dict):
        if "size" in value:
            width, height = _pair(value["size"])
            if not (0 < width < 1e6 and 0 < height < 1e6):
                raise ValueError("'size' must be [width, height] in pixels")
            extent = (width, height)
        value = value.get("points", value.get("landmarks"))
    if not isinstance(value, list):
        raise ValueError("no list of points")
    return [_pair(row) for row in value], extent


def _pair(row: Any) -> list[float]:
    if not isinstance(row, (list, tuple)) or len(row) != 2:
        raise ValueError(f"{str(row)[:40]!r} is not an x, y pair")
    return [float(row[0]), float(row[1])]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
