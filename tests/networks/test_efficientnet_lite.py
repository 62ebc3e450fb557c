"""EfficientNet-Lite0 is its convolutions and batch normalisations, one after the other, and takes every weight."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_hub.networks.efficientnet_lite import _STAGES, EfficientNetLite0


def norm(state: dict[str, Tensor], name: str, channels: int, random: torch.Generator) -> None:
    for part, low, high in (("weight", 0.5, 1.5), ("bias", -0.2, 0.2), ("running_mean", -0.2, 0.2)):
        state[f"{name}.{part}"] = torch.rand(channels, generator=random) * (high - low) + low
    state[f"{name}.running_var"] = torch.rand(channels, generator=random) + 0.5
    state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def published_state() -> dict[str, Tensor]:
    """A state dict with the names and shapes of the published file, and random numbers."""
    random, state = torch.Generator().manual_seed(0), {}

    def conv(name: str, inside: int, outside: int, kernel: int, groups: int = 1) -> None:
        spread = (2 / (inside // groups * kernel**2)) ** 0.5
        state[f"{name}.weight"] = torch.randn(outside, inside // groups, kernel, kernel, generator=random) * spread

    conv("_conv_stem", 3, 32, 3)
    norm(state, "_bn0", 32, random)
    inside, number = 32, 0
    for kernel, repetitions, outside, expansion, _ in _STAGES:
        for _ in range(repetitions):
            block, wide = f"_blocks.{number}", inside * expansion
            if expansion > 1:
                conv(f"{block}._expand_conv", inside, wide, 1)
                norm(state, f"{block}._bn0", wide, random)
            conv(f"{block}._depthwise_conv", wide, wide, kernel, wide)
            norm(state, f"{block}._bn1", wide, random)
            conv(f"{block}._project_conv", wide, outside, 1)
            norm(state, f"{block}._bn2", outside, random)
            inside, number = outside, number + 1
    conv("_conv_head", 320, 1280, 1)
    norm(state, "_bn1", 1280, random)
    state["_fc.weight"], state["_fc.bias"] = torch.randn(1000, 1280, generator=random), torch.zeros(1000)
    return state


def plain(state: dict[str, Tensor], images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Maps after every stage and logits, with convolution and batch normalisation apart."""

    def layer(x: Tensor, name: str, bn: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        kernel = weight.shape[-1]
        missing = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
        x = F.conv2d(F.pad(x, (missing // 2, missing - missing // 2) * 2), weight, None, stride, 0, 1, groups)
        parts = [state[f"{bn}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts, eps=1e-3)

    x = F.relu6(layer((images * 127.5 + 127.5 - 127) / 128, "_conv_stem", "_bn0", 2))
    maps, number = [], 0
    for _, repetitions, _, expansion, stride in _STAGES:
        for repetition in range(repetitions):
            block, before, y = f"_blocks.{number}", x, x
            if expansion > 1:
                y = F.relu6(layer(y, f"{block}._expand_conv", f"{block}._bn0"))
            y = F.relu6(layer(y, f"{block}._depthwise_conv", f"{block}._bn1", 1 if repetition else stride, y.shape[1]))
            y = layer(y, f"{block}._project_conv", f"{block}._bn2")
            x = before + y if repetition else y
            number += 1
        maps.append(x)
    pooled = F.relu6(layer(x, "_conv_head", "_bn1")).mean((2, 3))
    return maps, F.linear(pooled, state["_fc.weight"], state["_fc.bias"])


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return published_state()


@pytest.fixture(scope="module")
def network(state: dict[str, Tensor]) -> EfficientNetLite0:
    network = EfficientNetLite0()
    network.load_published(state)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("side", [64, 49])
def test_maps_and_logits_are_those_of_the_plain_layers(
    network: EfficientNetLite0, state: dict[str, Tensor], side: int
) -> None:
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    stages, logits = plain(state, images)
    maps = network.features(images)
    for found, stage, channels, stride in zip(maps, (1, 2, 4, 6), network.channels, network.strides, strict=True):
        assert found.shape == (2, channels, -(-side // stride), -(-side // stride))
        assert torch.allclose(found, stages[stage], rtol=1e-3, atol=1e-4 * float(stages[stage].abs().max()))
    assert torch.allclose(network(images), logits, rtol=1e-3, atol=1e-4 * float(logits.abs().max()))


def test_gradients_reach_the_pictures(network: EfficientNetLite0) -> None:
    images = torch.rand(1, 3, 32, 32).requires_grad_(True)
    sum(one.square().sum() for one in network.features(images)).backward()
    assert images.grad is not None and float(images.grad.abs().sum()) > 0


def test_every_entry_is_taken_and_checked(state: dict[str, Tensor]) -> None:
    names = list(state)
    for name in (names[0], names[-1], "_blocks.7._bn1.running_var"):
        with pytest.raises(ValueError, match=f"lacks '{name}'"):
            EfficientNetLite0().load_published({key: value for key, value in state.items() if key != name})
    with pytest.raises(ValueError, match="unknown entries.*_blocks.16"):
        EfficientNetLite0().load_published({**state, "_blocks.16._bn1.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="_fc.bias has shape"):
        EfficientNetLite0().load_published({**state, "_fc.bias": torch.zeros(1001)})
