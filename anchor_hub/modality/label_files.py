"""Reads class ids from files of label maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from anchor_hub.errors import ImageError
from anchor_hub.images.reading import open_image
from anchor_hub.modality.palettes import Colour
from anchor_hub.system.inputs import shown

Ids = np.ndarray[Any, Any]


def read_ids(path: str | Path, colours: Sequence[Colour]) -> Ids:
    """The class ids ``[H, W]`` (unsigned integers) in a file of ids, of a palette, or of exact colours.

    The indices of a palette file are the ids. But if all its colours are colours of the classes, the colours give the
    ids, so that a map of merged classes in the colours of finer ones is read by what it shows. With two classes, a file
    of 0 and 255 is read as 0 and 1.

    :param colours: RGB of class 0, 1, ...
    :raises ImageError: it is no label map of these classes; the message says why and what to do.
    """
    image = open_image(path)
    if image.format in ("JPEG", "MPO"):
        raise ImageError(f"{shown(path)}: is a JPEG, which blurs class ids; save label maps as PNG")
    if image.mode == "P":
        ids = _from_palette(image, colours)
    elif image.mode in ("L", "1", "I") or image.mode.startswith("I;16"):
        ids = np.asarray(image)
        ids = ids.astype(np.uint8) if ids.dtype == bool else ids
    elif image.mode in ("LA", "La"):
        ids = np.asarray(image.getchannel(0))
    elif image.mode in ("RGB", "RGBA", "RGBX"):
        ids = _from_colours(np.asarray(image)[..., :3], colours, path)
    else:
        raise ImageError(f"{shown(path)}: mode {image.mode} holds no class ids; save an 8-bit PNG of ids")
    low, high = int(ids.min()), int(ids.max())
    if len(colours) == 2 and high == 255 and bool(((ids == 0) | (ids == 255)).all()):
        return (ids > 0).astype(np.uint8)  # a mask of foreground, as most tools save it
    if low < 0 or high >= len(colours):
        wrong = low if low < 0 else high
        raise ImageError(
            f"{shown(path)}: holds class id {wrong}, but there are {len(colours)} classes "
            f"(0 to {len(colours) - 1}); check the number of classes, or renumber the ids"
        )
    return ids


def _from_palette(image: Image.Image, colours: Sequence[Colour]) -> Ids:
    indices = np.asarray(image)
    flat = image.getpalette("RGB") or []
    table = {colour: index for index, colour in reversed(list(enumerate(colours)))}
    lookup = np.arange(256)
    for index in np.flatnonzero(np.bincount(indices.ravel(), minlength=256)):
        colour = flat[3 * index : 3 * index + 3]
        known = table.get((colour[0], colour[1], colour[2])) if len(colour) == 3 else None
        if known is None:
            return indices
        lookup[index] = known
    return lookup[indices]


def _from_colours(pixels: Ids, colours: Sequence[Colour], path: str | Path) -> Ids:
    packed = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    keys = np.array([(red << 16) | (green << 8) | blue for red, green, blue in colours])
    # Equal colours of two classes: the first one, as the sort is stable.
    order = np.argsort(keys, kind="stable")
    place = np.searchsorted(keys[order], packed).clip(0, len(keys) - 1)
    ids = order[place]
    foreign = keys[ids] != packed
    if not foreign.any():
        return ids
    gray = pixels[..., 0]
    if (pixels == gray[..., None]).all() and int(gray.max()) < len(colours):
        return gray  # ids, written as gray RGB
    example = tuple(int(part) for part in pixels[foreign][0])
    raise ImageError(
        f"{shown(path)}: {foreign.mean():.1%} of its pixels have colours that are no class's "
        f"(e.g. {example}); save label maps as PNG: class ids, or the palette's exact colours"
    )
