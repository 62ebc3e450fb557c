"""Differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738): a discriminator that sees few images often.

Real and generated images pass through the same random changes before the discriminator, and the gradient passes
through them to the generator: the discriminator cannot learn the images by heart, and the generator does not learn the
changes. The three changes are mild, because the changed image must still show what it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.errors import UsageError, did_you_mean

#: Largest shift of an image, as a part of its side.
TRANSLATION = 0.125
#: Side of the square that is cut out, as a part of the image's side.
CUTOUT = 0.5


def colour(images: Tensor) -> Tensor:
    """Brightness (+-0.5), saturation (0 to 2) and contrast (0.5 to 1.5), each drawn per image; ``[B, 3, H, W]``."""
    draws = torch.rand(3, len(images), 1, 1, 1).to(images)
    images = images + (draws[0] - 0.5)
    gray = images.mean(dim=1, keepdim=True)
    images = gray + (images - gray) * (2 * draws[1])
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (draws[2] + 0.5)


def translation(images: Tensor) -> Tensor:
    """Images, each shifted by up to an eighth of its side in both directions; zeros fill the gap."""
    height, width = images.shape[-2:]
    reach = [round(side * TRANSLATION) for side in (height, width)]
    padded = F.pad(images, (reach[1], reach[1], reach[0], reach[0]))
    tops = torch.randint(0, 2 * reach[0] + 1, (len(images),)).tolist()
    lefts = torch.randint(0, 2 * reach[1] + 1, (len(images),)).tolist()
    moved = [
        image[:, top : top + height, left : left + width]
        for image, top, left in zip(padded, tops, lefts, strict=True)
    ]
    return torch.stack(moved).contiguous(memory_format=layout_of(images))


def cutout(images: Tensor) -> Tensor:
    """Images with zeros in a square of half the side, whose centre lies anywhere in the image."""
    count, _, height, width = images.shape
    return images * hole(count, height, width).to(images)


def hole(count: int, height: int, width: int) -> Tensor:
    """Masks ``[count, 1, height, width]``: 0 in a square of half the side around a random centre, 1 elsewhere."""
    rows = _outside(count, height)[:, :, None]
    columns = _outside(count, width)[:, None, :]
    return torch.maximum(rows, columns)[:, None]


def _outside(count: int, side: int) -> Tensor:
    """``[count, side]``: 0 within the cut-out square's span, 1 outside of it."""
    half = int(side * CUTOUT + 0.5) // 2
    centre = torch.randint(0, side + 1, (count, 1))
    place = torch.arange(side)[None]
    return ((place < centre - half) | (place >= centre + half)).float()


def layout_of(images: Tensor) -> torch.memory_format:
    """Channels-last where the images are in that layout, else contiguous."""
    packed = images.is_contiguous(memory_format=torch.channels_last) and images.shape[1] > 1
    return torch.channels_last if packed else torch.contiguous_format


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}


def parse_augment(text: str) -> tuple[str, ...]:
    """The augmentations that ``"colour,translation"``, ``"all"`` or ``"none"`` names, in the order of application.

    :raises UsageError: an unknown name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names in (["none"], []):
        return ()
    if names == ["all"]:
        return tuple(AUGMENTATIONS)
    for name in names:
        if name not in AUGMENTATIONS:
            near = did_you_mean(name, [*AUGMENTATIONS, "all", "none", "ada"])
            raise UsageError(f"--augment: there is no augmentation {name!r}.{near}")
    return tuple(name for name in AUGMENTATIONS if name in names)


def augment(images: Tensor, names: Sequence[str]) -> Tensor:
    """Images ``[B, 3, H, W]`` in [-1, 1] after the named augmentations, differentiable, in float32.

    Random numbers come from torch's default generator on the CPU: the same in every run and on every device.
    """
    if not names:
        return images
    images = images.float()
    for name in names:
        images = AUGMENTATIONS[name](images)
    return images
