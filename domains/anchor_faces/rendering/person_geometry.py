"""From factors to the sizes, positions and colours of a person or of their cartoon twin."""

from __future__ import annotations

import math

from .camera import place_camera
from .colours import blend, from_hsv, hair_colour, iris_colour, scale, skin_colour
from .factors import Factors
from .parameters import Parameters, Vector, apply, clamp, product, rotation, transpose


def person_parameters(f: Factors, cartoon: bool) -> Parameters:
    """All parameters of one person."""
    p = Parameters(kind="toon" if cartoon else "person", hair_style=f["hair_style"], cartoon=cartoon)
    _expression(p, f)
    _head(p, f)
    _eyes_and_brows(p, f)
    _nose_mouth_ears(p, f)
    pose(p, f)
    _body(p, f)
    _hair_and_accessories(p, f)
    _colours(p, f)
    return p


def _expression(p: Parameters, f: Factors) -> None:
    p.smile, p.smiling = f["smile"], clamp(f["smile"], low=0)
    p.mouth_gap = 0.22 * f["mouth_open"]
    p.jaw_drop = 0.62 * p.mouth_gap
    p.gaze_x, p.gaze_y = f["gaze_x"], f["gaze_y"]


def _head(p: Parameters, f: Factors) -> None:
    width, height, weight = f["head_width"], f["head_height"], f["weight"]
    p.head_height = height
    p.skull_x, p.skull_y, p.skull_z = 0.765 * width, 0.80 * height, 0.86
    p.skull_centre_y = 0.27 * height
    p.face_x = (0.595 + 0.035 * weight) * width * (0.55 + 0.45 * f["jaw_width"])
    p.face_y = 0.71 * height + 0.3 * p.jaw_drop
    p.face_centre_y = -0.31 - 0.35 * p.jaw_drop
    p.jaw_x, p.jaw_y = 0.33 * f["jaw_width"] + 0.02 * weight, -0.56 - 0.3 * p.jaw_drop
    p.jaw_radius = 0.21 + 0.025 * weight
    p.chin_radius, p.chin_y = 0.135 * f["chin_size"], -0.87 + f["chin_height"] - p.jaw_drop
    p.chin_z = 0.44 - 0.1 * p.mouth_gap
    p.jaw_line_y, p.jaw_line_front, p.jaw_line_sweep = -0.22, 0.42, 0.40
    cheek = f["cheek_fullness"]
    p.cheek_radius = 0.165 + 0.035 * cheek + 0.015 * p.smiling
    p.cheek_x, p.cheek_y, p.cheek_z = 0.375 * width, -0.27 + 0.06 * p.smiling, 0.455 + 0.02 * cheek


def _eyes_and_brows(p: Parameters, f: Factors) -> None:
    cartoon = p.cartoon
    p.eye_radius = 0.205 * f["eye_size"] * (1.38 if cartoon else 1.0)
    p.eye_x = 0.315 * f["eye_spacing"] * f["head_width"] * (1.06 if cartoon else 1.0)
    p.eye_y = -0.02 + f["eye_height"] - (0.03 if cartoon else 0.0)
    p.eye_z = 0.705 - p.eye_radius * 0.80
    p.eye_half_width, p.eye_slope = p.eye_radius * 0.88, f["eye_tilt"]
    opening = 1 - clamp(f["squint"], low=0) - 0.22 * p.smiling + 0.14 * f["brow_raise"]
    opening = clamp(opening, 0.45, 1.3) * f["eye_opening"] * (1.08 if cartoon else 1.0)
    p.lid_up, p.lid_down = p.eye_radius * 0.64 * opening, p.eye_radius * 0.46 * (opening * 0.7 + 0.3)
    p.left_eye_open, p.right_eye_open = f["left_eye_open"], f["right_eye_open"]
    p.socket_bump = 0.14 if cartoon else 0.08
    p.brow_inner, p.brow_outer = p.eye_x * 0.38, p.eye_x + p.eye_radius * 1.05
    p.brow_y = (
        p.eye_y + p.eye_radius * 0.56 + 0.165 + f["brow_height"] + 0.05 * f["brow_raise"] - 0.055 * f["frown"]
    )
    p.brow_y += 0.01 if cartoon else 0.0
    p.brow_half = 0.040 * f["brow_thickness"] * (1.15 if cartoon else 1.0)
    p.brow_slope = f["brow_angle"] + 0.16 * f["frown"]
    p.brow_arch = 0.05 * f["brow_arch"] + 0.025 * f["brow_raise"]


def _nose_mouth_ears(p: Parameters, f: Factors) -> None:
    cartoon, nose_width = p.cartoon, f["nose_width"]
    p.nose_y = -0.31 * (0.6 + 0.4 * f["nose_length"]) + f["nose_lift"] + (0.02 if cartoon else 0.0)
    p.nose_z = 0.70 + 0.185 * f["nose_length"] * (0.62 if cartoon else 1.0) + 0.3 * f["nose_lift"]
    p.nose_tip_radius = 0.098 * f["nose_tip"] * (0.6 + 0.4 * nose_width) * (0.8 if cartoon else 1.0)
    p.nose_bridge_radius = 0.062 * (0.5 + 0.5 * nose_width) * (0.9 if cartoon else 1.0)
    p.nostril_x = 0.098 * nose_width * (0.7 if cartoon else 1.0)
    p.nostril_radius = 0.062 * (0.5 + 0.5 * nose_width) * (0.7 if cartoon else 1.0)
    p.mouth_y = -0.595 + f["mouth_height"] + 0.02 * p.smile + (0.01 if cartoon else 0.0)
    spread = 1 + 0.24 * p.smiling - 0.13 * f["mouth_open"] + 0.08 * clamp(p.smile, high=0)
    p.mouth_half_width = 0.235 * f["mouth_width"] * spread * (0.9 if cartoon else 1.0)
    p.mouth_z = 0.705 - 0.05 * p.mouth_gap
    p.mouth_bend, p.lip_relief = 0.095 * p.smile, 0.02
    p.upper_lip = 0.040 * f["upper_lip"] * (1 - 0.25 * p.smiling) * (0.75 if cartoon else 1.0)
    p.lower_lip = 0.050 * f["lower_lip"] * (1 - 0.15 * p.smiling) * (0.8 if cartoon else 1.0)
    angle = 0.55 + 0.25 * (f["ear_angle"] - 1)
    p.ear_x, p.ear_size = 0.765 * f["head_width"], f["ear_size"]
    p.ear_cosine, p.ear_sine = math.cos(angle), math.sin(angle)


def pose(p: Parameters, f: Factors) -> None:
    """Pose, camera and the frame of the body, which follows the head's turn only in part."""
    p.rotation = rotation(f["yaw"], f["pitch"], f["roll"])
    body = rotation(f["yaw"] * 0.35, 0.0, f["roll"] * 0.2)
    p.body_to_head = product(transpose(p.rotation), body)
    p.body_up = apply(p.body_to_head, (0.0, 1.0, 0.0))
    p.body_forward = apply(p.body_to_head, (0.0, 0.0, 1.0))
    p.neck_top = (0.0, -0.50, -0.20)
    place_camera(p, f["camera_x"], f["camera_y"], f["zoom"])


def _body(p: Parameters, f: Factors) -> None:
    def body(x: float, y: float, z: float) -> Vector:
        return apply(p.body_to_head, (x, y, z))

    p.neck_bottom, p.neck_base = body(0.0, -1.50, -0.30), body(0.0, -1.31, -0.12)
    p.shoulder_right, p.shoulder_left = body(-0.88, -1.63, -0.34), body(0.88, -1.63, -0.34)
    p.chest = body(0.0, -2.0, -0.15)
    p.neck_radius = 0.345 - 0.05 * f["feminine"] + 0.02 * f["weight"]
    if f["clothes_cut"] < 0.18:  # high collar
        cut = (1.0, 0.20, 0.25, 0.0)
    elif f["clothes_cut"] < 0.45:  # V-neck
        cut = (0.7, 0.12, 1.1, 1.15)
    else:
        cut = (0.85, 0.06, 0.25 + 0.75 * f["neckline"], 0.12)
    p.collar_scale, p.collar_height, p.collar_drop, p.collar_flare = cut


def _hair_and_accessories(p: Parameters, f: Factors) -> None:
    p.hair_volume, p.hair_length, p.hair_phase = f["hair_volume"], f["hair_length"], f["hair_phase"]
    p.hair_parting, p.hairline = f["hair_parting"], f["hairline"]
    p.hair_side = 1.0 if f["hair_parting"] > 0 else -1.0
    p.hair_girth = f["hair_volume"] ** 0.5
    p.hat, p.beanie = bool(f["hat"]), f["hat_shape"] < 0.55
    p.glasses, p.dark_lenses = bool(f["glasses"]), bool(f["sunglasses"])
    p.earrings, p.necklace = bool(f["earrings"]), bool(f["necklace"])
    round_lenses = f["glasses_shape"] < 0.45
    p.lens_x, p.lens_half_width = p.eye_x * 1.02, 0.255 * f["glasses_size"]
    p.lens_half_height = (0.225 if round_lenses else 0.175) * f["glasses_size"]
    p.lens_corner = 0.20 if round_lenses else 0.09


def _colours(p: Parameters, f: Factors) -> None:
    p.feminine, p.makeup, p.blush, p.freckles = f["feminine"], f["makeup"], f["blush"], f["freckles"]
    p.beard, p.stubble, p.moustache = f["beard"], f["stubble"], f["moustache"]
    p.skin_colour = skin_colour(f["skin_tone"], f["skin_hue"])
    p.hair_colour = hair_colour(f["hair_colour"], f["skin_tone"])
    p.iris_colour = iris_colour(f["iris_colour"], f["skin_tone"])
    p.lip_colour = blend(scale(p.skin_colour, (0.92, 0.58, 0.58)), (0.48, 0.035, 0.07), 0.75 * f["makeup"])
    dye = f["glasses_colour"]
    p.glasses_colour = (0.012, 0.012, 0.014) if dye < 0.6 else from_hsv((dye * 7) % 1, 0.7, 0.55)
    p.clothes_pattern = f["clothes_pattern"]
    clothes_colours(p, f)


def clothes_colours(p: Parameters, f: Factors) -> None:
    hue, saturation, brightness = f["clothes_hue"], f["clothes_saturation"], f["clothes_brightness"]
    p.clothes_colour = from_hsv(hue, saturation, brightness)
    p.second_clothes_colour = from_hsv((hue + 0.45) % 1, saturation * 0.8, 1 - brightness * 0.8)
