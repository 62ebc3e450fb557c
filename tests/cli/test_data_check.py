from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import anchor
from tests.data import trees
from tests.images.bad_images import BAD, encoded, picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "set"
    found.mkdir()
    for index in range(5):
        (found / f"{index}.png").write_bytes(encoded(picture((16, 16), seed=index)))
    return found


def test_a_good_folder(folder: Path) -> None:
    result = anchor("data", "check", str(folder), "--size", "16")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == (
        "folder: 5 files, 5 readable as rgb, 0 bad; 5 of 16x16; modes RGB 5"
    )
    assert "note: there are only 5 readable files" in result.stdout


def test_bad_files_are_lines_of_their_own_and_exit_1(folder: Path) -> None:
    for name, (content, _) in BAD.items():
        (folder / name).write_bytes(content)
    result = anchor("data", "check", str(folder))
    assert result.exit_code == 1 and "Traceback" not in result.output
    bad = [line for line in result.stdout.splitlines() if line.startswith("bad: ")]
    assert len(bad) == 21 and bad[-1] == f"bad: {len(BAD) - 20} more (--json lists all)"
    found = json.loads(anchor("data", "check", str(folder), "--json").stdout)
    assert {Path(item["path"]).name for item in found["bad"]} == set(BAD)
    assert (found["files"], found["readable"]) == (5 + len(BAD), 5)


def test_label_maps_of_a_domain(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 13, dtype=np.uint8)).save(tmp_path / "a.png")
    result = anchor("data", "check", str(tmp_path), "--domain", "seg")
    assert result.exit_code == 0 and "class hair: 100.00% of all pixels" in result.stdout
    result = anchor("data", "check", str(tmp_path), "--modality", "segmentation", "--classes", "13")
    assert result.exit_code == 1 and "class id 13" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--where", "smile>"), 1, "manifest.csv"),
        (("--modality", "rgbb"), 2, "Did you mean 'rgb'"),
        (("--domain", "sketsch"), 2, "Did you mean 'sketch'"),
        (("--classes", "3"), 2, "for label maps"),
        (("--modality", "segmentation"), 2, "classes"),
        (("--limit", "0"), 2, "limit"),
        (("--colour",), 2, "--colour"),
    ],
)
def test_wrong_calls(folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = anchor("data", "check", str(folder), *arguments)
    assert result.exit_code == code and message in result.stderr
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.output


def test_a_folder_that_is_not_there(folder: Path) -> None:
    result = anchor("data", "check", str(folder.with_name("sat")))
    assert result.exit_code == 1 and f"Did you mean {folder}?" in result.stderr


def test_a_domain_says_already_how_files_are_read(folder: Path) -> None:
    result = anchor("data", "check", str(folder), "--domain", "face", "--modality", "gray")
    assert result.exit_code == 2 and result.stdout == ""
    assert "--modality gray: --domain face says how its files are read" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "readable as rgb" in anchor("data", "check", str(folder), "--domain", "face").stdout


def test_any_option_of_a_modality_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[[1, 2], [3, 4]]")
    call = ("data", "check", str(tmp_path), "--modality", "landmarks")
    assert anchor(*call).exit_code == 1, "two points are not 68"
    result = anchor(*call, "--modality-set", "points=2", "--modality-set", "fit=crop")
    assert result.exit_code == 0 and "1 readable as landmarks" in result.stdout
    wrong = anchor(*call, "--modality-set", "point=2")
    assert wrong.exit_code == 2 and "has no option 'point'. Did you mean 'points'" in wrong.stderr


def test_layout_splits_and_classes(tmp_path: Path) -> None:
    archive = trees.packed(trees.afhq(tmp_path / "afhq"), tmp_path / "afhq.zip")
    result = anchor("data", "check", str(archive), "--size", "16")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert {"split train: 6 files", "split val: 6 files", "class cat: 4 files"} <= set(lines)
    assert lines[-1] == "AFHQ: 12 files, 12 readable as rgb, 0 bad; 12 of 16x16; modes RGB 12"
    found = json.loads(anchor("data", "check", str(archive), "--json").stdout)
    assert (found["layout"], found["class_counts"]) == ("AFHQ", {"cat": 4, "dog": 4, "wild": 4})
