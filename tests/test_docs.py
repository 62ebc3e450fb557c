"""What the pages say is so: hooks, plugin example, links."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from anchor_hub import hookspecs
from anchor_hub.errors import AnchorError
from anchor_hub.plugins import HOOKS
from anchor_hub.registry import Registry
from anchor_hub.testing import ContractError, check_plugin
from tests.plugin_makers import install_plugin

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_every_hook_is_documented_with_its_arguments() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for name in HOOKS:
        arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
        assert f"`{name}({arguments})`" in text
        assert getattr(hookspecs, name).__doc__


def test_the_example_plugin_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = blocks("plugins.md", "python")[0]
    (tmp_path / "anchor_dogs.py").write_text(source)
    folder = install_plugin(tmp_path, "", name="dogs", distribution="anchor-dogs", target="anchor_dogs")
    monkeypatch.syspath_prepend(str(folder))
    specs = check_plugin("anchor_dogs")
    assert [spec.name for spec in specs["domains"]] == ["dog"]
    found = Registry()
    assert found.domains["dog"].distribution == "anchor-dogs"
    assert callable(found.load(found.datasets["dogs"].spec.target))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import torch", "imports torch"),
        ("print('hi')", "prints 'hi"),
        ("import nothing_like_it", "cannot be imported"),
        ("from anchor_hub.hookspecs import hookimpl", "implements no hook"),
        (
            "from anchor_hub.hookspecs import hookimpl\nfrom anchor_hub.specs import BackendSpec\n@hookimpl\n"
            "def anchor_register_backends(register): register(BackendSpec('x', target='nothing_here:X'))",
            "its target nothing_here:X cannot be imported",
        ),
    ],
)
def test_the_contract_suite_finds_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str, request: pytest.FixtureRequest
) -> None:
    name = f"faulty_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ContractError, match=message) as caught:
        check_plugin(name)
    assert isinstance(caught.value, (AnchorError, AssertionError))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page}: {target} is not there"


def test_first_party_plugins_pass_the_suite() -> None:
    for module in ("anchor_hub.builtin", "anchor_faces.plugin"):
        check_plugin(module)
