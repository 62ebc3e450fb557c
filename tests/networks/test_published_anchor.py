"""The whole published model, numbers compared from input image to every output."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.checkpoints.latent_space_anchoring import anchor_from_published, split_published
from anchor_hub.errors import ConfigError, MissingPartError
from anchor_hub.networks.published_anchor import PublishedAnchor, aggregate, layer_activations
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.parity import ParityCase, assert_parity, load_case
from tests.witnesses.networks import mix_layers

MASK = [8, 9, 10, 11, 12, 13]


@pytest.fixture(scope="module")
def translator() -> tuple[ParityCase, PublishedAnchor, PublishedAnchor, torch.Tensor]:
    """The case, domains A and B (encoder of A only), and A's codes of the input label map."""
    case = load_case("lsa_translator")

    def domain(letter: str, mean_latent: torch.Tensor | None) -> PublishedAnchor:
        state = {name[2:]: value for name, value in case.state.items() if name.startswith(letter)}
        return anchor_from_published(split_published({"translator": state, "latent_avg": mean_latent}))

    source, target = domain("A", case.inputs["latent_avg_A"]), domain("B", None)
    one_hot = F.one_hot(case.inputs["labels"].long(), 19).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        return case, source, target, source.encode(one_hot)


@torch.no_grad()
def test_reconstruction(translator):
    case, source, _, codes = translator
    expected = case.expected
    assert_parity(codes, expected["AA/codes"], "codes")
    image, output, full = source.decode(codes)
    assert_parity(output[:, :, ::4, ::4], expected["AA/x_hat_s4"], "output")
    assert_parity(image[:, :, ::2, ::2], expected["AA/y_hat_s2"], "image")
    assert_parity(full[:, :, ::4, ::4], expected["AA/y_hat_highres_s4"], "full image")
    _, activations = layer_activations(source.generator, codes)
    assert len(activations) == 14
    for index in (12, 13):
        assert_parity(activations[index][:, ::8, ::8, ::8], expected[f"AA/feat{index}"], f"map {index}")


@torch.no_grad()
@pytest.mark.parametrize(("name", "alpha"), [("mix", 1.0), ("mixa", 0.35)])
def test_style_mixing(translator, name, alpha):
    case, source, _, codes = translator
    mixed = mix_layers(codes, case.inputs["inject_latent"], MASK, alpha)
    assert_parity(mixed, case.expected[f"{name}/latent"], "latent")
    image, output, _ = source.decode(mixed)
    assert_parity(output[:, :, ::8, ::8], case.expected[f"{name}/x_hat_s8"], "output")
    assert_parity(image[:, :, ::4, ::4], case.expected[f"{name}/y_hat_s4"], "image")


@torch.no_grad()
def test_multimodal_mixing(translator):
    case, source, _, codes = translator
    styles = source.generator.map(case.inputs["z_mix"])[None]
    assert_parity(styles, case.expected["mixz/w"], "styles")
    image, output, _ = source.decode(mix_layers(codes, styles, MASK))
    assert_parity(output[:, :, ::8, ::8], case.expected["mixz/x_hat_s8"], "output")
    assert_parity(image[:, :, ::4, ::4], case.expected["mixz/y_hat_s4"], "image")


@torch.no_grad()
def test_joint_sampling(translator):
    case, source, _, _ = translator
    w = source.generator.map(0.01 * case.inputs["z_sample"])
    assert_parity(w, case.expected["sample/w"], "w")
    image, output, _ = source.decode(w)
    assert_parity(output[:, :, ::8, ::8], case.expected["sample/x_hat_s8"], "output")
    assert_parity(image[:, :, ::4, ::4], case.expected["sample/y_hat_s4"], "image")


@torch.no_grad()
def test_translation_takes_the_targets_regressor_and_generator(translator):
    case, _, target, codes = translator
    image, output, _ = target.decode(codes)
    assert_parity(output[:, :, ::2, ::2], case.expected["AB/x_hat_s2"], "output")
    assert_parity(image[:, :, ::4, ::4], case.expected["AB/y_hat_s4"], "image")
    with pytest.raises(MissingPartError, match="no encoder"):
        target.encode(torch.zeros(1, 1, 256, 256))


@torch.no_grad()
def test_variant_with_a_fine_tuned_generator():
    case = load_case("lsa_translator_freezeg")
    domain = anchor_from_published(
        split_published({"state_dict": case.state, "latent_avg": case.inputs["latent_avg"]})
    )
    assert domain.regressor is None and domain.domain_generator is not None
    codes = domain.encode(case.inputs["x"])
    assert_parity(codes[:, 0], case.expected["codes"], "codes")
    image, output, _ = domain.decode(codes)
    assert_parity(output[:, :, ::2, ::2], case.expected["x_hat_s2"], "output")
    assert_parity(image[:, :, ::2, ::2], case.expected["y_hat_s2"], "image")


def test_aggregations():
    generator = Generator(StyleGAN2Config(size=16, latent_dim=8, channels={4: 4, 8: 4, 16: 6}))
    _, activations = layer_activations(generator, torch.randn(2, 8))
    assert [tuple(a.shape[1:]) for a in activations] == [
        (4, 4, 4),
        (4, 4, 4),
        (4, 8, 8),
        (4, 8, 8),
        (6, 16, 16),
        (6, 16, 16),
    ]
    assert aggregate(activations, "concat").shape == (2, 28, 256, 256)
    assert aggregate(activations, 2).shape == (2, 12, 256, 256)
    for impossible in ("single", 3, -1):
        with pytest.raises(ConfigError, match="only 6 maps"):
            aggregate(activations, impossible)
    with pytest.raises(MissingPartError, match="no regressor"):
        PublishedAnchor(generator).decode(torch.randn(1, 8))
