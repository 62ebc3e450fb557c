"""Runs of coloured squares: each run has a colour of its own, so that a test can tell what a page shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from anchor_hub.study.making import Made, new_study
from anchor_hub.study.plan import Question

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 60), "blue": (30, 60, 200)}
INPUT = (128, 128, 128)
QUALITY = Question(name="quality", text="Which is best?")
STRUCTURE = Question(name="structure", text="Which fits?")


def square(path: Path, colour: tuple[int, int, int], size: int = 16) -> Path:
    """A PNG of one colour, whose text chunk gives its run away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = PngInfo()
    tags.add_text("Comment", f"made by {path.parent.name}")
    Image.new("RGB", (size, size), colour).save(path, pnginfo=tags)
    return path


def runs_of(folder: Path, names: Sequence[str] = ("a", "b", "c", "d")) -> dict[str, Path]:
    """A folder per colour and a folder ``input``, each with a square for every name."""
    for run, colour in {**COLOURS, "input": INPUT}.items():
        for name in names:
            square(folder / run / f"{name}.png", colour)
    return {run: folder / run for run in COLOURS}


def study_of(folder: Path, names: Sequence[str] = ("a", "b", "c", "d"), **options: object) -> Made:
    """A study of the three runs with two questions in ``folder/study``."""
    runs = runs_of(folder, names)
    given = {"questions": [QUALITY, STRUCTURE], "inputs": folder / "input", **options}
    return new_study(runs, folder / "study", **given)  # type: ignore[arg-type]


def colour_of(data: bytes) -> str:
    """Which run a picture is of."""
    pixel = Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))
    return {**{value: key for key, value in COLOURS.items()}, INPUT: "input"}[pixel]  # type: ignore[index]
