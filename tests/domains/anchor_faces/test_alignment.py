"""Annotations agree with each other to the pixel, and left and right are the subject's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_faces.rendering import render
from anchor_faces.rendering.labels import (
    BACKGROUND,
    CLOTH,
    GLASSES,
    HAIR,
    LEFT_BROW,
    LEFT_EAR,
    LEFT_EYE,
    LOWER_LIP,
    MOUTH,
    NECK,
    NOSE,
    RIGHT_BROW,
    RIGHT_EAR,
    RIGHT_EYE,
    SKIN,
    UPPER_LIP,
)

SIZE = 64
# landmarks, the classes they lie on, how many pixels a class must show to be judged
FEATURES = {
    "right eye": (range(36, 42), (RIGHT_EYE,), 8),
    "left eye": (range(42, 48), (LEFT_EYE,), 8),
    "right brow": (range(17, 22), (RIGHT_BROW,), 8),
    "left brow": (range(22, 27), (LEFT_BROW,), 8),
    "nose": (range(27, 36), (NOSE,), 30),
    "mouth": (range(48, 68), (MOUTH, UPPER_LIP, LOWER_LIP), 12),
}


@pytest.fixture(scope="module")
def samples() -> list[dict[str, Any]]:
    """Samples that do not look far aside: there, the far side's features are hidden."""
    rendered = render(11, range(40), SIZE, ["seg", "landmark", "face", "cat_seg", "cat_landmark", "toon_seg"])
    return [sample for sample in rendered if abs(sample["factors"]["yaw"]) < 20]


def distances(points: Tensor, label: Tensor, classes: tuple[int, ...]) -> Tensor:
    """From each point to the nearest pixel of the classes, in pixels; 0 inside one."""
    row, column = torch.isin(label, torch.tensor(classes)).nonzero(as_tuple=True)
    centres = torch.stack([column, row], 1) + 0.5
    return ((points[:, None] - centres).abs() - 0.5).clamp(min=0).norm(dim=2).amin(1)


@pytest.mark.parametrize("feature", FEATURES)
def test_landmarks_lie_on_their_labels(samples: list[dict[str, Any]], feature: str) -> None:
    landmarks, classes, enough = FEATURES[feature]
    found = []
    for sample in samples:
        label, points = sample["seg"], sample["landmark"][list(landmarks)]
        if int(torch.isin(label, torch.tensor(classes)).sum()) < enough:
            continue  # closed, or hidden by hair or dark glasses
        # a landmark covered by hair or glasses is right, but has no label to lie on
        column, row = points.clamp(0, SIZE - 1).floor().long().unbind(1)
        visible = ~torch.isin(label[row, column], torch.tensor([HAIR, GLASSES]))
        found.append(distances(points, label, classes)[visible])
    away = torch.cat(found)
    assert len(found) > 12 and len(away) > 50
    assert away.median() < 0.6
    assert away.quantile(0.95) < 1.2
    assert away.max() < 3.0


def test_landmarks_of_cats_lie_on_their_labels(samples: list[dict[str, Any]]) -> None:
    away = []
    for sample in samples:
        for landmarks, eye in ((range(36, 42), RIGHT_EYE), (range(42, 48), LEFT_EYE)):
            if int((sample["cat_seg"] == eye).sum()) > 15:
                away.append(distances(sample["cat_landmark"][list(landmarks)], sample["cat_seg"], (eye,)))
    assert len(away) > 25
    assert torch.cat(away).median() < 0.6 and torch.cat(away).quantile(0.95) < 2.0


def test_left_and_right_are_the_subjects(samples: list[dict[str, Any]]) -> None:
    columns = torch.arange(SIZE).expand(SIZE, SIZE) + 0.5
    pairs = ((LEFT_EYE, RIGHT_EYE), (LEFT_BROW, RIGHT_BROW), (LEFT_EAR, RIGHT_EAR))
    compared = 0
    for sample in samples:
        for name in ("seg", "toon_seg", "cat_seg"):
            for left, right in pairs:
                on_left, on_right = sample[name] == left, sample[name] == right
                if bool(on_left.any()) and bool(on_right.any()):
                    # who looks at us has their left on our right
                    assert columns[on_left].mean() > columns[on_right].mean() + 3
                    compared += 1
    assert compared > 100


def test_landmarks_run_in_dlib_order(samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        x, y = sample["landmark"].unbind(1)
        assert x[0] < x[8] < x[16] and y[8] > y[0] and y[8] > y[16]  # jaw: from left over the chin to right
        assert bool((x[17:27].diff() > 0).all())  # brows
        assert bool((y[27:31].diff() > 0).all())  # bridge of the nose, downwards
        assert x[31] < x[35] and bool((x[31:36].diff() > -1).all())  # the far nostril may turn away
        for eye in (36, 42):
            assert x[eye] < x[eye + 1] < x[eye + 2] < x[eye + 3]  # over the upper lid
            assert x[eye + 3] > x[eye + 4] > x[eye + 5] > x[eye]  # and back over the lower
            assert y[eye + 4] > y[eye + 2] - 0.2 and y[eye + 5] > y[eye + 1] - 0.2
        assert bool((x[48:55].diff() > 0).all()) and bool((x[54:60].diff() < 0).all())
        assert y[57] > y[51] and y[66] > y[62] - 0.2


def test_the_jaw_line_runs_between_face_and_neck(samples: list[dict[str, Any]]) -> None:
    face, below = [], []
    for sample in samples:
        label, points = sample["seg"], sample["landmark"][4:13]
        column, row = points.clamp(0, SIZE - 1).floor().long().unbind(1)
        visible = points[label[row, column] != HAIR]
        face.append(distances(visible, label, (SKIN,)))
        below.append(distances(visible, label, (BACKGROUND, NECK, CLOTH)))
    assert torch.cat(face).quantile(0.95) < 1.0
    assert torch.cat(below).median() < 3.0  # not inside the face
    assert len(torch.cat(face)) > 120


def test_labels_and_picture_share_their_outline(samples: list[dict[str, Any]]) -> None:
    """Where the label map has an edge to the background the picture has one, too, more than elsewhere."""
    stronger = 0
    for sample in samples:
        step = (sample["face"][:, :, 1:] - sample["face"][:, :, :-1]).abs().sum(0)
        foreground = sample["seg"] != BACKGROUND
        outline = foreground[:, 1:] != foreground[:, :-1]
        background = ~foreground[:, 1:] & ~foreground[:, :-1]
        if not bool(outline.any()) or not bool(background.any()):
            continue
        stronger += int(step[outline].mean() > 3 * step[background].mean())
    assert stronger > 0.9 * len(samples)
