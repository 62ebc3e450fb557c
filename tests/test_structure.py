"""The house's rules: imports run one way, nobody below knows a plugin, light modules stay light, files stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The floors, lowest first. A folder (or a module that stands alone) imports from lower floors only; rooms of one floor
# do not know each other. A room within a room is named by its path; a contract (`base`) that the rooms beside it keep
# has a floor of its own below them.
FLOORS = (
    ("anchor_hub.errors",),
    ("anchor_hub._lazy", "anchor_hub._moved", "anchor_hub.specs"),
    ("anchor_hub", "anchor_hub.hookspecs"),
    ("anchor_hub.system",),
    ("anchor_hub.bundles",),
    ("anchor_hub.plugins",),
    ("anchor_hub.images",),
    ("anchor_hub.networks",),
    ("anchor_hub.modality",),
    ("anchor_hub.hubs",),
    ("anchor_hub.domains",),
    ("anchor_hub.data.layouts", "anchor_hub.metrics"),
    ("anchor_hub.data",),
    ("anchor_hub.checkpoints",),
    ("anchor_hub.inversion",),
    ("anchor_hub.translation",),
    ("anchor_hub.editing",),
    ("anchor_hub.training.distributed", "anchor_hub.training.contents", "anchor_hub.evaluation"),
    ("anchor_hub.training.base", "anchor_hub.evaluation.report"),
    ("anchor_hub.training.engine",),
    ("anchor_hub.training",),
    ("anchor_hub.training.generators",),
    ("anchor_hub.training.anchoring",),
    ("anchor_hub.study",),
    ("anchor_hub.inventory",),
    ("anchor_hub.doctor",),
    ("anchor_hub.testing",),
    ("anchor_faces.rendering", "anchor_hands", "anchor_avatars", "anchor_finetune", "anchor_gpunit.networks"),
    ("anchor_gpunit", "anchor_deepi2i"),
    ("anchor_faces",),
    ("anchor_faces.benchmark",),
    ("anchor_faces.commands", "anchor_avatars.commands", "anchor_finetune.commands"),
    ("anchor_cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

HEAVY = {"torch", "torchvision", "numpy", "PIL", "scipy", "lpips"}
# On the way to `anchor --help` and the listing commands.
LIGHT = (
    "errors specs hookspecs inventory doctor plugins/builtin plugins/finding plugins/installed plugins/loading "
    "plugins/names plugins/registry system/config system/files system/home system/outputs system/terminal "
    "bundles/archive bundles/base bundles/tensorfile"
).split()
COMMANDS = [
    *sorted((ROOT / "cli").rglob("*.py")),
    *sorted(ROOT.glob("domains/*/commands/*.py")),
    *sorted(ROOT.glob("plugins/*/commands/*.py")),
]


def sources(root: Path) -> dict[str, Path]:
    """Every module of the library, the plugins and the command line: its name -> its file."""
    found = {}
    for top in (root, root / "plugins", root / "domains", root / "cli"):
        for path in sorted(top.glob("anchor_hub/**/*.py") if top == root else top.rglob("*.py")):
            parts = path.relative_to(top).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


SOURCES = sources(ROOT)
PLUGINS = {item.name for folder in ("plugins", "domains") for item in (ROOT / folder).iterdir() if item.is_dir()}


def absolute(module: str, path: Path, node: ast.ImportFrom) -> str:
    """The full name of the module of `from x import y`, where x may be relative."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    package = package[: len(package) + 1 - node.level] if node.level else []
    return ".".join([*package, *([node.module] if node.module else ())])


def imports(module: str, path: Path, *, module_level: bool = False) -> Iterator[tuple[str, str]]:
    """Imports as (module, name in it or ""); TYPE_CHECKING's are none.

    module_level: only those that run when the module is imported. Else those in functions, too, and attributes of a
    package that was imported whole (`import anchor_hub; anchor_hub.translate(...)`).
    """
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((absolute(module, path, node), alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "anchor_hub":
            yield "anchor_hub", node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value, ""
        if module_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        pending.extend(ast.iter_child_nodes(node))


def lazy_exports(path: Path) -> dict[str, str]:
    """Name -> module of a package that imports its public names on first use; nothing elsewhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_EXPORTS":
            return dict(ast.literal_eval(node.value))
    return {}


def edges(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> the modules of the house that it imports, however late; names are followed to where they are made."""
    lazy = {name: lazy_exports(path) for name, path in modules.items() if path.name == "__init__.py"}
    found: dict[str, set[str]] = {name: set() for name in modules}
    for module, path in modules.items():
        for source, name in imports(module, path):
            target = lazy.get(source, {}).get(name) or (f"{source}.{name}" if f"{source}.{name}" in modules else source)
            if target in modules and target != module:
                found[module].add(target)
    return found


def room(module: str, modules: Mapping[str, Path]) -> str:
    """The folder of a module, or the module itself where it stands alone among the library's folders."""
    if modules[module].name == "__init__.py" or module in FLOOR:
        return module
    return module.rpartition(".")[0] if module.count(".") > 1 or not module.startswith("anchor_hub.") else module


def upward(modules: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Imports that do not lead to a lower floor; KeyError where a room has no floor."""
    found = []
    for module, targets in edges(modules).items():
        for target in sorted(targets):
            here, there = room(module, modules), room(target, modules)
            if here != there and FLOOR[there] >= FLOOR[here]:
                found.append((module, target))
    return found


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle of modules that import each other, its first repeated at the end; empty where there is none."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module not in done:
            for target in sorted(graph[module]):
                if found := walk(target, [*way, module]):
                    return found
            done.add(module)
        return []

    return next((found for module in graph if (found := walk(module, []))), [])


def test_every_room_has_a_floor() -> None:
    rooms = {room(module, SOURCES) for module in SOURCES}
    assert rooms - set(FLOOR) == set(), "give each a floor in FLOORS"
    assert set(FLOOR) - rooms == set(), "FLOORS names rooms that are not there"


def test_imports_run_downward() -> None:
    assert [f"{module} imports {target}" for module, target in upward(SOURCES)] == []


def test_no_circle_of_files() -> None:
    assert " -> ".join(circle(edges(SOURCES))) == ""


def test_library_and_command_line_know_no_plugin() -> None:
    """Neither by an import nor in a text, a comment or a target."""
    below = [path for name, path in SOURCES.items() if name.split(".")[0] in ("anchor_hub", "anchor_cli")]
    found = {
        path.relative_to(ROOT).as_posix(): plugin
        for path in below
        for plugin in PLUGINS
        if plugin in path.read_text(encoding="utf-8")
    }
    assert found == {}


def test_plugins_know_neither_each_other_nor_the_command_line() -> None:
    for module, path in SOURCES.items():
        top = module.split(".")[0]
        for name, _ in imports(module, path):
            assert name.split(".")[0] != "click", f"{module}: Typer carries its own click"
            forbidden = (PLUGINS | {"anchor_cli"}) - {top} if top in PLUGINS else set()
            assert name.split(".")[0] not in forbidden, f"{module} imports {name}"


@pytest.mark.parametrize(
    "path",
    [ROOT / "anchor_hub" / f"{name}.py" for name in LIGHT]
    + COMMANDS
    + sorted(ROOT.glob("domains/*/plugin.py"))
    + sorted(ROOT.glob("plugins/*/plugin.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_light_modules_import_nothing_heavy(path: Path) -> None:
    module = next(name for name, known in SOURCES.items() if known == path)
    assert not {name.split(".")[0] for name, _ in imports(module, path, module_level=True)} & HEAVY


def test_files_stay_small() -> None:
    for path in SOURCES.values():
        limit = 40_000 if "networks" in path.parts else 20_480
        limit = 10_240 if path in COMMANDS else limit
        assert path.stat().st_size <= limit, f"{path}: {path.stat().st_size} bytes"


def test_lazy_exports_exist() -> None:
    import anchor_hub

    for name in anchor_hub.__all__:
        assert getattr(anchor_hub, name) is not None
    with pytest.raises(AttributeError):
        anchor_hub.no_such_name  # noqa: B018


# -- the rules can fail


def house(folder: Path, **files: str) -> dict[str, Path]:
    """A small house: module path with "__" for "." -> source."""
    for name, source in files.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return sources(folder)


@pytest.mark.parametrize(
    "source",
    [
        "from anchor_hub.translation.api import translate",
        "def late():\n    from anchor_hub.translation import api",
        "class Late:\n    def method(self):\n        import anchor_hub.translation.api",
        "from ..translation.api import translate",
        "from anchor_hub import translate",
        "import anchor_hub\ndef late():\n    return anchor_hub.translate()",
        "import importlib\nfound = importlib.import_module('anchor_hub.translation.api')",
    ],
)
def test_every_way_upward_is_seen(tmp_path: Path, source: str) -> None:
    house(
        tmp_path,
        anchor_hub__hubs__base=source,
        anchor_hub__translation__api="from anchor_hub.hubs import base\ndef translate(): ...",
    )
    (tmp_path / "anchor_hub" / "__init__.py").write_text("_EXPORTS = {'translate': 'anchor_hub.translation.api'}\n")
    made = sources(tmp_path)
    assert upward(made) == [("anchor_hub.hubs.base", "anchor_hub.translation.api")]
    assert circle(edges(made))[:2] == ["anchor_hub.hubs.base", "anchor_hub.translation.api"]
    assert circle(edges(made))[-1] == "anchor_hub.hubs.base"


def test_imports_for_type_checkers_are_none(tmp_path: Path) -> None:
    made = house(
        tmp_path,
        anchor_hub__hubs__base="if TYPE_CHECKING:\n    from anchor_hub.study import plan",
        anchor_hub__study__plan="from anchor_hub.hubs.base import Hub",
    )
    assert upward(made) == [] and circle(edges(made)) == []


def test_a_room_without_a_floor_is_seen(tmp_path: Path) -> None:
    made = house(tmp_path, anchor_hub__cellar__wine="import anchor_hub.hubs.base", anchor_hub__hubs__base="")
    assert {room(module, made) for module in made} - set(FLOOR) == {"anchor_hub.cellar"}
