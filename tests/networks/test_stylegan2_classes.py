"""Class-conditional StyleGAN2: labels, configurations, gradients. Numbers: tests/checkpoints/test_import_parity.py."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig

CHANNELS = {4: 8, 8: 8}


def generator(**options) -> Generator:
    torch.manual_seed(0)
    return Generator(StyleGAN2Config(8, latent_dim=6, mapping_layers=2, channels=CHANNELS, **options))


def critic(**options) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(DiscriminatorConfig(8, channels=CHANNELS, **options))


def test_numbers_and_rows_are_the_same_labels():
    network, z = generator(classes=3), torch.randn(4, 6)
    numbers = torch.tensor([0, 2, 1, 2])
    rows = torch.nn.functional.one_hot(numbers, 3).float()
    assert torch.equal(network.mapping(z, numbers), network.mapping(z, rows))
    assert not torch.allclose(network.mapping(z, numbers), network.mapping(z, (numbers + 1) % 3))
    assert network(z, labels=numbers).shape == (4, 3, 8, 8)
    judge = critic(classes=3)
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(judge(images, numbers), judge(images, rows)) and judge(images, numbers).shape == (4, 1)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (None, "needs labels below 3"),
        (torch.tensor([0, 3]), r"0\.\.2"),
        (torch.tensor([0, -1]), r"0\.\.2"),
        (torch.tensor([0]), r"\[2\] numbers or \[2, 3\] rows"),
        (torch.zeros(2, 4), r"\[2, 3\] rows, got \[2, 4\]"),
    ],
)
def test_labels_that_do_not_fit(labels, match):
    with pytest.raises(ValueError, match=match):
        generator(classes=3).mapping(torch.zeros(2, 6), labels)
    with pytest.raises(ValueError, match=match):
        critic(classes=3)(torch.zeros(2, 3, 8, 8), labels)


def test_unconditional_networks_take_no_labels():
    with pytest.raises(ValueError, match="takes no labels"):
        generator().mapping(torch.zeros(1, 6), torch.tensor([0]))
    with pytest.raises(ValueError, match="takes no labels"):
        critic()(torch.zeros(1, 3, 8, 8), torch.tensor([0]))


def test_configurations_round_trip_and_keep_the_old_form():
    for config in (
        StyleGAN2Config(8, channels=CHANNELS, classes=3, clamp=256.0),
        DiscriminatorConfig(8, channels=CHANNELS, classes=3, mapping_layers=2, clamp=256.0),
    ):
        assert type(config).from_dict(config.to_dict()) == config
    # Fingerprints of hubs that have neither classes nor a clamp count only what they always counted.
    assert not {"classes", "clamp", "mapping_layers"} & set(DiscriminatorConfig(8).to_dict())
    assert not {"classes", "clamp"} & set(StyleGAN2Config(8).to_dict())


@pytest.mark.parametrize("options", [{"classes": -1}, {"classes": True}, {"clamp": 0.0}, {"clamp": float("nan")}])
def test_bad_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        generator(**options)


def test_clamped_activations_stay_within_the_bound():
    network, z = generator(clamp=0.01), torch.randn(3, 6)
    output = network.synthesize(network.mapping(z), features=True)
    assert all(float(maps.detach().abs().max()) <= 0.01 for maps in output.features.values())
    free = generator().synthesize(network.mapping(z), features=True)
    assert all(float(maps.detach().abs().max()) > 0.01 for maps in free.features.values())


def test_mean_latent_of_all_classes_is_reproducible():
    network = generator(classes=3)
    first, again = (network.mean_latent(500, generator=torch.Generator().manual_seed(s)) for s in (1, 1))
    assert torch.equal(first, again) and first.shape == (1, 6)
