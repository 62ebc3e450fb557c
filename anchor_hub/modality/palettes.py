"""Named class lists: what the ids of published label maps mean, and the colours they are drawn in."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from anchor_hub.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Palette:
    """Classes in the order of their ids. ``mirrored`` lists pairs of ids that a left-right flip exchanges."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    mirrored: tuple[tuple[int, int], ...] = ()


# Names, order and colours as published with CelebAMask-HQ; l_ and r_ are the subject's own left and right.
CELEBAMASK_HQ = Palette(
    names=(
        "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
        "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
    ),
    colours=(
        (0, 0, 0), (204, 0, 0), (76, 153, 0), (204, 204, 0), (51, 51, 255), (204, 0, 204), (0, 255, 255),
        (255, 204, 204), (102, 51, 0), (255, 0, 0), (102, 204, 0), (255, 255, 0), (0, 0, 153), (0, 0, 204),
        (255, 51, 153), (0, 204, 204), (0, 51, 0), (255, 153, 51), (0, 204, 0),
    ),
    mirrored=((4, 5), (6, 7), (8, 9)),
)  # fmt: skip

PALETTES: dict[str, Palette] = {"celebamask-hq": CELEBAMASK_HQ}


def palette_for(name: str | None, classes: int) -> Palette:
    """The named palette, or plain numbered classes in well-separated colours.

    :raises ConfigError: an unknown name, or one with another number of classes.
    """
    if name is None:
        colours = [(0, 0, 0)]
        for index in range(1, classes):
            # Steps of the golden angle keep neighbouring ids apart in hue.
            red, green, blue = colorsys.hsv_to_rgb(index * 0.381966 % 1, 0.75 if index % 2 else 0.5, 1 - 0.35 * (index % 3 == 2))
            colours.append((round(red * 255), round(green * 255), round(blue * 255)))
        return Palette(tuple(str(index) for index in range(classes)), tuple(colours))
    if name not in PALETTES:
        raise ConfigError(f"there is no palette {name!r}.{did_you_mean(name, PALETTES)}")
    palette = PALETTES[name]
    if len(palette.names) != classes:
        raise ConfigError(f"palette {name!r} has {len(palette.names)} classes, not {classes}; leave out --classes")
    return palette
