"""The hub: sampling, latents, feature maps, its bundle, and that it never changes."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import BundleError, DomainNotFoundError, HubMismatchError, HubNotFoundError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.loading import load_hub
from anchor_hub.hubs.stylegan2 import StyleGAN2Hub
from anchor_hub.system.seeds import derive_seed
from tests.tiny import LATENT, SIZE, tiny_domain, tiny_generator, tiny_home, tiny_hub


def test_sizes_of_the_hub():
    hub = tiny_hub()
    assert (hub.size, hub.latent_dim, hub.num_latents) == (SIZE, LATENT, 6)
    assert hub.feature_channels == {4: 16, 8: 16, 16: 16}
    assert hub.image(hub.sample(3, seed=0)).shape == (3, 3, SIZE, SIZE)


def test_statistics_are_those_of_mapped_samples():
    hub = tiny_hub()
    w = hub.sample(4000, seed=5)
    assert torch.allclose(w.mean(dim=0), hub.mean_latent, atol=0.1 * w.std().item())
    mean, whitening = hub.whitening()
    white = (w - mean) @ whitening
    assert torch.allclose(white.T @ white / len(w), torch.eye(LATENT), atol=0.25)
    assert torch.allclose(mean + white @ hub.colouring()[1], w, atol=1e-4)


def test_the_floor_of_whitening_bounds_flat_directions():
    covariance = torch.diag(torch.tensor([1.0, 0.5, 0.0] + [1e-12] * (LATENT - 3)))
    hub = StyleGAN2Hub(tiny_generator(), torch.zeros(LATENT), covariance, name="flat")
    whitening = hub.whitening(0.1)[1]
    assert torch.allclose(whitening.diagonal(), torch.tensor([1.0, 0.5] + [0.1] * (LATENT - 2)).rsqrt())
    assert torch.equal(whitening, whitening.diagonal().diag())


def test_a_seeded_sample_depends_on_its_number_alone():
    hub = tiny_hub()
    many = hub.sample_z(7, seed=3)
    assert torch.equal(many[4:6], hub.sample_z(2, seed=3, start=4))
    assert not torch.equal(many[0], many[1])
    assert not torch.equal(many, hub.sample_z(7, seed=4))
    assert derive_seed(1, "style") != derive_seed(1, "other")


def test_sampling_with_a_generator_continues_its_stream():
    hub = tiny_hub()
    stream = torch.Generator().manual_seed(9)
    first, second = hub.sample_z(2, generator=stream), hub.sample_z(2, generator=stream)
    assert not torch.equal(first, second)
    assert torch.equal(first, hub.sample_z(2, generator=torch.Generator().manual_seed(9)))


def test_truncation_pulls_towards_the_mean():
    hub = tiny_hub()
    full, half, none = (hub.sample(4, seed=0, truncation=psi) for psi in (1.0, 0.5, 0.0))
    assert torch.allclose(half - hub.mean_latent, 0.5 * (full - hub.mean_latent), atol=1e-6)
    assert torch.allclose(none, hub.mean_latent.expand(4, -1))


def test_expand_takes_w_and_w_plus():
    hub = tiny_hub()
    w = hub.sample(2, seed=0)
    assert torch.equal(hub.expand(w), w[:, None].expand(2, 6, LATENT))
    assert torch.equal(hub.expand(w[:, None]), hub.expand(w))
    with pytest.raises(ValueError, match="end in 16"):
        hub.expand(torch.zeros(2, 5))
    with pytest.raises(ValueError):
        hub.expand(torch.zeros(2, 5, LATENT))


def test_merge_takes_the_named_layers_from_the_style():
    hub = tiny_hub()
    structure, style = hub.expand(hub.sample(3, seed=0)), hub.sample(1, seed=1)
    merged = hub.merge(structure, style, [4, 5])
    assert torch.equal(merged[:, :4], structure[:, :4])
    assert torch.equal(merged[:, 4:], style[:, None].expand(3, 2, LATENT))
    with pytest.raises(ValueError, match="layers 0 to 5, not 6"):
        hub.merge(structure, style, [6])
    with pytest.raises(ValueError, match="2 styles do not fit 3"):
        hub.merge(structure, hub.sample(2, seed=1), [5])


def counted_layers(hub: Hub) -> list[int]:
    """Appends the resolution of every styled convolution and ToRGB that runs."""
    ran: list[int] = []
    for resolution, block in hub.generator.synthesis.blocks.items():
        for layer in (block.up, block.conv, block.to_rgb):
            if layer is not None:
                layer.register_forward_hook(lambda *_, size=int(resolution): ran.append(size))
    return ran


def test_features_compute_no_layer_that_is_not_needed():
    hub = tiny_hub()
    ran = counted_layers(hub)
    features = hub.features(hub.sample(1, seed=0), [8])
    assert set(features) == {8} and features[8].shape == (1, 16, 8, 8)
    assert ran == [4, 8, 8], "4 px: one convolution, 8 px: two; no ToRGB, nothing at 16 px"
    ran.clear()
    hub.image(hub.sample(1, seed=0))
    assert ran == [4, 4, 8, 8, 8, 16, 16, 16]
    with pytest.raises(ValueError, match=r"no feature maps of \[32\]"):
        hub.features(hub.sample(1, seed=0), [8, 32])


def test_noise_is_constant_unless_asked_otherwise():
    hub = tiny_hub()
    w = hub.sample(1, seed=0)
    assert torch.equal(hub.image(w), hub.image(w))
    assert not torch.equal(hub.image(w), hub.image(w, noise="none"))
    assert not torch.equal(hub.image(w, noise="random"), hub.image(w, noise="random"))


def test_gradients_reach_latents_and_never_weights():
    hub = tiny_hub()
    latents = hub.expand(hub.sample(2, seed=0)).clone().requires_grad_(True)
    (hub.image(latents).square().mean() + hub.features(latents, [4])[4].mean()).backward()
    assert latents.grad is not None and latents.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in hub.generator.parameters())


def test_bundle_round_trip(tmp_path):
    hub = tiny_hub()
    hub.save(tmp_path / "hub", provenance={"images": 3}, card="# a hub\n")
    again = Hub.load(tmp_path / "hub")
    assert again.fingerprint == hub.fingerprint and again.name == "tiny"
    w = hub.sample(2, seed=0)
    assert torch.equal(again.image(w), hub.image(w))
    assert torch.equal(again.covariance, hub.covariance)


def test_fingerprint_tells_hubs_apart_and_notices_tampering():
    hub = tiny_hub()
    assert hub.fingerprint == tiny_hub(name="other name").fingerprint
    assert hub.fingerprint != tiny_hub(seed=1).fingerprint
    with torch.no_grad():
        hub.generator.synthesis.constant[0, 0, 0, 0] += 1e-6
    assert hub.current_fingerprint() != hub.fingerprint


def test_weights_that_are_not_the_fingerprints_are_refused(tmp_path):
    hub = StyleGAN2Hub(tiny_generator(), torch.zeros(LATENT), torch.eye(LATENT), name="fake", fingerprint="0" * 64)
    hub.save(tmp_path / "hub")
    with pytest.raises(BundleError, match="not those of fingerprint 000000000000"):
        Hub.load(tmp_path / "hub")


def test_a_flipped_byte_is_found(tmp_path):
    folder = tiny_hub().save(tmp_path / "hub")
    weights = folder / "generator.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(BundleError, match="generator.safetensors"):
        Hub.load(folder)


def test_names_and_paths(tmp_path, monkeypatch):
    home = tiny_home(tmp_path, monkeypatch)
    assert load_hub("tiny", "cpu") is load_hub("tiny", "cpu")
    assert load_hub(home / "hubs" / "tiny", "cpu").name == "tiny"
    assert load_domain("seg", device="cpu") is load_domain("seg", device="cpu")
    assert load_domain("seg", device="cpu").hub is load_hub("tiny", "cpu")
    with pytest.raises(HubNotFoundError, match="tinny"):
        load_hub("tinny")
    with pytest.raises(DomainNotFoundError, match="Did you mean 'sketch'"):
        load_domain("sketsh")
    with pytest.raises(BundleError, match="is a domain bundle, a hub is needed"):
        load_hub(home / "domains" / "seg")


def test_known_but_untrained_domain_says_how_to_train_it(tmp_path, monkeypatch):
    from anchor_hub.plugins.loading import Plugin
    from anchor_hub.plugins.registry import Registry
    from anchor_hub.specs import DomainSpec

    tiny_home(tmp_path, monkeypatch, domains=())
    plugin = Plugin("p", "d", "1", "p")
    plugin.specs["domains"] = [DomainSpec("mine", hub="tiny", modality={"name": "rgb"})]
    monkeypatch.setattr("anchor_hub.plugins.finding.registry", lambda: Registry([plugin]))
    with pytest.raises(DomainNotFoundError, match="anchor add-domain mine"):
        load_domain("mine")


def test_domain_of_a_hub_that_is_not_installed(tmp_path, monkeypatch):
    home = tiny_home(tmp_path, monkeypatch, domains=())
    foreign = tiny_hub(seed=7, name="foreign")
    tiny_domain("seg", foreign).save(home / "domains" / "seg")
    with pytest.raises(HubMismatchError, match="foreign .*tiny"):
        load_domain("seg", device="cpu")
    with pytest.raises(HubMismatchError, match="'foreign'.*'tiny'"):
        load_domain("seg", load_hub("tiny", "cpu"))
