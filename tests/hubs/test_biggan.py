"""Class-conditional hubs: latents of chunks, views of one class, bundles, the kept discriminator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from anchor_hub.bundles.base import open_bundle
from anchor_hub.checkpoints import biggan_deep_hf
from anchor_hub.checkpoints.latent_space_anchoring import encoder_from_published
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.errors import BundleError, MissingPartError, NotFoundError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.biggan import BigGANHub, truncated
from anchor_hub.hubs.loading import load_hub
from anchor_hub.hubs.stylegan2 import StyleGAN2Hub
from anchor_hub.modality import build_modality
from anchor_hub.networks.biggan_deep import BigGANDeep, BigGANDeepConfig
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminator, BigGANDiscriminatorConfig
from anchor_hub.networks.blank import lay_out
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig
from tests.parity import assert_parity, case_names, load_case
from tests.tiny import SIZE, tiny_biggan, tiny_hub


@pytest.fixture(scope="module")
def hub() -> Hub:
    return tiny_biggan()


def test_the_family_follows_the_generator(hub: Hub) -> None:
    assert isinstance(hub, BigGANHub) and isinstance(tiny_hub(), StyleGAN2Hub)
    assert (hub.size, hub.num_latents, hub.latent_dim, hub.latent_name) == (SIZE, 3, 4, "z")
    assert hub.feature_channels == {4: 16, 8: 8, 16: 8}
    with pytest.raises(TypeError, match="Linear"):
        Hub.from_generator(torch.nn.Linear(2, 2), "no")


def test_latents_are_complete_and_seeded_one_by_one(hub: Hub) -> None:
    z = hub.sample(5, seed=3)
    assert z.shape == (5, 3, 4)
    assert torch.equal(hub.sample(2, seed=3, start=3), z[3:])
    assert torch.equal(hub.map(z), z) and torch.equal(hub.expand(z.flatten(1)), z)
    assert not torch.equal(z[:, 0], z[:, 1]), "chunks are independent"
    many = hub.sample(4000, seed=0).flatten(0, 1)
    assert torch.allclose(many.mean(0), hub.mean_latent, atol=0.05)
    assert torch.allclose(torch.cov(many.T), hub.covariance, atol=0.06)
    mean, whitening = hub.whitening()
    assert torch.equal(mean, torch.zeros(4)) and torch.allclose(whitening, torch.eye(4), atol=1e-6)
    with pytest.raises(ValueError, match="end in 4"):
        hub.expand(torch.zeros(1, 5))


def test_truncated_samples_lie_within_two_deviations(hub: Hub) -> None:
    z = hub.sample(2000, seed=1, truncation=0.5)
    assert float(z.abs().max()) <= 1.0 and float(hub.sample(2000, seed=1).abs().max()) > 2.5
    assert float(z.std()) == pytest.approx(0.5 * 0.8796, abs=0.01)  # deviation of a normal cut at 2
    ordered = torch.linspace(-4, 4, 50)
    assert bool((truncated(ordered).diff() > 0).all()), "order is kept"


def test_a_view_fixes_the_class_and_shares_everything_else(hub: Hub) -> None:
    cat, dog = hub.of_class("cat"), hub.of_class(1)
    assert hub.of_class("CAT") is cat and dog.of_class("cat") is cat and cat.base is hub
    assert (cat.class_name, dog.class_name, hub.class_name) == ("cat", "dog", None)
    assert cat.generator is hub.generator and cat.fingerprint == hub.fingerprint == cat.current_fingerprint()
    z = hub.sample(3, seed=0)
    labels = torch.tensor([0, 0, 0])
    assert torch.equal(cat.image(z), hub.generator(z, labels).image)
    assert not torch.allclose(cat.image(z), dog.image(z))
    maps = dog.features(z, [8, 16])
    assert [tuple(m.shape) for m in maps.values()] == [(3, 8, 8, 8), (3, 8, 16, 16)]
    assert cat.to("cpu") is cat and "class 'cat'" in repr(cat)


def test_a_class_is_asked_for_and_typos_are_told(hub: Hub) -> None:
    with pytest.raises(UsageError, match="--class 'cat'"):
        hub.image(hub.sample(1, seed=0))
    with pytest.raises(NotFoundError, match="Did you mean 'dog'"):
        hub.of_class("dogg")
    with pytest.raises(NotFoundError, match="no class 3"):
        hub.of_class(3)
    with pytest.raises(UsageError, match="has no classes"):
        tiny_hub().of_class("cat")


def test_gradients_reach_the_latents_and_never_the_weights(hub: Hub) -> None:
    z = hub.sample(2, seed=0).requires_grad_(True)
    hub.of_class(0).image(z).sum().backward()
    assert z.grad is not None and bool((z.grad.abs().sum(dim=(0, 2)) > 0).all()), "every chunk counts"
    assert all(p.grad is None and not p.requires_grad for p in hub.generator.parameters())


def test_a_bundle_keeps_classes_and_fingerprint(hub: Hub, tmp_path: Path) -> None:
    folder = hub.save(tmp_path / "zoo")
    bundle = open_bundle(folder, "hub")
    assert bundle.parts == ["generator"], "nothing is measured, nothing is stored"
    assert bundle.manifest.architecture["name"] == "biggan"
    again = Hub.load(folder)
    assert again.classes == ("cat", "dog", "hen") and again.fingerprint == hub.fingerprint
    z = hub.sample(2, seed=5)
    assert torch.equal(again.of_class("hen").image(z), hub.of_class("hen").image(z))
    assert load_hub(folder) is load_hub(folder)
    with pytest.raises(MissingPartError, match="--keep-discriminator"):
        again.discriminator()


def test_class_names_are_checked(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="2 class names"):
        BigGANHub(hub.generator, name="zoo", classes=("a", "b"))
    assert BigGANHub(hub.generator, name="zoo").classes == ("0", "1", "2")
    folder = hub.save(tmp_path / "zoo")
    for content in (b"{}", b"[1]", b"[", b"[]"):
        (folder / "classes.json").write_bytes(content)
        text = (folder / "bundle.yaml").read_text()
        import hashlib

        line = next(line for line in text.splitlines() if "classes.json" in line)
        digest = hashlib.sha256(content).hexdigest()
        (folder / "bundle.yaml").write_text(text.replace(line, f"  classes.json: {digest}"))
        with pytest.raises(BundleError, match="classes.json"):
            Hub.load(folder)


def test_discriminators_travel_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BigGANDiscriminatorConfig.of_size(SIZE, channels={8: 8, 4: 8}, classes=3)
    critic = BigGANDiscriminator(config)
    hub = Hub.load(tiny_biggan().save(tmp_path / "zoo", discriminator=critic))
    images, labels = torch.randn(2, 3, SIZE, SIZE), torch.tensor([0, 2])
    found = hub.discriminator()
    assert isinstance(found, BigGANDiscriminator) and found.config == config
    assert torch.allclose(found.eval()(images, labels), critic.eval()(images, labels), rtol=0.05, atol=0.05)

    plain = Discriminator(DiscriminatorConfig(SIZE, {4: 8, 8: 8, 16: 8}))
    other = Hub.load(tiny_hub().save(tmp_path / "faces", discriminator=plain))
    assert other.fingerprint == tiny_hub().fingerprint, "it is no part of the hub's identity"
    assert torch.allclose(other.discriminator()(images), plain(images), rtol=0.05, atol=0.05)
    with pytest.raises(TypeError, match="Linear"):
        tiny_hub().save(tmp_path / "no", discriminator=torch.nn.Linear(1, 1))


def test_biggan_deep_has_one_code() -> None:
    torch.manual_seed(0)
    config = BigGANDeepConfig(
        16, latent_dim=6, classes=2, embedding_dim=4, blocks=((True, 16, 16), (True, 16, 8)), attention=()
    )
    hub = Hub.from_generator(BigGANDeep(config), "deep", classes=("a", "b"))
    assert (hub.num_latents, hub.latent_dim) == (1, 6) and hub.sample(2, seed=0).shape == (2, 1, 6)
    assert hub.architecture()["name"] == "biggan-deep"
    assert hub.of_class("b").image(hub.sample(2, seed=0)).shape == (2, 3, 16, 16)


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_biggan_generator"))
def test_the_published_generator_behind_a_hub(name: str) -> None:
    """The BigGAN-deep of latent-space anchoring, as published."""
    case = load_case(name)
    config = biggan_deep_hf.config_from(case.state, case.manifest["config"])
    generator = BigGANDeep(config)
    generator.load_state_dict(biggan_deep_hf.to_ours(case.state, config))
    hub = Hub.from_generator(generator, "deep", classes=[f"class {index}" for index in range(config.classes)])
    psi = config.truncation
    assert psi == 0.4, "what latent-space anchoring samples with"
    for row, number in enumerate(case.inputs["class_onehot"].argmax(dim=1).tolist()):
        z = case.inputs["z"][row : row + 1, None]
        view = hub.of_class(f"CLASS {number}")
        assert_parity(view.image(z), case.expected[f"image_t{psi}"][row : row + 1], "image")
        finest = generator.before_rgb(view.features(z, [hub.size])[hub.size].clone(), psi)
        assert_parity(finest, case.expected[f"features_t{psi}"][row : row + 1], "features")
    samples = hub.sample(2000, seed=0)
    assert float(samples.abs().max()) <= 2 * psi
    assert float(samples.var()) == pytest.approx(float(hub.covariance[0, 0]), rel=0.05)


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_biggan_encoder"))
def test_the_published_encoder_anchors_a_mask_to_a_class(name: str) -> None:
    """The encoder of latent-space anchoring, as published, behind a domain of a hub with latents of its size."""
    case = load_case(name)
    encoder, table = lay_out(encoder_from_published(case.state)), case.manifest["config"]
    side = case.inputs["x"].shape[-1]
    config = BigGANDeepConfig(
        side, latent_dim=table["dim_z"], classes=table["dim_label"], embedding_dim=4,
        blocks=((True, 8, 8),) * ((side // 4).bit_length() - 1), attention=(),
    )  # fmt: skip
    hub = Hub.from_generator(BigGANDeep(config), "deep")
    channels = table["input_nc"]
    mask = build_modality({"name": "gray"} if channels == 1 else {"name": "segmentation", "classes": channels})
    last = table["dim_label"] - 1
    options = {"name": "psp", "options": {"label_dim": table["dim_label"]}}
    domain = AnchoredDomain.build("mask", mask, hub.of_class(last), encoder=options).eval()
    assert domain.encoder is not None
    domain.encoder.load_state_dict(encoder.state_dict())
    label = torch.eye(table["dim_label"])[[last] * len(case.inputs["x"])]
    assert_parity(encoder(case.inputs["x"], case.inputs["label"])[:, 0], case.expected["z"], "z")
    assert torch.equal(domain.encode(case.inputs["x"]), encoder(case.inputs["x"], label))


def test_the_classes_file_is_plain_json(hub: Hub, tmp_path: Path) -> None:
    folder = hub.save(tmp_path / "zoo")
    assert json.loads((folder / "classes.json").read_text("utf-8")) == ["cat", "dog", "hen"]
