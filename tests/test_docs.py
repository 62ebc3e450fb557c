"""What the pages say is so: hooks, plugin example, commands, imports, links, pictures."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from anchor_cli import main as cli
from anchor_cli.lazy import Entry, LazyGroup, load_entry
from anchor_hub import hookspecs
from anchor_hub.errors import AnchorError
from anchor_hub.plugins.loading import HOOKS
from anchor_hub.plugins.registry import Registry, registry
from anchor_hub.testing import ContractError, check_modality, check_plugin
from tests.plugin_makers import install_plugin

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, *languages: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for language, body in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL) if language in languages]


# -- plugins


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    lines = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8").splitlines()
    for name in HOOKS:
        hook = getattr(hookspecs, name)
        assert f"### `{name}({', '.join(inspect.signature(hook).parameters)})`" in lines
        assert hook.__doc__


def test_no_hook_is_documented_that_does_not_exist() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    assert set(re.findall(r"anchor_register_[a-z]+(?=\()", text)) == set(HOOKS)


def test_specs_are_documented_with_their_fields() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for spec in (hook.spec for hook in HOOKS.values()):
        parameters = inspect.signature(spec).parameters.values()
        given = [item.name for item in parameters if item.kind is not inspect.Parameter.KEYWORD_ONLY]
        written = re.search(rf"`{spec.__name__}\((.*?)\)`", text)
        assert written, spec
        assert re.findall(r"(\w+)(?:=[^,]+)?(?:, |$)", written[1].split(", *, ")[0]) == given


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plugin that the page is made of, installed: blocks that begin with the name of their file."""
    files: dict[str, str] = {}
    for block in blocks(ROOT / "docs" / "plugins.md", "python"):
        if found := re.match(r"# (anchor_dogs/\w+\.py)\n", block):
            files[found[1]] = files.get(found[1], "") + block
    (tmp_path / "anchor_dogs").mkdir()
    (tmp_path / "anchor_dogs" / "__init__.py").touch()
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    install_plugin(tmp_path, "", name="dogs", distribution="anchor-dogs", target="anchor_dogs.plugin")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    registry.cache_clear()
    yield tmp_path
    registry.cache_clear()


def test_the_example_plugin_implements_every_hook(example: Path) -> None:
    specs = check_plugin("anchor_dogs.plugin")
    assert set(specs) == {hook.collection for hook in HOOKS.values()}
    found = registry()
    assert found.domains["dog"].distribution == "anchor-dogs"
    assert found.hubs["dogs-64"].bundle is None
    plugin = next(plugin for plugin in found.plugins if plugin.name == "dogs")
    assert (plugin.status, plugin.notes) == ("ok", [])


def test_the_example_modality_keeps_the_contract(example: Path) -> None:
    import torch

    from anchor_hub.modality import build_modality

    matte = build_modality({"name": "matte", "threshold": 100})
    samples = torch.randint(0, 2, (2, 1, 16, 16), dtype=torch.uint8)
    check_modality(matte, samples)
    assert torch.equal(matte.from_network(matte.to_network(samples)), samples)
    right, wrong = matte.to_network(samples) * 20, -matte.to_network(samples) * 20
    assert matte.reconstruction_loss(right, samples) < 1e-6 < 10 < matte.reconstruction_loss(wrong, samples)
    matte.write(samples[0], example / "matte.png")
    assert torch.equal(matte.read(example / "matte.png", 16), samples[0])


def test_the_example_backend_and_data_set_work(example: Path) -> None:
    import torch

    from anchor_hub.system.home import home

    found = registry()
    backend = found.load(found.backends["negative"].spec.target)(size=16)
    assert torch.equal(backend.translate(torch.ones(1, 3, 16, 16)), -torch.ones(1, 3, 16, 16))
    make = found.load(found.datasets["dogs"].spec.target)
    seen: list[tuple[int, int]] = []
    folder = make("train", size=16, count=3, seed=0, home=home(), progress=lambda *done: seen.append(done))
    assert len(list(folder.glob("*.png"))) == 3 and seen[-1] == (3, 3)
    plan_module = importlib.import_module("anchor_hub.training.anchoring.add_domain")
    plan = plan_module.plan_domain("dog")
    assert (plan.images, plan.options) == (10_000, {"structure_layers": 5})
    importlib.import_module("anchor_hub.training.anchoring.options").AnchorOptions.from_dict(plan.options)


def test_the_example_architectures_reader_and_inverter_work(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from anchor_hub.bundles.base import open_bundle
    from anchor_hub.checkpoints.importing_translators import import_parts
    from anchor_hub.domains.loading import load_domain
    from anchor_hub.inventory import describe
    from anchor_hub.testing import check_architecture
    from tests.bundle_makers import tiny_prior
    from tests.tiny import tiny_home, tiny_hub

    home, hub, found = tiny_home(example, monkeypatch, ()), tiny_hub(), registry()
    tinted = found.load(found.architectures["tinted"].spec.target)
    domain = tinted("night", hub, torch.tensor([0.1, 0.2, 0.5]).view(3, 1, 1))
    check_architecture(found.architectures["tinted"].spec, domain)
    domain.save(home / "domains" / "night")
    loaded = load_domain("night", device="cpu")
    assert torch.equal(loaded.decode(hub.sample(1, seed=0)), domain.decode(hub.sample(1, seed=0)))
    assert open_bundle(home / "domains" / "night").manifest.plugins == {"anchor-dogs": "1.2"}
    parts = {"filter": {"weight": hub.mean_latent}}
    prior = tiny_prior(home / "priors" / "edge", architecture={"name": "edges"}, tensors=parts)
    check_architecture(found.architectures["edges"].spec, prior)

    torch.save({"day2night": {"bias": torch.ones(1)}}, example / "release.pt")
    assert import_parts("translator", example / "release.pt", "day-night").family == "dog-release"
    assert describe("translator", "day-night")["state"] == "ready"

    inverter = found.load(found.inverters["mean"].spec.target)
    images = torch.zeros(2, 3, hub.size, hub.size)
    assert torch.equal(inverter(hub, inverter.Options())(images), hub.expand(hub.mean_latent.expand(2, -1)))


def test_the_example_extractor_and_benchmark_work(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from tests.tiny import tiny_home

    found = registry()
    extractor = found.load(found.extractors["mean-colour"].spec.target)("cpu")
    assert extractor(torch.full((2, 3, 4, 4), 7, dtype=torch.uint8)).tolist() == [[7.0] * 3] * 2
    tiny_home(example, monkeypatch, ("face",))
    measure = found.load(found.benchmarks["flat"].spec.target)
    options = {"report": None, "count": 4, "seed": 0, "batch": 4, "workers": 1, "device": "cpu", "resume": False}
    result = measure("face", "face", **options)
    assert 0 < result.pair("face", "face").metric("moved").value < 2


def test_the_example_recipe_trains_and_exports(example: Path) -> None:
    from PIL import Image

    from anchor_hub.bundles.base import open_bundle
    from anchor_hub.training import RunSettings, TrainingPlan, train

    for index in range(8):
        Image.new("RGB", (16, 16), (191, 191, 191)).save(example / f"{index}.png")
    plan = TrainingPlan("light", "brightness", {"own": str(example)}, source="a", targets=("b",), images=400, batch=4)
    run = RunSettings("cpu", "fp32", example / "run", example / "bundle", processes=1, quiet=True)
    bundle = open_bundle(str(train(plan, run).bundle), "translator")
    assert abs(bundle.tensors("bias")["bias"].item() - 0.5) < 0.1


def test_the_recipe_of_the_recipes_page_keeps_the_contract() -> None:
    whole = blocks(ROOT / "docs" / "recipes.md", "python")[1:]
    exec(compile("\n".join(whole), "recipes.md", "exec"), {"__name__": "recipes_page"})
    assert any("check_recipe" in block for block in whole)


def test_the_example_command_runs(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example / "one.png").touch()
    for key in ("dogs", "data dogs"):
        spec = registry().commands[key].spec
        load_entry("dogs", Entry(spec.target, spec.help)).main([str(example), "--json"], standalone_mode=False)
        assert capsys.readouterr().out == '{"dogs": 1}\n'


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


def test_first_party_plugins_pass_the_suite() -> None:
    for module in ("anchor_hub.plugins.builtin", "anchor_faces.plugin"):
        check_plugin(module)
    assert Registry().plugins


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
        if word.startswith("-"):
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
        ("anchor translate x --from seg", True, "(?i)missing"),
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
                    assert hasattr(module, alias.name), f"{page.name}: {node.module} has no {alias.name}"


def test_the_yaml_examples_are_what_they_say() -> None:
    from anchor_hub.bundles.base import parse_manifest
    from anchor_hub.modality import build_modality
    from anchor_hub.system.config import load_yaml

    assert parse_manifest(blocks(ROOT / "docs" / "bundles.md", "yaml")[0], "bundle.yaml").name == "seg"
    groups = load_yaml(blocks(ROOT / "docs" / "domains.md", "yaml")[0])
    assert build_modality({"name": "segmentation", "palette": "celebamask-hq", "merge": groups}).input_channels == 4
    palette = load_yaml(blocks(ROOT / "docs" / "modalities.md", "yaml")[0])
    assert build_modality({"name": "segmentation", "palette": palette}).input_channels == 3


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
