"""The renderer's factors that the benchmark judges, in groups, and the groups that each kind of picture shows.

A translation must keep a factor that its source shows and its target can show; a factor that the source does not show
(a label map has no colours) may vary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anchor_faces.rendering import HAIR_STYLES

#: Kinds of a factor: a number, a yes or no, one of the hair styles.
VALUE, FLAG, STYLE = "value", "flag", "style"


@dataclass(frozen=True)
class JudgedFactor:
    """A factor of the renderer's table as the judges see it; tables sort factors by ``group``."""

    name: str
    group: str
    kind: str = VALUE

    @property
    def width(self) -> int:
        """Number of a judge's outputs for the factor."""
        return len(HAIR_STYLES) if self.kind == STYLE else 1

    def of(self, factors: Mapping[str, Any], picture: str = "face") -> float:
        """The factor's value on a sample, as a number; hair styles by their place in ``HAIR_STYLES``.

        NaN where a ``picture`` of that modality cannot show it.
        """
        shown = CARRIED[picture]
        if self.group not in shown:
            return float("nan")
        if self.kind == STYLE:
            return float(HAIR_STYLES.index(factors[self.name]))
        value = float(factors[self.name])
        if self.name == "car_rear" and picture == "car_front":
            return 0.0
        if self.name == "sunglasses":  # drawn only where there are glasses
            value *= float(factors["glasses"])
        dark = "glasses" in shown and factors["glasses"] and factors["sunglasses"]  # cats wear none
        if dark and self.name in ("left_eye_open", "right_eye_open"):
            return float("nan")  # nobody can see it
        return value


JUDGED: tuple[JudgedFactor, ...] = (
    JudgedFactor("yaw", "pose"),
    JudgedFactor("pitch", "pose"),
    JudgedFactor("roll", "pose"),
    JudgedFactor("smile", "expression"),
    JudgedFactor("mouth_open", "expression"),
    JudgedFactor("brow_raise", "expression"),
    JudgedFactor("left_eye_open", "expression", FLAG),
    JudgedFactor("right_eye_open", "expression", FLAG),
    JudgedFactor("hair_style", "hair outline", STYLE),
    JudgedFactor("hair_volume", "hair outline"),
    JudgedFactor("hair_length", "hair outline"),
    JudgedFactor("hat", "hair outline", FLAG),
    JudgedFactor("glasses", "glasses", FLAG),
    JudgedFactor("feminine", "shape", FLAG),
    JudgedFactor("head_width", "shape"),
    JudgedFactor("jaw_width", "shape"),
    JudgedFactor("weight", "shape"),
    JudgedFactor("eye_spacing", "shape"),
    JudgedFactor("eye_size", "shape"),
    JudgedFactor("nose_length", "shape"),
    JudgedFactor("mouth_width", "shape"),
    JudgedFactor("sunglasses", "appearance", FLAG),
    JudgedFactor("beard", "appearance"),
    JudgedFactor("moustache", "appearance"),
    JudgedFactor("makeup", "appearance"),
    JudgedFactor("skin_tone", "appearance"),
    JudgedFactor("hair_colour", "appearance"),
    JudgedFactor("light_azimuth", "appearance"),
    JudgedFactor("light_elevation", "appearance"),
    JudgedFactor("light_warmth", "appearance"),
    JudgedFactor("light_intensity", "appearance"),
    JudgedFactor("clothes_brightness", "appearance"),
    JudgedFactor("background_brightness", "appearance"),
    JudgedFactor("background_saturation", "appearance"),
)
#: What only cars show. Judges of faces read JUDGED, whose order is that of their outputs.
CAR_JUDGED: tuple[JudgedFactor, ...] = (JudgedFactor("car_rear", "heading", FLAG),)
ALL_JUDGED = JUDGED + CAR_JUDGED
GROUPS = ("pose", "expression", "hair outline", "glasses", "shape", "appearance")
FACTOR_WIDTH = sum(factor.width for factor in JUDGED)

#: Kind of picture -> groups of factors that it shows. Landmarks are points on the bare face: no hair, no glasses.
CARRIED: dict[str, tuple[str, ...]] = {
    "face": GROUPS,
    "seg": ("pose", "expression", "hair outline", "glasses", "shape"),
    "sketch": ("pose", "expression", "hair outline", "glasses", "shape"),
    "landmark": ("pose", "expression", "shape"),
    "toon": ("pose", "expression", "hair outline", "glasses"),
    "cat": ("pose", "expression"),
    "car": ("pose", "heading"),
    "car_front": ("pose", "heading"),
    "car_seg": ("pose",),
}
ALL_GROUPS = (*GROUPS, "heading")


def kept_groups(source: str, target: str) -> tuple[str, ...]:
    """Groups that a translation from ``source`` to ``target`` must keep; unknown domains show nothing."""
    of_target = CARRIED.get(target, ())
    return tuple(group for group in CARRIED.get(source, ()) if group in of_target)


def factor_matrix(
    rows: Sequence[Mapping[str, Any]], factors: Sequence[JudgedFactor] = JUDGED, picture: str = "face"
) -> Tensor:
    """Values of ``factors``, float32 ``[N, len(factors)]``; NaN where a picture of the modality hides one."""
    return torch.tensor([[factor.of(row, picture) for factor in factors] for row in rows], dtype=torch.float32)
