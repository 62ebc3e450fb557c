"""Anchored domains: which layers they drive, what they decode from, and their bundles."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.base import Needs
from anchor_hub.errors import BundleError, HubMismatchError, MissingPartError
from tests.hubs.test_base import counted_layers
from tests.tiny import CLASSES, DOMAINS, LATENT, SIZE, tiny_domain, tiny_hub


def images(domain: AnchoredDomain, seed: int = 0, batch: int = 2) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(batch, domain.modality.input_channels, SIZE, SIZE, generator=stream)


def test_encode_drives_the_structure_layers_and_leaves_the_rest_at_the_mean():
    domain = tiny_domain("seg", tiny_hub())
    latents = domain.encode(images(domain))
    assert latents.shape == (2, 6, LATENT)
    assert torch.equal(latents[:, 4:], domain.hub.mean_latent.expand(2, 2, LATENT))
    assert (latents[:, :4] - domain.hub.mean_latent).abs().min() > 0
    assert not torch.equal(latents[0, :4], latents[1, :4])


@pytest.mark.parametrize("name", ["face", "seg", "points"])
def test_corrections_add_what_the_encoder_misses_in_the_domains_own_image(name):
    once = tiny_domain(name, tiny_hub())
    x = images(once).clamp(-1, 1)
    codes = once.encode(x)
    missing = codes - once.codes(once.modality.as_input(once.decode(codes)).clamp(-1, 1))
    assert missing[:, : once.structure_layers].abs().min() > 0
    corrected = tiny_domain(name, tiny_hub(), corrections=1)
    assert torch.equal(corrected.codes(x), codes)
    assert torch.allclose(corrected.encode(x), codes + 0.6 * missing, atol=1e-5)
    twice = tiny_domain(name, tiny_hub(), corrections=2).encode(x)
    assert torch.equal(twice[:, once.structure_layers :], codes[:, once.structure_layers :])
    assert not torch.equal(twice, corrected.encode(x))


def test_a_domain_without_decoder_is_not_corrected():
    plain = tiny_domain("encode-only", tiny_hub())
    corrected = tiny_domain("encode-only", tiny_hub(), corrections=2)
    assert torch.equal(corrected.encode(images(plain)), plain.encode(images(plain)))


def test_decode_of_each_kind():
    hub = tiny_hub()
    w = hub.sample(2, seed=0)
    assert tiny_domain("seg", hub).decode(w).shape == (2, CLASSES, SIZE, SIZE)
    assert tiny_domain("sketch", hub).decode(w).shape == (2, 1, SIZE, SIZE)
    assert torch.equal(tiny_domain("face", hub).decode(w), hub.image(w))


def test_decoding_runs_only_the_layers_the_regressor_reads():
    hub = tiny_hub()
    domain = tiny_domain("sketch", hub)
    assert domain.needs == Needs(features=(8,))
    ran = counted_layers(hub)
    domain.decode(hub.sample(1, seed=0))
    assert max(ran) == 8


def test_training_a_domain_changes_nothing_of_the_hub():
    hub = tiny_hub()
    domain = tiny_domain("seg", hub)
    for network in domain.networks():
        network.train().requires_grad_(True)
    optimiser = torch.optim.SGD([p for network in domain.networks() for p in network.parameters()], lr=0.1)
    before = [p.clone() for network in domain.networks() for p in network.parameters()]
    domain.decode(domain.encode(images(domain))).square().mean().backward()
    optimiser.step()
    after = [p for network in domain.networks() for p in network.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert hub.current_fingerprint() == hub.fingerprint
    assert not hub.generator.training


def test_missing_directions_are_clear_errors():
    hub = tiny_hub()
    with pytest.raises(MissingPartError, match="'decode-only' has no encoder"):
        tiny_domain("decode-only", hub).encode(torch.zeros(1, 1, SIZE, SIZE))
    with pytest.raises(MissingPartError, match="'encode-only' has no decoder"):
        tiny_domain("encode-only", hub).decode(hub.sample(1, seed=0))


@pytest.mark.parametrize("corrections", [0, 2])
@pytest.mark.parametrize("name", DOMAINS)
def test_bundle_round_trip(name, corrections, tmp_path):
    hub = tiny_hub()
    domain = tiny_domain(name, hub, corrections=corrections)
    domain.save(tmp_path / name, provenance={"images": 5})
    again = AnchoredDomain.load(tmp_path / name, hub)
    assert (again.name, again.structure_layers) == (name, domain.structure_layers)
    assert again.corrections == corrections
    assert again.modality.options() == domain.modality.options()
    if domain.can_encode:
        assert torch.equal(again.encode(images(again)), domain.encode(images(domain)))
    if domain.can_decode:
        w = hub.sample(2, seed=1)
        assert torch.equal(again.decode(w), domain.decode(w))
    assert not any(p.requires_grad for network in again.networks() for p in network.parameters())


def test_a_domain_of_another_hub_is_refused(tmp_path):
    tiny_domain("seg", tiny_hub()).save(tmp_path / "seg")
    with pytest.raises(HubMismatchError, match="'tiny'.*'elsewhere'"):
        AnchoredDomain.load(tmp_path / "seg", tiny_hub(seed=1, name="elsewhere"))


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": {"name": "nonesuch", "options": {}}},
        {"encoder": {"name": "compact", "options": {"width": 4, "colour": 1}}},
        {"encoder": "compact"},
        {"regressor": {"name": "compact", "options": {"resolutions": [128]}}},
        {"regressor": "nonesuch"},
        {"structure_layers": 99},
        {"corrections": -1},
        {"corrections": "twice"},
    ],
)
def test_bad_architectures_in_a_bundle_are_bundle_errors(change, tmp_path):
    from anchor_hub.bundles.base import write_bundle

    hub = tiny_hub()
    domain = tiny_domain("seg", hub)
    architecture = {
        **{key: DOMAINS["seg"][key] for key in ("encoder", "regressor", "structure_layers")},
        **change,
    }
    write_bundle(
        tmp_path / "seg",
        kind="domain",
        name="seg",
        tensors={"encoder": domain.encoder.state_dict(), "regressor": domain.regressor.state_dict()},
        architecture=architecture,
        hub="tiny",
        hub_fingerprint=hub.fingerprint,
        modality=DOMAINS["seg"]["modality"],
        card="",
    )
    with pytest.raises(BundleError, match="architecture"):
        AnchoredDomain.load(tmp_path / "seg", hub)
