"""The compact encoder's contract."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.errors import ConfigError
from anchor_hub.networks.compact import CompactEncoder
from anchor_hub.networks.encoders import build_encoder


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_shapes_and_gradients(size):
    encoder = CompactEncoder(19, 10, 48, input_size=size, width=16)
    offsets = encoder(torch.randn(2, 19, size, size))
    assert offsets.shape == (2, 10, 48) and offsets.dtype == torch.float32
    offsets.square().sum().backward()
    assert not [name for name, parameter in encoder.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("in_channels", [1, 3, 19])
def test_size_at_the_default_width(in_channels):
    encoder = build_encoder("compact", in_channels=in_channels, num_latents=10, latent_dim=256, input_size=64)
    assert 1_000_000 < sum(parameter.numel() for parameter in encoder.parameters()) < 4_000_000


@pytest.mark.parametrize("name", ["compact", "psp"])
def test_large_images_are_averaged_down(name):
    options = {"width": 8} if name == "compact" else {"space": "w"}
    size = 1024 if name == "compact" else 32
    encoder = build_encoder(
        name, in_channels=1, num_latents=2, latent_dim=8, input_size=size, **options
    ).eval()
    small = 256 if name == "compact" else 32
    images = torch.randn(1, 1, small, small)
    with torch.no_grad():
        larger = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        torch.testing.assert_close(encoder(larger), encoder(images), rtol=1e-4, atol=1e-5)


def test_starts_near_the_mean_latent():
    torch.manual_seed(0)
    offsets = CompactEncoder(3, 10, 256)(torch.rand(4, 3, 64, 64) * 2 - 1)
    assert offsets.abs().mean() < 0.2


def test_layers_past_num_codes_repeat_the_last_code():
    encoder = CompactEncoder(3, 10, 32, num_codes=6, width=16)
    offsets = encoder(torch.randn(2, 3, 64, 64))
    assert offsets.shape == (2, 10, 32)
    assert torch.equal(offsets[:, 5:6].expand(-1, 5, -1), offsets[:, 5:])
    assert not torch.equal(offsets[:, 4], offsets[:, 5])
    assert encoder.codes(torch.randn(1, 3, 64, 64)).shape == (1, 6, 32)


def test_w_is_one_code():
    offsets = CompactEncoder(3, 10, 32, space="w", width=16)(torch.randn(2, 3, 64, 64))
    assert torch.equal(offsets, offsets[:, :1].expand(-1, 10, -1))


def test_the_batch_does_not_matter():
    torch.manual_seed(0)
    encoder = CompactEncoder(3, 4, 32, width=16)
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]), rtol=1e-4, atol=1e-5)


def test_position_in_the_image_matters():
    torch.manual_seed(0)
    encoder = CompactEncoder(1, 4, 32, width=16)
    left, right = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    left[..., 16:32, 8:24] = 1
    right[..., 16:32, 40:56] = 1
    with torch.no_grad():
        a, b = encoder(left), encoder(right)
    assert (a - b).norm() > 0.1 * a.norm()


def test_learns_to_regress_a_code():
    torch.manual_seed(0)
    encoder = CompactEncoder(3, 2, 8, input_size=16, width=16)
    images, codes = torch.randn(8, 3, 16, 16), torch.randn(8, 2, 8)
    optimiser = torch.optim.Adam(encoder.parameters(), 2e-3)
    for _ in range(60):
        loss = (encoder(images) - codes).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1


@pytest.mark.parametrize(
    "options",
    [{"space": "z"}, {"input_size": 48}, {"num_codes": 0}, {"num_codes": 5}, {"space": "w", "num_codes": 2}],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigError):
        CompactEncoder(3, 4, 32, **options)


def test_bf16_channels_last():
    encoder = CompactEncoder(3, 4, 32, width=16).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)
    exact = encoder(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(images)
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() < 0.1 * exact.norm()
