"""The judges of cars: outline and heading, and how pairs with cars are scored."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anchor_faces.benchmark.factor_groups import CARRIED, kept_groups
from anchor_faces.benchmark.headings import away, heading_errors, headings
from anchor_faces.benchmark.judge_errors import judge_errors
from anchor_faces.benchmark.judge_kinds import CARS, judge_kind, judge_kind_of
from anchor_faces.benchmark.judge_recipe import JudgeOptions
from anchor_faces.benchmark.judge_training import JudgeTraining, train_judges
from anchor_faces.benchmark.judges import Judges, load_judges
from anchor_faces.benchmark.markdown import markdown
from anchor_faces.benchmark.renders import Renders, load_renders, rendered
from anchor_faces.benchmark.samples import SEED, Samples, benchmark_samples, render_modality
from anchor_faces.benchmark.scoring import PictureJudge
from anchor_faces.rendering import render_factors, sample_factors
from anchor_hub.bundles.base import open_bundle
from anchor_hub.evaluation.result import read_run
from anchor_hub.plugins.registry import registry
from anchor_hub.system.home import Home
from tests.cli.running import anchor

from .conftest import COUNT as FEW
from .conftest import checked_manifest, damaged, named


@pytest.fixture(scope="module")
def cars(bench_home: Path) -> Samples:
    return benchmark_samples(Home(bench_home), ("cat", "car"), FEW)


@pytest.fixture(scope="module")
def fronts(cars: Samples) -> Renders:
    return cars.truth_of("car_front")


@pytest.fixture(scope="module")
def both(bench_home: Path, cars: Samples) -> Renders:
    """The same samples, with fronts and rears."""
    rendered(Home(bench_home), seed=SEED, count=FEW, modalities=["car", "car_seg"])
    return load_renders(cars.folder, FEW, workers=1, picture="car")


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges(kind=CARS)


def rears(count: int) -> torch.Tensor:
    """The fronts' cars from the other end, uint8 ``[count, 3, 64, 64]``."""
    factors = [{**sample_factors(SEED, index), "car_rear": 1} for index in range(count)]
    pictures = torch.stack([sample["car"] for sample in render_factors(factors, 64, ["car"])])
    return (pictures * 255).round().byte()


def test_headings_point_to_opposite_sides_from_front_and_rear() -> None:
    factors = torch.tensor([[20.0, 0, 0, 0], [20.0, 0, 0, 1], [-20.0, 0, 0, 1], [0.0, 0, 0, 1]])
    assert [factor.name for factor in CARS.factors] == ["yaw", "pitch", "roll", "car_rear"]
    assert headings(factors, CARS.factors).tolist() == [20, 200, 160, 180]
    assert away(torch.tensor([350.0, 20.0, 10.0]), torch.tensor([10.0, 200.0, 10.0])).tolist() == [20, 180, 0]
    wrong_end = factors.clone()
    wrong_end[:, 3] = 1 - wrong_end[:, 3]
    found = heading_errors(wrong_end, factors, CARS.factors)
    assert found == {"end": 0.0, "side": 0.0, "error": 180.0}
    # The last car points straight away, so it counts on neither side.
    turned = torch.tensor([[-20.0, 0, 0, 0], [20.0, 0, 0, 1], [-20.0, 0, 0, 1], [20.0, 0, 0, 1]])
    found = heading_errors(turned, factors, CARS.factors)
    assert found["end"] == 1.0 and found["side"] == pytest.approx(2 / 3) and found["error"] == pytest.approx(15.0)
    assert heading_errors(factors[3:], factors[3:], CARS.factors)["side"] is None


def test_the_bundle_is_small_and_says_where_it_comes_from() -> None:
    manifest = checked_manifest(CARS, largest=2_000_000)
    assert manifest.name == "rendered-cars-r1"
    assert manifest.provenance["command"] == "anchor benchmark train-judges --kind cars"
    assert manifest.metrics["held_out"]["samples"] == manifest.provenance["held_out"]


def test_the_bundled_judges_read_cars_they_never_saw(judges: Judges, fronts: Renders, both: Renders) -> None:
    for truth in (fronts, both):
        errors = judge_errors(judges, truth)
        assert errors["heading"]["end"] == 1.0 and errors["heading"]["side"] > 0.9, truth.picture
        assert errors["heading"]["error"] < 6 and errors["turn"] > 0.95, truth.picture
        assert set(errors["structure"]["iou"]) == set(CARS.classes) and "landmarks" not in errors
    worse = judge_errors(judges, replace(both, pictures=both.pictures.flip(0)))
    assert worse["heading"]["error"] > 40 and worse["turn"] < 0.5


def test_blurred_noisy_or_tinted_cars_are_read_nearly_as_well(judges: Judges, both: Renders) -> None:
    for pictures in damaged(both.pictures):
        found = judge_errors(judges, replace(both, pictures=pictures))
        assert found["heading"]["end"] > 0.9 and found["turn"] > 0.95


def test_cars_are_read_by_their_own_judges() -> None:
    assert judge_kind_of("car") is judge_kind_of("car_front") is judge_kind("cars") is CARS
    assert render_modality("car") == render_modality("car_front") == "car_front"
    assert kept_groups("cat", "car_front") == ("pose",) and "heading" in CARRIED["car"]
    found = registry()
    extractor = found.load(found.extractors["rendered-cars-r1"].spec.target)("cpu")
    assert (extractor.name, extractor.short) == ("rendered-cars-r1", "cars")


def test_the_truth_scores_the_floor_and_the_wrong_end_is_seen(judges: Judges, fronts: Renders) -> None:
    judge = PictureJudge(judges, fronts)
    truth = named(judge.score(fronts.pictures, ("pose",)))
    for metric in truth.values():
        assert metric.value == pytest.approx(metric.floor) or metric.name == "fd_cars", metric.name
    assert truth["heading_side"].value > 0.9 > 0.75 > truth["heading_side"].chance
    # From the other end the outline is the same: structure and turn survive, the heading does not.
    other = named(judge.score(rears(FEW), ("pose",)))
    assert other["parser_miou"].value > 0.9 * truth["parser_miou"].value
    assert other["turn_correlation"].value > 0.95 and other["pose_agreement"].value > 0.8
    assert other["heading_end"].value == 0.0 and other["heading_side"].value < 0.1
    assert other["heading_error_deg"].value > 170 and truth["heading_error_deg"].value < 6
    assert all(metric.settings["picture"] == "car_front" for metric in truth.values())


def test_one_picture_for_all_scores_exactly_by_chance(judges: Judges, fronts: Renders) -> None:
    judge = PictureJudge(judges, fronts)
    found = named(judge.score(fronts.pictures[:1].expand(FEW, -1, -1, -1).contiguous(), ("pose",)))
    for name in ("parser_miou", "heading_side", "heading_error_deg"):
        assert found[name].value == pytest.approx(found[name].chance), name
    assert found["heading_end"].value == 1.0 and found["heading_end"].chance is None  # always the front


def test_outputs_of_other_programs_are_scored(
    bench_home: Path, cars: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a user types it: the true fronts as somebody's outputs."""
    monkeypatch.setenv("ANCHOR_HOME", str(bench_home))
    registry.cache_clear()
    shutil.copytree(cars.folder / "car_front", tmp_path / "true" / "cat-to-car")
    done = anchor("benchmark", "run", "-q", "--count", str(FEW), "--pair", "cat:car", "--only-also",
                  "--also", f"truth={tmp_path / 'true'}", "-o", str(tmp_path / "b.json"))  # fmt: skip
    assert done.exit_code == 0, done.output
    result = read_run(tmp_path / "b.json")
    (pair,) = result.pairs
    assert pair.name == "cat -> car (truth)"
    side, plain = pair.metric("heading_side"), pair.metric("l1")
    assert side is not None and side.value == side.floor and plain is not None and plain.value == 0
    assert set(result.settings["car_judges_floor"]) == {"car_front"} and "creature_judges" not in result.settings
    text = markdown(result)
    assert "### Into cars" in text and "| front ↑ |" in text and "fronts of cars that they never saw" in text
    registry.cache_clear()


def test_trains_without_landmarks_and_comes_back_from_its_bundle(tmp_path: Path, cars: Samples, both: Renders) -> None:
    result, bundle = train_judges(
        JudgeTraining(
            tmp_path / "run", tmp_path / "judges", CARS, data=cars.folder, count=FEW, held_out=4,
            options=JudgeOptions(images=48, learning_rate=0.01), width=4, batch=8, precision="fp32", device="cpu",
            quiet=True, license="Apache-2.0", workers=1,
        )
    )  # fmt: skip
    assert result.finished and bundle is not None
    assert set(open_bundle(bundle, "judges").manifest.metrics["held_out"]["heading"]) == {"end", "side", "error"}
    again = load_judges(bundle)
    assert again.kind is CARS and again.network.points == 0
    reading = again.read(both.pictures[:2])
    assert reading.points.shape == (2, 0, 2) and reading.factors.shape == (2, len(CARS.factors))
