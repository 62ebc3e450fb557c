"""Data sets of avatars on disk: pictures and their table, growth, resumption, refusals, --where."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import anchor_avatars.dataset as dataset
from anchor_avatars.dataset import draw_dataset, training_folder
from anchor_avatars.drawing import draw, find_generator
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError, UsageError
from anchor_hub.modality import build_modality
from anchor_hub.system.config import load_yaml
from anchor_hub.system.home import Home


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_pictures_are_averaged_down_and_their_parts_are_a_table(tmp_path: Path, drawn: list[list[int]]) -> None:
    folder = draw_dataset(tmp_path / "set", "lorelei", count=3, size=17, seed=9, start=4)
    assert sorted(contents(folder)) == ["000004.png", "000005.png", "000006.png", "dataset.yaml", "manifest.csv"]
    picture = np.asarray(Image.open(folder / "000005.png"))
    assert picture.shape == (17, 17, 3)
    # The edge between the halves lies in the middle of a row of pixels.
    assert picture[7, 3].tolist() == [0, 0, 0] and picture[9, 3].tolist() == [5, 9, 200]
    assert 90 <= picture[8, 3, 2] <= 110
    assert [(row["name"], row["mood"], row["mouth"], row["glasses"]) for row in rows(folder)] == [
        ("000004.png", "sad", "sad02", "variant01"),
        ("000005.png", "happy", "happy13", ""),
        ("000006.png", "happy", "happy01", "variant01"),
    ]
    settings = load_yaml(folder / "dataset.yaml")
    assert (settings["renderer"], settings["style"], settings["seed"], settings["size"]) == (
        "anchor_avatars", "lorelei", 9, 17,
    )  # fmt: skip


def test_where_reads_the_parts(tmp_path: Path, drawn: list[list[int]]) -> None:
    folder = draw_dataset(tmp_path / "set", "lorelei", count=6)

    def kept(where: str) -> list[str]:
        return [path.stem for path in ImageFolder(folder, build_modality({"name": "rgb"}), 64, where=where).paths]

    assert kept("glasses") == ["000000", "000002", "000004"]
    assert kept("mood == happy and not glasses") == ["000003", "000005"]
    assert kept("mouth == sad02") == ["000001", "000004"]


def test_only_what_is_missing_is_drawn(tmp_path: Path, drawn: list[list[int]]) -> None:
    draw_dataset(tmp_path, "notionists", count=2)
    draw_dataset(tmp_path, "notionists", count=4, start=1)
    before = contents(tmp_path)
    draw_dataset(tmp_path, "notionists", count=5)
    assert drawn == [[0, 1], [2, 3, 4]] and contents(tmp_path) == before
    (tmp_path / "000003.png").write_bytes(b"")  # lost in a power failure
    (tmp_path / "000001.png").unlink()
    draw_dataset(tmp_path, "notionists", count=5)
    assert drawn[2:] == [[1, 3]] and contents(tmp_path) == before
    whole = draw_dataset(tmp_path / "whole", "notionists", count=5)
    assert contents(whole) == before


def test_an_interruption_leaves_whole_files_and_is_made_good(tmp_path: Path, drawn: list[list[int]]) -> None:
    whole = contents(draw_dataset(tmp_path / "whole", "lorelei", count=6))

    def interrupt(done: int, total: int) -> None:
        assert total == 6
        if done == 4:
            raise KeyboardInterrupt

    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        draw_dataset(broken, "lorelei", count=6, progress=interrupt)
    assert [row["name"] for row in rows(broken)] == [f"00000{number}.png" for number in range(4)]
    draw_dataset(broken, "lorelei", count=6)
    assert drawn[-1] == [4, 5] and contents(broken) == whole


@pytest.mark.parametrize("changes", [{"seed": 1}, {"size": 32}, {"style": "notionists"}])
def test_other_settings_are_refused(tmp_path: Path, drawn: list[list[int]], changes: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"style": "lorelei", "count": 1}
    draw_dataset(tmp_path, **settings)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=f"{next(iter(changes))} is .* not .*choose another folder"):
        draw_dataset(tmp_path, **{**settings, **changes})
    assert contents(tmp_path) == before


def test_pictures_of_another_version_are_not_mixed(
    tmp_path: Path, drawn: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_dataset(tmp_path, "lorelei", count=1)
    monkeypatch.setattr(dataset, "DRAWING_VERSION", dataset.DRAWING_VERSION + 1)
    with pytest.raises(DataError, match="drawing_version is 1, not 2"):
        draw_dataset(tmp_path, "lorelei", count=1)


@pytest.mark.parametrize("text", ["", "{", "- 1"])
def test_damaged_settings_are_named(tmp_path: Path, drawn: list[list[int]], text: str) -> None:
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match="dataset.yaml.*(damaged|choose another)"):
        draw_dataset(tmp_path, "lorelei", count=1)


def test_folders_with_other_things_are_left_alone(tmp_path: Path, drawn: list[list[int]]) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        draw_dataset(tmp_path, "lorelei", count=1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "arguments",
    [{"count": 0}, {"seed": -1}, {"start": -1}, {"size": 15}, {"size": 513}, {"start": 999_999}, {"style": "lorelai"}],
)
def test_arguments_out_of_range_touch_nothing(
    tmp_path: Path, drawn: list[list[int]], arguments: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        draw_dataset(tmp_path / "set", **{"style": "lorelei", "count": 2, **arguments})
    assert not (tmp_path / "set").exists() and drawn == []


def test_nothing_is_written_where_the_generator_is_missing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with pytest.raises(DataError, match="drawing avatars needs"):
        draw_dataset(tmp_path / "set", "lorelei", count=1, home=home)
    assert not (tmp_path / "set").exists()


def test_a_training_folder_is_in_the_cache_and_grows(tmp_path: Path, drawn: list[list[int]]) -> None:
    home = Home(tmp_path)
    folder = training_folder("lorelei", size=16, count=2, seed=3, home=home)
    assert folder.is_relative_to(home.cache)
    assert training_folder("lorelei", size=16, count=3, seed=3, home=home) == folder
    assert training_folder("notionists", size=16, count=1, seed=3, home=home) != folder
    assert drawn == [[0, 1], [2], [0]]
    with pytest.raises(UsageError, match="Did you mean 'lorelei'"):
        training_folder("lorelai", size=16, count=2, seed=3, home=home)


def test_a_data_set_that_was_really_drawn(tmp_path: Path, generator_home: Home) -> None:
    folder = draw_dataset(tmp_path / "set", "lorelei", count=3, home=generator_home)
    (row,) = [row for row in rows(folder) if row["name"] == "000002.png"]
    assert {"hair", "eyes", "mouth", "glasses", "beard", "background"} <= set(row)
    assert row["mood"] in ("happy", "sad")
    assert find_generator(generator_home)
    (avatar,) = draw(dataset.find_style("lorelei"), 0, [2], 256, generator_home)
    assert {name: row[name] for name in avatar.parts} == avatar.parts
