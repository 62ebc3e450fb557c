"""What every inverter promises, each in turn; and what is special about one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_hub.errors import DataError, ImageError, InverterNotFoundError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.inversion import Inverter, open_inverter, perceptual_network
from anchor_hub.inversion.base import inverter_name
from anchor_hub.inversion.noise import noise_maps, normalise_
from anchor_hub.plugins.registry import registry
from anchor_hub.translation import AnchorTranslator
from anchor_hub.translation.anchor import AnchorOptions
from tests.tiny import tiny_biggan, tiny_domain, tiny_hub

DESCENTS = ("projection", "projection-plus", "factor")
METHODS = ("w", "w-plus", "encoder-w-plus", *DESCENTS)


@pytest.fixture(scope="module")
def hub() -> Hub:
    return tiny_hub()


@pytest.fixture(scope="module")
def images(hub: Hub) -> Tensor:
    return hub.image(hub.sample(3, seed=11)).detach()


def opened(name: str, hub: Hub, **options: Any) -> Inverter:
    own = {"perceptual": "none"} if name in DESCENTS else {}
    return open_inverter(name, hub, {**own, **options})


def error(hub: Hub, latents: Tensor, images: Tensor) -> Tensor:
    return (hub.image(latents) - images).square().flatten(1).mean(1).detach()


@pytest.mark.parametrize("name", METHODS)
def test_it_finds_what_the_hub_made_and_repeats_itself(name: str, hub: Hub, images: Tensor) -> None:
    start = hub.expand(hub.mean_latent.expand(3, -1))
    inverter = opened(name, hub, steps=40, **({"noise": "const"} if name in DESCENTS else {}))
    told: list[tuple[int, int]] = []
    found = inverter.run(images, start=start, progress=lambda done, total: told.append((done, total)))
    assert found.latents.shape == (3, hub.num_latents, hub.latent_dim) and found.errors.shape == (3,)
    assert (error(hub, found.latents, images) < 0.6 * error(hub, start, images)).all()
    assert torch.equal(inverter(images, start=start), found.latents), "the same seed, the same latents"
    assert told[0] == (0, 40) and told[-1] == (40, 40) and [done for done, _ in told] == sorted(d for d, _ in told)
    assert found.steps is not None and found.steps.tolist() == [40] * 3


@pytest.mark.parametrize("name", METHODS)
def test_pictures_are_independent_and_no_steps_give_the_start(name: str, hub: Hub, images: Tensor) -> None:
    start = hub.expand(hub.sample(3, seed=4))
    inverter = opened(name, hub, steps=6)
    together, alone = inverter.run(images, start=start), inverter.run(images[1:2], start=start[1:2])
    assert torch.allclose(together.latents[1:2], alone.latents, atol=1e-3)
    for one, other in zip(together.noise or [], alone.noise or [], strict=True):
        assert torch.allclose(one[1:2], other, atol=1e-2)
    still = opened(name, hub, steps=0).run(images, start=start)
    assert torch.allclose(still.latents, start, atol=1e-4) and torch.isfinite(still.errors).all()


@pytest.mark.parametrize("name", METHODS)
def test_nothing_worse_than_the_start_is_returned(name: str, hub: Hub, images: Tensor) -> None:
    """Not even with steps so large that every step makes things worse."""
    start = hub.expand(hub.sample(3, seed=11))
    extra = {"latent_noise": 0, "noise": "const"} if "projection" in name else {}
    extra |= {"noise": "const"} if name == "factor" else {}
    found = opened(name, hub, steps=5, lr=30.0, **extra).run(images, start=start)
    assert (found.errors <= opened(name, hub, steps=0, **extra).run(images, start=start).errors + 1e-5).all()


@pytest.mark.parametrize("name", METHODS)
def test_a_picture_that_stands_still_ends_early(name: str, hub: Hub, images: Tensor) -> None:
    start = hub.expand(hub.sample(3, seed=4)).clone()
    start[0] = hub.expand(hub.sample(1, seed=11))[0]  # the first picture begins at its solution
    extra: dict[str, Any] = {"noise": "const", "pixel": "mse"} if name in DESCENTS else {"regulariser": 0}
    extra |= {"latent_noise": 0} if "projection" in name else {}
    # Few steps: each multiplies the rounding in which a batch and a single picture differ.
    inverter = opened(name, hub, steps=30, patience=10, **extra)
    found = inverter.run(images, start=start)
    assert found.steps is not None and 10 <= int(found.steps[0]) < int(found.steps[1])
    alone = inverter.run(images[1:2], start=start[1:2])
    assert torch.allclose(alone.latents, found.latents[1:2], atol=1e-3), "who ends early changes nobody else"


@pytest.mark.parametrize("name", METHODS)
def test_nan_names_the_picture(name: str, hub: Hub, images: Tensor) -> None:
    spoilt = images.clone()
    spoilt[1, 0, 0, 0] = torch.nan
    with pytest.raises(ImageError, match=r"^b.png: the inversion met NaN or infinity at step 0; .*lr"):
        start = hub.expand(hub.sample(3, seed=4))
        opened(name, hub, steps=3).run(spoilt, start=start, names=["a.png", "b.png", "c.png"])


@pytest.mark.parametrize("name", DESCENTS)
def test_it_moves_in_bfloat16_too(name: str, hub: Hub, images: Tensor) -> None:
    start = hub.expand(hub.mean_latent.expand(3, -1))
    extra = {"noise": "const"}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        latents = opened(name, hub, steps=30, **extra)(images, start=start)
    assert latents.dtype == torch.float32
    assert (error(hub, latents, images) < 0.8 * error(hub, start, images)).all()


def test_w_methods_give_one_code(hub: Hub, images: Tensor) -> None:
    for name in ("projection", "factor"):
        latents = opened(name, hub, steps=5)(images)
        assert torch.allclose(latents, latents[:, :1].expand_as(latents), atol=1e-6)
    plus = opened("projection-plus", hub, steps=5)(images)
    assert not torch.allclose(plus, plus[:, :1].expand_as(plus), atol=1e-3)


def test_seeds_choose_the_noise(hub: Hub, images: Tensor) -> None:
    one, other = (opened("projection", hub, steps=5, seed=seed)(images) for seed in (0, 1))
    assert not torch.equal(one, other)
    state = torch.get_rng_state()
    opened("projection", hub, steps=2)(images)
    assert torch.equal(torch.get_rng_state(), state), "the global random state is nobody's"


def test_noise_maps_are_found_with_the_latents(hub: Hub, images: Tensor) -> None:
    found = opened("projection", hub, steps=8, latent_noise=0).run(images)
    assert found.noise is not None and [one.shape[0] for one in found.noise] == [3] * len(found.noise)
    maps = noise_maps(hub, 2, 0)
    normalise_(maps)
    assert all(abs(float(one[0].mean())) < 1e-5 and abs(float(one[1].std()) - 1) < 1e-5 for one in maps)
    assert opened("projection", hub, steps=1, noise="const").run(images).noise is None


def test_the_factor_starts_at_the_mean_or_near_zero(hub: Hub, images: Tensor) -> None:
    mean = opened("factor", hub, steps=0)(images)
    assert torch.allclose(mean, hub.expand(hub.mean_latent.expand(3, -1)), atol=1e-5)
    zero = opened("factor", hub, steps=0, start="zero")(images)
    assert 0 < float(zero.abs().max()) < 0.2 and torch.equal(zero[0], zero[1])


def test_a_hub_of_another_family_is_projected_but_not_factorised() -> None:
    zoo = tiny_biggan().of_class("cat")
    images = zoo.image(zoo.sample(2, seed=0)).detach()
    assert opened("projection-plus", zoo, steps=2)(images).shape == (2, zoo.num_latents, zoo.latent_dim)
    with pytest.raises(UsageError, match="no modulation weights.*w-plus"):
        opened("factor", zoo, steps=1)(images)


def test_names_as_papers_spell_them(hub: Hub) -> None:
    assert [inverter_name(word) for word in ("w+", "W", "encoder+w+", "projection+", "encoder_w_plus")] == [
        "w-plus", "w", "encoder-w-plus", "projection-plus", "encoder-w-plus",
    ]  # fmt: skip
    assert set(METHODS) | {"encoder"} <= set(registry().inverters)
    with pytest.raises(InverterNotFoundError, match="Did you mean 'factor'"):
        open_inverter("factr", hub, {})
    with pytest.raises(UsageError, match="steps"):
        open_inverter("factor", hub, {"steps": -1})


def test_encoders_need_one(hub: Hub, images: Tensor) -> None:
    for name in ("encoder", "encoder-w-plus"):
        with pytest.raises(UsageError, match="domain's encoder"):
            opened(name, hub)(images)
    face = tiny_domain("face", hub)
    codes = face.encode(images)
    assert torch.equal(open_inverter("encoder", hub, {})(images, start=codes), codes)


def test_plugins_that_only_search_are_run_with_errors(hub: Hub, images: Tensor) -> None:
    class Mean(Inverter):
        def __call__(self, images: Tensor, *, start: Tensor | None = None) -> Tensor:
            return self.hub.expand(self.hub.mean_latent.expand(len(images), -1))

    found = Mean(hub, Mean.Options()).run(images)
    assert torch.allclose(found.errors, error(hub, found.latents, images))


# -- perceptual networks


def test_perceptual_networks_by_name(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from anchor_hub.metrics import efficientnet

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    assert perceptual_network("none", hub=hub) is None
    assert perceptual_network("auto", hub=hub) is None, "a hub in memory keeps no discriminator either"
    with pytest.raises(UsageError, match="Did you mean 'lpips-vgg'"):
        perceptual_network("lpips-vg", hub=hub)
    with pytest.raises(DataError, match="pip install"):
        perceptual_network("efficientnet-lite0", hub=hub)
    with pytest.raises(DataError, match="LPIPS needs pictures of 32 px"):
        perceptual_network("lpips-alex", hub=hub)


def test_the_hubs_discriminator_compares(tmp_path: Any, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    from anchor_hub.metrics import efficientnet
    from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig

    table = {4: 8, 8: 8, 16: 8}
    tiny_hub().save(tmp_path / "hub", discriminator=Discriminator(DiscriminatorConfig(16, channels=table)))
    hub = Hub.load(tmp_path / "hub")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    network = perceptual_network("auto", hub=hub)
    assert network is not None and network.record() == {"perceptual": "discriminator"}
    target = network.describe(images)
    assert torch.allclose(network.distance(images, target), torch.zeros(3), atol=1e-6)
    other = images.flip(0)
    assert (network.distance(other, target)[[0, 2]] > 1e-3).all()
    found = open_inverter("factor", hub, {"steps": 3}).run(images)
    assert found.record == {"perceptual": "discriminator"}


def test_a_class_conditional_hubs_discriminator_compares(tmp_path: Any, images: Tensor) -> None:
    from anchor_hub.networks.biggan_discriminators import BigGANDiscriminator, BigGANDiscriminatorConfig
    from tests.tiny import tiny_biggan

    config = BigGANDiscriminatorConfig.of_size(16, channels={8: 8, 4: 8}, attention=[8], classes=3)
    critic = BigGANDiscriminator(config).eval()
    tiny_biggan().save(tmp_path / "zoo", discriminator=critic, exact_discriminator=True)
    network = perceptual_network("discriminator", hub=Hub.load(tmp_path / "zoo"))
    assert network is not None and network.count == len(config.block_list)
    maps = network.maps(images)
    torch.testing.assert_close(torch.relu(maps[-1]).sum((2, 3)), critic.pooled(images))
    target = network.describe(images)
    assert torch.allclose(network.distance(images, target), torch.zeros(3), atol=1e-6)
    assert (network.distance(images.flip(0), target)[[0, 2]] > 1e-3).all()


# -- the backend


def test_a_source_without_an_encoder_is_inverted(hub: Hub, images: Tensor) -> None:
    from anchor_hub.errors import MissingPartError

    bare = tiny_domain("face", hub, encoder=None)
    seg = tiny_domain("seg", hub)
    with pytest.raises(MissingPartError, match="--set inverter=factor"):
        AnchorTranslator(bare, seg)
    options = {"inverter": {"name": "factor", "steps": 4, "perceptual": "none"}}
    translator = AnchorTranslator(bare, seg, AnchorOptions(**options))
    assert torch.equal(translator.encode(images), opened("factor", hub, steps=4)(images))
    assert AnchorTranslator(bare, seg, AnchorOptions(invert=2)).translate(images).shape[0] == 3
    with pytest.raises(UsageError, match="begins from an encoder"):
        AnchorTranslator(bare, seg, AnchorOptions(inverter="encoder+w+"))
    with pytest.raises(MissingPartError, match="no encoder"):
        AnchorTranslator(tiny_domain("decode-only", hub), seg, AnchorOptions(invert=2))


def test_a_fine_tuned_domain_is_inverted_in_its_own_generator(hub: Hub, tmp_path: Any) -> None:
    from anchor_finetune.domain import FineTunedDomain
    from anchor_hub.inversion import invert_files
    from anchor_hub.modality import build_modality
    from tests.tiny import tiny_generator

    toon = FineTunedDomain("toon", build_modality({"name": "rgb"}), hub, tiny_generator(seed=9))
    pictures = toon.decode(hub.sample(2, seed=6)).detach()
    for index, sample in enumerate(toon.modality.from_network(pictures)):
        toon.modality.write(sample, tmp_path / f"{index}.png")
    options = {"steps": 30, "perceptual": "none", "noise": "const"}
    own, other = (
        invert_files(tmp_path, method="factor", options=options, **{kind: thing})  # type: ignore[arg-type]
        for kind, thing in (("domain", toon), ("hub", hub))
    )
    assert own.found.values["mse"].mean() < 0.8 * other.found.values["mse"].mean()
    assert own.found.record["domain"] == "toon" and own.found.record["hub_fingerprint"] == hub.fingerprint
    inverter = {"name": "factor", "steps": 3, "perceptual": "none"}
    asked = AnchorTranslator(toon, toon, AnchorOptions(inverter=inverter, style_layers="4-5"))
    assert asked.reference_domain is toon and asked.reference_styles(pictures).shape == (2, hub.num_latents, 16)


def test_lpips_is_the_metrics_with_the_target_computed_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    from anchor_hub.metrics import perceptual

    models: Any = pytest.importorskip("torchvision.models", exc_type=Exception)
    pytest.importorskip("lpips", exc_type=Exception)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save(models.squeezenet1_1(weights=None).state_dict(), folder / "draft.pth")
    digest = hashlib.sha256((folder / "draft.pth").read_bytes()).hexdigest()[:8]
    name = f"squeezenet1_1-{digest}.pth"
    (folder / "draft.pth").rename(folder / name)
    monkeypatch.setitem(perceptual.TRUNK_FILES, "squeeze", name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    hub = tiny_hub(size=32)
    network = perceptual_network("auto", hub=hub)
    assert network is not None and network.name == "lpips-squeeze" and len(network.sha256) == 64
    one, other = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(s)) * 2 - 1 for s in (0, 1))
    with torch.no_grad():
        wanted = perceptual.Perceptual("squeeze")(one, other)
        assert torch.allclose(network.distance(one, network.describe(other)), wanted, rtol=1e-4)
