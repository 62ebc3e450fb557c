"""The published pre- and post-processing of latent-space anchoring, number for number.

What trained the published weights. It resizes label maps with bilinear interpolation, so false classes
appear along boundaries, and flips them without exchanging left and right: the project's own modalities do neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anchor_hub.errors import ConfigError

if TYPE_CHECKING:
    from PIL.Image import Image

#: CelebAMask-HQ class ids merged per published number of classes: merged class -> original ids.
MERGED_CLASSES: dict[int, dict[int, tuple[int, ...]]] = {
    2: {0: (0, 8, 9, 13, 14, 15, 16, 17, 18), 1: (1, 2, 3, 4, 5, 6, 7, 10, 11, 12)},
    7: {
        0: (0, 16, 17, 18),
        1: (1, 2, 3, 4, 5, 6, 7, 10, 11, 12),
        2: (8,),
        3: (9,),
        4: (13,),
        5: (14,),
        6: (15,),
    },
    16: {0: (0, 16, 17, 18), **{index: (index,) for index in range(1, 16)}},
    19: {index: (index,) for index in range(19)},
}

#: Colours of the 19 classes in published previews.
COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (204, 0, 0),
    (76, 153, 0),
    (204, 204, 0),
    (51, 51, 255),
    (204, 0, 204),
    (0, 255, 255),
    (255, 204, 204),
    (102, 51, 0),
    (255, 0, 0),
    (102, 204, 0),
    (255, 255, 0),
    (0, 0, 153),
    (0, 0, 204),
    (255, 51, 153),
    (0, 204, 204),
    (0, 51, 0),
    (255, 153, 51),
    (0, 204, 0),
)


def _to_tensor(image: Image) -> Tensor:
    """A Pillow image in mode L or RGB as uint8 ``[C, H, W]``."""
    channels = len(image.getbands())
    data = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return data.reshape(image.height, image.width, channels).permute(2, 0, 1)


def _resize(image: Image, size: int) -> Image:
    from PIL import Image as pillow

    return image.resize((size, size), pillow.Resampling.BILINEAR)


def _flip(image: Image) -> Image:
    from PIL import Image as pillow

    return image.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)


def published_image(
    image: Image, *, channels: int = 3, size: int = 256, flip: bool = False, reduction: int | None = None
) -> Tensor:
    """A picture as the published encoders see it: float32 ``[channels, size, size]`` in [-1, 1].

    Resized to a square with Pillow's antialiased bilinear filter (the aspect ratio is not kept), then
    mirrored if ``flip``. ``channels``: 3 for RGB, 1 for 8-bit gray. ``reduction`` r first resizes to ``size /
    r`` and back (the published super-resolution option).

    :raises ConfigError: other channels, or a reduction that leaves no pixel.
    """
    if channels not in (1, 3):
        raise ConfigError(f"published pictures have 1 or 3 channels, not {channels}")
    if reduction is not None and not 1 <= reduction <= size:
        raise ConfigError(f"reduction {reduction} must lie between 1 and the size {size}")
    image = _resize(
        image.convert("RGB" if channels == 3 else "L"), size if reduction is None else size // reduction
    )
    if reduction is not None:
        image = _resize(image, size)
    if flip:
        image = _flip(image)
    return (_to_tensor(image).float() / 255 - 0.5) / 0.5


def published_label_map(
    label_map: Image, *, classes: int = 19, size: int = 256, flip: bool = False
) -> Tensor:
    """A label map as the published encoders see it: one-hot float32 ``[classes, size, size]`` of 0 and 1.

    The 8-bit pixel value is the CelebAMask-HQ class; classes are merged (:data:`MERGED_CLASSES`), then the
    integer map is resized bilinearly, as published.

    :raises ConfigError: a number of classes that is not published, or a pixel value above 18.
    """
    from PIL import Image as pillow

    if classes not in MERGED_CLASSES:
        raise ConfigError(
            f"no published merging into {classes} classes; choose one of {sorted(MERGED_CLASSES)}"
        )
    ids = _to_tensor(label_map.convert("L"))[0]
    if int(ids.max()) >= 19:
        raise ConfigError(
            f"label map: class {int(ids.max())} is not one of the 19 of CelebAMask-HQ (0 to 18)"
        )
    table = torch.zeros(19, dtype=torch.uint8)
    for merged, originals in MERGED_CLASSES[classes].items():
        table[list(originals)] = merged
    ids = table[ids.long()]
    image = pillow.frombytes("L", (ids.shape[1], ids.shape[0]), bytes(ids.flatten().tolist()))
    image = _resize(image, size)
    if flip:
        image = _flip(image)
    resized = _to_tensor(image)[0].long()
    return torch.nn.functional.one_hot(resized, classes).permute(2, 0, 1).float()


def published_picture_bytes(output: Tensor) -> Tensor:
    """A generated picture ``[C, H, W]``, nominally in [-1, 1], as uint8 ``[H, W, C]``: clipped, truncated,
    not rounded."""
    scaled = ((output + 1) / 2).clamp(0, 1) * 255
    return scaled.floor().to(torch.uint8).permute(1, 2, 0)


def published_map_colours(logits: Tensor) -> Tensor:
    """Class logits ``[K, H, W]`` (K up to 19) as the published colour picture, uint8 ``[H, W, 3]``."""
    return torch.tensor(COLOURS, dtype=torch.uint8)[logits.argmax(dim=0)]
