"""Fine-tuned domains on disk and in translations."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from anchor_finetune import plugin
from anchor_finetune.domain import FineTunedDomain
from anchor_finetune.swap import LayerSwap
from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import AnchorError, BundleError, MissingPartError, UsageError
from anchor_hub.evaluation.distance import model_distance
from anchor_hub.modality import build_modality
from anchor_hub.testing import check_architecture, check_domain, check_plugin
from anchor_hub.translation.anchor import AnchorTranslator
from tests.tiny import tiny_domain, tiny_generator, tiny_hub

RGB = build_modality({"name": "rgb"})


def made(seed: int = 1, swap: LayerSwap | None = None) -> FineTunedDomain:
    return FineTunedDomain("toon-ft", RGB, tiny_hub(), tiny_generator(seed=seed), swap)


def test_the_plugin_keeps_the_contract() -> None:
    found = check_plugin("anchor_finetune.plugin")
    assert {spec.name for specs in found.values() for spec in specs} >= {"fine-tuned", "finetune"}
    specs: list[object] = []
    plugin.anchor_register_architectures(specs.append)
    check_architecture(specs[0], made())  # type: ignore[arg-type]
    check_domain(made(swap=LayerSwap(1)))


@pytest.mark.parametrize("swap", [LayerSwap(), LayerSwap(1), LayerSwap(2, "weights"), LayerSwap(1, "weights", 1)])
def test_round_trip(tmp_path: Path, swap: LayerSwap) -> None:
    domain = made(swap=swap)
    latents = domain.hub.sample(2, seed=0)
    domain.save(tmp_path / "it")
    loaded = FineTunedDomain.load(tmp_path / "it", domain.hub)
    assert loaded.swap == swap
    torch.testing.assert_close(loaded.decode(latents), domain.decode(latents))


def test_only_what_differs_from_the_hub_is_stored(tmp_path: Path) -> None:
    hub = tiny_hub()
    generator = copy.deepcopy(hub.generator)
    with torch.no_grad():
        generator.synthesis.block(16).conv.weight.add_(1)
    domain = FineTunedDomain("toon-ft", RGB, hub, generator)
    stored = open_bundle(domain.save(tmp_path / "it")).tensors("generator")
    assert list(stored) == ["synthesis.blocks.16.conv.weight"]
    latents = hub.sample(1, seed=0)
    torch.testing.assert_close(FineTunedDomain.load(tmp_path / "it", hub).decode(latents), domain.decode(latents))
    # An untouched copy is a domain, too.
    same = FineTunedDomain("same", RGB, hub, copy.deepcopy(hub.generator))
    same.save(tmp_path / "same")
    torch.testing.assert_close(FineTunedDomain.load(tmp_path / "same", hub).decode(latents), hub.image(latents))


def test_any_encoder_meets_it_and_another_hub_does_not() -> None:
    domain = made()
    hub = domain.hub
    seg = tiny_domain("seg", hub)
    images = torch.randn(2, seg.modality.input_channels, 16, 16)
    translator = AnchorTranslator(seg, domain)
    expected = domain.decode(seg.encode(images))
    torch.testing.assert_close(translator.translate(images), expected)
    assert expected.shape == (2, 3, 16, 16)
    with pytest.raises(AnchorError, match="belongs to hub"):
        AnchorTranslator(tiny_domain("seg", tiny_hub(seed=5)), domain)
    with pytest.raises(MissingPartError, match="no encoder"):
        domain.encode(images)


def test_its_pictures_are_those_of_a_view_of_the_hub() -> None:
    domain = made()
    latents = domain.hub.sample(2, seed=4)
    view = domain.image_hub
    torch.testing.assert_close(view.image(latents), domain.decode(latents))
    torch.testing.assert_close(view.mean_latent, domain.hub.mean_latent)
    assert (view.image(latents) - domain.hub.image(latents)).abs().max() > 0.1


def test_the_model_distance_is_of_z_by_each_model_s_own_mapping() -> None:
    """Equation 1 compares G_i(z) with G_j(z): the hub's synthesis behind another mapping is another model."""
    hub = tiny_hub()
    frozen, moved = copy.deepcopy(hub.generator), copy.deepcopy(hub.generator)
    with torch.no_grad():
        for layer in moved.mapping.layers:
            layer.weight.neg_()
    for generator, least, most in ((frozen, 0.0, 0.0), (moved, 0.01, 2.0)):
        domain = FineTunedDomain("toon-ft", RGB, hub, generator)
        (metric,) = model_distance(hub, domain, metrics=("l1",), count=4, seed=0).pairs[0].metrics
        assert least <= float(metric.value or 0) <= most


def test_damage_is_said(tmp_path: Path) -> None:
    domain = made()
    folder = domain.save(tmp_path / "it")
    wide = tiny_hub(seed=0, name="wide")
    wide.fingerprint = domain.hub.fingerprint
    wide.generator = tiny_generator(channels=8)
    with pytest.raises(BundleError, match="does not fit the hub's generator"):
        FineTunedDomain.load(folder, wide)
    with pytest.raises(UsageError, match="another architecture"):
        FineTunedDomain("it", RGB, domain.hub, tiny_generator(channels=8))
    text = (folder / "bundle.yaml").read_text()
    (folder / "bundle.yaml").write_text(text.replace("name: fine-tuned", "name: fine-tuned\n  swap: {layers: 9}"))
    with pytest.raises(BundleError, match="layer swap 9 reaches"):
        FineTunedDomain.load(folder, domain.hub)
