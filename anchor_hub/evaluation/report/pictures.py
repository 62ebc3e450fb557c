"""Pictures as data URIs: small ones exactly, large ones shrunk."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from anchor_hub.data.reading import open_image
from anchor_hub.errors import AnchorError

#: Pictures up to this side are embedded pixel by pixel (PNG); larger ones are shrunk to SHRUNK and lossy (WebP).
EXACT, SHRUNK = 160, 320


@dataclass(frozen=True)
class Embedded:
    """A picture in the page; ``problem`` says why there is none."""

    uri: str = ""
    width: int = 0
    height: int = 0
    exact: bool = True
    problem: str = ""


def embed(path: Path) -> Embedded:
    """The picture in a file; a file that is missing or broken gives an Embedded with a ``problem``."""
    try:
        with open_image(path) as opened:
            image = _rgb(opened)
    except (AnchorError, OSError):
        return Embedded(problem="missing" if not path.is_file() else "unreadable")
    width, height = image.size
    buffer = io.BytesIO()
    exact = max(width, height) <= EXACT
    if exact:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.thumbnail((SHRUNK, SHRUNK), Image.Resampling.LANCZOS)
        image.save(buffer, "WEBP", quality=90, method=4)
    kind = "png" if exact else "webp"
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Embedded(f"data:image/{kind};base64,{encoded}", width, height, exact)


def _rgb(image: Image.Image) -> Image.Image:
    """Without transparency (on white) and metadata."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image)
    found = image.convert("RGB")
    return Image.frombytes("RGB", found.size, found.tobytes())
