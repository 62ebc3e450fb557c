from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.running import anchor
from tests.plugin_makers import install_plugin
from tests.tiny import tiny_hub


def rows() -> dict[str, dict[str, str]]:
    return {f"{row['check']}": row for row in json.loads(anchor("doctor", "--json").stdout)}


def test_all_is_well(fresh_home: Path) -> None:
    tiny_hub().save(fresh_home / "hubs" / "tiny")
    result = anchor("doctor", "--json")
    found = json.loads(result.stdout)
    assert {"python", "torch", "devices", "home", "plugin", "hub"} <= {row["check"] for row in found}
    assert not [row for row in found if row["state"] == "error"] and result.exit_code == 0
    assert any(row["message"] == "tiny: every byte verified" for row in found)


def test_broken_torchvision_and_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert rows()["torchvision"]["state"] == "warning" and "reinstall" in rows()["torchvision"]["message"]
    monkeypatch.setitem(sys.modules, "torch", None)
    assert rows()["torch"]["state"] == "error"
    assert anchor("doctor").exit_code == 1


def test_a_home_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "file"))
    assert rows()["home"]["state"] == "error" and "set ANCHOR_HOME" in rows()["home"]["message"]


def test_nothing_is_left_behind(fresh_home: Path) -> None:
    anchor("doctor")
    assert not fresh_home.exists()


def test_a_broken_plugin_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", "1 / 0")))
    result = anchor("doctor")
    assert result.exit_code == 0 and "stranger (stranger-dist 1.2): loading" in result.stdout
