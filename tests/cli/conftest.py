from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from anchor_cli import main as cli
from anchor_hub.plugins.registry import registry


@pytest.fixture(autouse=True)
def fresh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home, and a registry that is read anew."""
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    for name in ("ANCHOR_LOAD_PLUGINS", "ANCHOR_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    registry.cache_clear()
    cli.all_commands.cache_clear()
    yield tmp_path / "home"
    registry.cache_clear()
    cli.all_commands.cache_clear()
