"""StyleGAN2-ADA whose z and w are of two sizes, from the file to translations."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from anchor_hub.bundles.base import open_bundle
from anchor_hub.checkpoints.importing import import_hub, read_hub
from anchor_hub.errors import BundleError, CheckpointError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.checkpoints.makers import ada_arguments, ada_state, network, nvidia_pickle
from tests.tiny import tiny_domain, tiny_hub

CHANNELS = {4: 8, 8: 8, 16: 8}
SMALL_Z = StyleGAN2Config(16, latent_dim=12, z_dim=5, mapping_layers=3, channels=CHANNELS)
LARGE_Z = StyleGAN2Config(16, latent_dim=6, z_dim=20, mapping_layers=1, channels=CHANNELS)
CLASSES = StyleGAN2Config(16, latent_dim=12, z_dim=5, mapping_layers=2, channels=CHANNELS, classes=3)


def pickled(path: Path, config: StyleGAN2Config, **changes: torch.Tensor | None) -> Path:
    state = {name: value for name, value in {**ada_state(config), **changes}.items() if value is not None}
    return nvidia_pickle(path, {"G_ema": network("Generator", state, ada_arguments(config))})


def mapped(state: dict[str, torch.Tensor], z: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """w of z by the formulas: each of z and the label's embedding normalised by itself, then the layers."""

    def normal(x: torch.Tensor) -> torch.Tensor:
        return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()

    x = normal(z)
    if labels is not None:
        weight, bias = state["mapping.embed.weight"], state["mapping.embed.bias"]
        x = torch.cat([x, normal(labels @ weight.T / math.sqrt(weight.shape[1]) + bias)], dim=1)
    for layer in range(sum(name.startswith("mapping.fc") for name in state) // 2):
        weight, bias = state[f"mapping.fc{layer}.weight"], state[f"mapping.fc{layer}.bias"]
        x = F.leaky_relu(x @ weight.T * (0.01 / math.sqrt(weight.shape[1])) + bias * 0.01, 0.2) * math.sqrt(2)
    return x


@torch.no_grad()
@pytest.mark.parametrize("config", [SMALL_Z, LARGE_Z, CLASSES], ids=["small z", "large z", "classes"])
def test_a_hub_of_such_a_file(config: StyleGAN2Config, tmp_path: Path) -> None:
    result = import_hub(pickled(tmp_path / "n.pkl", config), "ada", output=tmp_path / "hub")
    hub = Hub.load(result.folder)
    assert hub.config == config and hub.fingerprint == result.fingerprint
    assert hub.architecture()["config"]["z_dim"] == config.z_dim
    assert (hub.latent_dim, hub.num_latents) == (config.latent_dim, 6)
    state, view = ada_state(config), hub.of_class(1) if config.classes else hub
    assert torch.equal(hub.mean_latent, state["mapping.w_avg"]) and hub.covariance.shape == (config.latent_dim,) * 2
    z = view.sample_z(3, seed=5)
    assert z.shape == (3, config.z_dim) and torch.equal(z[1:], view.sample_z(2, seed=5, start=1))
    w = view.sample(3, seed=5)
    labels = torch.eye(3)[[1, 1, 1]] if config.classes else None
    assert torch.allclose(w, mapped(state, z, labels), atol=1e-6) and w.shape == (3, config.latent_dim)
    assert view.image(view.truncate(w, 0.7)).shape == (3, 3, 16, 16)
    # Whitened samples are of covariance I: the statistics are those of this mapping network.
    mean, whitening = hub.whitening()
    many = torch.cat([hub.of_class(c).sample(1000, seed=c) for c in range(3)]) if config.classes else hub.sample(3000)
    white = (many - many.mean(dim=0)) @ whitening
    assert float(white.square().sum(dim=1).mean()) <= config.latent_dim * 1.2
    assert hub.generator.mean_latent(500).shape == (1, config.latent_dim)


@torch.no_grad()
def test_domains_translate_on_it(tmp_path: Path) -> None:
    hub = Hub.load(import_hub(pickled(tmp_path / "n.pkl", SMALL_Z), "ada", output=tmp_path / "hub").folder)
    domain = tiny_domain("sketch", hub)
    latents = domain.encode(torch.rand(2, 1, 16, 16) * 2 - 1)
    assert latents.shape == (2, 6, 12)
    assert domain.decode(hub.merge(latents, hub.sample(2, seed=0), [4, 5])).shape == (2, 1, 16, 16)


def test_without_a_mean_latent_it_is_computed(tmp_path: Path) -> None:
    path = pickled(tmp_path / "n.pkl", SMALL_Z, **{"mapping.w_avg": None})
    result = import_hub(path, "ada", output=tmp_path / "hub")
    assert any("10,000 samples" in note for note in result.notes)
    hub = Hub.load(result.folder)
    assert torch.allclose(hub.mean_latent, hub.sample(4000, seed=9).mean(dim=0), atol=0.1)


def test_mapping_networks_of_other_widths_are_refused_for_that_reason(tmp_path: Path) -> None:
    for config, changes, match in (
        (SMALL_Z, {"fc0.weight": torch.zeros(7, 5), "fc0.bias": torch.zeros(7)}, r"\[7\] wide inside"),
        (CLASSES, {"embed.weight": torch.zeros(7, 3), "embed.bias": torch.zeros(7)}, r"\[7\] wide inside"),
        # Classes alone choose the picture; nothing is drawn.
        (CLASSES, {"fc0.weight": torch.zeros(12, 12)}, "its z has 0 values"),
    ):
        with pytest.raises(CheckpointError, match=match) as caught:
            read_hub(pickled(tmp_path / "n.pkl", config, **{f"mapping.{key}": v for key, v in changes.items()}))
        assert str(caught.value).startswith(str(tmp_path / "n.pkl"))


def test_configurations_of_one_size_are_what_they_were(tmp_path: Path) -> None:
    """Fingerprints count the configuration: those of stored hubs stay."""
    plain = StyleGAN2Config(16, latent_dim=12, channels=CHANNELS)
    assert "z_dim" not in plain.to_dict() and plain.z_dim == 12
    assert StyleGAN2Config(16, latent_dim=12, z_dim=12, channels=CHANNELS) == plain
    assert StyleGAN2Config.from_dict(SMALL_Z.to_dict()) == SMALL_Z and SMALL_Z.to_dict()["z_dim"] == 5
    stored = open_bundle(tiny_hub().save(tmp_path / "tiny"), "hub").manifest.architecture["config"]
    assert "z_dim" not in stored
    for bad in (0, -1):
        with pytest.raises(ValueError, match="z_dim"):
            StyleGAN2Config(16, latent_dim=12, z_dim=bad, channels=CHANNELS)


def test_z_of_another_size_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = Generator(SMALL_Z)
    with pytest.raises(ValueError, match=r"\[B, 5\], got \[2, 12\]"):
        generator.map(torch.zeros(2, 12))
    folder = Hub.from_generator(generator, "ada", samples=100).save(tmp_path / "hub")
    text = (folder / "bundle.yaml").read_text()
    (folder / "bundle.yaml").write_text(text.replace("z_dim: 5", "z_dim: 0"))
    with pytest.raises(BundleError, match="z_dim must be at least 1"):
        Hub.load(folder)
