"""Sizes of GP-UNIT's networks, and the identities that make them cheap."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from anchor_gpunit.networks import winograd
from anchor_gpunit.networks.autoencoder import AutoEncoder, MomentEncoder
from anchor_gpunit.networks.blocks import Conv, fold, folded_weights, instance_norm
from anchor_gpunit.networks.configs import (
    ContentConfig,
    DiscriminatorConfig,
    DistillationConfig,
    GeneratorConfig,
)
from anchor_gpunit.networks.content import ContentEncoder
from anchor_gpunit.networks.discriminator import Discriminator
from anchor_gpunit.networks.generator import Generator
from anchor_gpunit.networks.sampler import StyleSampler
from anchor_gpunit.translator import translator_parts
from anchor_hub.networks.blank import blank

#: As the presets "small" of the recipes have them, for 64 px and two cores.
SMALL_CONTENT = ContentConfig(size=64, width=16)
SMALL_GENERATOR = GeneratorConfig(size=64, content_width=16, width=16, style_width=16, style_halvings=4, intensity=True)
SMALL_DISCRIMINATOR = DiscriminatorConfig(size=64, width=24, max_width=128)
SMALL_DISTILLATION = DistillationConfig(size=64, width=16, label_dim=32)


def megabytes(*networks: torch.nn.Module, half: bool = True) -> float:
    numbers = sum(value.numel() for network in networks for value in network.state_dict().values())
    return numbers * (2 if half else 4) / 1e6


@torch.no_grad()
def test_small_networks_fit_together_and_into_few_megabytes() -> None:
    encoder, generator = ContentEncoder(SMALL_CONTENT).eval(), Generator(SMALL_GENERATOR).eval()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    maps = encoder(x)
    assert [tuple(value.shape[1:]) for value in maps] == [(1, 8, 8), (64, 8, 8), (32, 16, 16), (16, 32, 32)]
    made = generator(maps, generator.style(x))
    assert made.images.shape == x.shape and [tuple(mask.shape[2:]) for mask in made.masks] == [(16, 16), (32, 32)]
    logits, (style,) = Discriminator(SMALL_DISCRIMINATOR)(x, [4])
    assert logits.shape == (2,) and style.shape == (2, 128)
    stage_one = AutoEncoder(replace(SMALL_DISTILLATION, classes=4)).eval()
    found = stage_one(x.repeat(2, 1, 1, 1), torch.tensor([0, 1, 2, 3]), pairs=1)
    assert found.images.shape == (4, 3, 64, 64) and found.shapes.shape == (4, 3, 16, 16)
    assert found.exchanged.shape == (2, 3, 16, 16) and found.logits.shape == (4, 4)
    sampler = StyleSampler(SMALL_GENERATOR.style_dim)
    assert megabytes(encoder) + 2 * megabytes(generator, sampler) < 12
    assert all(
        value.dtype in (torch.float16, torch.int64)
        for part in translator_parts(generator, sampler, half=True).values()
        for value in part.values()
    )


def test_a_picture_of_one_colour_has_finite_gradients() -> None:
    network = MomentEncoder(replace(SMALL_DISTILLATION, width=4))
    moments = network(torch.zeros(1, 3, 64, 64))
    torch.stack([value.sum() for pair in moments for value in pair]).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [value.grad for value in network.parameters()]
    assert all(value is not None and bool(torch.isfinite(value).all()) for value in gradients)


def test_published_sizes_are_those_of_the_files() -> None:
    encoder = blank(ContentEncoder, ContentConfig(spectral=True))
    assert sum(value.numel() for value in encoder.state_dict().values()) == 9_476_637
    generator = blank(Generator, GeneratorConfig())
    assert sum(value.numel() for value in generator.state_dict().values()) == 39_926_358
    assert GeneratorConfig().style_dim == 256 and DiscriminatorConfig().blocks == 6


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (ContentConfig, {"size": 48}),
        (ContentConfig, {"size": 32}),
        (ContentConfig, {"size": 64, "content_side": 2}),
        (GeneratorConfig, {"size": 64, "style_halvings": 7}),
        (GeneratorConfig, {"size": 64, "width": 0}),
        (DiscriminatorConfig, {"size": 96}),
        (DiscriminatorConfig, {"size": 64, "width": 64, "max_width": 32}),
        (DistillationConfig, {"size": 64, "classes": 0}),
        (DistillationConfig, {"size": 64, "noise": -1.0}),
    ],
)
def test_sizes_that_cannot_be_are_refused(kind: type, table: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        kind(**table)


@pytest.mark.parametrize("reflect", [False, True])
@torch.no_grad()
def test_doubling_is_part_of_the_convolution(reflect: bool) -> None:
    conv = Conv(5, 7, double=True, reflect=reflect).double()
    assert conv.bias is not None
    conv.bias.normal_()
    x = torch.randn(2, 5, 6, 4, dtype=torch.float64)
    padded = F.pad(F.interpolate(x, scale_factor=2), (1,) * 4, "reflect" if reflect else "constant")
    wanted = F.conv2d(padded, conv.weight, conv.bias)
    assert torch.allclose(conv(x), wanted, atol=1e-12)
    assert torch.allclose(fold(conv)(x), wanted, atol=1e-12)


@torch.no_grad()
def test_blocks_of_pixels_are_the_same_convolution() -> None:
    conv = Conv(5, 3, 7, blocks=True).double()
    assert conv.bias is not None
    conv.bias.normal_()
    x = torch.randn(2, 5, 6, 8, dtype=torch.float64)
    assert torch.allclose(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=3), atol=1e-12)


@pytest.mark.parametrize("reflect", [False, True])
def test_many_channels_go_by_winograd_where_nothing_learns(reflect: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "CHANNELS", 4)
    conv = Conv(4, 6, reflect=reflect).double()
    assert conv.bias is not None
    with torch.no_grad():
        conv.bias.normal_()
    fold(conv.requires_grad_(False))
    assert conv.matrices is not None and conv.folded is None
    x = torch.randn(2, 4, 6, 8, dtype=torch.float64)
    wanted = F.conv2d(F.pad(x, (1,) * 4, "reflect" if reflect else "constant"), conv.weight, conv.bias)
    calls: list[int] = []
    plain = winograd.convolved
    monkeypatch.setattr(winograd, "convolved", lambda *given: calls.append(1) or plain(*given))
    with torch.no_grad():
        assert torch.allclose(conv(x), wanted, atol=1e-12) and len(calls) == 1
        odd = conv(x[:, :, :5, :7])
        assert odd.shape == (2, 6, 5, 7) and len(calls) == 1
    assert torch.allclose(conv(x.requires_grad_()), wanted) and len(calls) == 1, "gradients take torch's convolution"
    with torch.no_grad():
        conv.to("meta")(x.to("meta"))
    assert len(calls) == 1, "a network that was moved off the CPU takes torch's convolution"
    conv.train()
    assert conv.matrices is None


def test_the_norm_has_the_gradients_of_its_formula() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    scale, shift = (torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(instance_norm, (x, scale, shift))
    assert torch.autograd.gradcheck(instance_norm, (x, scale[:1].detach(), shift[:1].detach()))
    one = x[:1].detach().requires_grad_()
    assert torch.autograd.gradcheck(instance_norm, (one, scale, shift))
    assert torch.allclose(instance_norm(x), F.instance_norm(x))
    # A mean a thousand times the deviation costs no more than float32's rounding of the input does.
    far = torch.randn(1, 2, 32, 32) + 1000
    assert torch.allclose(instance_norm(far), F.instance_norm(far.double()).float(), atol=2e-3)


@torch.no_grad()
def test_weights_divided_by_their_spectral_norms_are_the_network_of_eval_mode() -> None:
    torch.manual_seed(0)
    config = ContentConfig(size=32, width=4, content_side=4, spectral=True)
    training = ContentEncoder(config)
    x = torch.randn(2, 3, 32, 32)
    for _ in range(3):
        training(x)
    frozen = ContentEncoder(replace(config, spectral=False))
    frozen.load_state_dict(folded_weights(training.state_dict()))
    for ours, theirs in zip(fold(frozen)(x), training.eval()(x), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)
