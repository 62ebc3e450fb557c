"""BigGAN-deep with statistics by truncation, against stored numbers of two published implementations of it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor

from anchor_hub.checkpoints import biggan_deep_hf
from anchor_hub.networks.biggan_deep import BigGANDeep
from anchor_hub.networks.biggan_layers import BatchNorm, standing_statistics
from tests.parity import ParityCase, assert_parity, case_names, load_case, numbered, stored_part
from tests.witnesses.networks import truncated_normal

HF, LSA = case_names("biggan_deep_hf"), case_names("lsa_biggan_generator")
DTYPES = [torch.float32, torch.float64]


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


def _layers(generator: BigGANDeep) -> list[str]:
    """Our modules in the order of the published list, which counts attentions as layers."""
    result = []
    for position in range(len(generator.config.block_list)):
        if position in (generator.config.attention or ()):
            result.append(f"attentions.{position}")
        result.append(f"blocks.{position}")
    return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", HF)
@torch.no_grad()
def test_images_and_maps_of_every_truncation(name: str, dtype: torch.dtype) -> None:
    generator, case = _published(name, dtype)
    classes = generator.embed(case.inputs["class_one_hot"])
    assert_parity(classes, case.expected["embed"], "embed")
    z = case.inputs["z"]
    for key, truncation in numbered(case, "image_t"):
        image = generator(z, classes, truncation=truncation).image
        assert_parity(image, case.expected[key], f"truncation {truncation}")
    assert generator.config.truncation == biggan_deep_hf.TRUNCATION
    default = f"image_t{biggan_deep_hf.TRUNCATION}"
    if default in case.expected:
        image = generator(z, classes).image
        assert_parity(image, case.expected[default], "the configuration's truncation")

    seen = _hooked(generator)
    ((first, truncation),) = numbered(case, "bn_first_t")
    output = generator(z, classes, truncation=truncation, features=True)
    linear = seen["linear"].unflatten(1, (-1, generator.config.bottom, generator.config.bottom))
    assert_parity(linear, case.expected["gen_z"], "gen_z")
    first_norm = generator.blocks[0].norm1(linear, torch.cat([classes, z], dim=1), truncation)
    assert_parity(first_norm, case.expected[first], "first norm")
    maps = first.replace("bn_first", "feat")
    for key, index in numbered(case, f"{maps}/layers."):
        found, expected = seen[_layers(generator)[int(index)]], case.expected[key]
        assert_parity(stored_part(found, expected, first_channels=True), expected, key)
    before_rgb = generator.before_rgb(output.features[generator.config.size], truncation)
    assert_parity(before_rgb, case.expected[f"{maps}/before_rgb"], "before_rgb")


@pytest.mark.parametrize("name", HF)
@torch.no_grad()
def test_eight_bits_of_an_image(name: str) -> None:
    generator, case = _published(name, torch.float64)
    classes = generator.embed(case.inputs["class_one_hot"])
    for key, truncation in numbered(case, "uint8_t"):
        image = generator(case.inputs["z"], classes, truncation=truncation).image
        values = ((image + 1) / 2 * 256).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        assert (values.float() - case.expected[key]).abs().max() <= 1


@pytest.mark.parametrize("name", HF)
def test_truncated_noise_equals_published_numbers(name: str) -> None:
    _, case = _published(name)
    found = [(key, m) for key in case.expected if (m := re.fullmatch(r"noise_seed(\d+)_t([\d.]+)", key))]
    assert found
    for key, match in found:
        uniform = np.random.RandomState(int(match[1])).uniform(size=tuple(case.expected[key].shape))
        noise = truncated_normal(torch.from_numpy(uniform), float(match[2]))
        assert noise.dtype == torch.float32
        assert_parity(noise, case.expected[key], key)
    assert truncated_normal(torch.tensor([0.0, 1.0]), 0.5).tolist() == pytest.approx([-1, 1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LSA)
@torch.no_grad()
def test_latent_space_anchoring_s_generator(name: str, dtype: torch.dtype) -> None:
    generator, case = _published(name, dtype)
    z, classes, size = case.inputs["z"], generator.embed(case.inputs["class_onehot"]), generator.config.size
    for key, truncation in numbered(case, "image_t"):
        output = generator(z, classes, truncation=truncation, features=(size,))
        assert_parity(output.image, case.expected[key], key)
        features = generator.before_rgb(output.features[size], truncation)
        maps = key.replace("image", "features")
        assert_parity(features, case.expected[maps], maps)
    seen = _hooked(generator)
    soft = generator(z, generator.embed(case.inputs["class_soft"]))
    assert_parity(soft.image, case.expected["image_soft"], "image_soft")
    layers = [(key, m[1]) for key in case.expected if (m := re.fullmatch(r"features_layer(\d+)_soft", key))]
    assert layers
    for key, index in layers:
        assert_parity(seen[_layers(generator)[int(index)]], case.expected[key], key)


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
    generator, case = _published(LSA[0])
    classes = torch.arange(len(case.inputs["z"])) % generator.config.classes
    with torch.no_grad():
        before = {name: value.clone() for name, value in generator.named_buffers() if name.endswith((".mean", ".var"))}
        generator.train()(case.inputs["z"], classes)
        assert all(torch.equal(before[name], dict(generator.named_buffers())[name]) for name in before)
    with pytest.raises(ValueError, match="cannot be re-estimated"):
        standing_statistics(generator, [(case.inputs["z"], classes)])
