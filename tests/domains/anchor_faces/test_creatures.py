"""Classes of creatures: what they share, what is their own, and the data set on disk."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

import anchor_faces.creature_dataset as creature_dataset
from anchor_faces.commands.render import render as render_command
from anchor_faces.creature_dataset import parse_classes, render_creature_dataset, training_folder
from anchor_faces.dataset import render_dataset
from anchor_faces.rendering import FACTOR_NAMES
from anchor_faces.rendering.creatures import (
    CREATURE_NAMES,
    CREATURES,
    SHARED_FACTORS,
    creature_factors,
    render_creatures,
)
from anchor_faces.rendering.factors import Uniform, sample_factors
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError, UsageError
from anchor_hub.modality import build_modality
from anchor_hub.system.config import load_yaml
from anchor_hub.system.home import Home

SMALL: dict[str, Any] = {"size": 16, "workers": 1}


def test_the_table_is_sound() -> None:
    assert len(CREATURE_NAMES) == len(set(CREATURE_NAMES)) >= 12
    assert {creature.kind for creature in CREATURES} == {"person", "toon", "cat"}
    assert set(SHARED_FACTORS) <= set(FACTOR_NAMES)
    for creature in CREATURES:
        assert set(creature.factors) <= set(FACTOR_NAMES) - set(SHARED_FACTORS), creature.name


def test_sample_i_of_every_class_shares_pose_expression_and_light() -> None:
    for index in range(5):
        base = sample_factors(3, index)
        drawn = {name: creature_factors(name, 3, index) for name in CREATURE_NAMES}
        for factors in drawn.values():
            assert list(factors) == list(FACTOR_NAMES)
            assert {name: factors[name] for name in SHARED_FACTORS} == {name: base[name] for name in SHARED_FACTORS}
        assert len({factors["head_width"] for factors in drawn.values()}) == len(CREATURE_NAMES)


def test_constraints_hold_and_the_rest_varies() -> None:
    for creature in CREATURES:
        samples = [creature_factors(creature.name, 0, index) for index in range(40)]
        for name, given in creature.factors.items():
            values = {sample[name] for sample in samples}
            if isinstance(given, Uniform):
                assert len(values) == 40 and given.low <= min(values) and max(values) <= given.high, (creature, name)
            elif isinstance(given, (int, float, str)):
                assert values == {given}, (creature.name, name)
        assert len({sample["nose_width"] for sample in samples}) > 30
        if creature.factors.get("feminine") == 1:
            assert not any(sample["beard"] or sample["moustache"] for sample in samples)


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    alone = render_creatures("ginger", 0, [3], 16, ["image", "landmark"])[0]
    among = render_creatures("ginger", 0, [0, 1, 2, 3, 4], 16, ["image", "seg", "landmark"])[3]
    assert torch.equal(alone["image"], among["image"]) and torch.equal(alone["landmark"], among["landmark"])
    assert "seg" not in alone and not torch.equal(alone["image"], render_creatures("ginger", 1, [3], 16)[0]["image"])


def test_landmarks_of_two_classes_turn_together() -> None:
    """The nose's tip, from the middle between the ears' ends of the jaw, follows the yaw in every class."""
    indices = list(range(24))
    turns = {}
    for name in ("ginger", "blonde", "toon-blue"):
        points = torch.stack([sample["landmark"] for sample in render_creatures(name, 0, indices, 64, ["landmark"])])
        turns[name] = points[:, 30, 0] - (points[:, 0, 0] + points[:, 16, 0]) / 2
    yaw = torch.tensor([sample_factors(0, index)["yaw"] for index in indices])
    for name, turn in turns.items():
        assert torch.corrcoef(torch.stack([turn, yaw]))[0, 1] > 0.9, name


def test_unknown_names_and_numbers(tmp_path: Path) -> None:
    assert parse_classes("tuxedo, ginger,tuxedo") == ["ginger", "tuxedo"] and parse_classes("all") == [*CREATURE_NAMES]
    for wrong in ("", "dog", "ginger,all"):
        with pytest.raises(UsageError):
            parse_classes(wrong)
    with pytest.raises(UsageError, match="Did you mean 'tuxedo'"):
        parse_classes("tuxedos")
    with pytest.raises(UsageError, match="no modality 'depth'"):
        render_creature_dataset(tmp_path / "x", classes=["ginger"], count=1, modalities=["depth"], **SMALL)
    assert not (tmp_path / "x").exists()


def test_class_folders_and_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = render_creature_dataset(tmp_path / "set", classes=["tuxedo", "ginger"], count=3, seed=4, **SMALL)
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.yaml", "factors.csv", "image", "landmark", "seg"]
    images = ImageFolder(folder, build_modality({"name": "rgb"}), 16)
    assert images.class_names == ("ginger", "tuxedo") and images.labels == [0, 0, 0, 1, 1, 1]
    rendered = render_creatures("tuxedo", 4, [2], 16, ["image", "seg", "landmark"])[0]
    assert torch.equal(images[5], (rendered["image"] * 255).round().to(torch.uint8))
    maps = ImageFolder(folder, build_modality({"name": "segmentation", "palette": "celebamask-hq"}), 16)
    points = ImageFolder(folder, build_modality({"name": "landmarks"}), 16)
    assert torch.equal(maps[5][0].long(), rendered["seg"]) and maps.labels == points.labels == images.labels
    assert torch.allclose(points[5], rendered["landmark"], atol=1e-3)
    rows = list(csv.DictReader((folder / "factors.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [f"{name}/{i:06d}" for name in ("ginger", "tuxedo") for i in range(3)]
    assert rows[0]["yaw"] == rows[3]["yaw"] and rows[0]["fur_colour"] != rows[3]["fur_colour"]
    yaw = float(rows[0]["yaw"])
    both = ImageFolder(folder, build_modality({"name": "rgb"}), 16, where=f"yaw > {yaw - 0.01} and yaw < {yaw + 0.01}")
    assert [path.name for path in both.paths] == ["000000.png"] * 2
    inner = ImageFolder(folder / "image" / "tuxedo", build_modality({"name": "rgb"}), 16, where="class == tuxedo")
    assert len(inner) == 3

    made: list[tuple[str, list[int]]] = []
    whole = render_creatures

    def counting(name: str, seed: int, indices: list[int], *rest: Any) -> Any:
        made.append((name, list(indices)))
        return whole(name, seed, indices, *rest)

    monkeypatch.setattr(creature_dataset, "render_creatures", counting)
    render_creature_dataset(folder, classes=["tuxedo", "silver"], count=4, seed=4, modalities=["image"], **SMALL)
    assert sorted(made) == [("silver", [0, 1, 2, 3]), ("tuxedo", [3])]
    settings = load_yaml(folder / "dataset.yaml")
    assert settings["classes"] == ["ginger", "silver", "tuxedo"] and settings["count"] == 4
    assert settings["modalities"] == ["image", "seg", "landmark"]


def test_faces_and_creatures_are_not_mixed(tmp_path: Path) -> None:
    creatures = render_creature_dataset(tmp_path / "c", classes=["ginger"], count=1, modalities=["image"], **SMALL)
    with pytest.raises(DataError, match="holds rendered-creatures"):
        render_dataset(creatures, count=1, modalities=["face"], **SMALL)
    faces = render_dataset(tmp_path / "f", count=1, modalities=["face"], **SMALL)
    with pytest.raises(DataError, match="holds rendered-faces"):
        render_creature_dataset(faces, classes=["ginger"], count=1, **SMALL)
    with pytest.raises(DataError, match="seed is 0, not 1"):
        render_creature_dataset(creatures, classes=["ginger"], count=1, seed=1, **SMALL)


def test_the_data_set_of_one_class(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    folder = training_folder("seg/ginger", size=16, count=2, seed=0, home=home)
    assert folder.parts[-2:] == ("seg", "ginger") and len(list(folder.iterdir())) == 2
    with pytest.raises(UsageError, match="Did you mean 'ginger'"):
        training_folder("seg/gingr", size=16, count=2, seed=0, home=home)


def test_the_command(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(render_command)
    arguments = ["-o", str(tmp_path / "set"), "--classes", "ginger,elder", "--count", "1", "--size", "16", "-q"]
    result = CliRunner().invoke(app, [*arguments, "--workers", "1"], catch_exceptions=False)
    assert result.exit_code == 0 and "1 sample of 2 classes each" in result.output
    assert (tmp_path / "set" / "landmark" / "elder" / "000000.json").is_file()
