"""The 68 landmarks in dlib's (iBUG) order, found on the surface of the bare face, and their drawn map.

0-16 jaw from the image's left to its right, 17-21 and 22-26 brows, 27-30 bridge and 31-35 base of the nose,
36-41 and 42-47 eyes, 48-59 outer and 60-67 inner lips. Hidden landmarks (behind hair, on the far cheek) are
included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .camera import project
from .marching import along
from .parameters import Parameters
from .scene import LANES, Layout, Scene

COUNT = 68
# first and last landmark of each line, and whether it closes
LINES = (
    (0, 16, False), (17, 21, False), (22, 26, False), (27, 30, False), (31, 35, False),
    (36, 41, True), (42, 47, True), (48, 59, True), (60, 67, True),
)  # fmt: skip
JAW_SPREAD = math.radians(105)
START_DEPTH = 1.3  # distance in front of the head's middle where the search for features starts, backwards
START_RADIUS = 1.6  # distance from the head's middle where the search for the jaw line starts, inwards


def landmarks(scene: Scene, samples: Sequence[Parameters], size: int) -> list[Tensor]:
    """Every sample's landmarks in pixels, ``[68, 2]`` (x right, y down; the edges are 0 and ``size``)."""
    blocks = -(-COUNT // LANES)
    starts, directions = torch.zeros(3, len(samples), blocks * LANES), torch.zeros(3, len(samples), blocks * LANES)
    for row, p in enumerate(samples):
        starts[:, row, :COUNT], directions[:, row, :COUNT] = _search_rays(p)
    layout = Layout(torch.arange(len(samples)).repeat_interleave(blocks))
    travelled = torch.zeros(len(samples) * blocks, LANES)
    origin, axes = starts.view(3, -1, LANES), directions.view(3, -1, LANES)
    for _ in range(24):
        travelled = scene.face(along(list(origin), list(axes), travelled), layout).mul_(0.85).add_(travelled)
        travelled.clamp_(0, 1.55)
    points = starts + directions * travelled.view(len(samples), -1)
    found = []
    for row, p in enumerate(samples):
        own = points[:, row, :COUNT].clone()
        own[2, 48:] = p.mouth_z - 0.75 * own[0, 48:] ** 2 + p.lip_relief
        found.append(project(p, own, size))
    return found


def _search_rays(p: Parameters) -> tuple[Tensor, Tensor]:
    """(starts, directions) ``[3, 68]``: the jaw from outside inwards, everything else from the front."""
    angle = (torch.arange(17.0) - 8) / 8 * JAW_SPREAD
    outwards = torch.stack([angle.sin(), -angle.cos(), torch.zeros(17)])
    centre = torch.zeros(3, 17)
    centre[1] = p.jaw_line_y
    centre[2] = p.jaw_line_front - p.jaw_line_sweep * angle.abs() / JAW_SPREAD
    x, y = FEATURES[p.kind](p)
    features = torch.stack([x, y, torch.full((51,), START_DEPTH)])
    backwards = torch.tensor([0.0, 0.0, -1.0])[:, None].expand(3, 51)
    starts = torch.cat([centre + START_RADIUS * outwards, features], 1)
    return starts, torch.cat([-outwards, backwards], 1)


BROW_STEPS = torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0])  # from the outer to the inner end
BRIDGE_STEPS = torch.tensor([0.0, 1 / 3, 2 / 3, 1.0])
BASE_STEPS = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
EYE_STEPS = torch.tensor(
    [0.97, 0.38, -0.38, -0.97, -0.38, 0.38]
)  # outer corner, over the upper lid, back below
LIP_STEPS = torch.tensor(
    [-1.0, -0.66, -0.28, 0.0, 0.28, 0.66, 1.0, 0.66, 0.33, 0.0, -0.33, -0.66, -0.92, -0.45, 0.0, 0.45, 0.92]
    + [0.45, 0.0, -0.45]
)


def face_landmarks(
    p: Parameters, brow_x: Tensor, brow_y: Tensor, bridge_y: Tensor, base_y: Tensor, lips_y: Tensor
) -> tuple[Tensor, Tensor]:
    """x and y in the head frame of landmarks 17 to 67; those of the eyes follow the lids, the others are given."""
    along = EYE_STEPS * p.eye_half_width
    inside = 1 - EYE_STEPS**2
    corner_line = p.eye_y + p.eye_slope * along + 0.12 * along * along / p.eye_radius

    def lid_heights(openness: float) -> Tensor:
        lower = -inside * p.lid_down
        upper = lower + inside * ((p.lid_up + p.lid_down) * openness)
        return corner_line + torch.cat([upper[:3], lower[3:]])

    mirrored = [3, 2, 1, 0, 5, 4]  # the other eye starts at its inner corner
    x = torch.cat(
        [
            -brow_x, brow_x.flip(0), torch.zeros(4), BASE_STEPS * (p.nostril_x * 1.05),
            -(p.eye_x + along), (p.eye_x + along)[mirrored], LIP_STEPS * p.mouth_half_width,
        ]
    )  # fmt: skip
    y = torch.cat(
        [
            brow_y, brow_y.flip(0), bridge_y, base_y,
            lid_heights(p.right_eye_open), lid_heights(p.left_eye_open)[mirrored], lips_y,
        ]
    )  # fmt: skip
    return x, y


def person_landmarks(p: Parameters) -> tuple[Tensor, Tensor]:
    brow_x = p.brow_inner + BROW_STEPS * (p.brow_outer - p.brow_inner)
    brow_y = (
        p.brow_y + p.brow_arch * (1 - ((BROW_STEPS - 0.60) / 0.62) ** 2) + p.brow_slope * (BROW_STEPS - 0.35)
    )
    brow_y = brow_y - 0.072 * (BROW_STEPS - 0.35).clamp(min=0)
    top = p.eye_y + 0.02
    bridge_y = top + (p.nose_y - top) * BRIDGE_STEPS
    base_y = p.nose_y - 0.085 - 0.02 * (1 - BASE_STEPS.abs())
    squared, distance = LIP_STEPS**2, LIP_STEPS.abs()
    upper_edge = -0.42 * p.mouth_gap * squared
    lower_edge = (squared - 1) * (p.mouth_gap * 0.58) - 0.42 * p.mouth_gap
    upper_lip = upper_edge + 1.7 * p.upper_lip * (1.06 - squared) * (0.78 + 0.5 * distance)
    lower_lip = lower_edge - 1.7 * p.lower_lip * (1.06 - squared)
    lips_y = torch.cat([upper_lip[:7], lower_lip[7:12], upper_edge[12:17], lower_edge[17:]])
    lips_y = lips_y + p.mouth_y + p.mouth_bend * squared
    return face_landmarks(p, brow_x, brow_y, bridge_y, base_y, lips_y)


def cat_landmarks(p: Parameters) -> tuple[Tensor, Tensor]:
    """The landmarks of a cat as :func:`face_landmarks` gives them; a cat has no brows, so these arch over the eyes."""
    brow_x = p.eye_x - p.eye_radius + BROW_STEPS * 2 * p.eye_radius
    brow_y = p.brow_y + 0.05 * (1 - (2 * BROW_STEPS - 1) ** 2)
    top = p.eye_y + 0.02
    bridge_y = top + (p.nose_y - top) * BRIDGE_STEPS
    base_y = p.nose_y - 0.02 - 0.03 * (1 - BASE_STEPS.abs())
    squared = LIP_STEPS**2
    upper_edge = p.mouth_y + (0.055 + p.mouth_bend) * squared
    lower_edge = upper_edge - 1.15 * p.mouth_gap * (1 - squared)
    lips_y = torch.cat(
        [(upper_edge + 0.02)[:7], (lower_edge - 0.02)[7:12], upper_edge[12:17], lower_edge[17:]]
    )
    return face_landmarks(p, brow_x, brow_y, bridge_y, base_y, lips_y)


FEATURES: dict[str, Callable[[Parameters], tuple[Tensor, Tensor]]] = {
    "person": person_landmarks,
    "toon": person_landmarks,
    "cat": cat_landmarks,
}


def landmark_map(points: Tensor, size: int) -> Tensor:
    """Landmarks ``[68, 2]`` in pixels drawn as anti-aliased lines, ``[size, size]`` in [0, 1]."""
    pairs = [(i, i + 1) for first, last, _ in LINES for i in range(first, last)]
    pairs += [(last, first) for first, last, closed in LINES if closed]
    return draw_segments(points[torch.tensor(pairs)], size, 0.35 * max(1.0, size / 128))


def draw_segments(segments: Tensor, size: int, half_width: float) -> Tensor:
    """Coverage ``[size, size]`` in [0, 1] of segments ``[k, 2, 2]`` (ends as x, y in pixels)."""
    centres = torch.arange(size) + 0.5
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    start, axis = segments[:, 0, :, None, None], (segments[:, 1] - segments[:, 0])[:, :, None, None]
    from_x, from_y = x - start[:, 0], y - start[:, 1]
    squared_length = axis[:, 0] ** 2 + axis[:, 1] ** 2 + 1e-6
    along = ((from_x * axis[:, 0] + from_y * axis[:, 1]) / squared_length).clamp_(0, 1)
    squared = (from_x - along * axis[:, 0]).square_().add_((from_y - along * axis[:, 1]).square_())
    return (half_width + 0.5 - squared.amin(0).sqrt_()).clamp_(0, 1)
