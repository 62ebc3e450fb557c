"""Reading images that may be anything: every problem is an ImageError naming the file and the fix."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from anchor_hub.errors import ImageError
from anchor_hub.images.sources import VirtualFile
from anchor_hub.system.guarded import RefusedFile, read_regular
from anchor_hub.system.inputs import shown

#: What pictures and label maps are read from.
IMAGE_EXTENSIONS = (
    ".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
# Explicit, because Pillow would otherwise run programs (Ghostscript) for some kinds of file.
# (MPO, the JPEG of phones, comes with JPEG.)
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
TWELVE_BITS = 4095
#: (black, white) of files of more than 8 bits.
Span = tuple[float, float]
MAX_PIXELS = 89_000_000  # Pillow's own limit is a warning only
MAX_FILE_BYTES = 512_000_000
MAX_ASPECT = 32

# The size is checked before any pixel is decoded; Pillow's warning about it would only double our error.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# So would its warnings about damaged EXIF and TIFF data, which is ignored or refused here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
# What Pillow finds odd in metadata does not matter to the pixels.
warnings.filterwarnings("ignore", module=r"PIL\.")

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%!PS", "is PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "is PostScript (EPS)"),
    (b"%PDF", "is a PDF"),
    (b"PK\x03\x04", "is a zip archive"),
    (b"version https://git-lfs", "is a git-lfs pointer, not the image itself (run: git lfs pull)"),
    (b"\x1f\x8b", "is a gzip archive"),
    (b"\x93NUMPY", "is a NumPy array"),
    (b"8BPS", "is a Photoshop file"),
)


def read_bytes(path: str | Path | VirtualFile, limit: int = MAX_FILE_BYTES) -> bytes:
    """A regular file's content. :raises ImageError: it is not there, not a file, empty or too long."""
    if isinstance(path, VirtualFile):
        return path.read(limit)
    name = shown(path)
    try:
        data = read_regular(path, limit)
    except FileNotFoundError:
        raise ImageError(f"{name}: does not exist (any more); check the name") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: is a folder; name a file") from None
    except RefusedFile as error:
        raise ImageError(f"{name}: {error.strerror}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"{name}: cannot be opened ({reason}); check the file and its permissions"
        ) from error
    if not data:
        raise ImageError(f"{name}: is empty (0 bytes); copy or download it again")
    return data


def open_image(path: str | Path | VirtualFile, *, draft: int | None = None) -> Image.Image:
    """A fully loaded, upright Pillow image of whatever mode the file has; ``format`` is kept.

    :param draft: for JPEG photographs, decode at a fraction of their size, yet no side below this.
    :raises ImageError: it cannot be used (BAD_INPUTS: empty, text, HTML, truncated, bad checksum, too large,
        animated, ...); the message starts with the path.
    """
    return decode_image(read_bytes(path), path, draft=draft)


def decode_image(data: bytes, path: str | Path | VirtualFile, *, draft: int | None = None) -> Image.Image:
    """`open_image` of a file's content already read."""
    name = shown(path)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        _check_png(data, name)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name}: holds more than {MAX_PIXELS / 1e6:.0f} megapixels; scale it down"
        ) from None
    except Image.UnidentifiedImageError:
        raise ImageError(f"{name}: {_kind(data)}; save it as PNG or JPEG") from None
    except Exception as error:  # Pillow's readers raise nearly anything on hostile bytes
        raise ImageError(f"{name}: {_damage(error)}; save or download it again") from error
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: has no pixels ({width}x{height}); save it again")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: is {width}x{height}, more than {MAX_PIXELS / 1e6:.0f} megapixels; scale it down"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"{name}: is {width}x{height}, more than {MAX_ASPECT} times as long as wide; crop it"
        )
    try:
        frames = int(getattr(image, "n_frames", 1))
        if frames > 1 and image.format != "MPO":  # phones store depth or a second view behind the photograph
            raise ImageError(
                f"{name}: holds {frames} frames (an animation or several pages); save one as PNG"
            )
        if draft is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (draft, draft))
        image.load()
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(f"{name}: {width}x{height} does not fit into memory; scale it down") from None
    except Exception as error:
        raise ImageError(f"{name}: {_damage(error)}; save or download it again") from error
    return _upright(image)


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; damaged EXIF data is ignored."""
    try:
        if image.getexif().get(0x0112, 1) in (1, None):
            return image
        turned = ImageOps.exif_transpose(image)
    except Exception:  # the pixels are good, so the picture is
        return image
    turned.format = image.format
    return turned


def _check_png(data: bytes, name: str) -> None:
    """Every chunk's checksum, which Pillow skips for the pixels themselves."""
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        if end > len(data):
            break
        (stored,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(data[place + 4 : end - 4]) != stored:
            raise ImageError(f"{name}: is damaged (a PNG checksum is wrong); save or download it again")
        if data[place + 4 : place + 8] == b"IEND":
            return
        place = end
    raise ImageError(f"{name}: is truncated (the PNG has no end); save or download it again")


def _damage(error: Exception) -> str:
    text = " ".join(str(error).split())[:120]
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "is truncated"
    return f"is damaged ({text})" if text and "BytesIO" not in text else "is damaged"


def _kind(data: bytes) -> str:
    """What kind of file this is, given that it is no image."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[4:8] == b"ftyp":
        return "is HEIF/AVIF or a video"
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")) or b"<html" in head:
        return "is an HTML page (a failed download?)"
    if head.startswith((b"<svg", b"<?xml")) and b"<svg" in head:
        return "is an SVG drawing"
    if b"\0" not in head and all(byte >= 9 for byte in head):
        return "is text"
    return "is no image of a known format, or its start is damaged"


def to_rgb(image: Image.Image, path: str | Path, span: Span | None = None) -> Image.Image:
    """RGB of any mode: transparency becomes white, 16 bits become 8, CMYK and LAB are converted.

    :param span: the values that become black and white in files of more than 8 bits; by default 0 and 65535, or 0 and
        4095 where no value is above 4095: scanners and sensors save 12 bits in 16; of floats, 0 and 1, or 255.
    :raises ImageError: values that have no meaning as colours.
    """
    return image if image.mode == "RGB" else _eight_bit(image, path, "RGB", span)


def to_gray(image: Image.Image, path: str | Path, span: Span | None = None) -> Image.Image:
    """8-bit gray (mode L) of any mode, converted as by :func:`to_rgb`; colours become their luma."""
    return image if image.mode == "L" else _eight_bit(image, path, "L", span)


def is_deep(mode: str) -> bool:
    """Whether pixels of a Pillow mode have more than 8 bits, and so a span of values."""
    return mode.startswith("I") or mode == "F"


def default_white(mode: str, high: float) -> int:
    """The value that becomes white in a file of a deep mode (see :func:`is_deep`) whose greatest value is ``high``."""
    if mode == "F":
        return 1 if high <= 1 else 255
    return TWELVE_BITS if high <= TWELVE_BITS else 65535


def _eight_bit(image: Image.Image, path: str | Path, mode: str, span: Span | None) -> Image.Image:
    if span is not None and is_deep(image.mode):
        image = _from_span(image, span, path)
    elif image.mode.startswith("I"):
        image = _from_integers(image, path)
    elif image.mode == "F":
        image = _from_floats(image, path)
    elif image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
        assert converted is not None
        image = converted
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, clear).convert("RGB")
    try:
        return image if image.mode == mode else image.convert(mode)
    except ValueError as error:
        raise ImageError(
            f"{shown(path)}: colours of mode {image.mode} are not supported; save it as RGB"
        ) from error


def _from_integers(image: Image.Image, path: str | Path) -> Image.Image:
    """12- and 16-bit gray (Pillow: I;16, or I from some formats) scaled to 8 bits."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{shown(path)}: holds 32-bit values from {values.min()} to {values.max()}; say which are black and white "
            "with --range LOW:HIGH, or save 8 or 16 bits"
        )
    if default_white(image.mode, values.max()) == TWELVE_BITS:
        return Image.fromarray(((values * 255 + TWELVE_BITS // 2) // TWELVE_BITS).astype(np.uint8))
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _from_span(image: Image.Image, span: Span, path: str | Path) -> Image.Image:
    """Deep gray, the ends of the span black and white, what lies beyond cut off."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ImageError(f"{shown(path)}: holds NaN or infinity; replace them and save it again")
    low, high = span
    return Image.fromarray(np.rint(((values - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8))


def _from_floats(image: Image.Image, path: str | Path) -> Image.Image:
    """Floating gray: [0, 1], or else [0, 255]."""
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise ImageError(f"{shown(path)}: holds NaN or infinity; replace them and save 8 bits")
    if values.min() < 0 or values.max() > 255:
        raise ImageError(
            f"{shown(path)}: holds floating values from {values.min():.4g} to {values.max():.4g}; "
            "say which are black and white with --range LOW:HIGH, or save 8 bits"
        )
    scaled = values * (255 / default_white(image.mode, values.max()))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def crop_box(width: float, height: float, fit: str) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of what becomes the square: all of it (``stretch``), or its middle (``crop``)."""
    if fit == "stretch":
        return 0.0, 0.0, float(width), float(height)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def resize_smooth(image: Image.Image, size: int, fit: str) -> Image.Image:
    """An L or RGB image as a square of ``size`` px, antialiased."""
    if image.size == (size, size):
        return image
    # The published systems' filter: Pillow's triangle, widened when it shrinks.
    return image.resize((size, size), Image.Resampling.BILINEAR, box=crop_box(*image.size, fit))


def resize_nearest(values: np.ndarray[Any, Any], size: int, fit: str) -> np.ndarray[Any, Any]:
    """``[H, W]`` as a square of ``size``, each pixel copied from the one under its centre."""
    height, width = values.shape
    if (height, width) == (size, size):
        return values
    left, top, right, bottom = crop_box(width, height, fit)
    centres = (np.arange(size) + 0.5) / size
    rows = (top + centres * (bottom - top)).astype(np.int64).clip(0, height - 1)
    columns = (left + centres * (right - left)).astype(np.int64).clip(0, width - 1)
    return values[rows[:, None], columns[None, :]]
