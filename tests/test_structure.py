"""The house's rules: dependencies point one way, light modules stay light, no file grows out of hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for part in ("anchor_hub", "plugins", "domains", "cli") for path in (ROOT / part).rglob("*.py")
)
HEAVY = {"torch", "torchvision", "numpy", "PIL", "scipy", "lpips"}
# On the way to `anchor --help` and the listing commands.
LIGHT = (
    "hookspecs errors specs inventory doctor plugins/loading plugins/installed plugins/registry plugins/names "
    "plugins/builtin plugins/finding system/home system/config system/files bundles/base bundles/tensorfile "
    "bundles/archive"
).split()


def absolute(path: Path, node: ast.ImportFrom) -> str:
    """The full name of the module of `from x import y`, where x may be relative."""
    parts = path.relative_to(ROOT).parts
    package = parts[: -node.level] if parts[0] == "anchor_hub" else parts[1 : -node.level or None]
    return ".".join([*(package if node.level else ()), *([node.module] if node.module else ())])


def imports(path: Path, *, module_level: bool = False) -> Iterator[str]:
    """Names of imported modules; module_level: only those that run when the module is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield absolute(path, node)
        if module_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if module_level and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        pending.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_upward(path: Path) -> None:
    part = path.relative_to(ROOT).parts[0]
    packages = {item.name for folder in ("plugins", "domains") for item in (ROOT / folder).iterdir()}
    own = {path.relative_to(ROOT).parts[1]} if part in ("plugins", "domains") else set()
    forbidden = {"anchor_hub": packages | {"anchor_cli"}, "plugins": packages | {"anchor_cli"}, "cli": set()}
    forbidden["domains"] = forbidden["plugins"]
    for name in imports(path):
        top = name.split(".")[0]
        assert top not in forbidden[part] - own, f"{path} imports {name}"
        assert top != "click", f"{path}: Typer carries its own click"


@pytest.mark.parametrize(
    "path",
    [ROOT / "anchor_hub" / f"{name}.py" for name in LIGHT]
    + sorted((ROOT / "cli").rglob("*.py"))
    + sorted(ROOT.glob("domains/*/plugin.py"))
    + sorted(ROOT.glob("plugins/*/plugin.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_light_modules_import_nothing_heavy(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path, module_level=True)} & HEAVY


def test_networks_know_no_domain_and_domains_no_training() -> None:
    """translation -> domain -> hub -> networks, training above domain."""
    order = {"networks": 0, "hub": 1, "domain": 2, "translation": 3, "training": 3}
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] != "anchor_hub" or parts[1] not in order:
            continue
        for name in imports(path, module_level=True):
            pieces = name.split(".")
            if pieces[0] == "anchor_hub" and len(pieces) > 1 and pieces[1] in order and pieces[1] != parts[1]:
                assert order[pieces[1]] < order[parts[1]], f"{path} imports {name}"


def test_files_stay_small() -> None:
    for path in SOURCES:
        limit = 40_000 if "networks" in path.parts else 20_480
        limit = 10_240 if "cli" in path.parts else limit
        assert path.stat().st_size <= limit, f"{path}: {path.stat().st_size} bytes"


def test_lazy_exports_exist() -> None:
    import anchor_hub

    for name in anchor_hub.__all__:
        assert getattr(anchor_hub, name) is not None
    with pytest.raises(AttributeError):
        anchor_hub.no_such_name  # noqa: B018
