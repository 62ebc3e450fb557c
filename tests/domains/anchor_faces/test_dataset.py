"""Data sets on disk: layout, growth, resumption, refusals."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import anchor_faces.dataset as dataset
from anchor_faces.dataset import render_dataset, training_folder
from anchor_faces.rendering import CLASS_COLOURS, FACTOR_NAMES, MODALITIES, render
from anchor_hub.errors import AnchorError, DataError, UsageError
from anchor_hub.system.config import load_yaml
from anchor_hub.system.home import Home

SMALL = {"size": 16, "workers": 1}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], tuple[str, ...]]]:
    """What was really rendered."""
    made: list[tuple[list[int], tuple[str, ...]]] = []

    def counting(seed: int, indices: Sequence[int], size: int, modalities: Sequence[str]) -> list[dict[str, Any]]:
        made.append((list(indices), tuple(modalities)))
        return render(seed, indices, size, modalities)

    monkeypatch.setattr(dataset, "render", counting)
    return made


def test_files_are_what_was_rendered(tmp_path: Path) -> None:
    folder = render_dataset(tmp_path / "set", count=3, seed=2, start=5, modalities=list(MODALITIES), **SMALL)
    rendered = render(2, [5, 6, 7], 16, list(MODALITIES))
    for index, sample in zip((5, 6, 7), rendered, strict=True):
        face = np.asarray(Image.open(folder / "face" / f"{index:06d}.png"))
        assert face.shape == (16, 16, 3)
        assert np.abs(face / 255 - sample["face"].permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6
        seg = Image.open(folder / "seg" / f"{index:06d}.png")
        assert seg.mode == "P" and tuple(seg.getpalette()[:57]) == tuple(v for c in CLASS_COLOURS for v in c)
        assert (np.asarray(seg) == sample["seg"].numpy()).all()
        landmarks = json.loads((folder / "landmark" / f"{index:06d}.json").read_text())
        points = landmarks["points"]
        assert landmarks["size"] == [16, 16]
        assert np.abs(np.array(points) - sample["landmark"].numpy()).max() < 1e-3
        assert Image.open(folder / "sketch" / f"{index:06d}.png").mode == "L"
        assert Image.open(folder / "depth" / f"{index:06d}.png").mode == "L"
        normal = np.asarray(Image.open(folder / "normal" / f"{index:06d}.png")) / 255 * 2 - 1
        assert np.abs(normal - sample["normal"].permute(1, 2, 0).numpy()).max() < 0.01
    assert {path.name for path in folder.iterdir()} == {*MODALITIES, "factors.csv", "dataset.yaml"}


def test_factors_are_a_table_with_a_row_per_sample(tmp_path: Path) -> None:
    folder = render_dataset(tmp_path / "set", count=4, modalities=["landmark"], **SMALL)
    with open(folder / "factors.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["000000", "000001", "000002", "000003"]
    for index, row in enumerate(rows):
        factors = render(0, [index], 16, ["landmark"])[0]["factors"]
        assert tuple(row)[1:] == FACTOR_NAMES
        assert row["hair_style"] == factors["hair_style"] and int(row["glasses"]) == factors["glasses"]
        assert abs(float(row["yaw"]) - factors["yaw"]) < 1e-6


def test_settings_are_recorded_and_cover_what_was_added(tmp_path: Path) -> None:
    render_dataset(tmp_path, count=2, modalities=["seg"], **SMALL)
    render_dataset(tmp_path, count=3, start=1, modalities=["face"], **SMALL)
    settings = load_yaml(tmp_path / "dataset.yaml")
    assert settings == {
        "renderer": "anchor_faces", "renderer_version": 1, "seed": 0, "size": 16, "start": 0, "count": 4,
        "modalities": ["face", "seg"],
    }  # fmt: skip
    assert sorted(path.stem for path in (tmp_path / "face").iterdir()) == ["000001", "000002", "000003"]
    with open(tmp_path / "factors.csv", newline="") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == ["000000", "000001", "000002", "000003"]


def test_nothing_is_rendered_twice(tmp_path: Path, calls: list[tuple[list[int], tuple[str, ...]]]) -> None:
    render_dataset(tmp_path, count=6, modalities=["face", "landmark"], **SMALL)
    before = contents(tmp_path)
    calls.clear()
    render_dataset(tmp_path, count=6, modalities=["face", "landmark"], **SMALL)
    assert calls == [] and contents(tmp_path) == before
    (tmp_path / "face" / "000002.png").unlink()
    (tmp_path / "landmark" / "000004.json").write_bytes(b"")  # lost in a power failure
    render_dataset(tmp_path, count=6, modalities=["face", "landmark"], **SMALL)
    assert sorted(calls) == [([2], ("face",)), ([4], ("landmark",))]
    assert contents(tmp_path) == before


def test_an_interruption_leaves_whole_files_and_is_made_good(tmp_path: Path) -> None:
    whole = render_dataset(tmp_path / "whole", count=12, modalities=["face", "landmark"], **SMALL)

    def interrupt(done: int, total: int) -> None:
        assert total == 12
        if done >= 4:
            raise KeyboardInterrupt

    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        render_dataset(broken, count=12, modalities=["face", "landmark"], progress=interrupt, **SMALL)
    left = contents(broken)
    assert 4 <= sum(name.startswith("face") for name in left) < 12
    assert not any(name.endswith(".tmp") for name in left)
    expected = contents(whole)
    assert all(expected[name] == data for name, data in left.items() if name.startswith(("face", "landmark")))
    render_dataset(broken, count=12, modalities=["face", "landmark"], **SMALL)
    assert contents(broken) == expected


def test_workers_change_no_byte(tmp_path: Path) -> None:
    one = render_dataset(tmp_path / "one", count=16, size=16, workers=1)
    done: list[tuple[int, int]] = []
    two = render_dataset(tmp_path / "two", count=16, size=16, workers=2, progress=lambda *d: done.append(d))
    assert contents(one) == contents(two)
    assert len(done) > 1 and done[-1] == (16, 16)


@pytest.mark.parametrize("changes", [{"seed": 1}, {"size": 32}])
def test_other_settings_are_refused(tmp_path: Path, changes: dict[str, int]) -> None:
    settings: dict[str, Any] = {"count": 1, "modalities": ["landmark"], **SMALL}
    render_dataset(tmp_path, **settings)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=f"{next(iter(changes))} is .* not .*choose another folder"):
        render_dataset(tmp_path, **{**settings, **changes})
    assert contents(tmp_path) == before


def test_pictures_of_another_renderer_version_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render_dataset(tmp_path, count=1, modalities=["landmark"], **SMALL)
    monkeypatch.setattr(dataset, "RENDERER_VERSION", 2)
    with pytest.raises(DataError, match="renderer_version is 1, not 2"):
        render_dataset(tmp_path, count=1, modalities=["landmark"], **SMALL)


@pytest.mark.parametrize("text", ["", "seed: 0", "{", "- 1", "seed: 0\nsize: 16\nrenderer: anchor_faces\nstart: x\n"])
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match="dataset.yaml.*damaged"):
        render_dataset(tmp_path, count=1, modalities=["landmark"], **SMALL)


def test_folders_with_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        render_dataset(tmp_path, count=1, modalities=["landmark"], **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "arguments",
    [{"count": 0}, {"seed": -1}, {"start": -1}, {"size": 20}, {"start": 999_999}, {"modalities": []},
     {"modalities": ["fase"]}, {"workers": -1}],
)  # fmt: skip
def test_arguments_out_of_range_touch_nothing(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        render_dataset(tmp_path / "set", **{"count": 2, **SMALL, **arguments})
    assert not (tmp_path / "set").exists()


def test_a_training_folder_holds_one_modality_and_grows(
    tmp_path: Path, calls: list[tuple[list[int], tuple[str, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    home = Home(tmp_path)
    folder = training_folder("sketch", size=16, count=2, seed=3, home=home)
    assert folder.is_relative_to(home.cache)
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "000001.png"]
    assert not (folder.parent / "face").exists()  # a domain is learned from its own images alone
    training_folder("sketch", size=16, count=3, seed=3, home=home)
    training_folder("landmark", size=16, count=2, seed=3, home=home)
    assert calls == [([0, 1], ("sketch",)), ([2], ("sketch",)), ([0, 1], ("landmark",))]
    with pytest.raises(AnchorError, match="sketch"):
        training_folder("sketches", size=16, count=2, seed=3, home=home)
