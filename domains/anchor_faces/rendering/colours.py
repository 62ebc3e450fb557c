"""Colour tables and conversions. Colours are linear RGB triples of floats unless a name says otherwise."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

Colour = tuple[float, float, float]

GAMMA = 2.2


def linear(red: float, green: float, blue: float) -> Colour:
    """An 8-bit display colour as linear RGB."""
    return ((red / 255) ** GAMMA, (green / 255) ** GAMMA, (blue / 255) ** GAMMA)


SKIN_TONES = tuple(
    linear(*c)
    for c in (
        (248, 214, 192),
        (242, 198, 166),
        (230, 180, 140),
        (208, 150, 108),
        (168, 110, 72),
        (122, 76, 48),
        (84, 52, 36),
        (62, 40, 30),
    )  # fmt: skip
)
HAIR_COLOURS = tuple(
    linear(*c)
    for c in (
        (22, 18, 18),
        (40, 26, 20),
        (68, 42, 26),
        (104, 66, 38),
        (140, 92, 52),
        (196, 146, 80),
        (232, 196, 128),
        (238, 222, 188),
        (156, 70, 30),
        (206, 100, 38),
        (150, 148, 146),
        (226, 226, 224),
        (214, 92, 140),
        (70, 110, 190),
    )  # fmt: skip
)
# where in [0, 1] each hair colour begins
HAIR_COLOUR_STARTS = (0.0, 0.16, 0.30, 0.45, 0.56, 0.64, 0.72, 0.79, 0.83, 0.88, 0.92, 0.95, 0.97, 0.985)
IRIS_COLOURS = tuple(
    linear(*c)
    for c in (
        (70, 38, 18),
        (104, 62, 28),
        (120, 92, 44),
        (86, 120, 60),
        (70, 124, 160),
        (110, 160, 200),
        (120, 128, 134),
    )  # fmt: skip
)
FUR_COLOURS = tuple(
    linear(*c)
    for c in (
        (240, 234, 224),
        (235, 200, 150),
        (222, 140, 66),
        (176, 100, 50),
        (120, 90, 66),
        (120, 122, 128),
        (70, 66, 66),
        (34, 30, 32),
    )  # fmt: skip
)
CAR_COLOURS = tuple(
    linear(*c)
    for c in (
        (196, 32, 34),
        (228, 112, 30),
        (240, 190, 50),
        (108, 164, 66),
        (30, 116, 92),
        (60, 158, 196),
        (36, 78, 164),
        (26, 40, 92),
        (232, 232, 226),
        (156, 162, 170),
        (40, 40, 44),
    )  # fmt: skip
)
CAT_IRIS_COLOURS = tuple(
    linear(*c) for c in ((150, 180, 60), (210, 170, 50), (90, 150, 90), (200, 120, 40), (90, 160, 210))
)


def blend(first: Sequence[float], second: Sequence[float], weight: float) -> Colour:
    """``first`` where weight is 0, ``second`` where it is 1."""
    mixed = [a + (b - a) * weight for a, b in zip(first, second, strict=True)]
    return (mixed[0], mixed[1], mixed[2])


def scale(colour: Sequence[float], factor: float | Sequence[float]) -> Colour:
    """A colour times a number, or times another colour."""
    factors = (factor, factor, factor) if isinstance(factor, (int, float)) else factor
    return (colour[0] * factors[0], colour[1] * factors[1], colour[2] * factors[2])


def along(table: Sequence[Colour], position: float) -> Colour:
    """The colour at ``position`` in [0, 1] of a table, interpolated between its neighbours."""
    place = min(max(position, 0.0), 0.99999) * (len(table) - 1)
    left = int(place)
    return blend(table[left], table[left + 1], place - left)


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Hue, saturation and value in [0, 1] to linear RGB."""

    def channel(offset: float) -> float:
        k = (hue * 6 + offset) % 6
        return max(value * (1 - saturation * max(min(k, 4 - k, 1.0), 0.0)), 0.0) ** GAMMA

    return (channel(5), channel(3), channel(1))


def skin_colour(tone: float, hue: float) -> Colour:
    base = scale(along(SKIN_TONES, tone**1.25), 1.0)
    return scale([max(c, 0.004) for c in base], (1 + 0.04 * hue, 1 - 0.01 * hue, 1 - 0.10 * hue))


def hair_colour(position: float, skin_tone: float) -> Colour:
    """The hair colour at ``position`` in [0, 1]; dark skin mostly goes with dark hair."""
    colour = HAIR_COLOURS[bisect_right(HAIR_COLOUR_STARTS, position) - 1]
    if skin_tone > 0.55 and position < 0.9:
        colour = blend(colour, HAIR_COLOURS[0], 0.75)
    return colour


def iris_colour(position: float, skin_tone: float) -> Colour:
    return IRIS_COLOURS[0] if skin_tone > 0.5 else along(IRIS_COLOURS, position)
