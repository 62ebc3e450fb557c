"""Styles of fine-tuned targets: the paper's content and appearance codes, the published way, reference pictures."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anchor_finetune.domain import FineTunedDomain
from anchor_finetune.swap import LayerSwap
from anchor_hub.errors import UsageError
from anchor_hub.modality import build_modality
from anchor_hub.plugins.registry import registry
from anchor_hub.translation.anchor import AnchorOptions, AnchorTranslator
from tests.cli.running import anchor
from tests.finetune.test_swap import PUBLISHED, published, swapped
from tests.parity import assert_parity, case_names
from tests.tiny import tiny_domain, tiny_generator, tiny_home, tiny_hub, write_sample

RGB = build_modality({"name": "rgb"})


def target(swap: LayerSwap | None = None, name: str = "toon-ft", seed: int = 1) -> FineTunedDomain:
    return FineTunedDomain(name, RGB, pair_hub(), tiny_generator(seed=seed), swap)


@cache
def pair_hub():  # type: ignore[no-untyped-def]
    return tiny_hub()


def between(end: FineTunedDomain, **options: object) -> AnchorTranslator:
    return AnchorTranslator(tiny_domain("face", end.hub), end, AnchorOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", case_names("ui2i_layerswap"))
@pytest.mark.parametrize("layers", PUBLISHED)
def test_parity_of_the_published_way(name: str, layers: int) -> None:
    """The translator's decoding of content and appearance code is the published scripts' picture."""
    hub, generator, case = published(name)
    end = swapped(hub, generator, layers)
    source = FineTunedDomain("source", RGB, hub, copy.deepcopy(hub.generator))
    options = AnchorOptions(appearance="published", inverter="w")
    translator = AnchorTranslator(source, end, options)
    inputs, number = case.inputs, PUBLISHED[layers]
    mean = inputs["mean_latent_target"].reshape(-1)

    def halved(mapping: torch.nn.Module, z: Tensor) -> Tensor:
        return mean + 0.5 * (mapping(z) - mean)

    with torch.no_grad():
        appearance = halved(generator.mapping, inputs["z_style"])
        content = hub.expand(inputs["w_content"])
        assert_parity(translator.decode(content, appearance), case.expected[f"ms/swap{number}"], "multi-modal")
        assert_parity(translator.decode(content), case.expected[f"sane/swap{number}"], "plain")
        # The published script takes both codes for codes of z once more.
        structure = halved(hub.generator.mapping, inputs["w_content"])
        reference = halved(generator.mapping, inputs["w_reference"])
        found = translator.decode(hub.expand(structure), reference)
        assert_parity(found, case.expected[f"ref/swap{number}"], "by reference")


def test_the_papers_way_puts_the_appearance_into_the_last_layers() -> None:
    end = target()
    translator = between(end)
    images = torch.randn(2, 3, 16, 16)
    content, style = translator.encode(images), translator.random_styles(1, seed=3)
    expected = content.clone()
    expected[:, 4:] = style[:, 4:]
    torch.testing.assert_close(translator.decode(content, style), end.decode(expected))


def test_swapped_features_are_the_contents_whatever_the_style() -> None:
    end = target(LayerSwap(1))
    translator = between(end, style_layers="0-5")
    content, style = end.hub.sample(2, seed=1), end.hub.sample(1, seed=2)
    content, style = end.hub.expand(content), end.hub.expand(style)
    features = end.hub.features(content, [8])
    expected = end.generator.synthesis(style.expand_as(content), replaced=features).image
    torch.testing.assert_close(translator.decode(content, style), expected)
    torch.testing.assert_close(between(end, appearance="published").decode(content, style), expected)


def test_the_published_way_needs_swapped_features() -> None:
    for swap in (None, LayerSwap(1, "weights")):
        with pytest.raises(UsageError, match="swaps none; `anchor domains transform toon-ft --layer-swap 2`"):
            between(target(swap), appearance="published")
    with pytest.raises(UsageError, match="leave --style-layers out"):
        between(target(LayerSwap(1)), appearance="published", style_layers="3-5")


def test_a_reference_is_inverted_in_the_targets_model() -> None:
    end = target()
    translator = between(end)
    assert translator.reference_domain is end
    latents = end.hub.expand(end.hub.sample(1, seed=5))
    pictures = end.decode(latents)
    found = translator.reference_styles(pictures)
    assert found.shape == latents.shape
    mean = end.decode(end.hub.expand(end.hub.mean_latent[None]))
    assert (end.decode(found) - pictures).square().mean() < 0.2 * (mean - pictures).square().mean()
    # What an encoder of the hub's own pictures reads is something else.
    named = between(end, inverter="w-plus", invert=3)
    assert named.reference_domain is end and not torch.equal(named.reference_styles(pictures), found)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tiny_home(tmp_path, monkeypatch, domains=("face", "seg"))
    monkeypatch.chdir(tmp_path)
    target().save(home / "domains/toon-ft")
    target(name="cat-ft", seed=2).save(home / "domains/cat-ft")
    registry.cache_clear()
    write_sample("face", tmp_path / "photo.png", seed=1)
    write_sample("face", tmp_path / "toon.png", seed=2)
    return home


def translate(*arguments: object, code: int = 0) -> str:
    result = anchor("translate", *(str(argument) for argument in arguments), "--device", "cpu")
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def test_styles_and_references_as_a_user_types_them(home: Path, tmp_path: Path) -> None:
    ends = ("--from", "face", "--to", "toon-ft", "photo.png")
    translate(*ends, "-o", "out", "--styles", 5, "--grid", "styles.png")
    assert len({path.read_bytes() for path in (tmp_path / "out").iterdir()}) == 5
    translate(*ends, "-o", "ref.png", "--style-from", "toon.png")
    translate(*ends, "-o", "plain.png")
    assert (tmp_path / "ref.png").read_bytes() != (tmp_path / "plain.png").read_bytes()
    translate(*ends, "-o", "few.png", "--style-from", "toon.png", "--style-layers", "5")
    assert (tmp_path / "few.png").read_bytes() != (tmp_path / "ref.png").read_bytes()
    assert anchor("domains", "transform", "toon-ft", "--layer-swap", "1", "--name", "toon-ls").exit_code == 0
    swapped_ends = ("--from", "face", "--to", "toon-ls", "photo.png")
    translate(*swapped_ends, "-o", "ls.png", "--style-from", "toon.png", "--set", "appearance=published")
    assert "swaps none" in translate(*ends, "-o", "x", "--styles", 1, "--set", "appearance=published", code=2)
    assert "appearance" in translate(*ends, "-o", "x", "--styles", 1, "--set", "appearance=other", code=2)


def test_between_fine_tuned_domains(home: Path, tmp_path: Path) -> None:
    ends = ("--from", "toon-ft", "--to", "cat-ft", "toon.png")
    assert "no encoder" in translate(*ends, "-o", "x.png", code=1)
    translate(*ends, "-o", "cat.png", "--set", "inverter=w", "--invert", 3, "--styles", 1)
    assert (tmp_path / "cat.png").is_file()
