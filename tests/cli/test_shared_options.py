"""An option that several commands share is written once, in a module of options."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

COMMANDS = Path(__file__).parents[2] / "cli" / "anchor_cli"


def options(tree: ast.Module) -> list[tuple[str, str]]:
    """``(type, option without its default)`` of every optional parameter, and of every shared name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            defaults = [None] * (len(node.args.args) - len(node.args.defaults)) + list(node.args.defaults)
            for parameter, default in zip(node.args.args, defaults, strict=True):
                if is_option(default) and ast.unparse(default.args[0]) != "..." and parameter.annotation is not None:
                    found.append((ast.unparse(parameter.annotation), shape(default, skip=1)))
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated":
            assert isinstance(node.slice, ast.Tuple)
            kind, option = node.slice.elts[:2]
            if is_option(option):
                found.append((ast.unparse(kind), shape(option)))
    return found


def is_option(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Option"


def shape(call: ast.expr, skip: int = 0) -> str:
    assert isinstance(call, ast.Call)
    named = sorted((keyword.arg or "", ast.unparse(keyword.value)) for keyword in call.keywords)
    return repr(([ast.unparse(flag) for flag in call.args[skip:]], named))


def test_no_option_is_written_twice() -> None:
    where: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in sorted(COMMANDS.glob("*.py")):
        for option in options(ast.parse(path.read_text(encoding="utf-8"))):
            where[option].append(path.name)
    assert {option: files for option, files in where.items() if len(files) > 1} == {}
    assert len(where) > 200, "it looks where the options are"
