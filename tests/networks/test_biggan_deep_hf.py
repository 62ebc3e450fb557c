"""BigGAN-deep with statistics by truncation, against stored numbers of two published implementations of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from anchor_hub.checkpoints import biggan_deep_hf
from anchor_hub.networks.biggan_deep import BigGANDeep
from anchor_hub.networks.biggan_layers import BatchNorm, standing_statistics
from tests.parity import ParityCase, assert_parity, load_case
from tests.witnesses.networks import truncated_normal

CASES = ("biggan_deep_hf", "lsa_biggan_generator")


def _published(name: str, dtype: torch.dtype = torch.float32) -> tuple[BigGANDeep, ParityCase]:
    case = load_case(name, dtype)
    config = biggan_deep_hf.config_from(case.state, case.manifest["config"])
    generator = BigGANDeep(config).to(dtype)
    generator.load_state_dict(biggan_deep_hf.to_ours(case.state, config))
    return generator.eval(), case


def _hooked(generator: BigGANDeep) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    for key, module in generator.named_modules():
        module.register_forward_hook(lambda _m, _i, output, key=key: seen.update({key: output}))
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_images_and_maps_of_every_truncation(dtype: torch.dtype) -> None:
    generator, case = _published("biggan_deep_hf", dtype)
    classes = generator.embed(case.inputs["class_one_hot"])
    assert_parity(classes, case.expected["embed"], "embed")
    z = case.inputs["z"]
    for truncation in (0.4, 0.5, 0.435, 0.28, 0.58):
        image = generator(z, classes, truncation=truncation).image
        assert_parity(image, case.expected[f"image_t{truncation}"], f"truncation {truncation}")
    assert generator.config.truncation == 0.4
    image = generator(z, classes).image
    assert_parity(image, case.expected["image_t0.4"], "the configuration's truncation")

    seen = _hooked(generator)
    output = generator(z, classes, truncation=0.435, features=True)
    linear = seen["linear"].unflatten(1, (-1, 4, 4))
    assert_parity(linear, case.expected["gen_z"], "gen_z")
    assert_parity(_first_norm(generator, linear, classes, z), case.expected["bn_first_t0.435"])
    order = ["blocks.0", "blocks.1", "blocks.2", "attentions.3", "blocks.3", "blocks.4", "blocks.5"]
    for index, ours in enumerate(order):
        assert_parity(seen[ours], case.expected[f"feat_t0.435/layers.{index}"], ours)
    before_rgb = generator.before_rgb(output.features[32], 0.435)
    assert_parity(before_rgb, case.expected["feat_t0.435/before_rgb"], "before_rgb")


def _first_norm(generator: BigGANDeep, x: Tensor, classes: Tensor, z: Tensor) -> Tensor:
    return generator.blocks[0].norm1(x, torch.cat([classes, z], dim=1), 0.435)


@torch.no_grad()
def test_eight_bits_of_an_image() -> None:
    generator, case = _published("biggan_deep_hf", torch.float64)
    image = generator(case.inputs["z"], generator.embed(case.inputs["class_one_hot"])).image
    values = ((image + 1) / 2 * 256).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    assert (values.float() - case.expected["uint8_t0.4"]).abs().max() <= 1


def test_truncated_noise_equals_published_numbers() -> None:
    _, case = _published("biggan_deep_hf")
    for seed, truncation in ((0, 1), (7, 0.4)):
        uniform = np.random.RandomState(seed).uniform(size=(2, 16))
        noise = truncated_normal(torch.from_numpy(uniform), truncation)
        assert noise.dtype == torch.float32
        assert_parity(noise, case.expected[f"noise_seed{seed}_t{truncation}"])
    assert truncated_normal(torch.tensor([0.0, 1.0]), 0.5).tolist() == pytest.approx([-1, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_latent_space_anchoring_s_generator(dtype: torch.dtype) -> None:
    generator, case = _published("lsa_biggan_generator", dtype)
    z, classes = case.inputs["z"], generator.embed(case.inputs["class_onehot"])
    for truncation in ("0.4", "1.0", "0.375"):
        output = generator(z, classes, truncation=float(truncation), features=(64,))
        assert_parity(output.image, case.expected[f"image_t{truncation}"], f"image {truncation}")
        features = generator.before_rgb(output.features[64], float(truncation))
        assert_parity(features, case.expected[f"features_t{truncation}"], f"features {truncation}")
    seen = _hooked(generator)
    soft = generator(z, generator.embed(case.inputs["class_soft"]))
    assert_parity(soft.image, case.expected["image_soft"], "image_soft")
    assert_parity(seen["blocks.2"], case.expected["features_layer2_soft"], "features_layer2_soft")


def test_published_rows_of_the_tables() -> None:
    norm = BatchNorm(1, num_statistics=51)
    norm.mean.copy_(torch.arange(51.0)[:, None])
    # A truncation on a row takes that row, but for five which doubles put beside it.
    odd = {0.14: 8, 0.28: 15, 0.56: 29, 0.58: 28, 0.94: 46}
    for row in range(1, 51):
        truncation = round(row * 0.02, 2)
        assert float(norm.statistics(truncation)[0]) == pytest.approx(odd.get(truncation, row), abs=1e-5)
    # Between two rows the weights are the wrong way round, as published.
    assert float(norm.statistics(0.405)[0]) == pytest.approx(20.75, abs=1e-4)
    for truncation in (0.0, -0.1, 1.01):
        with pytest.raises(ValueError, match="truncation"):
            norm.statistics(truncation)


def test_tables_are_never_replaced_by_a_batch() -> None:
    generator, case = _published("lsa_biggan_generator")
    classes = torch.tensor([0, 1])
    with torch.no_grad():
        before = {name: value.clone() for name, value in generator.named_buffers() if name.endswith((".mean", ".var"))}
        generator.train()(case.inputs["z"], classes)
        assert all(torch.equal(before[name], dict(generator.named_buffers())[name]) for name in before)
    with pytest.raises(ValueError, match="cannot be re-estimated"):
        standing_statistics(generator, [(case.inputs["z"], classes)])
