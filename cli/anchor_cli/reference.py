"""Writes the command-line reference from the commands themselves: `python -m anchor_cli.reference docs/cli.md`.

It reads the parameters, not the printed help, whose layout changes with Typer's version.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from anchor_cli import main as cli
from anchor_cli.entries import Entry
from anchor_cli.lazy import LazyGroup, load_entry

_HEAD = """# Command line

Made by `make docs` from the commands themselves; do not edit.

Every command exits with 0 on success, 1 if data is wrong, 2 if the call is wrong, and 130 after
Ctrl-C; an error is one line on stderr, and `ANCHOR_DEBUG=1` shows the traceback. Results go to stdout,
everything else to stderr. `ANCHOR_HOME` is the folder for what you add; `ANCHOR_LOAD_PLUGINS`
limits which plugins load.
"""


def reference() -> str:
    """The reference of Anchor Hub's own commands as Markdown; the same on every machine."""
    sections = [_HEAD, _section(get_command(cli.app), "anchor")]
    for name, entry in _own(cli.all_commands()).items():
        sections.extend(_sections(load_entry(name, entry), f"anchor {name}"))
    return "\n".join(sections)


def _own(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name: entry for name, entry in entries.items() if entry.first_party}


def _commands(command: Any) -> dict[str, Any]:
    """The commands of a group by name, without those of third-party plugins; a lazy group has stubs."""
    commands = dict(getattr(command, "commands", {}))
    if isinstance(command, LazyGroup):
        own = _own(command.entries())
        commands = {name: found for name, found in commands.items() if name in own}
    return commands


def _sections(command: Any, path: str) -> Iterator[str]:
    yield _section(command, path)
    for name, found in _commands(command).items():
        entry = command.entries().get(name) if isinstance(command, LazyGroup) else None
        yield from _sections(load_entry(name, entry) if entry else found, f"{path} {name}")


def _section(command: Any, path: str) -> str:
    parameters = [item for item in command.params if not getattr(item, "hidden", False)]
    arguments = [item for item in parameters if item.param_type_name == "argument"]
    options = [item for item in parameters if item.param_type_name == "option"]
    subcommands = _commands(command)
    usage = [path, *(["[OPTIONS]"] if options else []), *map(_argument_usage, arguments)]
    lines = [f"## `{path}`", "", *(line.strip() for line in (command.help or "").strip().splitlines()), ""]
    lines += ["```text", " ".join([*usage, *(["COMMAND ..."] if subcommands else [])]), "```", ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{_argument_usage(item)}` | {_cell(item.help)} |" for item in arguments] + [""]
    if options:
        lines += ["| option | meaning | default |", "|---|---|---|"]
        lines += [
            f"| {_option_names(item)} | {_cell(item.help)} | {_default(item)} |" for item in options
        ] + [""]
    if subcommands:
        lines += ["| command | what it does |", "|---|---|"]
        lines += [f"| `{path} {name}` | {_cell(item.help)} |" for name, item in subcommands.items()] + [""]
    return "\n".join(lines)


def _argument_usage(argument: Any) -> str:
    name = argument.name.strip("_").upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _option_names(option: Any) -> str:
    value = "" if option.is_flag or option.count else f" {option.name.strip('_').upper()}"
    return ", ".join(
        f"`{name}{value if name.startswith('--') else ''}`" for name in (*option.opts, *option.secondary_opts)
    )


def _default(option: Any) -> str:
    if option.required:
        return "required"
    default = getattr(option.default, "value", option.default)
    if callable(default) or default in (None, "", (), []) or default is False:
        return ""
    if default is True:
        return "on" if option.secondary_opts else ""
    if isinstance(default, (list, tuple)):
        return f"`{', '.join(map(str, default))}`"
    return f"`{default}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m anchor_cli.reference docs/cli.md")
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
