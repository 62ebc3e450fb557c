"""`anchor data render`."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from anchor_faces.commands.render import render

app = typer.Typer()
app.command()(render)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_renders_a_folder_per_modality(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    output = run("-o", str(folder), "--count", "2", "--size", "16", "--modalities", "seg, landmark,seg", "-q")
    assert "2 samples" in output
    assert sorted(path.name for path in folder.iterdir()) == [
        "dataset.yaml",
        "factors.csv",
        "landmark",
        "seg",
    ]
    assert sorted(path.name for path in (folder / "seg").iterdir()) == ["000000.png", "000001.png"]
