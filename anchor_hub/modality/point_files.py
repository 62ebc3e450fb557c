"""Reads and writes files of landmarks."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from anchor_hub.errors import ImageError
from anchor_hub.images.reading import IMAGE_EXTENSIONS, read_bytes
from anchor_hub.system.inputs import shown
from anchor_hub.system.tables import read_cells

POINT_EXTENSIONS = (".json", ".pts", ".csv")
MAX_BYTES = 4_000_000
Point = tuple[float, float]


def read_points(path: str | Path) -> tuple[list[Point], Point | None]:
    """(points, size). Points: (x, y) in pixels, the image's edges at 0 and its size. Size: (width, height), or None.

    The size comes from the file, or else from an image of the same name beside it.

    :raises ImageError: it is no landmark file, or a point is not finite.
    """
    name = shown(path)
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ImageError(f"{name}: is not text; landmarks are read from .json, .pts and .csv") from None
    suffix = Path(path).suffix.lower()
    try:
        points, size = _PARSERS[suffix](text)
    except (ValueError, TypeError, RecursionError, OverflowError, csv.Error) as error:
        raise ImageError(
            f"{name}: is no list of points ({str(error)[:100]}); write {_EXAMPLES[suffix]}"
        ) from error
    for number, point in enumerate(points):
        if not (math.isfinite(point[0]) and math.isfinite(point[1])):
            raise ImageError(f"{name}: point {number} is {point[0]}, {point[1]}; leave such files out")
    size = size or _size_beside(Path(path))
    if reason := _no_pixels(points, size):
        raise ImageError(f"{name}: {reason}")
    return points, size


def _no_pixels(points: list[Point], size: Point | None) -> str:
    """Why points cannot be coordinates in pixels; '' where they can."""
    if len(points) < 2:
        return ""
    # Where a file says that its image is of size 1, shares of the image are its pixels.
    if (size is None or max(size) > 2) and all(-1 <= value <= 1 for point in points for value in point):
        return (
            "its points are shares of the image (all within -1 to 1), not pixels; multiply them by its width and "
            'height, or write "size": [1, 1] beside points of 0 to 1'
        )
    hidden = [number for number, (x, y) in enumerate(points) if x == y < 0]
    zeros = [number for number, point in enumerate(points) if point == (0.0, 0.0)]
    hidden = hidden or (zeros if len(zeros) > 1 else [])
    if hidden:
        x, y = points[hidden[0]]
        return (
            f"{len(hidden)} points are ({x:g}, {y:g}), the first is point {hidden[0]}: a mark for 'not visible', no "
            "place; leave such files out"
        )
    return ""


def _size_beside(path: Path) -> Point | None:
    from PIL import Image

    for suffix in IMAGE_EXTENSIONS:
        beside = path.with_suffix(suffix)
        if beside.is_file():
            try:
                with Image.open(beside, formats=("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")) as image:
                    return float(image.width), float(image.height)
            except Exception:  # an error in another file, which that file's reader reports
                return None
    return None


def _pair(row: Any) -> Point:
    if not isinstance(row, (list, tuple)) or len(row) != 2:
        raise ValueError(f"{str(row)[:40]} is no x, y pair")
    if any(value is None for value in row):
        raise ValueError("null is no coordinate: leave files with points that are not visible out")
    if any(isinstance(value, bool) for value in row):
        raise ValueError("true and false are no coordinates")
    return float(row[0]), float(row[1])


def _json(text: str) -> tuple[list[Point], Point | None]:
    value, size = json.loads(text), None
    if isinstance(value, dict):
        if "size" in value:
            size = _pair(value["size"])
            if not (0 < size[0] < 1e6 and 0 < size[1] < 1e6):
                raise ValueError("size must be [width, height] in pixels")
        value = value.get("points", value.get("landmarks"))
    if not isinstance(value, list):
        raise ValueError("there is no list of points")
    return [_pair(row) for row in value], size


def _pts(text: str) -> tuple[list[Point], Point | None]:
    if "{" not in text or "}" not in text:
        raise ValueError("the points are not in braces")
    lines = text[text.index("{") + 1 : text.index("}")].splitlines()
    # iBUG counts pixel centres from 1; here the first pixel's centre lies at 0.5.
    pairs = [_pair(line.split()) for line in lines if line.strip()]
    return [(x - 0.5, y - 0.5) for x, y in pairs], None


def _csv(text: str) -> tuple[list[Point], Point | None]:
    rows = [[cell.strip() for cell in row] for row in read_cells(text)]
    if rows and [cell.lower() for cell in rows[0]] == ["x", "y"]:
        rows = rows[1:]
    return [_pair(row) for row in rows], None


_PARSERS = {".json": _json, ".pts": _pts, ".csv": _csv}
_EXAMPLES = {
    ".json": '{"size": [width, height], "points": [[x, y], ...]}',
    ".pts": "'n_points: N', then x y per line in braces",
    ".csv": "x,y on each line",
}


def encode_points(points: list[Point], size: int, suffix: str) -> bytes:
    """The bytes of a landmark file of that kind."""
    if suffix == ".json":
        return (
            json.dumps({"size": [size, size], "points": [list(point) for point in points]}) + "\n"
        ).encode()
    if suffix == ".csv":
        return ("x,y\n" + "".join(f"{x},{y}\n" for x, y in points)).encode()
    body = "".join(f"{x + 0.5} {y + 0.5}\n" for x, y in points)
    return f"version: 1\nn_points: {len(points)}\n{{\n{body}}}\n".encode()
