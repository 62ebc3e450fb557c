"""A package that somebody else publishes (tests/stranger): trained, used, measured and taken away, by command line.

The short tests find it on a path, as an editable installation would put it; the long one builds a wheel of it and
installs that into an environment of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import anchor_faces
from anchor_hub import build_modality, load_hub, testing
from anchor_hub.plugins.registry import registry
from anchor_hub.training import Samples
from anchor_hub.translation import TranslationRequest
from tests.cli.running import anchor
from tests.tiny import SIZE, tiny_generator, tiny_home, write_sample

PACKAGE = Path(__file__).parent / "stranger"
SHORT = ("--images", "64", "--batch", "16", "--device", "cpu", "--precision", "fp32", "--processes", "1", "--quiet")


def run(*arguments: Any, code: int = 0) -> str:
    """Standard output, or where it must fail its message; the exit code must be ``code``."""
    done = anchor(*map(str, arguments))
    assert done.exit_code == code, done.output + repr(done.exception)
    return str(done.stdout if code == 0 else done.stderr)


def pictures(folder: Path, count: int = 8, *, red: bool = False) -> Path:
    """Random RGB pictures; reddish ones have hardly any green and blue."""
    for number in range(count):
        path = write_sample("face", folder / f"{number}.png", seed=number)
        if red:
            channels = Image.open(path).split()
            dim = [channel.point(lambda value: value // 4) for channel in channels[1:]]
            Image.merge("RGB", (channels[0].point(lambda value: 128 + value // 2), *dim)).save(path)
    return folder


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package on the path, and a home with the tiny hub and its domains; gives the path that can be taken away."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE / "anchor_stranger", site / "anchor_stranger")
    info = site / "anchor_stranger-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: anchor-stranger\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[anchor_hub]\nstranger = anchor_stranger.plugin\n")
    monkeypatch.syspath_prepend(str(site))
    tiny_home(tmp_path, monkeypatch)
    registry.cache_clear()
    yield site
    registry.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "anchor_stranger"]:
        del sys.modules[name]


@pytest.fixture
def trained(stranger: Path, tmp_path: Path) -> Path:
    """The translator ``redden``, face -> rose, trained for a moment."""
    grays, reds = pictures(tmp_path / "faces"), pictures(tmp_path / "roses", red=True)
    run(
        "translators", "train", "redden", "--backend", "tint", "--from", "face", "--to", "rose",
        "--data", f"source={grays}", "--data", f"target={reds}", "--set", "size=16", *SHORT,
    )  # fmt: skip
    return stranger


def mean(path: Path) -> list[float]:
    """The mean of each channel."""
    values = list(Image.open(path).convert("RGB").getdata())
    return [sum(value[channel] for value in values) / len(values) for channel in range(3)]


def test_a_translator_translates_with_options_styles_and_a_reference(trained: Path, tmp_path: Path) -> None:
    rows = json.loads(run("translators", "list", "--json"))
    assert [row["state"] for row in rows if row["name"] == "redden"] == ["ready"]
    inputs, out = tmp_path / "faces", tmp_path / "out"
    # Nobody else serves the pair: neither --backend nor --translator is needed.
    said = json.loads(run("translate", inputs, "--from", "face", "--to", "rose", "-o", out, "--json"))
    assert len(said["results"]) == 8 and all(result["error"] is None for result in said["results"])
    red, green, blue = mean(out / "0.png")
    assert red > green + 30 and red > blue + 30, "the colours are the target's"
    run("translate", inputs, "--from", "face", "--to", "rose", "--set", "strength=0", "-o", tmp_path / "plain")
    assert mean(tmp_path / "plain" / "0.png") != mean(out / "0.png")
    styled = ("translate", inputs, "--translator", "redden", "--from", "face", "--to", "rose", "--styles", "3")
    run(*styled, "--seed", 5, "-o", tmp_path / "five", "--batch", 3, "--vary")
    run(*styled, "--seed", 5, "-o", tmp_path / "again", "--batch", 8, "--vary", "--grid", tmp_path / "sheet.png")
    names = sorted(path.name for path in (tmp_path / "five").iterdir())
    assert len(names) == 24 and Image.open(tmp_path / "sheet.png").width > 4 * SIZE
    for name in names:
        assert (tmp_path / "five" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), "whatever the batch"
    green_picture = tmp_path / "green.png"
    Image.new("RGB", (SIZE, SIZE), (20, 200, 20)).save(green_picture)
    asked = ("translate", inputs / "0.png", "--from", "face", "--to", "rose", "-o", out / "g.png")
    run(*asked, "--style-from", green_picture)
    red, green, blue = mean(out / "g.png")
    assert green > red + 30 and green > blue + 30, "the look of the reference"


def test_backends_say_what_they_take(stranger: Path) -> None:
    rows = {row["name"]: row for row in json.loads(run("backends", "--json"))}
    assert rows["anchor"]["recipes"] == [] and rows["tint"]["recipes"] == ["tint"]
    shown = json.loads(run("backends", "tint", "--json"))
    (option,) = shown["options"]
    assert (option["name"], option["type"], option["default"]) == ("strength", "number, 0 to 1", 1.0)
    assert shown["styles"] == ["own", "random", "reference"] and "strength" in run("backends", "tint")
    assert "Did you mean 'tint'" in run("backends", "tnt", code=2)
    names = {item["name"] for item in json.loads(run("backends", "anchor", "--json"))["options"]}
    assert {"style_layers", "style_domain", "invert", "merge_classes"} <= names


def test_it_keeps_the_contract(trained: Path, tmp_path: Path) -> None:
    session = TranslationRequest(source="face", target="rose").open("cpu")
    names = sorted((tmp_path / "faces").iterdir())[:3]
    testing.check_plugin("anchor_stranger.plugin")
    testing.check_translator(session.translator, torch.stack([session.read(name) for name in names]))
    recipe = registry().load(registry().recipes["tint"].spec.target)
    rows = torch.randint(0, 256, (8, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    rgb = build_modality({"name": "rgb"})
    testing.check_recipe(recipe, {name: Samples(rows, rgb) for name in ("source", "target")})


def test_what_a_translator_does_not_take_is_refused_by_name(trained: Path, tmp_path: Path) -> None:
    picture = tmp_path / "faces" / "0.png"
    asked = ("translate", picture, "--from", "face", "--to", "rose", "-o", tmp_path / "x.png")
    assert "'strength'" in run(*asked, "--set", "strenght=1", code=2)
    assert "strength" in run(*asked, "--set", "strength=3", code=2)
    assert "style_layers" in run(*asked, "--styles", 1, "--style-layers", "2-3", code=2)
    to = ("translate", picture, "-o", tmp_path / "x.png", "--from", "face", "--to")
    assert "'rose'" in run(*to, "rise", "--translator", "redden", code=2)
    assert "'tint'" in run(*to, "rose", "--backend", "tnt", code=2)
    assert not (tmp_path / "x.png").exists()


def test_a_training_goes_on_where_it_was(stranger: Path, tmp_path: Path) -> None:
    grays, reds = pictures(tmp_path / "faces"), pictures(tmp_path / "roses", red=True)
    data = ("--data", f"source={grays}", "--data", f"target={reds}")
    train = ("translators", "train", "redden", "--backend", "tint", "--from", "face", "--to", "rose", *data, "--quiet")
    on = ("--batch", "8", "--device", "cpu", "--precision", "fp32", "--processes", "1", "--seed", "3")
    run(*train, *on, "--images", 64, "-o", tmp_path / "whole", "--run-dir", tmp_path / "run-1")
    run(*train, *on, "--images", 32, "-o", tmp_path / "half", "--run-dir", tmp_path / "run-2")
    run(*train, *on, "--images", 64, "-o", tmp_path / "half", "--run-dir", tmp_path / "run-2", "--resume")
    name = "tint.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "half" / name).read_bytes()


def test_two_translators_of_a_pair_are_named(trained: Path, tmp_path: Path) -> None:
    home = Path(os.environ["ANCHOR_HOME"])
    run("translators", "export", "redden", "-o", tmp_path / "redden.zip")
    run("translators", "install", tmp_path / "redden.zip", "--name", "other")
    assert (home / "translators" / "other" / "bundle.yaml").is_file()
    picture = tmp_path / "faces" / "0.png"
    message = run("translate", picture, "--from", "face", "--to", "rose", "-o", tmp_path / "x.png", code=2)
    assert "redden" in message and "other" in message and "--translator" in message
    run("translate", picture, "--from", "face", "--to", "rose", "-o", tmp_path / "x.png", "--translator", "other")
    assert (tmp_path / "x.png").is_file()


def test_it_is_measured_like_any_other(trained: Path, tmp_path: Path) -> None:
    data = tmp_path / "pairs"
    shutil.copytree(tmp_path / "faces", data / "face")
    shutil.copytree(tmp_path / "roses", data / "rose")
    asked = ("evaluate", "--from", "face", "--to", "rose", "--data", data, "--metrics", "l1,psnr", "--quiet")
    result = json.loads(run(*asked, "--report", tmp_path / "report", "--json", "--set", "strength=0.5"))
    (pair,) = result["pairs"]
    assert (pair["backend"], pair["source"], pair["target"]) == ("tint", "face", "rose")
    assert result["hub"] is None and pair["settings"]["strength"] == 0.5
    assert len(pair["settings"]["translator_bundle"]) == 64
    assert (tmp_path / "report" / "report.html").is_file()
    assert "different data, domains or styles" in run(*asked, "--report", tmp_path / "report", "--resume", code=2)


def test_a_domain_of_its_own_architecture_is_a_domain(stranger: Path, tmp_path: Path) -> None:
    reds = pictures(tmp_path / "roses", red=True)
    longer = ("--images", "960", *SHORT[2:])
    run("add-domain", "rose", "--method", "wash", "--hub", "tiny", "--data", reds, "--modality", "rgb", *longer)
    masks = write_sample("seg", tmp_path / "masks" / "a.png").parent
    run("translate", masks, "--from", "seg", "--to", "rose", "-o", tmp_path / "out")
    assert Image.open(tmp_path / "out" / "a.png").size == (SIZE, SIZE)
    run("synthesize", "--domains", "face,rose,seg", "-n", 8, "-o", tmp_path / "set", "--quiet")
    made = [mean(path) for path in sorted((tmp_path / "set" / "rose").iterdir())]
    red, green, blue = (sum(values) / len(made) for values in zip(*made, strict=True))
    assert len(made) == 8 and red > green + 30 and red > blue + 30, "the colours are its own"


def test_a_checkpoint_of_its_own_layout_is_a_hub(stranger: Path, tmp_path: Path) -> None:
    generator = tiny_generator()
    table = {"config": generator.config.to_dict(), "weights": generator.state_dict()}
    torch.save({"plain_stylegan2": table}, tmp_path / "theirs.pt")
    run("hubs", "import", tmp_path / "theirs.pt", "--name", "theirs", "--license", "MIT")
    rows = {row["name"]: row for row in json.loads(run("hubs", "list", "--json"))}
    assert rows["theirs"]["state"] == "ready"


def test_a_family_of_its_own_is_a_hub(stranger: Path, tmp_path: Path) -> None:
    from anchor_stranger.hub import Ramp  # type: ignore[import-not-found]

    torch.manual_seed(0)
    generator = Ramp(SIZE)
    torch.save({"ramp": {"size": SIZE, "weights": generator.state_dict()}}, tmp_path / "ramp.pt")
    run("hubs", "import", tmp_path / "ramp.pt", "--name", "ramps", "--license", "MIT")
    hub = load_hub("ramps", "cpu")
    testing.check_architecture(registry().architectures["ramp"].spec, hub)
    assert torch.equal(hub.image(hub.sample(2, seed=1)), generator(hub.expand(hub.sample(2, seed=1)))[1])
    reds = pictures(tmp_path / "roses", red=True)
    run("add-domain", "tinge", "--method", "wash", "--hub", "ramps", "--data", reds, "--modality", "rgb", *SHORT)
    run("add-domain", "glow", "--hub", "ramps", "--data", reds, "--modality", "rgb", "--regressor", "hub", *SHORT)
    run("translate", reds, "--from", "glow", "--to", "tinge", "-o", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 8


def test_bundles_outlive_the_package(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reds = tmp_path / "roses"
    run("add-domain", "rose", "--method", "wash", "--hub", "tiny", "--data", reds, "--modality", "rgb", *SHORT)
    shutil.move(str(trained), str(tmp_path / "gone"))
    monkeypatch.setattr(sys, "path", [item for item in sys.path if item != str(trained)])
    registry.cache_clear()
    row = next(row for row in json.loads(run("translators", "list", "--json")) if row["name"] == "redden")
    assert row["state"] == "needs plugin anchor-stranger"
    rows = {row["name"]: row for row in json.loads(run("domains", "list", "--json"))}
    assert rows["rose"]["state"] == "needs plugin anchor-stranger" and rows["seg"]["state"] == "ready"
    picture = tmp_path / "faces" / "0.png"
    asked = ("translate", picture, "--from", "face", "--to", "rose", "-o", tmp_path / "x.png")
    message = run(*asked, "--translator", "redden", code=1)
    assert "anchor-stranger (0.3)" in message and "not installed" in message
    assert "anchor-stranger" in run(*asked, code=1)
    assert (Path(os.environ["ANCHOR_HOME"]) / "translators" / "redden" / "bundle.yaml").is_file()


@pytest.mark.slow
def test_a_wheel_installed_beside_anchor_hub(tmp_path: Path) -> None:
    """Built and installed offline, as its author's users would: train, list, translate, measure, move, uninstall."""
    place = tmp_path / "env"
    venv.create(place, with_pip=False)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    ours = [path for path in sys.path if path.endswith("site-packages")]
    site = next(iter(sorted(place.glob("[lL]ib*/**/site-packages"))))
    (site / "tests_own.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in ours))
    environment = {**os.environ, "ANCHOR_HOME": str(tiny_home(tmp_path)), "OMP_NUM_THREADS": "1"}

    def call(*arguments: Any, code: int = 0, home: Path | None = None) -> str:
        done = subprocess.run(
            [str(python), *map(str, arguments)], env=environment | ({"ANCHOR_HOME": str(home)} if home else {}),
            capture_output=True, text=True, cwd=tmp_path, timeout=900,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    def command(*arguments: Any, **options: Any) -> str:
        return call("-m", "anchor_cli", *arguments, **options)

    source = shutil.copytree(PACKAGE, tmp_path / "package")
    offline = ("--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check")
    call("-m", "pip", "wheel", *offline, "-w", tmp_path / "wheels", source)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    call("-m", "pip", "install", *offline, "--prefix", place, wheel)
    assert "anchor-stranger" in command("plugins")
    grays, reds = pictures(tmp_path / "faces"), pictures(tmp_path / "roses", red=True)
    command(
        "translators", "train", "redden", "--backend", "tint", "--from", "face", "--to", "rose",
        "--data", f"source={grays}", "--data", f"target={reds}", *SHORT,
    )  # fmt: skip
    command("translate", grays, "--from", "face", "--to", "rose", "--styles", 2, "-o", "out", "--grid", "sheet.png")
    assert len(list((tmp_path / "out").iterdir())) == 16
    command("translators", "export", "redden", "-o", "redden.zip")
    command("translators", "install", "redden.zip", home=tmp_path / "elsewhere")
    command("translate", grays, "--from", "face", "--to", "rose", "-o", "there", home=tmp_path / "elsewhere")
    assert len(list((tmp_path / "there").iterdir())) == 8
    samples = Path(anchor_faces.__file__).parent / "samples"
    table = ("--modality", "source=segmentation", "--modality-set", "source:classes=19", "--modality", "target=rgb")
    command(
        "translators", "train", "paint", "--backend", "tint", "--from", "seg", "--to", "face", "--set", "size=64",
        "--data", f"source={samples / 'seg'}", "--data", f"target={samples / 'face'}", *table, *SHORT,
    )  # fmt: skip
    command(
        "evaluate", "--benchmark", "rendered-faces", "--from", "seg", "--to", "face", "--translator", "paint",
        "--count", 4, "--report", "report", "--quiet",
    )  # fmt: skip
    (pair,) = json.loads((tmp_path / "report" / "metrics.json").read_text())["pairs"]
    assert pair["backend"] == "tint" and "parser_miou" in {metric["name"] for metric in pair["metrics"]}
    strict = ("--strict", "--config-file", os.devnull, "--ignore-missing-imports")
    call("-m", "mypy", *strict, "--follow-imports", "silent", "-p", "anchor_stranger")
    call("-m", "pip", "uninstall", "--yes", "anchor-stranger")
    assert "needs plugin anchor-stranger" in command("translators", "list")
    assert "anchor-stranger" in command("translate", grays, "--from", "face", "--to", "rose", "-o", "no", code=1)
