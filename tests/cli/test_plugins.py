from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import anchor, anchor_process
from tests.plugin_makers import DOMAIN_PLUGIN, install_plugin


def test_table() -> None:
    result = anchor("plugins")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == [
        "PLUGIN",
        "DISTRIBUTION",
        "VERSION",
        "STATE",
        "REGISTERS",
        "/",
        "REASON",
    ]
    assert ["faces", "anchor-hub"] in [line.split()[:2] for line in result.stdout.splitlines()]


def test_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = install_plugin(
        tmp_path / "site", DOMAIN_PLUGIN.format(name="seg"), name="good", distribution="good-dist"
    )
    install_plugin(site, "import no_such_thing", name="bad", distribution="bad-dist")
    monkeypatch.syspath_prepend(str(site))
    result = anchor("plugins", "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert rows["bad"]["status"] == "quarantined" and "no_such_thing" in rows["bad"]["reason"]
    assert rows["good"]["registers"] == {"domains": ["seg"]} and "left out" in rows["good"]["notes"][0]
    assert rows["hands"]["hooks"] == ["anchor_register_domains", "anchor_register_hubs"]
    wanted = {"anchor_register_datasets", "anchor_register_domains", "anchor_register_hubs"}
    assert wanted <= set(rows["faces"]["hooks"])
    assert (rows["good"]["version"], rows["good"]["distribution"]) == ("1.2", "good-dist")


def test_everything_broken_is_still_listed(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for index, source in enumerate(
        ["import nothing_here", "def x(:", "import sys; sys.exit()", "print('noise')"]
    ):
        install_plugin(site, source, name=f"p{index}", distribution=f"d{index}")
    for command in (["plugins"], ["doctor"], ["domains", "list"], ["--help"]):
        done = anchor_process(*command, PYTHONPATH=str(site))
        assert done.returncode == 0, (command, done.stderr)
        assert "noise\n" not in done.stdout.replace("loading: noise", "")
    assert anchor_process("plugins", PYTHONPATH=str(site)).stdout.count("quarantined") == 4


def test_load_plugins(tmp_path: Path) -> None:
    site = install_plugin(tmp_path / "site", DOMAIN_PLUGIN.format(name="dog"))
    shown = {
        value: anchor_process("plugins", PYTHONPATH=str(site), ANCHOR_LOAD_PLUGINS=value).stdout
        for value in ("", "stranger")
    }
    assert "stranger" not in shown[""] and "stranger" in shown["stranger"]
    assert all("builtin" in text for text in shown.values())


def test_an_interrupt_while_plugins_load(tmp_path: Path) -> None:
    site = install_plugin(tmp_path / "site", "raise KeyboardInterrupt")
    done = anchor_process("hubs", "list", PYTHONPATH=str(site))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


def test_a_hook_that_returns_its_records_is_told_to_register_them(tmp_path: Path) -> None:
    source = (
        "from anchor_hub import hookimpl\nfrom anchor_hub.specs import DomainSpec\n"
        "@hookimpl\ndef anchor_register_domains():\n    return [DomainSpec('dog', hub='faces-64')]\n"
    )
    done = anchor_process("plugins", PYTHONPATH=str(install_plugin(tmp_path / "site", source)))
    assert "let it call register(DomainSpec(...))" in done.stdout
