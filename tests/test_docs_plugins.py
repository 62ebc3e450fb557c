"""docs/plugins.md: every hook is there, and the plugin that the page is made of runs."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anchor_cli.lazy import Entry, load_entry
from anchor_hub import hookspecs
from anchor_hub.errors import AnchorError
from anchor_hub.plugins.loading import HOOKS
from anchor_hub.plugins.registry import Registry, registry
from anchor_hub.testing import ContractError, check_modality, check_plugin
from tests.plugin_makers import install_plugin
from tests.test_docs import ROOT, blocks, section


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


def test_the_example_data_set_works(example: Path) -> None:
    from anchor_hub.system.home import home

    found = registry()
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
    import torch

    from anchor_hub.bundles.base import open_bundle
    from anchor_hub.modality import build_modality
    from anchor_hub.training import Samples
    from anchor_hub.training.base import TrainingPlan
    from anchor_hub.training.engine.trainer import Trainer

    kind = registry().load(registry().recipes["brightness"].spec.target)
    recipe = kind.build(TrainingPlan("light", "brightness"), kind.Options(), {})
    rows, rgb = torch.full((8, 3, 16, 16), 191, dtype=torch.uint8), build_modality({"name": "rgb"})
    data = {name: Samples(rows, rgb) for name in kind.data}
    assert Trainer(recipe, data, example / "run", batch=4, total_images=400, quiet=True).run().finished
    bundle = open_bundle(recipe.export(example / "bundle", {"images": 400}), "translator")
    assert abs(bundle.tensors("bias")["bias"].item() - 0.5) < 0.1


def test_the_backends_commands_run(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way of a stranger's backend, as the page tells it: its commands, then its checks."""
    import torch
    from PIL import Image

    monkeypatch.chdir(example)
    for folder, gray in (("day", 200), ("night", 40), ("pairs/day", 200), ("pairs/night", 40)):
        (example / folder).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (64, 64), (gray, gray, gray + number)).save(example / folder / f"{number}.png")
    Image.new("RGB", (64, 64), (5, 5, 5)).save(example / "dark.png")
    torch.save({"day2night": {"bias": torch.ones(1)}}, example / "release.pt")
    text = section("plugins.md", "A backend, from start to end")
    for line in re.findall(r"^anchor .*", text, re.MULTILINE):
        run_line(line)
        if line.startswith("anchor translators list"):
            # The negative of a flat picture is flat, and here as bright as the pictures of the night.
            run_line("anchor translate day/0.png --from day --to night -o own.png")
            assert Image.open(example / "own.png").getpixel((9, 9)) == pytest.approx((40, 40, 40), abs=4)
    assert len(list((example / "out").glob("*-style3.png"))) == 4 and (example / "sheet.png").is_file()
    assert Image.open(example / "out" / "0.png").getpixel((9, 9)) == pytest.approx((5, 5, 5), abs=2), "dark.png's look"
    assert len(re.findall("^anchor ", text, re.MULTILINE)) >= 12
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        if not block.startswith("# anchor_dogs/"):
            names: dict[str, Any] = {}
            exec(compile(block, "plugins.md", "exec"), names)
            tests = [value for name, value in names.items() if name.startswith("test_")]
            assert len(tests) == 2
            for test in tests:
                test()
    text = section("plugins.md", "Hooks")
    run_line("anchor translators train day-night")
    assert len(re.findall("^anchor ", text, re.MULTILINE)) >= 2
    for line in re.findall(r"^anchor .*", text, re.MULTILINE):
        run_line(line)
    assert Image.open(example / "out" / "0.png").getpixel((9, 9)) == pytest.approx((255, 255, 255), abs=2), "the bias"


def run_line(line: str) -> None:
    """A command line of a page, in this process; trainings in one process of the CPU."""
    from tests.cli.running import anchor

    words = shlex.split(line)[1:]
    if words[:2] == ["translators", "train"]:
        words += ["--device", "cpu", "--precision", "fp32", "--processes", "1", "--quiet"]
    done = anchor(*words)
    assert done.exit_code == 0, f"{line}: {done.output} {done.exception!r}"


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
