from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anchor_hub.system import files
from anchor_hub.system.files import new_folder, recover_folder, remove_folder, write_file

WRITER = """
import sys
from pathlib import Path
from anchor_hub.system.files import new_folder
for i in range(10**6):
    with new_folder(Path(sys.argv[1]), overwrite=True) as folder:
        (folder / "a").write_text(str(i) * 1000)
        (folder / "b").write_text(str(i) * 1000)
    if i == 0:
        print("ready", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_kill_at_any_moment_leaves_the_old_or_the_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    for attempt in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        time.sleep(0.007 * attempt)
        writer.kill()
        writer.communicate()
        recover_folder(folder)
        assert (folder / "a").read_text() == (folder / "b").read_text() != ""


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "x") as folder:
        (folder / "a").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_file_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path / "x", b"before")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, b"after")
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_existing_folders_are_kept_unless_asked(tmp_path: Path) -> None:
    with new_folder(tmp_path / "x") as folder:
        (folder / "a").write_text("1")
    with pytest.raises(FileExistsError), new_folder(tmp_path / "x"):
        pass
    with new_folder(tmp_path / "x", overwrite=True) as folder:
        (folder / "a").write_text("2")
    assert (tmp_path / "x" / "a").read_text() == "2"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_removing_a_link_keeps_its_target(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    remove_folder(tmp_path / "link")
    remove_folder(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == [tmp_path / "real"]
