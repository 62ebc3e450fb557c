"""Folders of killed processes are swept; those of living ones stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from anchor_hub.errors import UsageError
from anchor_hub.system.spawned import refuse_unguarded_script
from anchor_hub.system.staging import Staging


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from anchor_hub.system.staging import Staging\n"
        "with Staging(Path(sys.argv[1])) as s: s.path(Path('a.png')).write_bytes(b'x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert len(list(tmp_path.glob(".anchor-*"))) == 1
    with Staging(tmp_path) as staging:
        assert len(list(tmp_path.glob(".anchor-*"))) == 1
        with Staging(tmp_path):  # of a living process: the first one stays
            staging.path(tmp_path / "b.png").write_bytes(b"y")
        staging.commit()
    assert [item.name for item in tmp_path.iterdir()] == ["b.png"]


@pytest.mark.parametrize("error", [NotImplementedError, OSError])
def test_disks_without_locks_are_written_to(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acquire(self: filelock.FileLock) -> None:
        raise error("no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with Staging(tmp_path) as other, Staging(tmp_path) as staging:
        other.path(tmp_path / "a.png").write_bytes(b"x")
        staging.path(tmp_path / "b.png").write_bytes(b"y")
        other.commit()
        staging.commit()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_an_unguarded_script_is_told_at_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\n"
        "from anchor_hub.system.home import Home\n"
        f"with Home(__import__('pathlib').Path({str(tmp_path)!r})).lock('data'):\n"
        "    process = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    process.start()\n"
        "    process.join(30)\n"
        "    assert process.exitcode == 1, process.exitcode\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and 'if __name__ == "__main__":' in done.stderr


def test_an_ordinary_process_is_not_refused() -> None:
    refuse_unguarded_script("work")
    with pytest.raises(UsageError, match="below the line"):
        import multiprocessing.process as processes

        current = processes.current_process()
        current._inheriting = True  # type: ignore[attr-defined]
        try:
            refuse_unguarded_script("work")
        finally:
            del current._inheriting  # type: ignore[attr-defined]
