"""Runs the generator: node and its packages are found, or said to be missing; avatars come out one by one."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anchor_hub.errors import DataError
from anchor_hub.system.home import Home

from .styles import BACKGROUNDS, Style

PACKAGES = {"@dicebear/core": "9.4.3", "@dicebear/collection": "9.4.3", "@resvg/resvg-js": "2.6.2"}
SCRIPT = Path(__file__).resolve().with_name("generate.mjs")


@dataclass(frozen=True)
class Drawing:
    """An avatar: its number, part -> variant ("" where it is left out), and the bytes of a PNG."""

    index: int
    parts: dict[str, str]
    png: bytes


def packages_folder(home: Home) -> Path:
    """Where the generator's npm packages lie; they are installed there by the user, and by nobody else."""
    return home.cache / "avatar-packages"


def find_generator(home: Home) -> tuple[str, Path]:
    """Node's path and the folder of the packages.

    :raises DataError: node is missing, or packages of the right versions are; says how to get them.
    """
    node = shutil.which("node")
    if node is None:
        raise DataError("drawing avatars needs node, which is not on PATH; install Node.js 18 or newer with npm")
    folder = packages_folder(home)
    if any(_version(folder, name) != version for name, version in PACKAGES.items()):
        wanted = " ".join(f"{name}@{version}" for name, version in PACKAGES.items())
        raise DataError(f"drawing avatars needs npm packages; run: npm install --prefix {folder} {wanted}")
    return node, folder


def _version(folder: Path, name: str) -> str | None:
    try:
        found = json.loads((folder / "node_modules" / name / "package.json").read_bytes())
        return str(found["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def draw(style: Style, seed: int, indices: Sequence[int], width: int, home: Home) -> Iterator[Drawing]:
    """The avatars of these numbers, in their order, in pictures of ``width`` × ``width`` pixels.

    An avatar depends on style, seed and number alone. The process ends when the iterator is closed.

    :raises DataError: the generator is missing (see :func:`find_generator`), or fails.
    """
    node, folder = find_generator(home)
    left, top, side = style.frame
    job = {
        "style": style.name,
        "options": {**style.options, "backgroundColor": list(BACKGROUNDS)},
        "frame": [left, top, side, side],
        "seed": seed,
        "width": width,
        "indices": list(indices),
    }
    with tempfile.TemporaryFile() as orders, tempfile.TemporaryFile() as complaints:
        orders.write(json.dumps(job).encode())
        orders.seek(0)
        # Given as text, the script finds the packages in the folder it runs in, not beside its own file.
        command = [node, "--input-type=module", "--eval", SCRIPT.read_text(encoding="utf-8")]
        with subprocess.Popen(
            command, cwd=folder, stdin=orders, stdout=subprocess.PIPE, stderr=complaints
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    found = json.loads(line)
                    yield Drawing(found["index"], found["parts"], base64.b64decode(found["png"]))
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            complaints.seek(0)
            raise DataError(f"drawing {style.name} avatars failed: {_reason(complaints.read())}")


def _reason(text: bytes) -> str:
    """What node complains about: the line that names the error, at most 120 characters."""
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line] or lines or ["node ended without a word"]
    return named[0][:120]
