"""Animations: GIF, WebP and APNG, each written whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.errors import DataError
from anchor_hub.images.writing import to_pillow, write_bytes

if TYPE_CHECKING:
    from torch import Tensor

# Pillow's name and options of each format. A GIF has 256 colours a frame, the others have all.
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".gif": ("GIF", {"disposal": 1}),
    ".webp": ("WEBP", {"lossless": True}),
    ".png": ("PNG", {}),
    ".apng": ("PNG", {}),
}
SUFFIXES = tuple(_FORMATS)


def write_animation(frames: Sequence[Tensor], path: str | Path, *, rate: float = 25) -> Path:
    """Write uint8 pictures ``[3 or 1, H, W]`` of one size as an animation that repeats for ever.

    :param path: its suffix says the format: .gif, .webp (lossless), .png or .apng.
    :param rate: frames a second; a GIF's are rounded to hundredths of a second, 2 at least.
    :raises DataError: no frames, another suffix, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise DataError(f"{path}: animations are written as {', '.join(SUFFIXES)}")
    if not frames:
        raise DataError(f"{path}: an animation needs at least one frame")
    name, options = _FORMATS[path.suffix.lower()]
    duration = 1000 / rate
    duration = max(20, round(duration / 10) * 10) if name == "GIF" else max(1, round(duration))
    first, *others = (to_pillow(frame).convert("RGB") for frame in frames)
    stream = io.BytesIO()
    first.save(stream, format=name, save_all=True, append_images=others, duration=duration, loop=0, **options)
    return write_bytes(path, stream.getvalue())
