"""Data sets of avatars on disk: pictures of one style, and a table of their parts.

::

    DIR/000000.png     RGB, a colour from a few behind it
    DIR/manifest.csv   a row per avatar: the file's name, the mood of its mouth, the variant of every part
    DIR/dataset.yaml   how it was drawn

The name is the avatar's number. Avatar i of a style and a seed is always the same picture, so a data set can be grown,
and resumed after an interruption. Files that exist are not drawn again.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from anchor_hub.errors import ConfigError, DataError, UsageError
from anchor_hub.system.config import dump_yaml, load_yaml
from anchor_hub.system.files import write_file
from anchor_hub.system.home import Home, home

from .drawing import PACKAGES, Drawing, draw, find_generator
from .styles import DRAWING_VERSION, Style, find_style

LARGEST_INDEX = 999_999  # names have six digits, so that they sort
SMOOTHING = 4  # pictures are drawn this many times larger and averaged down: thin lines stay lines
MANIFEST = "manifest.csv"

Progress = Callable[[int, int], None]
Rows = dict[str, dict[str, str]]


def draw_dataset(
    folder: str | os.PathLike[str],
    style: str,
    *,
    count: int,
    size: int = 64,
    seed: int = 0,
    start: int = 0,
    home: Home | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw avatars ``start`` to ``start + count - 1`` of a style and a seed into ``folder``; returns the folder.

    An interruption leaves only whole files, and the next call goes on where this one stopped.

    :param size: edge in pixels, 16 to 512.
    :param home: whose cache holds the generator's packages; default: the one in force.
    :param progress: called with (avatars done, avatars to draw) after every avatar.
    :raises UsageError: an argument is out of range, or no style has that name.
    :raises DataError: the generator is missing or fails; the folder holds other files, or a data set of another style,
        seed, size or version.
    """
    folder = Path(folder)
    chosen = find_style(style)
    _check_numbers(count, size, seed, start)
    settings = {
        "renderer": "anchor_avatars",
        "data_set": "avatars",
        "style": style,
        "drawing_version": DRAWING_VERSION,
        "packages": PACKAGES,
        "seed": seed,
        "size": size,
    }
    _check_folder(folder, settings)
    rows = _read_manifest(folder)
    missing = [index for index in range(start, start + count) if not _is_there(folder, rows, index)]
    if not missing:
        return folder
    home = home or _home()
    find_generator(home)  # before anything is written
    _begin(folder, settings)
    try:
        for done, drawing in enumerate(draw(chosen, seed, missing, SMOOTHING * size, home), start=1):
            write_file(folder / file_name(drawing.index), _reduced(drawing.png), durable=False)
            rows[file_name(drawing.index)] = _row(chosen, drawing)
            if progress is not None:
                progress(done, len(missing))
    finally:
        _write_manifest(folder, rows)
    return folder


def training_folder(
    argument: str, *, size: int, count: int, seed: int, home: Home, progress: Progress | None = None
) -> Path:
    """The folder of the data set ``avatars:STYLE``, with ``count`` avatars of the style.

    Missing ones are drawn into the home's cache. The errors are those of :func:`draw_dataset`.
    """
    find_style(argument)
    name = f"avatars-{argument}-{size}-seed{seed}-v{DRAWING_VERSION}"
    with home.lock(name, timeout=3600.0):
        return draw_dataset(
            home.cache / name, argument, count=count, size=size, seed=seed, home=home, progress=progress
        )


def file_name(index: int) -> str:
    """The name of an avatar's file."""
    return f"{index:06d}.png"


def _home() -> Home:
    return home()


def _check_numbers(count: int, size: int, seed: int, start: int) -> None:
    if count < 1:
        raise UsageError(f"count must be at least 1, got {count}")
    if not 16 <= size <= 512:
        raise UsageError(f"size must be 16 to 512 pixels, got {size}")
    if seed < 0 or start < 0:
        raise UsageError(f"seed and start must be at least 0, got {seed} and {start}")
    if start + count - 1 > LARGEST_INDEX:
        raise UsageError(f"avatar {start + count - 1} is beyond {LARGEST_INDEX}, the last name; use another seed")


def _check_folder(folder: Path, settings: dict[str, Any]) -> None:
    path = folder / "dataset.yaml"
    if path.exists():
        try:
            found = load_yaml(path)
            differing = [name for name, value in settings.items() if found.get(name) != value]
        except (ConfigError, AttributeError) as error:
            raise DataError(f"{path}: damaged ({error}); delete the folder or choose another") from error
        if differing:
            details = ", ".join(f"{name} is {found.get(name)}, not {settings[name]}" for name in differing)
            raise DataError(f"{path}: {details}; choose another folder, or delete this one")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: not empty and not a data set of avatars (no dataset.yaml); choose another folder")


def _begin(folder: Path, settings: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "dataset.yaml", dump_yaml(settings).encode())
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from None


def _is_there(folder: Path, rows: Rows, index: int) -> bool:
    """Whether an avatar has its row and its file, which a power failure may have emptied."""
    path = folder / file_name(index)
    return path.name in rows and path.is_file() and path.stat().st_size > 0


def _reduced(png: bytes) -> bytes:
    picture = Image.open(io.BytesIO(png)).convert("RGB").reduce(SMOOTHING)
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def _row(style: Style, drawing: Drawing) -> dict[str, str]:
    row = {"name": file_name(drawing.index)}
    if style.name == "lorelei":  # its mouths are called happy01, sad03 ...
        row["mood"] = drawing.parts["mouth"].rstrip("0123456789")
    return {**row, **drawing.parts}


def _read_manifest(folder: Path) -> Rows:
    try:
        with open(folder / MANIFEST, newline="", encoding="utf-8") as stream:
            return {row["name"]: row for row in csv.DictReader(stream)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder / MANIFEST}: damaged ({error!r}); delete the folder or choose another") from None


def _write_manifest(folder: Path, rows: Rows) -> None:
    if rows:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=_columns(rows.values()), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))
        write_file(folder / MANIFEST, text.getvalue().encode())


def _columns(rows: Iterable[dict[str, str]]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))
