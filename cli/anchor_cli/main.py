"""`anchor`: the commands, named in one table and imported when called."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

import typer

from anchor_cli.entries import Entry, with_plugins
from anchor_cli.lazy import LazyGroup, load_entry

COMMANDS: dict[str, Entry] = {
    "translate": Entry("anchor_cli.translate:translate", "Translate images of one domain into another."),
    "edit": Entry(
        "anchor_cli.edit:edit", "Move the latents of pictures along semantic directions: age, pose, light ..."
    ),
    "morph": Entry("anchor_cli.morph:morph", "Animate the way from picture to picture through the latents."),
    "invert": Entry("anchor_cli.invert:invert", "Find latents of a hub whose pictures come near yours."),
    "synthesize": Entry(
        "anchor_cli.synthesize:synthesize", "Make aligned images of several domains from random latents."
    ),
    "evaluate": Entry("anchor_cli.evaluate:app", "Measure translations, and compare what was measured."),
    "add-domain": Entry(
        "anchor_cli.add_domain:add_domain", "Train a new domain on this machine and register it."
    ),
    "domains": Entry("anchor_cli.kinds:domains", "List, show, verify, export, install, remove and import domains."),
    "hubs": Entry("anchor_cli.kinds:hubs", "List, show, verify, export, install, remove, import and train hubs."),
    "translators": Entry(
        "anchor_cli.kinds:translators", "List, show, verify, export, install, remove, import and train translators."
    ),
    "priors": Entry(
        "anchor_cli.kinds:priors", "List, show, verify, export, install, remove, import and train priors, which "
        "translators build on.",
    ),
    "backends": Entry("anchor_cli.backends:backends", "List the ways to translate, and the options of one."),
    "checkpoints": Entry("anchor_cli.checkpoints:app", "Look into checkpoint files; nothing in them is run."),
    "data": Entry("anchor_cli.data:app", "Make and check data sets."),
    "study": Entry("anchor_cli.study:app", "Blind user studies: make one, serve it, count the votes."),
    "plugins": Entry("anchor_cli.plugins:plugins", "List plugins, and why one was not loaded."),
    "doctor": Entry("anchor_cli.doctor:doctor", "Check this installation and say what to mend."),
}


@functools.cache
def all_commands() -> Mapping[str, Entry]:
    """The built-in commands and those of plugins; built-in names cannot be taken."""
    return with_plugins(COMMANDS)


def note_commands_left_out() -> None:
    """Note with each plugin which of its commands cannot be called: the name is built in, or there is no such group."""
    from anchor_hub.plugins.registry import registry

    for plugin in registry().plugins:
        for spec in plugin.specs.get("commands", ()):
            group, reason = getattr(spec, "group", ""), ""
            if not group and spec.name in COMMANDS:
                reason = "that command is built in"
            elif group:
                found = load_entry(group, COMMANDS[group]) if group in COMMANDS else None
                if not isinstance(found, LazyGroup):
                    reason = f"`anchor {group}` is not a group of commands"
                elif spec.name in found.table:
                    reason = "that command is built in"
            note = f"its command {spec.key!r} is left out: {reason}"
            if reason and note not in plugin.notes:
                plugin.notes.append(note)


class Main(LazyGroup):
    def entries(self) -> Mapping[str, Entry]:
        return all_commands()


def _version(wanted: bool) -> None:
    if wanted:
        from anchor_hub import __version__

        print(f"anchor-hub {__version__}")
        raise typer.Exit()


app = typer.Typer(
    cls=Main,
    name="anchor",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def anchor(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None:
    """Translate between any two image domains through one frozen generator, the hub."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def _end_on_sigterm() -> None:
    """Let SIGTERM unwind as Ctrl-C does (exit 143), so that staging folders are removed; forked helpers just end."""
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            sys.exit(143)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def main() -> Any:
    """Run `anchor`."""
    from typer.main import get_command

    _end_on_sigterm()
    try:
        command = get_command(app)  # loads the plugins, which can take a while
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    return command.main()


if __name__ == "__main__":
    main()
