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
#: White, in masks of 8, 16 and 32 bits.
FOREGROUND = (255, 65535, 2**31 - 1, 2**32 - 1)


def read_ids(path: str | Path, colours: Sequence[Colour], ignore: int | None = None) -> Ids:
    """The class ids ``[H, W]`` (unsigned integers) in a file of ids, of a palette, or of exact colours.

    The indices of a palette file are the ids. But if all its colours are colours of the classes, the colours give the
    ids, so that a map of merged classes in the colours of finer ones is read by what it shows. With two classes, black
    is read as 0 and white as 1, in any mode and depth (0 and 255, 0 and 65535, RGB, a palette); where all colours are
    one, the alpha channel is the mask.

    :param colours: RGB of class 0, 1, ...
    :param ignore: an id that no class has, for unlabelled pixels, which become ``len(colours)``.
    :raises ImageError: it is no label map of these classes; the message says why and what to do.
    """
    image = open_image(path)
    if image.format in ("JPEG", "MPO"):
        raise ImageError(f"{shown(path)}: is a JPEG, which blurs class ids; save label maps as PNG")
    ids = None
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        ids, image = _from_alpha(image, len(colours), path)
    if ids is not None:
        pass
    elif image.mode == "P":
        ids = _from_palette(image, colours, ignore)
    elif image.mode in ("L", "1", "I", "F") or image.mode.startswith("I;16"):
        ids = np.asarray(image)
        ids = ids.astype(np.uint8) if ids.dtype == bool else ids
        if image.mode == "F":
            if not bool((ids == np.round(ids)).all()):
                raise ImageError(f"{shown(path)}: holds fractions, no class ids; save an 8-bit PNG of ids")
            ids = ids.astype(np.int64)
    elif image.mode in ("RGB", "RGBX"):
        ids = _from_colours(np.asarray(image)[..., :3], colours, path, ignore)
    else:
        raise ImageError(f"{shown(path)}: mode {image.mode} holds no class ids; save an 8-bit PNG of ids")
    unlabelled = ids == ignore if ignore is not None else None
    kept = ids if unlabelled is None else ids[~unlabelled]
    if kept.size:
        ids = _within(ids, kept, len(colours), path)
    if unlabelled is None:
        return ids
    return np.where(unlabelled, len(colours), ids)


def _within(ids: Ids, kept: Ids, classes: int, path: str | Path) -> Ids:
    """The ids, those of a mask as 0 and 1. :raises ImageError: one (of those that are ``kept``) is no class."""
    low, high = int(kept.min()), int(kept.max())
    if classes == 2 and high in FOREGROUND and bool(((kept == 0) | (kept == high)).all()):
        return np.minimum(ids, 1).astype(np.uint8)  # a mask of foreground, as most tools save it
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        unlabelled = f" if {wrong} marks unlabelled pixels, pass --ignore-id {wrong}" if wrong == 255 else ""
        raise ImageError(
            f"{shown(path)}: holds class id {wrong}, but there are {classes} classes (0 to {classes - 1});"
            f"{unlabelled + ';' if unlabelled else ''} check the number of classes, or renumber the ids"
        )
    return ids


def _from_alpha(image: Image.Image, classes: int, path: str | Path) -> tuple[Ids | None, Image.Image]:
    """(the ids in the alpha channel, or None where that is no mask; the picture without it).

    :raises ImageError: all colours are one and the alpha channel is no mask of two classes.
    """
    alpha = np.asarray(image.getchannel("A" if "A" in image.getbands() else "a"))
    plain = image.getchannel(0) if image.mode in ("LA", "La") else image.convert("P" if image.mode == "PA" else "RGB")
    if alpha.min() == alpha.max() or len(plain.getcolors(2) or ()) != 1:
        return None, plain
    if classes == 2 and set(np.unique(alpha)) == {0, 255}:
        return (alpha > 0).astype(np.uint8), plain
    raise ImageError(
        f"{shown(path)}: is all of one colour, and its alpha channel is no mask of two classes; save a PNG of class ids"
    )


def _from_palette(image: Image.Image, colours: Sequence[Colour], ignore: int | None) -> Ids:
    indices = np.asarray(image)
    flat = image.getpalette("RGB") or []
    palette = list(zip(flat[::3], flat[1::3], flat[2::3], strict=False))
    table = {colour: index for index, colour in reversed(list(enumerate(colours)))}
    lookup = np.arange(256)
    used = [index for index in np.flatnonzero(np.bincount(indices.ravel(), minlength=256)) if index != ignore]
    if any(index >= len(palette) for index in used):
        return indices
    seen = {palette[index] for index in used}
    if len(colours) == 2 and len(seen) == len(used) and not seen <= set(table):
        black, white = (0, 0, 0), (255, 255, 255)
        # Where one colour is all that is used, the palette must say that it is a mask's.
        if seen == {black, white} or {white} <= set(palette) <= {black, white}:
            table = {black: 0, white: 1}
    if not seen <= set(table):
        return indices
    for index in used:
        lookup[index] = table[palette[index]]
    return lookup[indices]


def _from_colours(pixels: Ids, colours: Sequence[Colour], path: str | Path, ignore: int | None) -> Ids:
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
    if (pixels == gray[..., None]).all():
        held = {int(value) for value in np.unique(gray)} - {ignore}
        if max(held, default=0) < len(colours) or (len(colours) == 2 and held <= {0, 255}):
            return gray  # ids, or a mask, written as gray RGB
    example = tuple(int(part) for part in pixels[foreign][0])
    raise ImageError(
        f"{shown(path)}: {foreign.mean():.1%} of its pixels have colours that are no class's "
        f"(e.g. {example}); save label maps as PNG: class ids, or the palette's exact colours"
    )
