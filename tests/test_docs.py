"""What the pages say is so: commands, imports, links, pictures, tables, walks through the code."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from anchor_cli import main as cli
from anchor_cli.lazy import Entry, LazyGroup, load_entry
from anchor_hub.plugins.registry import registry

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, *languages: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for language, body in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL) if language in languages]


# -- command lines


def command_lines(page: Path) -> Iterator[tuple[str, bool]]:
    """(command line, whether it is complete): lines of code blocks are, words in running text need not be."""
    text = page.read_text(encoding="utf-8")
    fenced = [body for language, body in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL) if language in ("", "sh")]
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    indented = re.findall(r"^    (.*)$", outside, re.MULTILINE)
    for line in "\n".join([*fenced, *indented]).replace("\\\n", " ").splitlines():
        if found := re.match(r"(?:[A-Z_]+=\S* |\S*\$ )*(anchor .*)", line.strip()):
            yield found[1], True
    running = re.sub(r"^    .*$", "", outside, flags=re.MULTILINE)
    for span in re.findall(r"`(anchor [^`]*)`", running):
        yield span, False


def resolve(words: list[str]) -> tuple[Any, str, list[str]]:
    """The command that the words name, its path, and the words after it."""
    command, path = get_command(cli.app), "anchor"
    entries: Mapping[str, Entry] = cli.all_commands()
    while words and entries and not words[0].startswith("-"):
        assert words[0] in entries, f"there is no command `{path} {words[0]}`"
        path, word, words = f"{path} {words[0]}", words[0], words[1:]
        command = load_entry(word, entries[word])
        entries = command.entries() if isinstance(command, LazyGroup) else {}
        if words and words[0] in getattr(command, "commands", {}) and words[0] not in entries:
            path, command, words = f"{path} {words[0]}", command.commands[words[0]], words[1:]
    return command, path, words


def check_command_line(line: str, complete: bool) -> None:
    words = shlex.split(line, comments=True)[1:]
    for end in ("|", ">", "&&", ";"):
        words = words[: words.index(end)] if end in words else words
    if not complete:
        words = [word for word in words if word[0].islower() or word[0] == "-"]
    command, path, words = resolve(words)
    options = {name: item for item in command.params for name in (*item.opts, *item.secondary_opts)}
    for word in words:
        if word.startswith("-") and not word[1:2].isdigit():  # -2..2 is a value
            assert word.split("=")[0] in {*options, "--help", "-h"}, f"`{path}` has no option {word}"
    if complete:
        command.make_context(path, words)  # raises what a wrong call raises


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_command_lines_parse(page: Path) -> None:
    for line, complete in command_lines(page):
        try:
            check_command_line(line, complete)
        except Exception as error:
            pytest.fail(f"{page.name}: {line}: {error!r}")


@pytest.mark.parametrize(
    ("line", "complete", "message"),
    [
        ("anchor translat x", True, "no command"),
        ("anchor hubs trains", False, "no command"),
        ("anchor translate --form seg", False, "no option --form"),
        ("anchor translate --from seg --to face", True, "(?i)missing"),
        ("anchor hubs train --data x", True, "(?i)missing"),
        ("anchor synthesize --domains a -n many -o x", True, "valid integer"),
        ("anchor domains show seg sketch", True, "sketch"),
    ],
)
def test_wrong_command_lines_are_found(line: str, complete: bool, message: str) -> None:
    with pytest.raises(Exception, match=message):
        check_command_line(line, complete)


def test_pages_have_command_lines() -> None:
    counts = {page.name: sum(complete for _, complete in command_lines(page)) for page in PAGES}
    assert counts["translating.md"] > 8 and counts["domains.md"] > 12 and counts["README.md"] > 5


# -- code, tables, links


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_names_in_python_examples_exist(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("anchor_"):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    found = hasattr(module, alias.name)
                    if not found and hasattr(module, "__path__"):
                        found = importlib.util.find_spec(f"{node.module}.{alias.name}") is not None
                    assert found, f"{page.name}: {node.module} has no {alias.name}"


def test_the_yaml_examples_are_what_they_say() -> None:
    from anchor_hub.bundles.base import parse_manifest
    from anchor_hub.modality import build_modality
    from anchor_hub.system.config import load_yaml

    assert parse_manifest(blocks(ROOT / "docs" / "bundles.md", "yaml")[0], "bundle.yaml").name == "seg"
    groups = load_yaml(blocks(ROOT / "docs" / "domains.md", "yaml")[0])
    assert build_modality({"name": "segmentation", "palette": "celebamask-hq", "merge": groups}).input_channels == 4
    palette = load_yaml(blocks(ROOT / "docs" / "modalities.md", "yaml")[0])
    assert build_modality({"name": "segmentation", "palette": palette}).input_channels == 3


def section(page: str, heading: str) -> str:
    """The text below a heading of the second rank, up to the next one."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def anchors(page: Path) -> set[str]:
    """What links into a page may name: its headings as GitHub makes them into anchors."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    pictures = re.findall(r"<img[^>]* src=\"([^\"]+)\"", text)
    for target in [*re.findall(r"\]\(([^)\s]+)\)", text), *pictures]:
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        where = page.parent / name if name else page
        assert where.exists(), f"{page.name}: {target} is not there"
        assert not heading or heading in anchors(where), f"{page.name}: {target}: no such heading"


def defined(path: Path) -> set[str]:
    """Functions and classes of a file, and their members: ``Class``, ``Class.method``, ``function``."""
    found: set[str] = set()
    pending: list[tuple[str, ast.AST]] = [("", ast.parse(path.read_text(encoding="utf-8")))]
    while pending:
        prefix, node = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(f"{prefix}{child.name}")
                if isinstance(child, ast.ClassDef):
                    pending.append((f"{prefix}{child.name}.", child))
    return found


def missing_places(text: str) -> list[str]:
    """The ``path.py:function`` of a text that do not exist."""
    places = re.findall(r"`([\w/.]+\.py):([\w.]+)`", text)
    known = {path: defined(ROOT / path) if (ROOT / path).is_file() else set() for path, _ in places}
    return [f"{path}:{name}" for path, name in places if name not in known[path]]


def test_the_walks_lead_somewhere() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert missing_places(text) == []
    for question in ("an image is encoded", "a bundle is written", "a backend is chosen", "a training runs"):
        walk = section("architecture.md", f"Where {question}")
        steps = re.findall(r"^\d\. .*`[\w/.]+\.py:[\w.]+`", walk, re.MULTILINE)
        assert len(steps) >= 4, question
    wrong = "`cli/anchor_cli/translate.py:translat`, `anchor_hub/no.py:x`, `anchor_hub/errors.py:AnchorError`"
    assert missing_places(wrong) == ["cli/anchor_cli/translate.py:translat", "anchor_hub/no.py:x"]


def test_the_floors_are_the_rules() -> None:
    from tests.test_structure import FLOORS

    rows = table("architecture.md", "floor")
    named = [tuple(re.findall(r"[\w.]+", cell)) for cell in rows]
    library = [[room for room in rooms if room.split(".")[0] == "anchor_hub"] for rooms in FLOORS]
    wanted = [{room.removeprefix("anchor_hub.") for room in rooms} for rooms in library if rooms]
    assert [{{"__init__": "anchor_hub"}.get(room, room) for room in rooms} for rooms in named] == wanted
    for row in rows.values():
        for path in re.findall(r"[\w/]+\.py", row["contract"]):
            assert (ROOT / "anchor_hub" / path).is_file(), path


def test_every_page_is_on_the_map() -> None:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in text, f"{page.name} is missing in docs/index.md"


def table(page: str, heading: str) -> dict[str, dict[str, str]]:
    """Rows by first cell of the table whose first column is called `heading`: column -> cell, without backticks."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip(" `") for cell in line.strip("| ").split(" | ")])
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}


def test_weights_of_the_objectives_are_the_codes() -> None:
    from dataclasses import asdict

    from anchor_hub.training.anchoring.options import ALIGNED_WEIGHTS
    from anchor_hub.training.anchoring.presets import PUBLISHED

    for name, row in table("anchoring.md", "aligned").items():
        assert {key: float(value) for key, value in list(row.items())[1:]} == asdict(ALIGNED_WEIGHTS[name]), name
    for name, row in table("anchoring.md", "published").items():
        assert {key: float(value) for key, value in list(row.items())[1:]} == PUBLISHED["code", name].weights, name


def test_presets_of_hubs_are_the_codes() -> None:
    from anchor_hub.training.generators.training import PRESETS

    rows = table("hubs.md", "preset")
    keys = {"latent length D": "latent_dim", "learning rate": "learning_rate", "R1 gamma": "r1_gamma", "batch": "batch"}
    for words, key in keys.items():
        for preset in ("small", "published"):
            assert float(rows[words][preset]) == PRESETS[preset][key], (words, preset)


def test_defaults_of_add_domain_are_the_codes() -> None:
    from anchor_hub.training.anchoring.add_domain import DEFAULTS

    rows = table("domains.md", "setting")
    for option, key in (("--count", "count"), ("--images", "images"), ("--batch", "batch")):
        assert int(rows[option]["default"].replace(",", "")) == DEFAULTS[key], option


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the Python page that need a hub, on the tiny hub of the tests."""
    from tests.tiny import tiny_home, write_sample

    tiny_home(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    for name in ("mask.png", "masks/a.png", "masks/b.png"):
        write_sample("seg", tmp_path / name)
    replaced = {
        "faces-64": "tiny", "[16, 32]": "[8, 16]", "[32]": "[16]", "[6, 7, 8, 9]": "[4, 5]",
        "range(6, 10)": "range(4, 6)", "steps=200": "steps=2", '"landmark"]': '"points"]',
        ', "palette": "celebamask-hq"': ', "classes": 5',
    }  # fmt: skip
    registry.cache_clear()
    ran = 0
    for block in blocks(ROOT / "docs" / "python-api.md", "python"):
        if "add_domain" in block or "read_published" in block:
            continue
        for old, new in replaced.items():
            block = block.replace(old, new)
        exec(compile(block, "python-api.md", "exec"), {})
        ran += 1
    assert ran >= 9 and (tmp_path / "set" / "points").is_dir() and (tmp_path / "face.png").is_file()
    registry.cache_clear()


def test_the_training_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the training page, on a hub of 8 px and a few pictures."""
    from tests.tiny import write_sample

    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        write_sample("face", tmp_path / "photographs" / f"{number}.png", seed=number)
    replaced = {
        '{"r1_gamma"': '{"size": 8, "latent_dim": 16, "channels": {4: 8, 8: 8}, "r1_gamma"', "100_000": "16",
        "batch=32": "batch=8", 'device="cpu"': 'device="cpu", processes=1, quiet=True',
    }  # fmt: skip
    for block in blocks(ROOT / "docs" / "training.md", "python"):
        for old, new in replaced.items():
            block = block.replace(old, new)
        exec(compile(block, "training.md", "exec"), {})
    assert (tmp_path / "my-hub" / "bundle.yaml").is_file()


def test_the_recipe_of_the_recipes_page_keeps_the_contract() -> None:
    whole = blocks(ROOT / "docs" / "recipes.md", "python")[1:]
    exec(compile("\n".join(whole), "recipes.md", "exec"), {"__name__": "recipes_page"})
    assert any("check_recipe" in block for block in whole)


def test_the_benchmarks_tables_are_made_from_the_committed_numbers(tmp_path: Path) -> None:
    from anchor_faces.benchmark.markdown import renewed
    from anchor_hub.evaluation.result import read_run

    page = ROOT / "docs" / "benchmark.md"
    (tmp_path / "page.md").write_bytes(page.read_bytes())
    renewed(tmp_path / "page.md", read_run(ROOT / "docs" / "benchmark.json"))
    assert (tmp_path / "page.md").read_text("utf-8") == page.read_text("utf-8"), (
        "run `anchor benchmark table docs/benchmark.json --into docs/benchmark.md`"
    )


def test_what_the_pages_say_of_the_faces_domains_is_registered() -> None:
    training = registry().domains["sketch"].spec.training
    wanted = f"{training['count']:,} rendered images, shows {training['images']:,} in all"
    assert wanted in (ROOT / "docs" / "anchoring.md").read_text(encoding="utf-8")
    assert f"train on {training['images']:,} images" in (ROOT / "docs" / "domains.md").read_text(encoding="utf-8")
