"""`anchor data avatars`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import anchor


def test_draws_a_folder(tmp_path: Path, drawn: list[list[int]]) -> None:
    folder = tmp_path / "set"
    done = anchor("data", "avatars", "lorelei", "-o", str(folder), "--count", "3", "--size", "16", "--start", "2", "-q")
    assert done.exit_code == 0, done.output
    assert "3 avatars in " in done.output
    assert sorted(path.name for path in folder.glob("*.png")) == ["000002.png", "000003.png", "000004.png"]
    assert (folder / "manifest.csv").is_file() and drawn == [[2, 3, 4]]


def test_a_missing_generator_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    done = anchor("data", "avatars", "lorelei", "-o", str(tmp_path / "set"))
    assert done.exit_code == 1 and "drawing avatars needs" in done.stderr
    assert "install" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_slip_in_the_style_is_mended(tmp_path: Path) -> None:
    done = anchor("data", "avatars", "notionist", "-o", str(tmp_path / "set"))
    assert done.exit_code == 2 and "Did you mean 'notionists'?" in done.stderr
