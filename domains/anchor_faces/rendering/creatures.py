"""The classes of rendered creatures: people, toons, cats and toy cars as tables of constraints on the factors.

Sample i of every class has the same pose, expression, light, surroundings and clothes (``SHARED_FACTORS``). The other
factors, such as coat or hair, are drawn for each class from the table of factors, unless the class constrains them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from anchor_hub.errors import UsageError, did_you_mean

from .factors import FACTOR_TABLE, Distribution, Factors, Normal, Uniform, sample_factors
from .render import check_size, render_factors

SHARED_FACTORS = (
    "smile", "mouth_open", "brow_raise", "frown", "left_eye_open", "right_eye_open", "squint", "gaze_x", "gaze_y",
    "yaw", "pitch", "roll", "camera_x", "camera_y", "zoom",
    "light_azimuth", "light_elevation", "light_warmth", "light_sharpness", "light_intensity", "ambient_light",
    "rim_light", "rim_side",
    "clothes_cut", "clothes_hue", "clothes_saturation", "clothes_brightness", "clothes_pattern", "neckline",
    "background_hue", "background_saturation", "background_brightness", "background_kind", "background_phase",
)  # fmt: skip

# Kind of creature -> the renderer's modality of its picture.
CREATURE_MODALITIES: dict[str, dict[str, str]] = {
    "image": {"person": "face", "toon": "toon", "cat": "cat", "car": "car"},
    "seg": {"person": "seg", "toon": "toon_seg", "cat": "cat_seg", "car": "car_seg"},
    "landmark": {"person": "landmark", "toon": "toon_landmark", "cat": "cat_landmark"},
}


@dataclass(frozen=True)
class Creature:
    """One class. ``factors``: a fixed value, or another distribution, for each factor that the class constrains."""

    name: str
    kind: str
    summary: str
    factors: Mapping[str, Distribution | float | str]


# Factors that would hide or blur a class: off, unless the class sets them.
_BARE: dict[str, Any] = {"glasses": 0, "hat": 0, "sunglasses": 0, "earrings": 0, "necklace": 0, "freckles": 0}
_SHAVEN: dict[str, Any] = {"beard": 0, "stubble": 0, "moustache": 0}
_WOMAN: dict[str, Any] = {**_BARE, **_SHAVEN, "feminine": 1}
_MAN: dict[str, Any] = {**_BARE, **_SHAVEN, "feminine": 0}
_CAT: dict[str, Any] = {**_BARE, "fur_second_colour": 0.0}

# Positions in the colour tables of colours.py: hair black 0.08, brown 0.35, chestnut 0.5, blond 0.75, red 0.9,
# gray 0.93, white 0.96, pink 0.98, blue 0.99; fur white 0, cream 0.14, orange 0.29, brown 0.5, gray 0.71, black 1.
CREATURES: tuple[Creature, ...] = (
    Creature("ginger", "cat", "orange tabby cat", {
        **_CAT, "fur_pattern": 0.1, "fur_colour": Uniform(0.26, 0.34), "iris_colour": Uniform(0.0, 0.3)}),
    Creature("silver", "cat", "gray tabby cat", {
        **_CAT, "fur_pattern": 0.1, "fur_colour": Uniform(0.70, 0.74), "iris_colour": Uniform(0.4, 0.6)}),
    Creature("tuxedo", "cat", "black cat with a white blaze and bib", {
        **_CAT, "fur_pattern": 0.5, "fur_colour": Uniform(0.93, 1.0), "iris_colour": Uniform(0.0, 0.2)}),
    Creature("siamese", "cat", "cream cat with dark face and ears, blue eyes", {
        **_CAT, "fur_pattern": 0.65, "fur_colour": Uniform(0.50, 0.56), "iris_colour": 1.0}),
    Creature("calico", "cat", "white cat with orange and dark patches", {
        **_CAT, "fur_pattern": 0.8, "fur_colour": Uniform(0.24, 0.32)}),
    Creature("black-cat", "cat", "black cat with a collar", {
        **_CAT, "fur_pattern": 0.95, "fur_colour": 1.0, "necklace": 1, "iris_colour": Uniform(0.1, 0.3)}),
    Creature("white-cat", "cat", "white cat", {
        **_CAT, "fur_pattern": 0.95, "fur_colour": Uniform(0.0, 0.03)}),
    Creature("blonde", "person", "woman with long blond hair", {
        **_WOMAN, "hair_style": "long", "hair_colour": Uniform(0.73, 0.82), "skin_tone": Uniform(0.05, 0.3)}),
    Creature("redhead", "person", "woman with red curls and freckles", {
        **_WOMAN, "hair_style": "curly", "hair_colour": Uniform(0.84, 0.91), "skin_tone": Uniform(0.0, 0.15),
        "freckles": Uniform(0.5, 1.0), "hair_length": Uniform(0.3, 0.7)}),
    Creature("afro", "person", "dark-skinned person with an afro", {
        **_BARE, **_SHAVEN, "hair_style": "afro", "hair_colour": Uniform(0.0, 0.2), "skin_tone": Uniform(0.65, 0.9)}),
    Creature("bearded", "person", "man with short dark hair and a full beard", {
        **_MAN, "hair_style": "short", "hair_colour": Uniform(0.17, 0.40), "skin_tone": Uniform(0.2, 0.5),
        "beard": Uniform(0.85, 1.0), "moustache": Uniform(0.8, 1.0)}),
    Creature("elder", "person", "gray-haired woman with a bun and glasses", {
        **_WOMAN, "hair_style": "bun", "hair_colour": Uniform(0.92, 0.97), "skin_tone": Uniform(0.05, 0.4),
        "glasses": 1, "glasses_shape": Uniform(0.0, 0.44), "glasses_colour": Uniform(0.0, 0.59), "makeup": 0}),
    Creature("toon-pink", "toon", "cartoon girl with a pink bob", {
        **_WOMAN, "hair_style": "fringe", "hair_colour": 0.975, "skin_tone": Uniform(0.05, 0.25)}),
    Creature("toon-blue", "toon", "cartoon boy with a blue quiff", {
        **_MAN, "hair_style": "quiff", "hair_colour": 0.99, "skin_tone": Uniform(0.1, 0.4),
        "hair_volume": Normal(1.15, 0.15, low=0.8)}),
    Creature("toon-ponytail", "toon", "cartoon girl with a black ponytail", {
        **_WOMAN, "hair_style": "ponytail", "hair_colour": Uniform(0.0, 0.25), "skin_tone": Uniform(0.3, 0.5),
        "earrings": 1}),
    Creature("toon-beard", "toon", "bald cartoon man with a red beard", {
        **_MAN, "hair_style": "bald", "hair_colour": Uniform(0.88, 0.915), "skin_tone": Uniform(0.1, 0.4),
        "beard": 1.0, "moustache": 1.0}),
)  # fmt: skip

# Classes far from all others. "All classes" leaves them out: a class that has no face would change every set of all.
DISTANT: tuple[Creature, ...] = (
    Creature("car", "car", "toy car, its front or its rear to the viewer", {}),
    Creature("car-front", "car", "toy car that shows its front", {"car_rear": 0}),
)

CREATURE_NAMES = tuple(creature.name for creature in CREATURES)
CLASS_NAMES = (*CREATURE_NAMES, *(creature.name for creature in DISTANT))


def creature(name: str) -> Creature:
    """The class with this name. :raises UsageError: there is none."""
    for each in (*CREATURES, *DISTANT):
        if each.name == name:
            return each
    raise UsageError(f"there is no class {name!r} of creatures.{did_you_mean(name, CLASS_NAMES)}")


def creature_factors(name: str, seed: int, index: int) -> Factors:
    """The factors of sample ``index`` of one class: ``SHARED_FACTORS`` are those of ``sample_factors(seed, index)``.

    The same (name, seed, index) always gives the same factors. :raises UsageError: no such class, or a negative number.
    """
    constrained = creature(name).factors
    shared = sample_factors(seed, index)
    # By name, not by place in the table: a further class must not change the pictures of the others.
    entropy = np.random.SeedSequence([seed, index, crc32(name.encode())])
    random = np.random.Generator(np.random.Philox(entropy))
    drawn: Factors = {}
    for factor in FACTOR_TABLE:
        given = constrained.get(factor.name, factor.distribution)
        if factor.name in SHARED_FACTORS:
            drawn[factor.name] = shared[factor.name]
        elif isinstance(given, (int, float, str)):
            drawn[factor.name] = given
        else:
            drawn[factor.name] = given.sample(random, drawn)
    return drawn


def check_creature_modalities(modalities: Sequence[str], classes: Sequence[str] = ()) -> None:
    """Check the modalities. :raises UsageError: there is none, or one that creatures, or these classes, do not have."""
    if not modalities:
        raise UsageError(f"no modality given; choose from {', '.join(CREATURE_MODALITIES)}")
    for name in modalities:
        if name not in CREATURE_MODALITIES:
            raise UsageError(
                f"creatures have no modality {name!r}; choose from {', '.join(CREATURE_MODALITIES)}"
            )
        for lacking in classes:
            kinds = CREATURE_MODALITIES[name]
            if creature(lacking).kind not in kinds:
                held = [modality for modality, of in CREATURE_MODALITIES.items() if creature(lacking).kind in of]
                raise UsageError(f"the class {lacking!r} has no modality {name!r}; choose from {', '.join(held)}")


def render_creatures(
    name: str, seed: int, indices: Sequence[int], size: int, modalities: Sequence[str] = ("image",)
) -> list[dict[str, Any]]:
    """Render samples of one class, ``size`` pixels square (a multiple of 16).

    Returns one dict per index, with ``factors`` and the ``modalities`` asked for: ``image`` (RGB ``[3, size, size]`` in
    [0, 1]), ``seg`` (``[size, size]`` int64 in CelebAMask-HQ's order; of cars, in that of ``CAR_CLASS_NAMES``),
    ``landmark`` (``[68, 2]`` pixels; cars have none). The same (name, seed, index) always gives the same picture.

    :raises UsageError: an unknown class or modality, or a size or number out of range.
    """
    check_size(size)
    check_creature_modalities(modalities, [name])
    kind = creature(name).kind
    wanted = {modality: CREATURE_MODALITIES[modality][kind] for modality in modalities}
    factors = [creature_factors(name, seed, index) for index in indices]
    rendered = render_factors(factors, size, list(wanted.values()))
    return [
        {"factors": sample["factors"], **{modality: sample[own] for modality, own in wanted.items()}}
        for sample in rendered
    ]


def creature_table_markdown() -> str:
    """The classes as a Markdown table: name, kind, what it is."""
    rows = ["| class | kind | what |", "|---|---|---|"]
    return "\n".join(rows + [f"| `{each.name}` | {each.kind} | {each.summary} |" for each in (*CREATURES, *DISTANT)])
