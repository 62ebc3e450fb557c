from __future__ import annotations

from pathlib import Path

from anchor_cli import main as cli
from anchor_cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `make docs` and commit docs/cli.md"


def test_every_command_is_there() -> None:
    text = reference()
    for name in (*cli.COMMANDS, "hubs train", "domains install", "data render"):
        assert f"## `anchor {name}`\n" in text
