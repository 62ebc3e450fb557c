"""Commands by name, built in or a plugin's; nothing of a command is imported until it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A command: `"module:attribute"` of a Typer app or a function, its help line, and the plugin that brings it.

    first_party: the command comes with Anchor Hub, so the reference lists it.
    """

    target: str
    help: str
    plugin: str = ""
    first_party: bool = True


def with_plugins(built_in: Mapping[str, Entry], group: str = "") -> dict[str, Entry]:
    """The built-in commands of a group ("": of `anchor` itself), then those of plugins, which cannot replace them."""
    from anchor_hub.plugins.registry import registry

    commands = dict(built_in)
    try:
        registered = registry().commands
    except Exception:
        # Whatever is wrong with this machine's plugins, `anchor plugins` and `anchor doctor` must still run.
        return commands
    for key in registered:
        try:
            found = registered[key]
        except Exception:
            continue
        spec = found.spec
        if spec.group == group and spec.name not in built_in:
            commands[spec.name] = Entry(
                spec.target, spec.help or spec.summary, found.label, found.source == "first-party"
            )
    return commands
