"""Class lists: what the ids of label maps mean, and the colours they are drawn in."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchor_hub.errors import ConfigError, did_you_mean

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """Classes in the order of their ids: names, and RGB colours 0..255."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def __len__(self) -> int:
        return len(self.names)

    def mirrored(self) -> list[int]:
        """For each id the id it becomes when a picture is mirrored: ``l_eye`` and ``r_eye`` change places.

        Names decide: ``l_x`` with ``r_x``, ``left_x`` with ``right_x`` (also with ``-`` or a space).
        """
        position = {name: index for index, name in enumerate(self.names)}
        exchange = list(range(len(self.names)))
        for name, index in position.items():
            for left, right in (("l", "r"), ("left", "right")):
                for separator in "_- ":
                    if name.startswith(left + separator):
                        other = position.get(right + name[len(left) :])
                        if other is not None:
                            exchange[index], exchange[other] = other, index
        return exchange


# Names, order and colours as published with CelebAMask-HQ. l_ and r_ are the subject's own left and right;
# l_lip is the lower lip, ear_r an earring, neck_l a necklace, eye_g glasses.
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
)  # fmt: skip

PALETTES: dict[str, Palette] = {"celebamask-hq": CELEBAMASK_HQ}


def numbered_palette(names: Sequence[str]) -> Palette:
    """Well-separated colours for classes that have none; class 0 is black."""
    colours: list[Colour] = [(0, 0, 0)]
    for index in range(1, len(names)):
        # Steps of the golden angle keep neighbours apart in hue; brightness tells later rounds apart.
        turn = index * 0.381966
        value, saturation = 1 - 0.25 * (int(turn) % 3), 0.85 - 0.3 * (index % 2)
        red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(turn % 1, saturation, value))
        while (red, green, blue) in colours:
            blue = (blue + 1) % 256
        colours.append((red, green, blue))
    return Palette(tuple(names), tuple(colours[: len(names)]))


def resolve_palette(value: Any, classes: int | None) -> Palette:
    """The palette an option means.

    :param value: a palette's name; a list of ``{"name": ..., "colour": [r, g, b]}``; a table from class names
        to colours, or to ids; the path of a YAML or JSON file holding either; None for numbered classes.
    :param classes: number of classes, where the option gives none or to check it.
    :raises ConfigError: not known, not complete, or another number of classes.
    """
    if value is None:
        if classes is None:
            raise ConfigError("modality segmentation: give the number of classes, or a palette")
        return numbered_palette([str(index) for index in range(classes)])
    if isinstance(value, str) and value.lower().endswith((".yaml", ".yml", ".json")):
        value = _load(Path(value))
    if isinstance(value, str):
        if value not in PALETTES:
            hint = did_you_mean(value, PALETTES)
            raise ConfigError(
                f"there is no palette {value!r}; name one, or a .yaml file of names and colours.{hint}"
            )
        palette = PALETTES[value]
    elif isinstance(value, Mapping):
        palette = _from_table(value)
    elif isinstance(value, Sequence):
        palette = _from_list(value)
    else:
        raise ConfigError(f"palette {value!r} is no name, list or table")
    if classes is not None and len(palette) != classes:
        raise ConfigError(
            f"the palette has {len(palette)} classes, but classes is {classes}; leave the number out"
        )
    return palette


def _load(path: Path) -> Any:
    from anchor_hub.system.config import load_yaml

    return load_yaml(path)  # JSON is YAML, too


def _from_table(table: Mapping[Any, Any]) -> Palette:
    names = [str(name) for name in table]
    values = list(table.values())
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        if sorted(values) != list(range(len(values))):
            raise ConfigError(
                f"palette: the ids {sorted(values)} are not 0 to {len(values) - 1}; number the classes so"
            )
        return numbered_palette([name for _, name in sorted(zip(values, names, strict=True))])
    return Palette(
        tuple(names), tuple(_colour(value, name) for name, value in zip(names, values, strict=True))
    )


def _from_list(rows: Sequence[Any]) -> Palette:
    names, colours = [], []
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping) or set(row) != {"name", "colour"}:
            raise ConfigError(
                f"palette: class {index} is {row!r}; write {{'name': ..., 'colour': [r, g, b]}}"
            )
        names.append(str(row["name"]))
        colours.append(_colour(row["colour"], names[-1]))
    if len(set(names)) != len(names):
        raise ConfigError("palette: two classes have one name; name each differently")
    return Palette(tuple(names), tuple(colours))


def _colour(value: Any, name: str) -> Colour:
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or len(value) != 3
        or not all(
            isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255 for part in value
        )
    ):
        raise ConfigError(
            f"palette: the colour of {name!r} is {value!r}; write [red, green, blue], each 0 to 255"
        )
    return value[0], value[1], value[2]
