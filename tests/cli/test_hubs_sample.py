"""`anchor hubs sample` and `anchor hubs list` as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.cli.test_translate import anchor
from tests.tiny import SIZE, tiny_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny_home(tmp_path, monkeypatch)


def sample(*arguments: object, code: int = 0, hub: str = "tiny") -> str:
    return anchor("hubs", "sample", hub, "--device", "cpu", *arguments, code=code)


def test_a_sheet_and_files_are_written(home: Path, tmp_path: Path) -> None:
    sample("-n", 5, "--grid", "out/sheet.png", "-o", "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [f"{i:06d}.png" for i in range(5)]
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width >= 5 * 4 * SIZE


def test_a_picture_is_the_same_whatever_the_number_and_the_batch(home: Path, tmp_path: Path) -> None:
    sample("-n", 5, "-o", "one", "--seed", 3, "--batch", 2)
    sample("-n", 3, "-o", "two", "--seed", 3)
    sample("-n", 3, "-o", "other", "--seed", 4)
    first, second, other = (
        [(tmp_path / folder / f"{i:06d}.png").read_bytes() for i in range(3)] for folder in ("one", "two", "other")
    )
    assert first == second != other


def test_classes_come_in_turn_or_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sample("-n", 3, "-o", "turns", hub="hands-64")
    sample("-n", 3, "-o", "second", "--class", 1, hub="hands-64")
    turns, second = (
        [(tmp_path / folder / f"{i:06d}.png").read_bytes() for i in range(3)] for folder in ("turns", "second")
    )
    assert [one == other for one, other in zip(turns, second, strict=True)] == [False, True, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say where the pictures go"),
        (["--grid", "x.jpg"], "the sheet is a PNG"),
        (["--grid", "x.png", "--class", "tabby"], "has no classes"),
        (["--grid", "."], "is a folder"),
        (["-o", "full"], "is in use"),
    ],
)
def test_what_is_wrong_is_said(
    home: Path, tmp_path: Path, arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    found = sample(*arguments, code=2) + capfd.readouterr().err
    assert said in found


def test_the_list_says_what_each_hub_is(home: Path) -> None:
    lines = anchor("hubs", "list").splitlines()
    assert lines[0].split()[:6] == ["NAME", "STATE", "ARCHITECTURE", "PX", "LATENT", "CLASSES"]
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert rows["tiny"][2:5] == ["stylegan2", str(SIZE), "16"]
    assert rows["hands-64"][2:6] == ["biggan", "64", "16", "10"]
