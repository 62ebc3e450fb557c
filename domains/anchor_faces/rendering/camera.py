"""The camera: where it stands, the rays it casts, and the way back from space to pixels.

The world has x to the image's right, y up, z towards the camera, in head units; the head frame is the world
turned by the pose. The camera looks along -z from ``DISTANCE`` and follows the face a little, as portrait crops do.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .parameters import Parameters, apply, transpose

DISTANCE = 8.0
HALF_FIELD = 1.32  # half the height of the view at the origin, in head units
FACE_CENTRE = (0.0, -0.22, 0.62)


def place_camera(p: Parameters, camera_x: float, camera_y: float, zoom: float) -> None:
    """Add the camera that follows a face to a sample's parameters; needs ``rotation`` (head to world)."""
    face_x, face_y, _ = apply(p.rotation, FACE_CENTRE)
    aim_camera(p, face_x * 0.62 + camera_x, -0.075 + (face_y - FACE_CENTRE[1]) * 0.5 + camera_y, zoom)


def aim_camera(p: Parameters, camera_x: float, camera_y: float, zoom: float) -> None:
    """Add a camera at this place; needs ``rotation``."""
    p.camera_x, p.camera_y = camera_x, camera_y
    p.half_field = HALF_FIELD / zoom
    to_head = transpose(p.rotation)
    p.to_head_x, p.to_head_y, p.to_head_z = to_head
    p.origin = apply(to_head, (p.camera_x, p.camera_y, DISTANCE))


CAMERA_NAMES = ("camera_x", "camera_y", "half_field", "to_head_x", "to_head_y", "to_head_z", "origin")


def cast_rays(p: Parameters, size: int) -> Tensor:
    """Unit directions in the head frame of rays through pixel centres, ``[3, samples, size * size]``."""
    centres = (torch.arange(size) + 0.5) / size * 2 - 1
    down, right = torch.meshgrid(-centres, centres, indexing="ij")
    x, y = right.reshape(1, -1) * p.half_field, down.reshape(1, -1) * p.half_field
    norm = (x * x + y * y + DISTANCE * DISTANCE).sqrt()
    x, y, z = x / norm, y / norm, -DISTANCE / norm
    return torch.stack(
        [row[0] * x + row[1] * y + row[2] * z for row in (p.to_head_x, p.to_head_y, p.to_head_z)]
    )


def project(p: Parameters, points: Tensor, size: int) -> Tensor:
    """Points of one sample in its head frame, ``[3, points]``, to pixels ``[points, 2]`` (x right, y down).

    Pixel centres have half-integer coordinates: the image's left edge is x = 0, its right edge x = size.
    """
    x, y, z = (row[0] * points[0] + row[1] * points[1] + row[2] * points[2] for row in p.rotation)
    magnification = DISTANCE / (DISTANCE - z) / p.half_field
    in_view = torch.stack([(x - p.camera_x) * magnification, -(y - p.camera_y) * magnification], 1)
    return (in_view + 1) * (size / 2)
