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

from anchor_cli.lazy import Entry, LazyGroup

COMMANDS: dict[str, Entry] = {
    "translate": Entry("anchor_cli.translate:translate", "Translate images of one domain into another."),
    "synthesize": Entry(
        "anchor_cli.synthesize:synthesize", "Make aligned images of several domains from random latents."
    ),
    "evaluate": Entry("anchor_cli.evaluate:app", "Measure translations, and compare what was measured."),
    "add-domain": Entry(
        "anchor_cli.add_domain:add_domain", "Train a new domain on this machine and register it."
    ),
    "domains": Entry("anchor_cli.kinds:domains", "List, show, verify, export, install, remove and import domains."),
    "hubs": Entry("anchor_cli.kinds:hubs", "The same for hubs, and train them."),
    "translators": Entry("anchor_cli.kinds:translators", "The same for translators, and train them."),
    "priors": Entry("anchor_cli.kinds:priors", "The same for priors, networks that translators build on."),
    "checkpoints": Entry("anchor_cli.checkpoints:app", "Look into checkpoint files; nothing in them is run."),
    "data": Entry("anchor_cli.data:app", "Render and check data sets."),
    "benchmark": Entry(
        "anchor_cli.benchmark:app", "Measure translations of rendered faces against the truth; train its judges."
    ),
    "study": Entry("anchor_cli.study:app", "Blind user studies: make one, serve it, count the votes."),
    "plugins": Entry("anchor_cli.plugins:plugins", "List plugins, and why one was not loaded."),
    "doctor": Entry("anchor_cli.doctor:doctor", "Check this installation and say what to mend."),
}


@functools.cache
def all_commands() -> Mapping[str, Entry]:
    """The built-in commands and those of plugins; built-in names cannot be taken."""
    commands = dict(COMMANDS)
    from anchor_hub.plugins.registry import registry

    try:
        registered = registry().commands
    except Exception:
        # Whatever is wrong with this machine's plugins, `anchor plugins` and `anchor doctor` must still run.
        return commands
    for name in registered:
        if name in COMMANDS:
            continue
        try:
            found = registered[name]
        except Exception:
            continue
        commands[name] = Entry(found.spec.target, found.spec.help or found.spec.summary, found.label)
    return commands


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
    """Let SIGTERM unwind as Ctrl-C does (exit 143), so that staging folders go; forked helpers just die of it."""
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            sys.exit(143)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def main() -> Any:
    """What the script `anchor` runs."""
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
