"""From factors to the sizes, positions and colours of a cat, under the same names as for people."""

from __future__ import annotations

import math

from .colours import CAT_IRIS_COLOURS, FUR_COLOURS, along, scale
from .factors import Factors
from .parameters import Parameters, apply, clamp
from .person_geometry import clothes_colours, pose


def cat_parameters(f: Factors) -> Parameters:
    """All parameters of one cat."""
    p = Parameters(kind="cat", hair_style="")
    pose(p, f)
    _head(p, f)
    _features(p, f)
    p.neck_bottom, p.chest = (apply(p.body_to_head, v) for v in ((0.0, -1.75, -0.38), (0.0, -1.55, -0.18)))
    p.neck_base = apply(p.body_to_head, (0.0, -1.02, -0.08))
    _colours(p, f)
    return p


def _head(p: Parameters, f: Factors) -> None:
    p.mouth_gap = 0.20 * f["mouth_open"]
    p.smiling = clamp(f["smile"], low=0)
    p.skull_x = 0.90 * (0.4 + 0.6 * f["head_width"]) + 0.04 * f["weight"]
    p.skull_y, p.skull_z = 0.73 * (0.4 + 0.6 * f["head_height"]), 0.74
    p.skull_centre_y = 0.02
    p.cheek_x = 0.36 + 0.06 * f["cheek_fullness"]
    p.jaw_line_y, p.jaw_line_front, p.jaw_line_sweep = -0.10, 0.36, 0.34
    tilt = 0.16 + 0.10 * f["ear_angle"] - 0.10 * f["brow_raise"] + 0.22 * f["frown"]
    p.ear_height, p.ear_cosine, p.ear_sine = 0.62 * f["cat_ear_size"], math.cos(tilt), math.sin(tilt)


def _features(p: Parameters, f: Factors) -> None:
    p.eye_radius, p.eye_x = 0.215 * f["eye_size"], 0.385 * f["eye_spacing"]
    p.eye_y, p.eye_z = 0.06 + f["eye_height"], 0.60 - p.eye_radius * 0.80
    p.eye_half_width, p.eye_slope = p.eye_radius * 0.92, 0.16 + f["eye_tilt"]
    opening = 1 - clamp(f["squint"], low=0) - 0.15 * p.smiling + 0.12 * f["brow_raise"]
    opening = clamp(opening, 0.5, 1.2) * f["eye_opening"]
    p.lid_up, p.lid_down = p.eye_radius * 0.76 * opening, p.eye_radius * 0.60 * opening
    p.left_eye_open, p.right_eye_open = f["left_eye_open"], f["right_eye_open"]
    p.gaze_x, p.gaze_y = f["gaze_x"], f["gaze_y"]
    p.pupil_width = 0.16 + (0.18 if f["ambient_light"] < 1 else 0.0)
    p.brow_y = p.eye_y + p.eye_radius * 0.76 + 0.13 + 0.05 * f["brow_raise"]
    p.nose_y, p.nose_z = -0.19 + f["nose_lift"] * 0.5, 0.83 + 0.05 * (f["nose_length"] - 1)
    p.nostril_x = 0.085 * f["nose_width"]
    p.muzzle_x = 0.125 * (0.5 + 0.5 * f["mouth_width"])
    p.muzzle_radius = 0.185 * (0.6 + 0.4 * clamp(f["cheek_fullness"], 0.4, 1.2) ** 0.3)
    p.mouth_y, p.mouth_z, p.mouth_half_width = -0.44, 0.80, 0.20 * f["mouth_width"]
    p.mouth_bend, p.lip_relief = 0.05 * f["smile"] + 0.02, 0.0


def _colours(p: Parameters, f: Factors) -> None:
    p.collar = bool(f["necklace"] or f["earrings"] or f["hat"])
    p.fur_pattern, p.fur_phase = f["fur_pattern"], f["hair_phase"]
    p.fur_colour = along(FUR_COLOURS, f["fur_colour"])
    p.fur_mean = sum(p.fur_colour) / 3
    p.dark_fur = tuple(0.28 * channel + 0.004 for channel in p.fur_colour)
    if f["fur_second_colour"] < 0.7:
        p.light_fur = scale(FUR_COLOURS[0], 0.95)
    else:
        p.light_fur = along(FUR_COLOURS, (f["fur_colour"] + 0.4) % 1)
    p.iris_colour = along(CAT_IRIS_COLOURS, f["iris_colour"])
    clothes_colours(p, f)
