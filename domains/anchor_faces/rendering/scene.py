"""A scene: the bodies of a few samples as distance functions, evaluated together.

``Scene.bodies`` gives the distance to every body by name, ``Scene.distance`` the distance to the nearest.
Samples of one scene share a kind and a hair style, because those decide which functions are evaluated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from .accessories import beanie_distance, cap_distance, glasses_distance
from .camera import CAMERA_NAMES
from .hair import hair_distance
from .head import body_distances, ear_distance, head_distances, necklace_distance
from .parameters import Parameters, stack
from .shapes import smooth_intersection, smooth_union, sphere

Bodies = dict[str, Tensor]


class Scene(ABC):
    """A group of samples as the tracer needs it: distance functions; see ``PersonScene``."""

    parameters: Parameters

    @abstractmethod
    def bodies(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Bodies, Bodies]:
        """(distance to every body; distances to parts of bodies that colours and labels tell apart)."""

    def distance(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return nearest(self.bodies(x, y, z)[0])

    @abstractmethod
    def face(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Distance to the bare face with its eyes, for finding landmarks."""


def nearest(bodies: Bodies) -> Tensor:
    distances = iter(bodies.values())
    result = next(distances)
    for distance in distances:
        result = result.minimum(distance)
    return result


PERSON_NAMES = (
    *CAMERA_NAMES,
    *("skull_x", "skull_y", "skull_z", "skull_centre_y", "face_x", "face_y", "face_centre_y", "head_height"),
    *("jaw_x", "jaw_y", "jaw_radius", "chin_radius", "chin_y", "chin_z"),
    *("cheek_radius", "cheek_x", "cheek_y", "cheek_z", "mouth_gap"),
    *("eye_radius", "eye_x", "eye_y", "eye_z", "eye_half_width", "eye_slope", "lid_up", "lid_down"),
    *("left_eye_open", "right_eye_open"),
    *("nose_y", "nose_z", "nose_tip_radius", "nose_bridge_radius", "nostril_x", "nostril_radius"),
    *("mouth_y", "mouth_z", "mouth_half_width", "mouth_bend", "upper_lip", "lower_lip"),
    *("ear_x", "ear_size", "ear_cosine", "ear_sine"),
    *("neck_top", "neck_bottom", "neck_base", "neck_radius", "shoulder_right", "shoulder_left", "chest"),
    *("body_up", "body_forward", "collar_scale", "collar_height", "collar_drop", "collar_flare"),
    *("hair_volume", "hair_girth", "hair_length", "hair_phase", "hair_parting", "hair_side", "hairline"),
    *("no_hat", "no_glasses", "no_earrings", "no_necklace"),
    *("lens_x", "lens_half_width", "lens_half_height", "lens_corner"),
)


class PersonScene(Scene):
    """People, or their cartoon twins, of one hair style."""

    def __init__(self, samples: Sequence[Parameters]) -> None:
        p = self.parameters = stack(samples, PERSON_NAMES)
        self.hair_style = samples[0].hair_style
        p.socket_bump = samples[0].socket_bump
        self.hats = any(sample.hat for sample in samples)
        self.glasses = any(sample.glasses for sample in samples)
        self.earrings = any(sample.earrings for sample in samples)
        self.necklaces = any(sample.necklace for sample in samples)
        self.beanie = torch.tensor([[sample.beanie] for sample in samples])

    def bodies(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Bodies, Bodies]:
        p = self.parameters
        head = head_distances(x, y, z, p)
        neck, clothes = body_distances(x, y, z, p)
        ears = ear_distance(x, y, z, p)
        skin = smooth_union(smooth_union(head.skin, neck, 0.10), ears, 0.05)
        bodies = {
            "skin": skin,
            "eyes": head.eyes,
            "teeth": head.teeth,
            "tongue": head.tongue,
            "clothes": clothes,
        }
        hair = hair_distance(self.hair_style, x, y, z, head.skull, p)
        if self.hats:
            bodies["hat"] = self._hats(x, y, z) + p.no_hat
            if hair is not None:  # the hat presses the hair down
                hair = smooth_intersection(hair, y - 0.52 - p.no_hat, 0.03)
        if hair is not None:
            bodies["hair"] = hair
        if self.glasses:
            bodies["glasses"] = glasses_distance(x, y, z, p) + p.no_glasses
        if self.earrings:
            earrings = sphere(x.abs() - p.ear_x - 0.06, y + 0.08 + 0.27 * p.ear_size, z + 0.13, 0.045)
            bodies["earrings"] = earrings + p.no_earrings
        if self.necklaces:
            bodies["necklace"] = necklace_distance(x, y, z, neck, p) + p.no_necklace
        return bodies, {"head": head.skin, "ears": ears, "neck": neck, "skull": head.skull}

    def _hats(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        p = self.parameters
        if bool(self.beanie.all()):
            return beanie_distance(x, y, z, p)
        if not bool(self.beanie.any()):
            return cap_distance(x, y, z, p)
        return torch.where(self.beanie, beanie_distance(x, y, z, p), cap_distance(x, y, z, p))

    def face(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        head = head_distances(x, y, z, self.parameters)
        return head.skin.minimum(head.eyes)
