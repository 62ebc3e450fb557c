"""The whole published model, numbers compared from input image to every output."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.checkpoints.latent_space_anchoring import anchor_from_published, split_published
from anchor_hub.errors import ConfigError, MissingPartError
from anchor_hub.networks.published_anchor import PublishedAnchor, aggregate, layer_activations
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.parity import ParityCase, assert_parity, case_names, load_case, mixed_layers, numbered, stated, stored_part
from tests.witnesses.networks import mix_layers


@pytest.fixture(scope="module", params=case_names("lsa_translator"))
def translator(request) -> tuple[ParityCase, PublishedAnchor, PublishedAnchor, torch.Tensor]:
    """The case, domains A and B (encoder of A only), and A's codes of the input label map."""
    case = load_case(request.param)

    def domain(letter: str, mean_latent: torch.Tensor | None) -> PublishedAnchor:
        state = {name[2:]: value for name, value in case.state.items() if name.startswith(letter)}
        return anchor_from_published(split_published({"translator": state, "latent_avg": mean_latent}))

    source, target = domain("A", case.inputs["latent_avg_A"]), domain("B", None)
    one_hot = F.one_hot(case.inputs["labels"].long(), case.manifest["config"]["A"]["input_nc"])
    with torch.no_grad():
        return case, source, target, source.encode(one_hot.permute(0, 3, 1, 2).float())


def check(case: ParityCase, group: str, output: torch.Tensor, image: torch.Tensor) -> None:
    """Compare raw output and picture with what of them is stored as ``<group>/x_hat_s*`` and ``y_hat_s*``."""
    for name, found in (("x_hat_s", output), ("y_hat_s", image)):
        ((key, _),) = numbered(case, f"{group}{name}")
        assert_parity(stored_part(found, case.expected[key]), case.expected[key], key)


@torch.no_grad()
def test_reconstruction(translator):
    case, source, _, codes = translator
    assert_parity(codes, case.expected["AA/codes"], "codes")
    image, output, full = source.decode(codes)
    check(case, "AA/", output, image)
    ((key, _),) = numbered(case, "AA/y_hat_highres_s")
    assert_parity(stored_part(full, case.expected[key]), case.expected[key], "full image")
    _, activations = layer_activations(source.generator, codes)
    assert len(activations) == source.generator.config.num_latents
    for key, index in numbered(case, "AA/feat"):
        assert_parity(stored_part(activations[int(index)], case.expected[key]), case.expected[key], key)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mix", "mixa"])
def test_style_mixing(translator, name):
    case, source, _, codes = translator
    alpha = 1.0 if name == "mix" else stated(case.manifest, "mixa/latent", "with alpha=")
    mixed = mix_layers(codes, case.inputs["inject_latent"], mixed_layers(case.manifest, f"{name}/latent"), alpha)
    assert_parity(mixed, case.expected[f"{name}/latent"], "latent")
    image, output, _ = source.decode(mixed)
    check(case, f"{name}/", output, image)


@torch.no_grad()
def test_multimodal_mixing(translator):
    case, source, _, codes = translator
    styles = source.generator.map(case.inputs["z_mix"])[None]
    assert_parity(styles, case.expected["mixz/w"], "styles")
    image, output, _ = source.decode(mix_layers(codes, styles, mixed_layers(case.manifest, "mixz/w")))
    check(case, "mixz/", output, image)


@torch.no_grad()
def test_joint_sampling(translator):
    case, source, _, _ = translator
    w = source.generator.map(stated(case.manifest, "sample/w", "mapping_A(") * case.inputs["z_sample"])
    assert_parity(w, case.expected["sample/w"], "w")
    image, output, _ = source.decode(w)
    check(case, "sample/", output, image)


@torch.no_grad()
def test_translation_takes_the_targets_regressor_and_generator(translator):
    case, _, target, codes = translator
    image, output, _ = target.decode(codes)
    check(case, "AB/", output, image)
    with pytest.raises(MissingPartError, match="no encoder"):
        target.encode(torch.zeros(1, 1, 256, 256))


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_translator_freezeg"))
def test_variant_with_a_fine_tuned_generator(name):
    case = load_case(name)
    domain = anchor_from_published(
        split_published({"state_dict": case.state, "latent_avg": case.inputs["latent_avg"]})
    )
    assert domain.regressor is None and domain.domain_generator is not None
    codes = domain.encode(case.inputs["x"])
    assert_parity(codes[:, 0], case.expected["codes"], "codes")
    image, output, _ = domain.decode(codes)
    check(case, "", output, image)


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
