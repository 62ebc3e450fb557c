"""Which factors of the renderer the benchmark judges, in groups, and which of them a kind of picture carries.

A translation must keep a factor that its source shows and its target can show; whatever the source does not show
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
    """A factor of the renderer's table as the judges see it; ``group`` is what tables are sorted by."""

    name: str
    group: str
    kind: str = VALUE

    @property
    def width(self) -> int:
        """Outputs that a judge needs for it."""
        return len(HAIR_STYLES) if self.kind == STYLE else 1

    def of(self, factors: Mapping[str, Any]) -> float:
        """Its value on a sample, as a number; hair styles by their place in ``HAIR_STYLES``."""
        if self.kind == STYLE:
            return float(HAIR_STYLES.index(factors[self.name]))
        value = float(factors[self.name])
        if self.name == "sunglasses":  # drawn only where there are glasses
            value *= float(factors["glasses"])
        if self.name in ("left_eye_open", "right_eye_open") and factors["glasses"] and factors["sunglasses"]:
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
GROUPS = ("pose", "expression", "hair outline", "glasses", "shape", "appearance")
FACTOR_WIDTH = sum(factor.width for factor in JUDGED)

#: What a kind of picture shows. Landmarks are points on the bare face: neither hair nor glasses.
CARRIED: dict[str, tuple[str, ...]] = {
    "face": GROUPS,
    "seg": ("pose", "expression", "hair outline", "glasses", "shape"),
    "sketch": ("pose", "expression", "hair outline", "glasses", "shape"),
    "landmark": ("pose", "expression", "shape"),
    "toon": ("pose", "expression", "hair outline", "glasses"),
    "cat": ("pose", "expression"),
}


def kept_groups(source: str, target: str) -> tuple[str, ...]:
    """Groups that a translation from ``source`` to ``target`` must keep; domains this does not know carry nothing."""
    of_target = CARRIED.get(target, ())
    return tuple(group for group in CARRIED.get(source, ()) if group in of_target)


def factor_matrix(rows: Sequence[Mapping[str, Any]]) -> Tensor:
    """Values of the judged factors, float32 ``[N, len(JUDGED)]``; NaN where the picture hides one."""
    return torch.tensor([[factor.of(row) for factor in JUDGED] for row in rows], dtype=torch.float32)
