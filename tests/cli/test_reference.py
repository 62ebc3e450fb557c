from __future__ import annotations

from pathlib import Path

import pytest

from anchor_cli import main as cli
from anchor_cli.reference import reference
from tests.plugin_makers import install_plugin

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `make docs` and commit docs/cli.md"


def test_every_command_is_there() -> None:
    text = reference()
    for name in (*cli.COMMANDS, "hubs train", "domains install", "data render", "benchmark", "benchmark table"):
        assert f"## `anchor {name}`\n" in text


def test_commands_of_others_plugins_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        from anchor_hub.hookspecs import hookimpl
        from anchor_hub.specs import CommandSpec

        def command():
            pass

        @hookimpl
        def anchor_register_commands(register):
            register(CommandSpec("strangers-own", target=__name__ + ":command"))
            register(CommandSpec("strangers-own", target=__name__ + ":command", group="data"))
    """
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", source)))
    cli.all_commands.cache_clear()
    assert "strangers-own" in cli.all_commands() and "strangers-own" not in reference()
