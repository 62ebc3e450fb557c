"""DeepI2I's StyleGAN kind against stored numbers of its published code: networks, fading in, losses, gradients."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_deepi2i import losses, published_stylegan
from anchor_deepi2i.networks import StyleGANNetworks
from anchor_deepi2i.published import assembled, converted
from anchor_deepi2i.stylegan import StyleGANConfig, StyleGANDiscriminator, StyleGANGenerator
from anchor_hub.checkpoints.filling import filled
from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.training.generators.gan_losses import d_logistic, g_nonsaturating, r1_penalty
from tests.parity import FLOAT32_TOLERANCE, ParityCase, assert_parity, case_names, load_case

(NAME,) = case_names("deepi2i_stylegan")
SIDES = (64, 32, 16, 8, 4)
#: What is stored of a map of each side: the first sample, so many channels.
STORED = {64: 2, 32: 4, 16: 16, 8: 128, 4: 512}


class Published(NamedTuple):
    networks: StyleGANNetworks
    critic: StyleGANDiscriminator
    case: ParityCase


def table(case: ParityCase, network: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(f"{network}/"): value for key, value in case.state.items() if key.startswith(f"{network}/")
    }


def weights(case: ParityCase, which: str) -> dict[int, float]:
    return {int(side): weight for side, weight in case.manifest["config"][which].items()}


def build(case: ParityCase, size: int) -> Published:
    tables = {name: table(case, name) for name in ("generator", "discriminator", "encoder", "align")}
    config = published_stylegan.config_of(tables["generator"], tables["encoder"], size)
    assert config == StyleGANConfig(size, activate_rgb=case.manifest["config"]["from_rgb_activate"])
    names = published_stylegan.generator_names(config)
    generator = filled(StyleGANGenerator, config, converted(tables["generator"], names, "G"), "G")
    names = published_stylegan.discriminator_names(config)
    critic, encoder = (
        filled(StyleGANDiscriminator, config, converted(tables[name], names, name), name)
        for name in ("discriminator", "encoder")
    )
    fusion, names_of = weights(case, "E1_fea_w"), published_stylegan.adaptor_names
    networks: Any = assembled(StyleGANNetworks, encoder, generator, fusion, tables["align"], names_of)
    return Published(networks.eval().requires_grad_(False), critic.requires_grad_(False), case)


@pytest.fixture(scope="module")
def case() -> ParityCase:
    return load_case(NAME)


@pytest.fixture(scope="module")
def made(case: ParityCase) -> Published:
    return build(case, 128)


@pytest.fixture(scope="module")
def exact(made: Published) -> Published:
    """The same in float64: in float32, rounding decides on which side of a kink an activation near 0 lies."""
    inputs = {name: value.double() for name, value in made.case.inputs.items()}
    networks, critic = copy.deepcopy(made.networks).double(), copy.deepcopy(made.critic).double()
    return Published(networks, critic, made.case._replace(inputs=inputs))


def near(actual: Tensor, expected: Tensor, what: str) -> None:
    """As close as float32 has to be."""
    actual = actual.detach()
    assert_parity(
        actual.reshape(expected.shape or (1,)), expected.reshape(expected.shape or (1,)), what, FLOAT32_TOLERANCE
    )


@pytest.fixture(scope="module")
def added(made: Published) -> dict[int, Tensor]:
    with torch.no_grad():
        return made.networks.adapt(made.networks.features(made.case.inputs["source"]))


def noises(case: ParityCase) -> list[Tensor]:
    return [case.inputs[f"noise/{number}"] for number in range(6)]


def stored(maps: Tensor) -> Tensor:
    return maps[:1, : STORED[maps.shape[-1]]]


def halved(image: Tensor) -> Tensor:
    return image[:1, :, ::2, ::2]


@torch.no_grad()
def test_features_adaptors_and_fusion(made: Published) -> None:
    networks, _, case = made
    inputs, expected = case.inputs, case.expected
    features = networks.features(inputs["source"])
    adapted = {side: networks.adaptors[str(side)](features[side]) for side in SIDES}
    for side in SIDES:
        assert_parity(stored(features[side]), expected[f"encoder/{side}"], f"encoder/{side}")
        assert_parity(stored(adapted[side]), expected[f"align/{side}"], f"align/{side}")
    seen: dict[int, Tensor] = {}
    handles = [
        block.register_forward_pre_hook(lambda _m, given, number=number: seen.update({number: given[0]}))
        for number, block in enumerate(networks.generator.blocks.values())
    ]
    code = networks.generator.map(inputs["z1"])
    assert_parity(code, expected["style"], "style")
    added = networks.adapt(features)
    assert set(added) == {4, 8, 16, 32}, "a weight of 0 costs nothing"
    image = networks.generator(code, noise=noises(case), added=added)
    for handle in handles:
        handle.remove()
    assert_parity(image, expected["image"], "image")
    for number in range(1, 6):
        assert_parity(stored(seen[number]), expected[f"generator/input.{number}"], f"generator/input.{number}")
    other = {4: 0.3, 8: 0.2, 16: 0.1, 32: 0.05, 64: 0.15}
    changed = {side: weight * adapted[side] for side, weight in other.items()}
    again = networks.generator(code, noise=noises(case), added=changed)
    assert_parity(halved(again), expected["image_weights2"], "image_weights2")


@torch.no_grad()
def test_plain_mixed_and_truncated_images(made: Published, added: dict[int, Tensor]) -> None:
    networks, _, case = made
    inputs, generator = case.inputs, networks.generator
    first, second = generator.map(inputs["z1"]), generator.map(inputs["z2"])
    plain = generator(first[:1], noise=[noise[:1] for noise in noises(case)])
    assert_parity(halved(plain), case.expected["image_plain"], "image_plain")
    mixed = torch.stack([first] * 3 + [second] * 3, dim=1)
    image = generator(mixed, noise=noises(case), added=added)
    assert_parity(halved(image), case.expected["mixing/image"], "mixing/image")
    code = inputs["mean_style"] + 0.7 * (first - inputs["mean_style"])
    image = generator(code, noise=noises(case), added=added)
    assert_parity(halved(image), case.expected["truncated/image"], "truncated/image")


@torch.no_grad()
def test_fading_in(made: Published) -> None:
    networks, critic, case = made
    inputs = case.inputs
    features = networks.encoder.maps(inputs["source"], SIDES, alpha=0.4)
    code = networks.generator.map(inputs["z1"])
    image = networks.generator(code, noise=noises(case), added=networks.adapt(features), alpha=0.4)
    assert_parity(halved(image), case.expected["alpha/image"], "alpha/image")
    assert_parity(critic(image, alpha=0.4), case.expected["alpha/logits"], "alpha/logits")


@torch.no_grad()
def test_features_of_the_discriminator_and_losses(made: Published) -> None:
    _, critic, case = made
    inputs, expected = case.inputs, case.expected
    logits, maps = critic.judge(expected["image"], None, SIDES)
    source_logits, source_maps = critic.judge(inputs["source"], None, SIDES)
    real_logits = critic(inputs["real"])
    for side in SIDES:
        assert_parity(stored(maps[side]), expected[f"d_feat_fake/{side}"], f"d_feat_fake/{side}")
        assert_parity(stored(source_maps[side]), expected[f"d_feat_source/{side}"], f"d_feat_source/{side}")
    for key, value in (("logits_fake", logits), ("logits_source", source_logits), ("logits_real", real_logits)):
        assert_parity(value, expected[key], key)
    terms = losses.pairs(maps, source_maps)
    rec = losses.weighted(terms, weights(case, "D_fea_w"))
    single = {
        **{f"loss/rec/{side}": terms[side] for side in SIDES},
        "loss/rec_weighted": rec,
        "loss/wgan/g": rec - logits.mean(),
        "loss/r1/g": rec + g_nonsaturating(logits),
        "loss/wgan/d_fake": logits.mean(),
        "loss/wgan/d_real": losses.wasserstein(real_logits, logits) - logits.mean(),
        "loss/r1/d_real": d_logistic(real_logits, logits) - F.softplus(logits).mean(),
        "loss/r1/d_fake": d_logistic(real_logits, logits) - F.softplus(-real_logits).mean(),
    }
    for key, value in single.items():
        assert_parity(value.reshape(1), expected[key].reshape(1), key)


@pytest.mark.slow
def test_gradients_of_a_generators_step(exact: Published) -> None:
    networks, critic, case = exact
    inputs, generator, adaptors = case.inputs, networks.generator, networks.adaptors
    wanted = {
        "align/progression.4.conv2.0.conv.bias": adaptors["4"].conv2.bias,
        "align/progression.2.conv1.0.conv.weight_orig": adaptors["16"].conv1.weight,
        "generator/generator.to_rgb.5.conv.weight_orig": generator.to_rgb["128"].weight,
        "generator/generator.progression.3.noise1.weight_orig": generator.blocks["32"].first.noise_strength,
        "generator/style.15.linear.bias": generator.mapping[7].bias,
    }
    for parameter in wanted.values():
        parameter.requires_grad_(True)
    with torch.no_grad():
        features = networks.features(inputs["source"])
        source_maps = critic.maps(inputs["source"], SIDES)
    image = generator(generator.map(inputs["z1"]), noise=noises(case), added=networks.adapt(features))
    logits, maps = critic.judge(image, None, SIDES)
    rec = losses.weighted(losses.pairs(maps, source_maps), weights(case, "D_fea_w"))
    gradients = torch.autograd.grad(rec - logits.mean(), list(wanted.values()))
    for (key, parameter), gradient in zip(wanted.items(), gradients, strict=True):
        value = case.expected[f"grad/wgan_g/{key}"]
        near(gradient[: len(value)], value, key)
        parameter.requires_grad_(False)


@pytest.mark.slow
def test_penalties_and_their_gradients(exact: Published) -> None:
    _, critic, case = exact
    inputs, expected = case.inputs, case.expected
    real = inputs["real"].clone().requires_grad_(True)
    near(10 / 2 * r1_penalty(critic(real), real), expected["loss/r1/penalty"], "r1")
    parameters = {
        "linear.linear": critic.linear.weight,
        "progression.3.conv1.0.conv": critic.blocks["128"].conv1.weight,
    }
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    penalty = 10 * losses.gradient_penalty(critic, inputs["real"], expected["image"].double(), inputs["eps"])
    near(penalty, expected["loss/wgan/penalty"], "wgan-gp")
    gradients = torch.autograd.grad(penalty, list(parameters.values()))
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        value = expected[f"grad/penalty/discriminator/{name}.weight_orig"]
        near(gradient[: len(value)], value, name)
        parameter.requires_grad_(False)


@torch.no_grad()
def test_at_the_published_resolution(case: ParityCase) -> None:
    networks, critic, _ = build(case, 256)
    source = F.interpolate(case.inputs["source"][:1], scale_factor=2, mode="nearest")
    noise = [noise[:1] for noise in noises(case)]
    code = networks.generator.map(case.inputs["z1"][:1])
    added = networks.adapt(networks.features(source))
    image = networks.generator(code, noise=[*noise, noise[-1].repeat(1, 1, 2, 2)], added=added)
    assert_parity(image[..., 96:160, 96:160], case.expected["image256_crop"], "image256_crop")
    assert_parity(critic(torch.cat([image, source])), case.expected["logits256"], "logits256")


def test_a_file_of_the_layout_is_known(case: ParityCase) -> None:
    content = {name: table(case, name) for name in ("generator", "discriminator", "encoder", "align")}
    assert published_stylegan.matches(RawCheckpoint(Path("train_step-000500.model"), "torch", content, None, 0))
    assert not published_stylegan.matches(RawCheckpoint(Path("x.pt"), "torch", {"generator": {}}, None, 0))
