from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import anchor_hub
from anchor_cli import main as cli
from anchor_cli.lazy import Entry
from anchor_hub import errors
from anchor_hub.testing import HEAVY_MODULES
from tests.bundle_makers import tiny_domain
from tests.cli.running import anchor, anchor_process
from tests.plugin_makers import install_plugin
from tests.watching import watched, watched_anchor

HEAVY = f"print(*[name for name in {HEAVY_MODULES!r} if name in sys.modules], file=sys.stderr)"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], [], ["plugins"], ["domains", "list"], ["hubs", "list"]]
)
def test_no_heavy_imports(arguments: list[str]) -> None:
    done = anchor_process(*arguments, code=HEAVY)
    assert done.returncode == 0
    assert done.stdout and not set(done.stderr.split()) & set(HEAVY_MODULES)


@pytest.mark.parametrize(
    "command", [*cli.COMMANDS, "hubs train", "domains show", "data render", "benchmark", "benchmark run"]
)
def test_help_of_every_command_is_light(command: str) -> None:
    done = anchor_process(*command.split(), "--help", code=HEAVY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: anchor {command}") and done.stderr.strip() == ""


# Each of these takes a good part of the time that everything else in `anchor --help` takes.
SLOW_STANDARD_MODULES = {
    "asyncio", "concurrent.futures", "email", "hashlib", "http", "importlib.metadata", "json", "multiprocessing",
    "sqlite3", "tempfile", "unittest", "urllib.request", "uuid", "xml", "zipfile",
}  # fmt: skip
EXTRA_PLUGIN = """
    from anchor_hub.hookspecs import hookimpl
    from anchor_hub.specs import CommandSpec

    @hookimpl
    def anchor_register_commands(register):
        register(CommandSpec("extra-{index}", target="torch:nothing", help="Extra {index}."))
"""


def test_help_imports_little_more_than_typer_and_pluggy(tmp_path: Path) -> None:
    helped = watched_anchor(tmp_path / "helped", "--help")
    assert helped.code == 0 and helped.stdout.startswith("Usage: anchor")
    more = helped.modules - watched(tmp_path / "bare", "import typer, rich, pluggy").modules
    assert not more & SLOW_STANDARD_MODULES
    packages = {name.partition(".")[0] for name in more} - set(sys.stdlib_module_names)
    plugins = {f"anchor_{name}" for name in ("avatars", "deepi2i", "faces", "finetune", "gpunit", "hands")}
    assert packages <= {"anchor_cli", "anchor_hub", *plugins, "typer", "pluggy"}
    # A plugin names what it brings: nothing of the packages of plugins but the modules that do.
    ours = {name for name in more if name.partition(".")[0] in plugins}
    assert ours - plugins == {f"{name}.plugin" for name in plugins}


def test_help_opens_no_bundle_and_starts_nothing(tmp_path: Path, fresh_home: Path) -> None:
    tiny_domain(fresh_home / "domains" / "spot")
    helped = watched_anchor(tmp_path / "helped", "--help")
    assert helped.started == [] and helped.below(fresh_home) == []
    data = {path for path in helped.opened if path.suffix not in (".py", ".pyc")}
    assert {path.name for path in data} <= {"entry_points.txt", "METADATA", "PKG-INFO"}
    # Names and versions are read of those distributions alone that bring a plugin.
    for path in data:
        assert path.name == "entry_points.txt" or "[anchor_hub]" in (path.parent / "entry_points.txt").read_text()
    assert not [path for path, times in Counter(helped.opened).items() if times > 1]


def test_twenty_plugins_cost_help_their_own_files_once_each(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    path = {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}
    before = watched_anchor(tmp_path / "before", "--help", **path)
    for index in range(20):
        source = EXTRA_PLUGIN.format(index=index)
        install_plugin(site, source, name=f"p{index}", distribution=f"dist-{index}")
    after = watched_anchor(tmp_path / "after", "--help", **path)
    assert after.code == 0 and all(f"extra-{index} " in after.stdout for index in range(20))
    assert not after.modules & set(HEAVY_MODULES)
    # Of each plugin its entry points, its name and version, its module (looked for as bytecode, too); else nothing.
    assert Counter(after.opened) - Counter(before.opened) == Counter(after.below(site))
    assert {path.name for path in after.below(site) if path.suffix == ".txt"} == {"entry_points.txt"}
    assert len(after.below(site)) == len(set(after.below(site))) <= 20 * 4
    assert Counter(after.listed) == Counter(before.listed) and after.started == []
    modules = {name for name in after.modules - before.modules if not name.startswith("stranger_plugin_")}
    assert modules == set()


def test_help_lists_every_command() -> None:
    result = anchor("--help")
    assert result.exit_code == 0
    for name, entry in cli.COMMANDS.items():
        assert f"{name} " in result.stdout and entry.help[:30] in result.stdout
    assert anchor().stdout == result.stdout


def test_version() -> None:
    result = anchor("--version")
    assert (result.exit_code, result.stdout) == (0, f"anchor-hub {anchor_hub.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tanslate"], "No such command 'tanslate'. Did you mean 'translate'"),
        (["--nope"], "No such option: --nope"),
        (["domains", "show"], "Missing argument"),
        (["domains", "list", "extra"], "unexpected extra argument"),
        (["hubs", "tran"], "Did you mean 'train'? See `anchor hubs --help`"),
    ],
)
def test_wrong_calls_are_one_line_and_2(arguments: list[str], message: str) -> None:
    result = anchor(*arguments)
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert message in result.stderr


def raising(error: BaseException) -> Entry:
    """A command that raises `error`."""

    def command() -> None:
        raise error

    module = sys.modules[__name__]
    setattr(module, "raising_command", command)  # noqa: B010
    return Entry(f"{__name__}:raising_command", "Raise.")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.BundleError("x.safetensors: is damaged"), 1, "error: x.safetensors: is damaged\n"),
        (errors.UsageError("take --size"), 2, "error: take --size\n"),
        (errors.HubNotFoundError("no hub 'x'"), 2, "error: no hub 'x'\n"),
        (errors.ImageError("a\nb\x1b[31m.png: is empty"), 1, "error: a\\nb\\x1b[31m.png: is empty\n"),
        (errors.ImageError("\udcff.png: is empty"), 1, "error: \\udcff.png: is empty\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "error: /x/y: Permission denied\n"),
        (
            OSError(28, "No space left on device"),
            1,
            "error: the disk is full: free some space and run the command again\n",
        ),
        (MemoryError(), 1, "error: out of memory: use a smaller --batch or --size, or --device cpu\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "raise", raising(error))
    result = anchor("raise")
    assert (result.exit_code, result.stderr) == (code, message)
    assert result.stdout == ""


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "raise", raising(errors.BundleError("x")))
    monkeypatch.setenv("ANCHOR_DEBUG", "1")
    assert isinstance(anchor("raise").exception, errors.BundleError)


def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "raise", raising(ZeroDivisionError()))
    assert isinstance(anchor("raise").exception, ZeroDivisionError)


def test_a_missing_command_module_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "gone", Entry("anchor_cli.there_is_none:gone", "Gone."))
    assert "Gone." in anchor("--help").stdout
    result = anchor("gone")
    assert (
        result.exit_code == 1 and "the command 'gone' of this installation cannot be loaded" in result.stderr
    )


COMMAND_PLUGIN = """
    import typer
    from anchor_hub.hookspecs import hookimpl
    from anchor_hub.specs import CommandSpec

    app = typer.Typer()

    @app.command()
    def hello(name: str) -> None:
        print("hello", name)

    @app.command()
    def bye() -> None:
        raise ValueError("a bug")

    def single(count: int = 1) -> None:
        print("single", count)

    @hookimpl
    def anchor_register_commands(register):
        register(CommandSpec("greet", target=__name__ + ":app", help="Greet somebody."))
        register(CommandSpec("single", target=__name__ + ":single", help="One function."))
        register(CommandSpec("broken", target=__name__ + ":absent", help="Broken."))
        register(CommandSpec("translate", target=__name__ + ":app", help="Taken over!"))
        register(CommandSpec("count", target=__name__ + ":single", help="Count them.", group="data"))
        register(CommandSpec("count", target=__name__ + ":single", help="Count hubs.", group="hubs"))
        register(CommandSpec("check", target=__name__ + ":single", help="Taken over!", group="data"))
        register(CommandSpec("lost", target=__name__ + ":single", help="In no group.", group="greet"))
"""


def test_commands_of_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", COMMAND_PLUGIN)))
    shown = anchor("--help").stdout
    assert "Greet somebody." in shown and "Taken over!" not in shown
    assert anchor("greet", "hello", "you").stdout == "hello you\n"
    assert anchor("single", "--count", "3").stdout == "single 3\n"
    result = anchor("broken")
    assert (
        result.exit_code == 1 and "of the plugin stranger (stranger-dist) cannot be loaded" in result.stderr
    )


def test_commands_of_plugins_in_built_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", COMMAND_PLUGIN)))
    shown = anchor("data", "--help").stdout
    assert "Count them." in shown and "Taken over!" not in shown and "Count hubs." not in shown
    assert anchor("data", "count", "--count", "4").stdout == "single 4\n"
    assert "Count hubs." in anchor("hubs", "--help").stdout
    assert anchor("count").exit_code == 2 and anchor("greet", "lost").exit_code == 2
    assert "--limit" in anchor("data", "check", "--help").stdout
    notes = anchor("plugins").stdout
    for name, reason in (
        ("translate", "that command is built in"),
        ("data check", "that command is built in"),
        ("greet lost", "`anchor greet` is not a group of commands"),
    ):
        assert f"note: stranger: its command {name!r} is left out: {reason}\n" in notes
    assert "'data count'" not in notes and "'data render'" not in notes


@pytest.mark.skipif(os.name != "posix", reason="shell")
@pytest.mark.parametrize(
    ("redirect", "code"), [(">&-", 0), ("2>&-", 0), ("| head -n 1", 0), (">/dev/full", 1)]
)
def test_closed_and_full_streams(redirect: str, code: int) -> None:
    command = f"{sys.executable} -c 'from anchor_cli.main import main; main()' plugins --json {redirect}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["anchor_cli", "anchor_cli.main"])
def test_as_a_module(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith("anchor-hub "), done
    wrong = subprocess.run([sys.executable, "-m", module, "hubs", "lst"], capture_output=True, text=True, timeout=120)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: No such command 'lst'"), wrong


def test_ctrl_c_while_the_app_is_imported() -> None:
    program = (
        "import builtins\nimport anchor_cli.__main__ as script\n"
        "def stopped(name, *rest, **more):\n    raise KeyboardInterrupt\n"
        "builtins.__import__ = stopped\nscript.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "stopped\n")


def test_a_locale_that_cannot_print() -> None:
    done = anchor_process("hubs", "show", "hüb☃", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 2 and "h\\xfcb\\u2603" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="POSIX homes")
def test_no_home() -> None:
    done = anchor_process("domains", "list", HOME=None, ANCHOR_HOME=None)
    assert done.returncode == 0 and "seg" in done.stdout
