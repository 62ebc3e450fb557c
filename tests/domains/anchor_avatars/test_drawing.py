"""The generator: what is said where it is missing, and that avatars depend on style, seed and number alone."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchor_avatars.drawing import PACKAGES, draw, find_generator, packages_folder
from anchor_avatars.styles import BACKGROUNDS, STYLES, Style
from anchor_hub.errors import DataError
from anchor_hub.system.home import Home


def install(home: Home, versions: dict[str, str]) -> None:
    """Packages that hold nothing but their versions."""
    for name, version in versions.items():
        folder = packages_folder(home) / "node_modules" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node that is found, and complains when it is run."""
    path = tmp_path / "bin" / "node"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho 'at line 3' >&2\necho 'TypeError: no such style' >&2\nexit 1\n")
    path.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(path))
    return path


def test_a_missing_node_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="needs node, which is not on PATH; install Node.js 18 or newer"):
        find_generator(Home(tmp_path))


@pytest.mark.parametrize("held", [{}, {**PACKAGES, "@dicebear/core": "9.4.2"}, {"@dicebear/core": "9.4.3"}])
def test_missing_packages_are_named_with_the_command_that_installs_them(
    tmp_path: Path, node: Path, held: dict[str, str]
) -> None:
    home = Home(tmp_path / "home")
    install(home, held)
    with pytest.raises(DataError) as error:
        find_generator(home)
    command = str(error.value).partition("run: ")[2]
    assert command == (
        f"npm install --prefix {home.cache / 'avatar-packages'} "
        "@dicebear/core@9.4.3 @dicebear/collection@9.4.3 @resvg/resvg-js@2.6.2"
    )
    assert "://" not in str(error.value)
    install(home, PACKAGES)
    assert find_generator(home) == (str(node), packages_folder(home))


def test_what_node_complains_about_is_passed_on(tmp_path: Path, node: Path) -> None:
    home = Home(tmp_path / "home")
    install(home, PACKAGES)
    with pytest.raises(DataError, match="drawing lorelei avatars failed: TypeError: no such style"):
        list(draw(STYLES["lorelei"], 0, [0], 64, home))


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_an_avatar_is_its_style_seed_and_number(generator_home: Home, style: Style) -> None:
    first, second, third = draw(style, 3, [5, 6, 7], 32, generator_home)
    assert [first.index, second.index, third.index] == [5, 6, 7]
    (alone,) = draw(style, 3, [6], 32, generator_home)
    assert (alone.png, alone.parts) == (second.png, second.parts)
    assert len({first.png, second.png, third.png}) == 3
    (other,) = draw(style, 4, [6], 32, generator_home)
    assert other.parts != second.parts


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_avatars_are_framed_like_faces(generator_home: Home, style: Style) -> None:
    """The head is about the middle of the picture and clear of its edges; the background is what the parts say."""
    seen = []
    for avatar in draw(style, 0, range(20), 64, generator_home):
        picture = np.asarray(Image.open(io.BytesIO(avatar.png)).convert("RGB")).astype(int)
        background = avatar.parts["background"]
        assert background[1:] in BACKGROUNDS
        colour = [int(background[place : place + 2], 16) for place in (1, 3, 5)]
        assert np.abs(picture[2, 2] - colour).max() <= 1 and np.abs(picture[2, -3] - colour).max() <= 1
        seen.append(np.abs(picture - colour).max(-1) > 24)
    rows, columns = (np.mean(seen, axis=0) > 0.5).any(1), (np.mean(seen, axis=0)[:52] > 0.5).any(0)
    assert 2 <= rows.argmax() <= 14
    assert abs(np.flatnonzero(columns).mean() - 31.5) < 4
