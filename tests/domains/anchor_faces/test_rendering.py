"""Pictures: the same bit for bit however they are rendered, in range, and moved by their factors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_faces.rendering import (
    CLASS_COLOURS,
    CLASS_NAMES,
    HAIR_STYLES,
    MODALITIES,
    RENDERER_VERSION,
    landmark_map,
    render,
    render_factors,
    sample_factors,
)
from anchor_faces.rendering.labels import GLASSES, HAIR, HAT, LEFT_EYE, MOUTH, RIGHT_EYE
from anchor_hub.errors import UsageError

GOLDEN = Path(__file__).parents[2] / "golden" / "rendered_faces"
ALL = list(MODALITIES)
SIZE = 32
COUNT = 10


@pytest.fixture(scope="module")
def samples() -> list[dict[str, Any]]:
    return render(0, range(COUNT), SIZE, ALL)


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first["factors"] == second["factors"]
    for name in set(first) & set(second) - {"factors"}:
        assert torch.equal(first[name], second[name]), name


def test_a_sample_does_not_depend_on_its_batch(samples: list[dict[str, Any]]) -> None:
    for index in (0, 3, COUNT - 1):
        assert_same(samples[index], render(0, [index], SIZE, ALL)[0])
    order = [7, 2, 2, 40, 5, 0, 33, 9, 1]
    for index, sample in zip(order, render(0, order, SIZE, ALL), strict=True):
        if index < COUNT:
            assert_same(samples[index], sample)


def test_groups_of_one_hair_style_change_nothing() -> None:
    # The hardest case for exactness: samples are traced together only if they share a style.
    same_style = [i for i in range(200) if sample_factors(0, i)["hair_style"] == "long"][:7]
    together = render(0, same_style, SIZE, ["face", "seg", "depth"])
    for index, sample in zip(same_style, together, strict=True):
        assert_same(sample, render(0, [index], SIZE, ["face", "seg", "depth"])[0])


def test_a_sample_does_not_depend_on_threads_or_modalities(samples: list[dict[str, Any]]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = render(0, [4, 6], SIZE, ["cat", "sketch", "landmark"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert_same(samples[4], again[0])
    assert_same(samples[6], again[1])


def test_rendering_leaves_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    render(0, [0], 16, ["face", "sketch"])
    assert torch.equal(state, torch.get_rng_state())


def test_shapes_and_ranges(samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        for name, (_, picture) in MODALITIES.items():
            value = sample[name]
            if picture == "rgb":
                assert value.shape == (3, SIZE, SIZE) and value.dtype == torch.float32
                assert 0 <= value.min() and value.max() <= 1
            elif picture == "label":
                assert value.shape == (SIZE, SIZE) and value.dtype == torch.int64
                assert 0 <= value.min() and value.max() < len(CLASS_NAMES)
            elif picture == "landmark":
                assert value.shape == (68, 2) and bool(value.isfinite().all())
            elif picture == "normal":
                assert value.shape == (3, SIZE, SIZE)
                assert torch.allclose(value.norm(dim=0), torch.ones(SIZE, SIZE), atol=1e-4)
            else:
                assert value.shape == (SIZE, SIZE) and 0 <= value.min() and value.max() <= 1


def test_depth_and_normals_fit_the_labels(samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        # where not even one of a pixel's rays hits, there is no depth; the label follows the majority
        background = sample["depth"] == 0
        assert bool((sample["seg"][background] == 0).all())
        inside = sample["seg"] > 0
        assert bool((sample["depth"][inside] > 0).all())
        assert sample["normal"][2][inside].mean() > 0.4  # surfaces one sees face the camera
        nose = sample["seg"] == CLASS_NAMES.index("nose")
        cloth = sample["seg"] == CLASS_NAMES.index("cloth")
        if bool(nose.any()) and bool(cloth.any()):
            assert sample["depth"][nose].mean() > sample["depth"][cloth].mean() + 0.1


def test_label_colours_are_distinct() -> None:
    assert len(set(CLASS_COLOURS)) == len(CLASS_NAMES) == 19


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_every_hair_style_shows(style: str) -> None:
    factors = {**sample_factors(0, 0), "hair_style": style, "hat": 0, "yaw": 0.0}
    label = render_factors([factors], SIZE, ["seg"])[0]["seg"]
    hair = int((label == HAIR).sum())
    assert hair == 0 if style == "bald" else hair > 0.03 * SIZE * SIZE


def edited(**changes: Any) -> dict[str, Any]:
    plain = {
        "glasses": 0,
        "hat": 0,
        "hair_style": "short",
        "yaw": 0.0,
        "pitch": 0.0,
        "roll": 0.0,
        "smile": 0.3,
    }
    plain |= {"mouth_open": 0.0, "left_eye_open": 1, "right_eye_open": 1, "beard": 0.0, "moustache": 0.0}
    return {**sample_factors(0, 8), **plain, **changes}


def test_factors_do_what_they_say() -> None:
    names = ["plain", "glasses", "sunglasses", "hat", "open", "left_closed", "right_closed"]
    changes: list[dict[str, Any]] = [
        {"sunglasses": 0}, {"glasses": 1, "sunglasses": 0}, {"glasses": 1, "sunglasses": 1}, {"hat": 1},
        {"mouth_open": 1.0}, {"left_eye_open": 0}, {"right_eye_open": 0},
    ]  # fmt: skip
    rendered = render_factors([edited(**change) for change in changes], 64, ["seg"])
    counts = {
        name: torch.bincount(sample["seg"].flatten(), minlength=19)
        for name, sample in zip(names, rendered, strict=True)
    }
    plain = counts["plain"]
    assert plain[GLASSES] == plain[HAT] == 0
    assert counts["glasses"][GLASSES] > 30 and counts["glasses"][LEFT_EYE] > 0
    assert counts["sunglasses"][LEFT_EYE] == counts["sunglasses"][RIGHT_EYE] == 0
    assert counts["hat"][HAT] > 100
    assert counts["open"][MOUTH] > plain[MOUTH] + 20
    assert counts["left_closed"][LEFT_EYE] < 0.2 * plain[LEFT_EYE]
    assert counts["left_closed"][RIGHT_EYE] == plain[RIGHT_EYE]
    assert counts["right_closed"][RIGHT_EYE] < 0.2 * plain[RIGHT_EYE]
    assert counts["right_closed"][LEFT_EYE] == plain[LEFT_EYE]


@pytest.mark.parametrize("modality", ["landmark", "toon_landmark", "cat_landmark"])
def test_kinds_share_pose_and_expression(modality: str) -> None:
    left, right, up, down, rolled, glad, sad, wide, shut = (
        sample[modality]
        for sample in render_factors(
            [
                edited(yaw=-20.0),
                edited(yaw=20.0),
                edited(pitch=-10.0),
                edited(pitch=10.0),
                edited(roll=8.0),
                edited(smile=1.0),
                edited(smile=-0.5),
                edited(mouth_open=1.0),
                edited(mouth_open=0.0),
            ],
            64,
            [modality],
        )  # fmt: skip
    )
    tip, chin = 30, 8
    # the tip of the nose moves more than the rest of the head
    assert (right[tip] - right[chin])[0] > (left[tip] - left[chin])[0] + 3
    assert (down[tip] - down[27])[1] > (up[tip] - up[27])[1]
    eyes = rolled[42:48].mean(0) - rolled[36:42].mean(0)
    assert eyes[1] < -2  # counter-clockwise: the eye on the image's right is higher (y points down)

    def corners(
        points: torch.Tensor,
    ) -> torch.Tensor:  # how far the corners of the mouth lie above its middle
        return points[[51, 57], 1].mean() - points[[48, 54], 1].mean()

    assert corners(glad) > corners(sad) + 1
    assert wide[66, 1] - wide[62, 1] > shut[66, 1] - shut[62, 1] + 2


def test_the_landmark_map_is_drawn_where_the_landmarks_are(samples: list[dict[str, Any]]) -> None:
    points = samples[0]["landmark"]
    drawn = landmark_map(points, SIZE)
    assert drawn.shape == (SIZE, SIZE) and 0 <= drawn.min() and drawn.max() <= 1
    inside = ((points >= 0) & (points < SIZE)).all(1)
    column, row = points[inside].floor().long().unbind(1)
    assert bool((drawn[row, column] > 0).all())
    assert 0.01 < drawn.mean() < 0.4


@pytest.mark.parametrize("size", [0, 8, 30, -64, 1040, 100_000])
def test_sizes_that_cannot_be_rendered_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="multiple of 16"):
        render(0, [0], size, ["face"])


def test_unknown_modalities_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="landmark"):
        render(0, [0], 32, ["landmarks"])
    with pytest.raises(UsageError, match="no modality"):
        render(0, [0], 32, [])


def test_no_samples_is_no_pictures() -> None:
    assert render(0, [], 32, ["face"]) == []


def test_pictures_are_those_of_this_renderer_version() -> None:
    """Stored pictures: whoever changes what is rendered must raise RENDERER_VERSION and store new ones.

    Other processors may round differently, so a few pixels may differ a little.
    """
    assert RENDERER_VERSION == 1
    indices = (0, 5, 14)
    for index, sample in zip(indices, render(0, indices, 64, ["face", "cat", "seg"]), strict=True):
        for name in ("face", "cat"):
            stored = np.asarray(Image.open(GOLDEN / f"{name}-{index:06d}.png"), dtype=np.float32)
            now = (sample[name] * 255).round().permute(1, 2, 0).numpy()
            assert np.abs(now - stored).mean() < 0.5, (name, index)
        stored = np.asarray(Image.open(GOLDEN / f"seg-{index:06d}.png"))
        assert (stored == sample["seg"].numpy()).mean() > 0.995, index
