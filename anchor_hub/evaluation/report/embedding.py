"""Pictures as data URIs: small ones exactly, large ones shrunk, label maps and points drawn by their modality."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from anchor_hub.errors import AnchorError
from anchor_hub.images.reading import IMAGE_EXTENSIONS, open_image, to_rgb

if TYPE_CHECKING:
    from anchor_hub.modality import Modality

#: Pictures up to side EXACT are embedded pixel by pixel (PNG); larger ones are shrunk to SHRUNK, as lossy WebP.
EXACT, SHRUNK = 160, 320
#: Side in pixels at which a file that is no picture, such as points, is drawn.
DRAWN = 128


@dataclass(frozen=True)
class Embedded:
    """A picture in the page: its data URI and the size of the file's picture. ``problem``: why there is no picture."""

    uri: str = ""
    width: int = 0
    height: int = 0
    exact: bool = True
    problem: str = ""


def modality_of(domain: str) -> Modality | None:
    """The modality of an installed domain (or bundle folder); None for a domain that is not on this machine."""
    from anchor_hub.bundles.base import open_bundle
    from anchor_hub.modality import build_modality
    from anchor_hub.plugins.registry import registry

    try:
        if "/" in domain or "\\" in domain:
            table = open_bundle(domain, "domain").manifest.modality
        else:
            table = dict(registry().domains[domain].spec.modality)
        return build_modality(table or {})
    except (AnchorError, OSError):
        return None


class Embedder:
    """Embeds each file once, with the modality of the file's domain."""

    def __init__(self) -> None:
        self._modalities: dict[str, Modality | None] = {}
        self._done: dict[tuple[Path, str], Embedded] = {}

    def __call__(self, path: Path, domain: str) -> Embedded:
        """The picture in a file of ``domain``; a file that is missing or broken gives a ``problem``."""
        if domain not in self._modalities:
            self._modalities[domain] = modality_of(domain)
        key = (path, domain)
        if key not in self._done:
            self._done[key] = embed(path, self._modalities[domain])
        return self._done[key]


def embed(path: Path, modality: Modality | None = None) -> Embedded:
    """The picture in a file, drawn by ``modality`` where that is one of label maps or points."""
    try:
        image = read_picture(path, modality)
    except (AnchorError, OSError):
        return Embedded(problem="missing" if not path.is_file() else "unreadable")
    width, height = image.size
    exact = max(width, height) <= EXACT
    if not exact:
        image.thumbnail((SHRUNK, SHRUNK), Image.Resampling.LANCZOS)
    encoded = base64.b64encode(encode(image, "PNG" if exact else "WEBP")).decode("ascii")
    return Embedded(f"data:image/{'png' if exact else 'webp'};base64,{encoded}", width, height, exact)


def encode(image: Image.Image, kind: str) -> bytes:
    """An RGB picture as ``PNG`` (small) or ``WEBP`` (lossy), without metadata."""
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "WEBP", quality=90, method=4)
    return buffer.getvalue()


def read_picture(path: Path, modality: Modality | None = None) -> Image.Image:
    """A file as an RGB picture for people, without metadata; label maps and points are drawn by ``modality``.

    :raises ImageError: the file is no picture, and no file that ``modality`` reads.
    :raises OSError: the file cannot be read.
    """
    if modality is None or (modality.traits.picture and path.suffix.lower() in IMAGE_EXTENSIONS):
        image = to_rgb(open_image(path), path)
        return Image.frombytes("RGB", image.size, image.tobytes())
    try:
        size = min(SHRUNK, max(open_image(path).size))
    except AnchorError:
        size = DRAWN
    modality = modality.at(size)
    picture = modality.preview(modality.read(path, size), size)
    return Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
