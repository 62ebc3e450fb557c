"""Writing pictures: whole or not at all, and the same bytes for the same content."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from anchor_hub.errors import DataError
from anchor_hub.system.files import write_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

# Pillow's name and options of each format that can be written; all are free of dates.
_FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".webp": ("WEBP", {"lossless": True}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
}
PICTURE_SUFFIXES = tuple(_FORMATS)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file under its final name in one step; no fsync, as outputs can be made again.

    :raises DataError: it cannot be written, with the reason.
    """
    try:
        return write_file(path, data, durable=False)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); choose another folder"
        ) from error


def to_pillow(picture: Tensor) -> Image:
    """uint8 ``[3, H, W]`` or ``[1, H, W]`` as an RGB or L image."""
    from PIL import Image

    array = picture.detach().cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def encode_image(image: Image, suffix: str = ".png") -> bytes:
    """The bytes of a file of that kind. :raises DataError: a suffix of no known format."""
    if suffix.lower() not in _FORMATS:
        raise DataError(f"pictures are not written as {suffix!r}; choose one of {', '.join(_FORMATS)}")
    name, options = _FORMATS[suffix.lower()]
    stream = io.BytesIO()
    image.save(stream, format=name, **options)
    return stream.getvalue()


def write_image(image: Image | Tensor, path: str | Path) -> Path:
    """Write an image, or uint8 ``[3 or 1, H, W]``, in the format its name says."""
    from PIL import Image as pillow

    path = Path(path)
    picture = image if isinstance(image, pillow.Image) else to_pillow(image)
    return write_bytes(path, encode_image(picture, path.suffix))
