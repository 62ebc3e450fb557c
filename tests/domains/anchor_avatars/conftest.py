"""The generator where it is installed, and a stand-in that draws plain squares, for everything around it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

import anchor_avatars.dataset as dataset
from anchor_avatars.drawing import Drawing, find_generator
from anchor_avatars.styles import Style
from anchor_hub.errors import DataError
from anchor_hub.system.home import Home, home

MOODS = ("happy01", "sad02", "happy13")


@pytest.fixture
def generator_home() -> Home:
    """The user's home, if node and the generator's packages are installed for it; it is not written to."""
    try:
        find_generator(home())
    except DataError as missing:
        pytest.skip(str(missing))
    return home()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Squares in place of avatars, half black and half of the number's colour; the list holds what was drawn."""
    calls: list[list[int]] = []

    def draw(style: Style, seed: int, indices: Sequence[int], width: int, home: Home) -> Iterator[Drawing]:
        calls.append(list(indices))
        for index in indices:
            picture = Image.new("RGBA", (width, width), (index, seed, 200, 255))
            picture.paste((0, 0, 0, 255), (0, 0, width, width // 2))
            stream = io.BytesIO()
            picture.save(stream, format="PNG")
            parts = {"mouth": MOODS[index % 3], "glasses": "" if index % 2 else "variant01", "background": "#c0e8c9"}
            yield Drawing(index, parts, stream.getvalue())

    monkeypatch.setattr(dataset, "draw", draw)
    monkeypatch.setattr(dataset, "find_generator", lambda home: ("node", Path()))
    return calls
