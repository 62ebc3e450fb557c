"""BigGAN's and BigGAN-deep's discriminators against stored numbers of the authors' PyTorch code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anchor_hub.checkpoints import biggan_brock
from anchor_hub.checkpoints.biggan_run import settings_of
from anchor_hub.networks.biggan_discriminators import (
    BigGANDeepDiscriminator,
    BigGANDeepDiscriminatorConfig,
    BigGANDiscriminator,
    BigGANDiscriminatorConfig,
    ProjectionDiscriminator,
    attention_positions,
    published_blocks,
    published_deep_blocks,
)
from anchor_hub.training.generators.gan_losses import d_hinge, g_hinge
from tests.parity import ParityCase, assert_gradients, assert_parity, case_names, load_case, stored_part

CASES = [*case_names("biggan_brock_d"), *case_names("biggan_deep_brock_d")]


def _published(name: str, dtype: torch.dtype) -> tuple[ProjectionDiscriminator, dict[str, str], ParityCase]:
    case = load_case(name, dtype)
    table = case.manifest["config"]
    config = replace(
        biggan_brock.discriminator_config(case.state), spectral_epsilon=settings_of(table).spectral_epsilon
    )
    assert (config.size, config.classes) == (table["resolution"], table["n_classes"])
    names = biggan_brock.discriminator_names(config)
    deep = isinstance(config, BigGANDeepDiscriminatorConfig)
    build: Any = BigGANDeepDiscriminator if deep else BigGANDiscriminator
    network: ProjectionDiscriminator = build(config).to(dtype)
    network.load_state_dict(biggan_brock._converted(case.state, names, "discriminator"))
    return network.eval(), {theirs: ours for ours, theirs in names.items()}, case


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_logits_maps_and_losses_equal_published_numbers(name: str, dtype: torch.dtype) -> None:
    network, _, case = _published(name, dtype)
    x, y = case.inputs["x"], case.inputs["y"]
    seen = {}
    for key, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, output, key=key: seen.update({key: output}))
    logits = network(x, y)
    assert_parity(logits[:, None], case.expected["logits"], "logits")
    assert_parity(network.pooled(x), case.expected["pooled"], "pooled")
    assert_parity(seen["linear"], case.expected["uncond"], "uncond")
    assert_parity(seen["embedding"], case.expected["embed"], "embed")
    depth = case.manifest["config"].get("D_depth", 1)
    blocks = {key: value for key, value in case.expected.items() if key.startswith("feat/blocks")}
    assert blocks
    for key, expected in blocks.items():
        _, stage, place = key.split(".")
        number = int(stage) * depth + int(place)
        ours = f"attentions.{number}" if int(place) == depth else f"blocks.{number}"
        assert_parity(stored_part(seen[ours], expected, first_channels=True), expected, key)
    if isinstance(network, BigGANDeepDiscriminator):
        expected = case.expected["feat/input_conv"]
        assert_parity(stored_part(seen["stem"], expected, first_channels=True), expected, "input_conv")
    fake = network(case.inputs["x_fake"], case.inputs["y_fake"])
    assert_parity(fake[:, None], case.expected["logits_fake"], "logits_fake")
    expected_d = case.expected["loss/d_real"] + case.expected["loss/d_fake"]
    # The sum of two stored float32 numbers is good to 1e-7.
    tolerance = 1e-4 if dtype is torch.float32 else 1e-7
    assert_parity(d_hinge(logits, fake).reshape(1), expected_d.reshape(1), "d_hinge", tolerance)
    assert_parity(g_hinge(fake).reshape(1), case.expected["loss/g"].reshape(1), "g_hinge")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_one_training_step_equals_published_numbers(name: str, dtype: torch.dtype) -> None:
    network, ours, case = _published(name, dtype)
    start = {key: value.clone() for key, value in network.state_dict().items()}
    count, prefix = len(case.inputs["x_fake"]), "train/grad/"
    expected = {key: value for key, value in case.expected.items() if key.startswith(prefix)}
    passes: list[tuple[Tensor, Tensor]] = []

    def compute(critic: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        images = torch.cat([inputs["x_fake"], inputs["x"]])
        logits = critic(images, torch.cat([inputs["y_fake"], inputs["y"]]))
        loss = d_hinge(logits[count:], logits[:count])
        passes.append((logits.detach(), loss.detach().reshape(1)))
        parameters = dict(critic.named_parameters())
        wanted = [parameters[ours[key.removeprefix(prefix)]] for key in expected]
        return dict(zip(expected, torch.autograd.grad(loss, wanted), strict=True))

    assert_gradients(network.train(), case.inputs, expected, compute)
    logits, loss = passes[0]
    assert logits.dtype == dtype
    assert_parity(logits[:count, None], case.expected["train/logits_fake"], "fake")
    assert_parity(logits[count:, None], case.expected["train/logits_real"], "real")
    assert_parity(loss, case.expected["train/loss"].reshape(1), "loss")
    state = {key: value.clone() for key, value in network.state_dict().items()}
    network.load_state_dict(start)
    layers = [key for key in case.expected if key.startswith("train/") and key.endswith(".u0")]
    assert layers
    for key in layers:
        theirs = key.removeprefix("train/").removesuffix(".u0")
        name = ours[f"{theirs}.u0"].rpartition(".")[0]
        assert_parity(state[f"{name}.u"][None], case.expected[key], key)
        module: Any = network.get_submodule(name)
        assert_parity(module.sigma().reshape(1), case.expected[f"train/{theirs}.sv0"], f"{theirs}.sv0")


@pytest.mark.parametrize("deep", [False, True])
def test_twice_differentiable(deep: bool) -> None:
    torch.manual_seed(0)
    network: ProjectionDiscriminator
    if deep:
        blocks = ((True, 8), (False, 8))
        network = BigGANDeepDiscriminator(
            BigGANDeepDiscriminatorConfig(8, blocks=blocks, attention=(1,), classes=3, width=4)
        )
    else:
        network = BigGANDiscriminator(
            BigGANDiscriminatorConfig.of_size(8, channels={4: 8}, attention=(4,), classes=3, width=8)
        )
    for attention in network.attentions.values():
        torch.nn.init.constant_(attention.gamma, 0.5)
    network.double().eval()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 2])
    assert torch.autograd.gradcheck(lambda x: network(x, labels), (images,), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: network(x, labels), (images,), fast_mode=True)
    (gradient,) = torch.autograd.grad(network(images, labels).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_published_blocks_and_attention() -> None:
    assert published_blocks(64, 2) == ((True, 2), (True, 4), (True, 8), (True, 16), (False, 32))
    assert published_blocks(32, 2) == ((True, 8), (True, 8), (False, 8), (False, 8))
    assert published_deep_blocks(32, 1, 1) == ((True, 4), (True, 4), (False, 4))
    assert len(published_deep_blocks(128, 4)) == 10
    assert attention_positions(64, published_blocks(64, 2), (32, 4)) == (1, 5)
    with pytest.raises(ValueError, match="attention at \\[64\\]"):
        attention_positions(64, published_blocks(64, 2), (64,))
    with torch.device("meta"):
        network = BigGANDiscriminator(BigGANDiscriminatorConfig.of_size(128, attention=(64,)))
        count = sum(parameter.numel() for parameter in network.parameters())
    # Brock et al., appendix B: 87.98 million parameters at 128 px.
    assert round(count / 1e6, 2) == 87.98


def test_configurations_survive_json_and_refuse_nonsense() -> None:
    for config in (
        BigGANDiscriminatorConfig.of_size(64, attention=(32,), width=8, classes=5),
        BigGANDeepDiscriminatorConfig.of_size(64, attention=(32,), width=8, classes=5, depth=1),
        BigGANDeepDiscriminatorConfig.of_size(32, width=4),
    ):
        assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    for kind, values, match in (
        (BigGANDiscriminatorConfig, {"size": 24}, "no published discriminator"),
        (BigGANDiscriminatorConfig, {"size": 6, "blocks": [[True, 4], [True, 4]]}, "do not fit 6 px"),
        (BigGANDiscriminatorConfig, {"size": 64, "attention": [0]}, "1 to 5"),
        (BigGANDiscriminatorConfig, {"size": 64, "classes": 0}, "classes"),
        (BigGANDeepDiscriminatorConfig, {"size": 8, "blocks": [[True, 4]], "width": 8}, "never narrow"),
    ):
        with pytest.raises(ValueError, match=match):
            kind.from_dict(values)
    network = BigGANDiscriminator(BigGANDiscriminatorConfig.of_size(8, channels={4: 4}, classes=2))
    with pytest.raises(ValueError, match="images must be \\[B, 3, 8, 8\\]"):
        network(torch.zeros(1, 3, 16, 16), torch.tensor([0]))
