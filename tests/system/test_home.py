from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anchor_hub.errors import AnchorError, HomeError
from anchor_hub.system.home import home


def test_environment_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "h"))
    assert home().hubs == tmp_path / "h" / "hubs"
    assert os.fspath(home()) == str(tmp_path / "h")
    assert not (tmp_path / "h").exists()
    monkeypatch.setenv("ANCHOR_HOME", "relative")
    assert home().path.is_absolute()
    monkeypatch.delenv("ANCHOR_HOME")
    assert home().path.name == "anchor-hub"


def test_no_home_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.delenv("ANCHOR_HOME", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *args, **kwargs: "~/.local/share/anchor-hub")
    with pytest.raises(HomeError, match="set ANCHOR_HOME"):
        home()


def test_a_file_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "file"))
    with pytest.raises(HomeError, match="set ANCHOR_HOME"):
        home().make(home().hubs)
    with pytest.raises(AnchorError), home().lock("x"):
        pass


def test_lock_is_held_and_freed_when_its_holder_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path))
    code = "from anchor_hub.system.home import home\nwith home().lock('x'):\n print('held', flush=True)\n input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(HomeError, match="another process"), home().lock("x", timeout=0.1):
        pass
    holder.kill()
    holder.communicate()
    with home().lock("x", timeout=5):
        pass
