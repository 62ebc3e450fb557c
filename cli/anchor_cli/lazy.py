"""A Typer group that imports its commands when they are called, and prints errors as one line."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from anchor_cli.entries import Entry as Entry
from anchor_cli.entries import with_plugins
from anchor_hub.errors import AnchorError, PluginError, UsageError
from anchor_hub.specs import import_target
from anchor_hub.system.terminal import printable


def load_entry(name: str, entry: Entry) -> Any:
    """The command behind `entry`. Raises PluginError naming the module at fault."""
    try:
        found = import_target(entry.target)
        if not isinstance(found, typer.Typer):
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(name)(found)
            found = app
        found.rich_markup_mode = None
        found._add_completion = False
        command = get_command(found)
    except (Exception, SystemExit) as error:
        if isinstance(error, AnchorError) or os.environ.get("ANCHOR_DEBUG"):
            raise
        whose = f"the plugin {entry.plugin}" if entry.plugin else "this installation"
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"the command {name!r} of {whose} cannot be loaded ({entry.target}): {reason}"
        ) from error
    command.name = name
    if isinstance(command, LazyGroup):
        command.add_stubs()  # once more: plugins add to a group by its name
    return command


class LazyGroup(TyperGroup):
    """A group of the commands in `entries()`. Printing help imports none of them: stubs stand in their place."""

    #: The built-in commands of `entries()`.
    table: Mapping[str, Entry] = {}

    def entries(self) -> Mapping[str, Entry]:
        return {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._listing = False
        self.add_stubs()

    def add_stubs(self) -> None:
        """Add a stub for every entry: a command with its name and help line, for lists."""
        for name, entry in self.entries().items():
            self.commands[name] = TyperCommand(name, help=entry.help, rich_markup_mode=None)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = self.entries().get(cmd_name)
        if entry is None or self._listing:
            return super().get_command(ctx, cmd_name)
        return load_entry(cmd_name, entry)

    @contextlib.contextmanager
    def _stubs(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with self._stubs():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._stubs():
            return super().shell_complete(ctx, incomplete)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.parent is None:  # Typer turns it into exit code 130 without a word
                print("stopped", file=sys.stderr)
            raise

    def main(  # type: ignore[override]  # Typer's own further parameters travel in `extra`.
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run, and exit: 0; 1 for bad data; 2 for a wrong call; 130 after Ctrl-C."""
        extra["standalone_mode"] = False
        if not os.environ.get("ANCHOR_DEBUG"):
            # What torch warns of (deprecations, devices that are not there) is for programmers.
            warnings.filterwarnings("ignore", module=r"torch(\.|$)")
        # Started with a closed stdout or stderr (`>&-`), Python has None there.
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
        for stream in (sys.stdout, sys.stderr):
            # A file name the locale cannot print is escaped, not a crash.
            with contextlib.suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        try:
            result = super().main(args=args, prog_name=prog_name or "anchor", **extra)
            sys.stdout.flush()
        except Exception as error:
            _report(error)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            sys.exit(130)
        sys.exit(result if isinstance(result, int) else 0)


def lazy_group(table: Mapping[str, Entry]) -> type[LazyGroup]:
    """A LazyGroup for `typer.Typer(cls=...)`: these commands and those that plugins add to the group of its name."""
    members = {"table": table, "entries": lambda self: with_plugins(table, self.name or "-")}
    return type("LazyTableGroup", (LazyGroup,), members)


def refuse_options_before(context: typer.Context) -> None:
    """Raise UsageError if options of the group stand before the name of one of its commands, which ignores them."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            name = context.invoked_subcommand
            raise UsageError(
                f"{parameter.opts[0]} before {name!r} would be ignored: give the options of `{context.command_path} "
                f"{name}` "
                f"after it. See `{context.command_path} {name} --help`"
            )


def fail(message: str, code: int) -> NoReturn:
    """Print one line on stderr and exit."""
    with contextlib.suppress(OSError):
        print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(code)


def _report(error: Exception) -> NoReturn:
    if os.environ.get("ANCHOR_DEBUG"):
        raise error
    if isinstance(error, AnchorError):
        fail(str(error), error.exit_code)
    if isinstance(error, typer.Abort):
        fail("stopped: no answer given", 1)
    if isinstance(error, typer.Exit):
        sys.exit(error.exit_code)
    if hasattr(error, "format_message"):
        _report_usage(error)
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # The reader went away (`anchor ... | head`): not an error, but nothing more can be said.
        _drop_stdout()
        sys.exit(1)
    if isinstance(error, OSError) and error.filename is not None:
        fail(f"{os.fsdecode(error.filename)}: {error.strerror or error}", 1)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _drop_stdout()
        fail("the disk is full: free some space and run the command again", 1)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        fail("out of memory: use a smaller --batch or --size, or --device cpu", 1)
    raise error


def _drop_stdout() -> None:
    """Discard what stdout still buffers: Python would fail on it once more when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_usage(error: Any) -> NoReturn:
    """Print an error of Typer's own (unknown option, missing argument) as one line that says where help is; exit."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help())
        sys.exit(2)
    path = context.command_path if context is not None else "anchor"
    message = " ".join(error.format_message().split()).rstrip(".")
    fail(
        f"{message}{'' if message.endswith('?') else '.'} See `{path} --help`", getattr(error, "exit_code", 2)
    )
