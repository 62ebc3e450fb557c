"""Toy cars: one outline for front and rear, what they share with the heads, and that nothing else has changed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_faces.creature_dataset import parse_classes, render_creature_dataset
from anchor_faces.rendering import CAR_CLASS_NAMES, FACTOR_TABLE, heading, render, render_factors, sample_factors
from anchor_faces.rendering.creatures import CREATURE_NAMES, SHARED_FACTORS, creature_factors, render_creatures
from anchor_hub.errors import UsageError
from anchor_hub.plugins.registry import registry

SIZE = 64
SAMPLES = Path(__file__).parents[3] / "domains" / "anchor_faces" / "samples"


def car(**changes: Any) -> dict[str, Any]:
    plain = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "camera_x": 0.0, "camera_y": 0.0, "car_rear": 0}
    return {**sample_factors(0, 3), **plain, **changes}


def drawn(*factors: dict[str, Any], modality: str = "car") -> list[torch.Tensor]:
    return [sample[modality] for sample in render_factors(factors, SIZE, [modality])]


@pytest.mark.parametrize("body", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("yaw", [-35.0, 4.0])
def test_the_outline_does_not_tell_the_front_from_the_rear(body: float, yaw: float) -> None:
    pair = [car(car_body=body, yaw=yaw, car_rear=rear) for rear in (0, 1)]
    front, rear = drawn(*pair, modality="car_seg")
    assert torch.equal(front, rear) and set(front.unique().tolist()) == set(range(len(CAR_CLASS_NAMES)))
    pictures = drawn(*pair)
    changed = (pictures[0] - pictures[1]).abs().amax(0) > 0.02
    assert 0.05 < float((changed & (front > 0)).sum()) / float((front > 0).sum()) < 0.6
    assert not bool((changed & (front == 0)).sum() > 10)  # the edges of what is drawn reach beyond a pixel's majority


def test_red_lights_are_at_the_rear_and_white_ones_at_the_front() -> None:
    front, rear = drawn(*(car(car_colour=0.6, car_roof=0.0, car_rear=rear, light_azimuth=0.0) for rear in (0, 1)))
    red = [(each[0] > 0.35) & (each[1] < 0.5 * each[0]) & (each[2] < 0.5 * each[0]) for each in (front, rear)]
    assert int((red[1] & ~red[0]).sum()) > 15


def test_the_nose_turns_as_the_head_does() -> None:
    left, right = (label > 0 for label in drawn(car(yaw=-30.0), car(yaw=30.0), modality="car_seg"))
    assert (left == right.flip(1)).float().mean() > 0.98  # the other turn is the mirror image
    columns = torch.arange(SIZE).float()
    low = slice(44, SIZE)  # the near bumper, at the bottom of the picture, swings to the side that the nose points to
    assert float((right[low].float() @ columns).sum() / right[low].sum()) > SIZE / 2 + 2
    for yaw, rear, expected in ((0, 0, 0), (20, 0, 20), (-20, 0, -20), (20, 1, -160), (-20, 1, 160), (0, 1, 180)):
        assert heading(car(yaw=float(yaw), car_rear=rear)) == pytest.approx(expected)


def test_a_lowered_head_is_a_car_seen_from_higher_above() -> None:
    flat, steep = drawn(car(pitch=-12.0), car(pitch=12.0), modality="car_seg")
    heights = [int((label > 0).any(1).sum()) for label in (flat, steep)]
    assert heights[1] > heights[0] + 1


def test_the_front_twin_is_the_car_with_its_front_to_the_viewer() -> None:
    factors = [sample_factors(4000, index) for index in range(12)]
    assert len({f["car_rear"] for f in factors}) == 2
    for sample in render_factors(factors, 32, ["car", "car_front"]):
        assert torch.equal(sample["car"], sample["car_front"]) == (not sample["factors"]["car_rear"])


def test_bodies_wheels_and_colours_are_factors() -> None:
    pictures = drawn(
        car(yaw=25.0), car(yaw=25.0, car_body=0.95), car(yaw=25.0, car_colour=0.05), car(yaw=25.0, car_colour=0.75),
        car(yaw=25.0, car_wheels=0.1), car(yaw=25.0, car_wheels=0.9), car(yaw=25.0, car_roof=0.0),
        car(yaw=25.0, car_roof=0.9), car(yaw=25.0, light_azimuth=-60.0), car(yaw=25.0, light_azimuth=60.0),
    )  # fmt: skip
    for first, second in ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)):
        assert float((pictures[first] - pictures[second]).abs().amax(0).gt(0.05).sum()) > 12, (first, second)


def test_a_car_does_not_depend_on_its_batch() -> None:
    alone = render(0, [3], 32, ["car", "car_seg"])[0]
    among = render(0, [9, 3, 1, 0], 32, ["car", "car_seg", "car_front"])[1]
    assert torch.equal(alone["car"], among["car"]) and torch.equal(alone["car_seg"], among["car_seg"])


def test_factors_of_cars_stand_last_so_that_all_others_stay_what_they_were() -> None:
    names = [factor.name for factor in FACTOR_TABLE]
    assert [name for name in names if name.startswith("car_")] == names[names.index("car_rear") :]
    # stored before there were cars
    values = [v for i in range(50) for v in list(creature_factors("ginger", 1, i).values())[: names.index("car_rear")]]
    digest = sha256(json.dumps([round(v, 6) if isinstance(v, float) else v for v in values]).encode()).hexdigest()
    assert digest == "be77afdff4db0d63fa57ec2fa3ea804195d3a98602242e9b36f7ea2a7ce6368b"


def test_cars_are_classes_beside_the_creatures(tmp_path: Path) -> None:
    assert parse_classes("all") == [*CREATURE_NAMES] and parse_classes("car,ginger") == ["ginger", "car"]
    cat, toy, front = (creature_factors(name, 0, 5) for name in ("ginger", "car", "car-front"))
    assert all(cat[name] == toy[name] == front[name] for name in SHARED_FACTORS)
    assert not any(creature_factors("car-front", 0, index)["car_rear"] for index in range(20))
    with pytest.raises(UsageError, match="'car' has no modality 'landmark'; choose from image, seg"):
        render_creatures("car", 0, [0], 16, ["landmark"])
    with pytest.raises(UsageError, match="'car' has no modality 'landmark'"):
        render_creature_dataset(tmp_path / "x", classes=["ginger", "car"], count=1, size=16)
    wanted = {"classes": ["ginger", "car-front"], "modalities": ["image", "seg"], "workers": 1}
    folder = render_creature_dataset(tmp_path / "set", count=1, size=16, **wanted)
    assert (folder / "seg" / "car-front" / "000000.png").is_file()
    assert [line.split(",")[0] for line in (folder / "factors.csv").read_text().splitlines()] == [
        "name", "ginger/000000", "car-front/000000",
    ]  # fmt: skip


def test_the_domain_is_registered_beside_toon_and_cat_with_its_samples() -> None:
    spec = registry().domains["car"].spec
    assert spec.dataset == "rendered-faces:car" and spec.hub == registry().domains["cat"].spec.hub
    assert spec.samples == str(SAMPLES / "car")
    names = sorted(path.name for path in (SAMPLES / "car").iterdir())
    assert names == sorted(path.name for path in (SAMPLES / "face").iterdir())
    assert names == sorted(path.name for path in (SAMPLES / "cat").iterdir())
