"""The backend `gp-unit`: contract, styles, options, bundles and what is told where something is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from anchor_gpunit.networks.configs import ContentConfig
from anchor_gpunit.prior import ContentPrior
from anchor_gpunit.translator import GpUnitOptions, GpUnitTranslator, interpolated
from anchor_hub import build_modality, testing
from anchor_hub.bundles.base import open_bundle, write_bundle
from anchor_hub.errors import BundleError
from anchor_hub.plugins.registry import registry
from anchor_hub.translation import TranslationRequest
from tests.cli.running import anchor
from tests.gpunit.makers import (
    CONTENT,
    SIZE,
    picture,
    prior_bundle,
    tiny_encoder,
    tiny_generator,
    translator_bundle,
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a prior and a translator face -> cat that requires it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ANCHOR_HOME", str(folder))
    prior = prior_bundle(folder / "priors" / "content")
    translator_bundle(folder / "translators" / "face-cat", prior)
    return folder


def run(*arguments: Any, code: int = 0) -> str:
    done = anchor(*map(str, arguments))
    assert done.exit_code == code, done.output + repr(done.exception)
    return str(done.stdout if code == 0 else done.stderr)


def opened(home: Path, **options: Any) -> GpUnitTranslator:
    session = TranslationRequest(source="face", target="cat", options=options).open("cpu")
    assert isinstance(session.translator, GpUnitTranslator)
    return session.translator


def pictures(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5)) * 2 - 1


# ------------------------------------------------------------------------------------------------ contract


def test_it_keeps_the_contract(home: Path) -> None:
    samples = torch.randint(0, 256, (3, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    translator = opened(home)
    testing.check_translator(translator, samples)
    testing.check_plugin("anchor_gpunit.plugin")
    spec = registry().architectures["gp-unit-content"].spec
    testing.check_architecture(spec, home / "priors" / "content")
    assert set(translator.identity.weights) == {"translator", "prior"}


def test_the_bundle_gives_the_networks_that_were_written(home: Path) -> None:
    x = pictures()
    encoder, generator = tiny_encoder(), tiny_generator()
    with torch.no_grad():
        code = generator.style(x[:1])
        wanted = generator(encoder(x), code.expand(3, -1)).images
    translator = opened(home)
    found = translator.translate(x, translator.reference_styles(x[:1]))
    assert torch.allclose(found, wanted, atol=1e-5)
    half = translator_bundle(home / "half", None, half=True)
    size, whole = (
        sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        for folder in (half, translator_bundle(home / "whole", None))
    )
    assert size < 0.6 * whole
    options: Any = GpUnitOptions()
    again = GpUnitTranslator.open("face", "cat", bundle=open_bundle(half), options=options, device="cpu")
    assert set(again.identity.weights) == {"translator"}
    assert torch.allclose(again.translate(x, again.reference_styles(x[:1])), wanted, atol=0.02)


# ------------------------------------------------------------------------------------------------ styles and options


def test_a_sample_depends_on_seed_and_number_alone(home: Path) -> None:
    translator = opened(home)
    styles = translator.random_styles(5, seed=3)
    assert torch.equal(styles[3:4], translator.random_styles(1, seed=3, start=3))
    assert not torch.equal(styles[0], styles[1])
    assert torch.allclose(translator.random_styles(2, seed=3, truncation=0.0), translator.mean_style.expand(2, -1))
    assert len(translator.random_styles(0, seed=3)) == 0


def test_skips_are_computed_once_for_all_styles(home: Path) -> None:
    translator = opened(home)
    x, styles = pictures(), translator.random_styles(3, seed=0)
    calls: list[int] = []
    translator.generator.dynamic[0].register_forward_hook(lambda *_: calls.append(1))
    content = translator.encode(x)
    together = [translator.decode(content, style[None]) for style in styles]
    assert len(calls) == 1 and len(content) == 5
    # One content in three styles at once is the same three pictures.
    first = translator.encode(x[:1])
    rows = translator.decode(first, styles)
    assert torch.allclose(rows, torch.cat([images[:1] for images in together]), atol=1e-5)


@torch.no_grad()
def test_intensity_goes_from_the_layout_alone_to_free_skips(home: Path) -> None:
    x = pictures()
    full, none = opened(home), opened(home, skips=False)
    style = full.random_styles(1, seed=0)
    results = {value: opened(home, intensity=value).translate(x, style) for value in (0.0, 0.3, 1.0)}
    assert torch.equal(results[0.0], none.translate(x, style)) and torch.equal(results[1.0], full.translate(x, style))
    assert float((results[0.3] - results[0.0]).abs().max()) > 1e-3
    assert float((results[0.3] - results[1.0]).abs().max()) > 1e-3
    generator, maps = tiny_generator(), tiny_encoder()(x)
    for value in (0.0, 0.2, 0.6):
        intensity = torch.tensor([value, 1.0, value])
        skips, free = generator.skips(maps, intensity), generator.skips(maps)
        for bounded, whole in zip(skips, free, strict=True):
            assert float(whole.mask[0].mean()) > 0 and float(bounded.mask[0].mean()) <= value
            assert torch.equal(bounded.mask[1], whole.mask[1]), "1 leaves the skip alone"
    # A generator that learned no dependence still bounds its masks.
    plain = tiny_generator(type(generator.config)(**{**generator.config.to_dict(), "intensity": False}))
    assert float(plain.skips(maps, torch.tensor([0.0]))[0].mask.abs().max()) == 0


def test_styles_are_blended(home: Path, tmp_path: Path) -> None:
    a, b = picture(tmp_path / "a.png", 1), picture(tmp_path / "b.png", 2)
    rgb = build_modality({"name": "rgb"})

    def code(translator: GpUnitTranslator, path: Path) -> torch.Tensor:
        return translator.reference_styles(rgb.to_network(rgb.read(path, SIZE)[None]))

    plain = opened(home)
    first, second = code(plain, a), code(plain, b)
    for share in (0.0, 0.25, 1.0):
        found = code(opened(home, blend_with=str(b), blend=share), a)
        assert torch.allclose(found, interpolated(first, second, share), atol=1e-6)
    blended = opened(home, blend_with=str(b), blend=1.0)
    assert torch.allclose(blended.random_styles(2, seed=1), second.expand(2, -1), atol=1e-6)


def test_by_command_line(home: Path, tmp_path: Path) -> None:
    portrait, cat, out = picture(tmp_path / "p.png"), picture(tmp_path / "my_cat.png", 7), tmp_path / "out"
    asked = ("translate", portrait, "--backend", "gp-unit", "--from", "face", "--to", "cat")
    run(*asked, "-o", out / "cat.png", "--styles", 3, "--seed", 4, "--grid", out / "sheet.png")
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 4 and "sheet.png" in names
    made = [Image.open(out / name) for name in names if name != "sheet.png"]
    assert {image.size for image in made} == {(SIZE, SIZE)} and len({image.tobytes() for image in made}) == 3
    run(*asked, "-o", tmp_path / "own.png")
    run(*asked, "-o", tmp_path / "like.png", "--style-from", cat)
    mixed = ("--style-from", cat, "--set", f"blend_with={portrait}", "--set", "blend=0.3")
    run(*asked, "-o", tmp_path / "mixed.png", *mixed)
    run(*asked, "-o", tmp_path / "flat.png", "--style-from", cat, "--set", "intensity=0")
    looks = {Image.open(tmp_path / f"{name}.png").tobytes() for name in ("own", "like", "mixed", "flat")}
    assert len(looks) == 4
    shown = json.loads(run("backends", "gp-unit", "--json"))
    assert shown["styles"] == ["own", "random", "reference"]
    assert {row["name"] for row in shown["options"]} == {"intensity", "skips", "blend", "blend_with"}
    assert "Did you mean 'intensity'" in run(*asked, "-o", tmp_path / "x.png", "--set", "intensty=1", code=2)


# ------------------------------------------------------------------------------------------------ what is wrong


def test_a_missing_prior_is_named(home: Path, tmp_path: Path) -> None:
    shutil.move(str(home / "priors" / "content"), str(tmp_path / "away"))
    registry.cache_clear()
    row = next(row for row in json.loads(run("translators", "list", "--json")) if row["name"] == "face-cat")
    assert row["state"] == "needs prior content"
    asked = ("translate", picture(tmp_path / "p.png"), "--from", "face", "--to", "cat", "-o", tmp_path / "x.png")
    message = run(*asked, code=1)
    assert "its prior content (fingerprint" in message and "anchor priors install" in message
    with pytest.raises(BundleError, match="its prior content .* is not on this machine"):
        bundle = open_bundle(home / "translators" / "face-cat")
        GpUnitTranslator.open("face", "cat", bundle=bundle, options=GpUnitOptions(), device="cpu")
    assert not (tmp_path / "x.png").exists()


def test_a_prior_of_another_size_is_told(home: Path, tmp_path: Path) -> None:
    wider = ContentConfig(size=SIZE, width=8, content_side=4)
    prior = prior_bundle(home / "priors" / "wider", "wider", encoder=tiny_encoder(wider))
    translator_bundle(home / "translators" / "other", prior, "other")
    asked = ("translate", picture(tmp_path / "p.png"), "--from", "face", "--to", "cat", "-o", tmp_path / "x.png")
    message = run(*asked, "--translator", "other", code=1)
    assert "prior of 32 px, width 4, content 4x4; its prior has 32 px, width 8" in message


def test_an_exemplar_that_cannot_be_read_is_told(home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture")
    asked = ("translate", picture(tmp_path / "p.png"), "--from", "face", "--to", "cat", "-o", tmp_path / "x.png")
    for options in (("--style-from", bad), ("--set", f"blend_with={bad}")):
        assert "bad.png" in run(*asked, *options, code=1)
    assert "missing.png" in run(*asked, "--style-from", tmp_path / "missing.png", code=1)
    assert not (tmp_path / "x.png").exists()


def test_a_damaged_architecture_is_told(home: Path) -> None:
    for table, words in (({"size": 33}, "cannot be built"), (None, "has no config")):
        architecture = {"name": "gp-unit-content", "config": table}
        folder = write_bundle(
            home / "broken", kind="prior", name="broken", tensors={"content": tiny_encoder().state_dict()},
            architecture=architecture, card="#\n", overwrite=True,
        )  # fmt: skip
        with pytest.raises(BundleError, match=words):
            ContentPrior.load(open_bundle(folder))
    assert ContentPrior.load(open_bundle(home / "priors" / "content")).config == CONTENT
