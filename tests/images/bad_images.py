"""Files that are no usable image, by what is wrong with them, and what the message must say."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(size: tuple[int, int] = (20, 20), mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Noise, so that no part of the file is redundant."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int, bits: int = 8) -> bytes:
    """A gray PNG of one value: any number of pixels in a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    row = b"\0" * (1 + width * bits // 8)
    data = zlib.compress(row * min(height, 2000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def wrong_checksum() -> bytes:
    data = bytearray(encoded(picture()))
    data[data.index(b"IDAT") + 40] ^= 1
    return bytes(data)


def animation(kind: str) -> bytes:
    frames = [picture(seed=seed) for seed in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


GOOD = encoded(picture())
JPEG = encoded(picture((64, 64)), "JPEG")

#: name -> (content, a word its message must hold)
BAD: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "empty"),
    "text.png": (b"not an image at all\n" * 9, "text"),
    "page.jpg": (b"<!DOCTYPE html><html><body>quota exceeded</body></html>", "HTML"),
    "drawing.png": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "postscript.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "PostScript"),
    "document.png": (b"%PDF-1.7\n", "PDF"),
    "archive.png": (b"PK\x03\x04" + b"\0" * 40, "zip"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
    "heif.jpg": (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIF"),
    "random.png": (bytes(np.random.default_rng(0).integers(0, 256, 500, dtype=np.uint8)), "no image"),
    "magic-only.png": (b"\x89PNG\r\n\x1a\n", "truncated"),
    "truncated.png": (GOOD[: len(GOOD) // 2], "truncated"),
    "without-end.png": (GOOD[:-12], "truncated"),
    "truncated.jpg": (JPEG[: len(JPEG) // 2], "truncated"),
    "truncated.bmp": (encoded(picture(), "BMP")[:300], "truncated"),
    "truncated.webp": (encoded(picture((64, 64)), "WEBP")[:300], "damaged"),
    "truncated.ppm": (encoded(picture(), "PPM")[:300], "truncated"),
    "checksum.png": (wrong_checksum(), "checksum"),
    "no-pixels.png": (png_of_zeros(0, 0), ""),
    "bomb.png": (png_of_zeros(12_000, 10_000), "megapixels"),
    "larger-bomb.png": (png_of_zeros(30_000, 30_000), "megapixels"),
    "line.png": (png_of_zeros(50_000, 4), "times as long as wide"),
    "animation.gif": (animation("GIF"), "3 frames"),
    "animation.webp": (animation("WEBP"), "3 frames"),
    "animation.png": (animation("PNG"), "3 frames"),
    "pages.tif": (animation("TIFF"), "3 frames"),
}
