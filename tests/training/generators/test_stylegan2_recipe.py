"""The StyleGAN2 hub recipe: what a step does, and from a folder of images to a hub bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import ConfigError, MissingPartError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.stylegan2 import Generator
from anchor_hub.system.precision import resolve_precision
from anchor_hub.training.base import TrainingContext
from anchor_hub.training.engine.average import average_decay
from anchor_hub.training.generators.gan_losses import lazy_adam_settings
from anchor_hub.training.generators.stylegan2_recipe import HubOptions, HubRecipe
from anchor_hub.training.generators.training import HubTraining, parse_channels, train_hub
from tests.training.tiny import CONFIG, PlainRGB, final_state, own, pictures, same

CPU = torch.device("cpu")


def ready(options: HubOptions, precision: str = "fp32") -> HubRecipe:
    torch.manual_seed(0)
    recipe = HubRecipe(CONFIG, options)
    recipe.setup(TrainingContext(CPU, precision, seed=0, batch=8, run_dir=Path("."), modality=PlainRGB()))
    return recipe


def test_regularisers_run_lazily_and_only_where_asked_for() -> None:
    recipe = ready(HubOptions(r1_every=3, path_length_every=2))
    names = [set(recipe.step(own(pictures(8)), index)) for index in range(4)]
    always = {"discriminator", "generator", "real_logit", "fake_logit"}
    assert names == [always | {"r1", "path_length"}, always, always | {"path_length"}, always | {"r1"}]
    plain = ready(HubOptions(r1_gamma=0, path_length_weight=0))
    assert set(plain.step(own(pictures(8)), 0)) == always


def test_adam_is_corrected_for_lazy_regularisation() -> None:
    recipe = ready(HubOptions(r1_every=16, path_length_weight=0))
    generator, discriminator = (o.param_groups[0] for o in (recipe.generator_optimizer, recipe.discriminator_optimizer))
    assert (generator["lr"], generator["betas"]) == (0.002, (0.0, 0.99))
    expected = lazy_adam_settings(0.002, (0.0, 0.99), 16)
    assert (discriminator["lr"], discriminator["betas"]) == expected
    assert discriminator["lr"] == pytest.approx(0.002 * 16 / 17)


def test_each_network_learns_from_its_own_loss_only() -> None:
    recipe = ready(HubOptions(path_length_weight=0))
    before = {name: value.clone() for name, value in recipe.generator.state_dict().items()}
    recipe._discriminator_step(pictures(8).float() / 127.5 - 1)
    recipe.critic.penalty(pictures(8).float() / 127.5 - 1, 0)
    assert same(before, dict(recipe.generator.state_dict()))
    critic = {name: value.clone() for name, value in recipe.discriminator.state_dict().items()}
    recipe._generator_step(8)
    assert same(critic, dict(recipe.discriminator.state_dict()))
    assert not same(before, dict(recipe.generator.state_dict()))


@pytest.mark.parametrize("count", [2, 4, 8])
def test_one_pass_over_real_and_generated_pictures_judges_each_kind_by_itself(count: int) -> None:
    recipe = ready(HubOptions())
    recipe.discriminator.double()
    kinds = [torch.randn(count, 3, CONFIG.size, CONFIG.size, dtype=torch.float64) * scale for scale in (0.1, 1.0)]
    with recipe.context.autocast():
        judged = recipe.critic.judged(*kinds)
        for images, logits in zip(kinds, judged, strict=True):
            torch.testing.assert_close(logits.double(), recipe.discriminator(images), rtol=1e-5, atol=1e-6)


def test_the_discriminator_learns_to_tell_noise_from_generated_pictures() -> None:
    recipe = ready(HubOptions(path_length_weight=0, r1_gamma=0.1, learning_rate=0.01))
    for group in recipe.generator_optimizer.param_groups:
        group["lr"] = 0.0  # it stands still: who is ahead of whom would be left to rounding
    losses = [float(recipe.step(own(pictures(8)), index)["discriminator"]) for index in range(30)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_style_mixing_changes_the_code_at_one_layer_of_the_whole_batch() -> None:
    recipe = ready(HubOptions(style_mixing=1.0))
    latents = recipe._latents(6)
    changes = (latents[:, 1:] != latents[:, :-1]).any(dim=2)
    assert changes.sum(dim=1).tolist() == [1] * 6 and (changes == changes[:1]).all()
    recipe.options = HubOptions(style_mixing=0.0)
    same_everywhere = recipe._latents(6)
    assert (same_everywhere == same_everywhere[:, :1]).all()


def test_the_average_follows_the_published_formula() -> None:
    assert average_decay(32, 1_000_000) == pytest.approx(0.9977843871238888, abs=1e-12)
    assert average_decay(32, 32, rampup=None) == pytest.approx(0.9977843871238888, abs=1e-12)
    assert average_decay(32, 6400) == pytest.approx(0.5 ** (32 / 320))
    recipe = ready(HubOptions())
    start = {name: value.clone() for name, value in recipe.average.module.named_parameters()}
    recipe.step(own(pictures(8)), 99)
    decay = average_decay(8, 800)
    for name, value in recipe.generator.named_parameters():
        expected = start[name] * decay + value * (1 - decay)
        assert torch.allclose(dict(recipe.average.module.named_parameters())[name], expected, atol=1e-5)


def test_without_noise_its_strengths_stay_zero_and_pictures_repeat() -> None:
    for noise in (True, False):
        recipe = ready(HubOptions(noise=noise, learning_rate=0.01))
        for index in range(3):
            recipe.step(own(pictures(8)), index)
        strengths = [value for name, value in recipe.generator.named_parameters() if name.endswith("noise_strength")]
        assert strengths and all(bool(value != 0) == noise for value in strengths)
        latents = recipe._latents(2)
        assert torch.equal(recipe._image(latents), recipe._image(latents)) == (not noise)


def test_samples_are_64_fixed_pictures() -> None:
    recipe = ready(HubOptions())
    grid = recipe.samples(own(pictures(8)))["hub"]
    assert grid.shape == (64, 3, 16, 16) and grid.dtype == torch.uint8
    torch.manual_seed(99)
    assert torch.equal(grid, recipe.samples(own(pictures(8)))["hub"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for index, picture in enumerate(pictures(12)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / "images" / f"{index:03d}.png")
    return tmp_path / "images"


def tiny_training(folder: Path, **changes: object) -> HubTraining:
    settings: dict[str, object] = {
        "size": 16, "channels": {4: 8, 8: 8, 16: 8}, "latent_dim": 8, "mapping_layers": 2, "batch": 4, "images": 16,
        "precision": "fp32", "device": "cpu", "mirror": True, "processes": 1, "quiet": True}
    home = folder.parent
    return HubTraining("tiny", folder, home / "run", home / "hub", **{**settings, **changes})  # type: ignore[arg-type]


def test_from_a_folder_to_a_hub_that_loads(folder: Path) -> None:
    result, bundle = train_hub(tiny_training(folder))
    assert bundle == folder.parent / "hub" and result.images == 16
    hub = Hub.load(bundle)
    average = final_state(folder.parent / "run")["recipe"]["average"]
    assert same(dict(hub.generator.state_dict()), dict(average))
    assert hub.name == "tiny" and hub.image(hub.sample(2, seed=0)).shape == (2, 3, 16, 16)
    w = hub.generator.mapping(hub.sample_z(4000, seed=5))
    assert torch.allclose(hub.mean_latent, w.mean(0), atol=0.1)
    train_hub(tiny_training(folder, images=20, resume=True))
    assert Hub.load(bundle).fingerprint != hub.fingerprint


def test_the_bundle_says_where_the_weights_come_from(folder: Path) -> None:
    _, bundle = train_hub(tiny_training(folder, limit=10))
    provenance = open_bundle(bundle).manifest.provenance
    assert provenance["images_seen"] == 16 and provenance["data_images"] == 10 and provenance["steps"] == 4
    assert provenance["seed"] == 0 and provenance["options"]["r1_gamma"] == 2.0
    json.dumps(provenance)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"preset": "smal"}, UsageError, "Did you mean 'small'"),
        ({"size": 48}, ConfigError, "power of two"),
        ({"channels": {4: 8}}, ConfigError, "--channels"),
        ({"batch": 6}, UsageError, "multiple of 4"),
        ({"learning_rate": -1.0}, UsageError, "--learning-rate"),
        ({"r1_gamma": float("nan")}, UsageError, "--r1"),
        ({"precision": "fp8"}, UsageError, "fp32 or bf16"),
        ({"images": None}, UsageError, "--images or --max-minutes"),
    ],
)
def test_wrong_settings_are_named_and_leave_nothing(
    folder: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_hub(tiny_training(folder, **changes))
    assert not (folder.parent / "hub").exists()


def test_settings_are_read_and_set_as_attributes(folder: Path) -> None:
    training = tiny_training(folder)
    assert (training.batch, training.seed, training.device) == (4, 0, "cpu")
    assert (training.preset, training.r1_gamma) == ("small", None)
    training.r1_gamma, training.images = 0.5, 4
    assert training.options().r1_gamma == 0.5 and training.plan.images == 4 and training.name == "tiny"
    assert train_hub(training)[0].images == 4
    with pytest.raises(AttributeError, match="no setting 'gamma'"):
        training.gamma  # noqa: B018
    training.gamma = 1.0
    with pytest.raises(UsageError, match="no option 'gamma'"):
        train_hub(training)


def test_channels_are_parsed_strictly() -> None:
    assert parse_channels("4:256,8:192") == {4: 256, 8: 192}
    for text in ("4", "4:x", "", "4:0", "4:8;8:8"):
        with pytest.raises(UsageError, match="--channels"):
            parse_channels(text)


def test_precision_auto_is_a_known_one() -> None:
    assert resolve_precision("auto", CPU) in ("fp32", "bf16")
    assert resolve_precision("fp32", CPU) == "fp32"


def test_augmentation_is_seen_by_the_discriminator_only_and_leaves_old_runs_resumable() -> None:
    plain, changed = ready(HubOptions(r1_every=1)), ready(HubOptions(r1_every=1, augment=("translation", "cutout")))
    assert "augment" not in plain.describe() and changed.describe()["augment"] == ("translation", "cutout")
    losses = changed.step(own(pictures(8)), 0)
    assert {"r1", "discriminator", "generator"} <= set(losses)
    images = torch.ones(4, 3, 16, 16)
    assert plain.seen(images) is images and bool((changed.seen(images) == 0).any())


def test_second_derivatives_are_float32s_whatever_the_precision() -> None:
    gradients = {}
    for precision in ("fp32", "bf16"):
        recipe = ready(HubOptions(r1_gamma=0.1), precision)
        recipe.critic.penalty(recipe.context.place(pictures(8).float() / 127.5 - 1), 0)
        recipe._path_length_step(4)
        both = (recipe.discriminator, recipe.generator)
        gradients[precision] = [p.grad for network in both for p in network.parameters() if p.grad is not None]
    assert len(gradients["fp32"]) > 20
    for exact, found in zip(gradients["fp32"], gradients["bf16"], strict=True):
        assert float((exact - found).norm()) <= 0.01 * float(exact.norm())


def test_the_discriminator_is_kept_where_asked_for(folder: Path) -> None:
    _, bundle = train_hub(tiny_training(folder, keep_discriminator=True, augment="colour"))
    assert bundle is not None
    critic = Hub.load(bundle).discriminator()
    trained = final_state(folder.parent / "run")["recipe"]["discriminator"]
    assert all(torch.equal(value.half(), trained[name].half()) for name, value in critic.state_dict().items())
    with pytest.raises(UsageError, match="--diversity is an option of --arch biggan"):
        train_hub(tiny_training(folder, diversity=0.1, overwrite=True))


def test_a_training_starts_from_a_hub_and_a_fresh_discriminator_learns_first(folder: Path) -> None:
    _, first = train_hub(tiny_training(folder))
    assert first is not None
    again = {"start_from": first, "size": None, "channels": None, "latent_dim": None, "overwrite": True, "images": 8}
    second = dict(output=folder.parent / "second", run_dir=folder.parent / "second-run")
    warm = replace(tiny_training(folder, **again, discriminator_warmup=8), **second)
    _, bundle = train_hub(warm)
    assert bundle is not None and Hub.load(bundle).fingerprint == Hub.load(first).fingerprint  # it stood still
    assert "start" not in open_bundle(first).manifest.provenance
    assert open_bundle(bundle).manifest.provenance["start"]["fingerprint"] == Hub.load(first).fingerprint
    train_hub(replace(warm, images=16, resume=True))
    assert Hub.load(bundle).fingerprint != Hub.load(first).fingerprint  # and moves after the warm-up


def test_a_training_starts_from_a_hub_whose_z_is_smaller_than_its_w(folder: Path) -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, z_dim=3)
    start = Hub.from_generator(Generator(config), "start", samples=100).save(folder.parent / "start")
    again = {"start_from": start, "size": None, "channels": None, "latent_dim": None, "images": 16}
    _, bundle = train_hub(tiny_training(folder, **again, discriminator_warmup=0))
    assert bundle is not None
    hub = Hub.load(bundle)
    assert hub.config == config and hub.fingerprint != Hub.load(start).fingerprint
    assert hub.sample_z(2, seed=0).shape == (2, 3) and hub.sample(2, seed=0).shape == (2, CONFIG.latent_dim)


def test_while_the_discriminator_warms_up_it_learns_alone() -> None:
    recipe = ready(HubOptions(discriminator_warmup=16, path_length_weight=0))
    critic = {name: value.clone() for name, value in recipe.discriminator.state_dict().items()}
    assert ["generator" in recipe.step(own(pictures(8)), index) for index in range(3)] == [False, False, True]
    assert not same(critic, dict(recipe.discriminator.state_dict()))


def test_a_kept_discriminator_needs_no_warming_up(folder: Path) -> None:
    _, bundle = train_hub(tiny_training(folder, keep_discriminator=True))
    training = tiny_training(folder, start_from=bundle)
    assert training.options().discriminator_warmup == 0 and training.options().average_rampup is None
    assert tiny_training(folder).options().average_rampup == HubOptions.average_rampup
    recipe = HubRecipe(training.config(), training.options(), start=training.start)
    recipe.setup(TrainingContext(CPU, "fp32", 0, 4, Path(), modality=PlainRGB()))
    kept = Hub.load(str(bundle)).discriminator().state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in recipe.discriminator.state_dict().items())


def test_a_start_may_take_another_hubs_discriminator(folder: Path) -> None:
    _, start = train_hub(tiny_training(folder))
    places = dict(output=folder.parent / "other", run_dir=folder.parent / "other-run")
    _, other = train_hub(replace(tiny_training(folder, keep_discriminator=True, seed=5), **places))
    assert start is not None and other is not None
    training = tiny_training(folder, start_from=start, discriminator_from=other)
    assert training.options().discriminator_warmup == 5_000
    recipe = HubRecipe(training.config(), training.options(), start=training.start)
    recipe.setup(TrainingContext(CPU, "fp32", 0, 4, Path(), modality=PlainRGB()))
    kept = Hub.load(other).discriminator().state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in recipe.discriminator.state_dict().items())
    assert recipe.describe()["start"] == Hub.load(start).fingerprint
    assert recipe.describe()["discriminator_from"] == Hub.load(other).fingerprint

    again = dict(output=folder.parent / "third", run_dir=folder.parent / "third-run", size=None, channels=None)
    _, third = train_hub(replace(training, **again, latent_dim=None, discriminator_warmup=0))
    assert third is not None
    record = open_bundle(third).manifest.provenance["start"]
    assert record["discriminator_from"] == {"name": Hub.load(other).name, "fingerprint": Hub.load(other).fingerprint}


def test_a_discriminator_that_does_not_fit_is_refused(folder: Path) -> None:
    _, start = train_hub(tiny_training(folder))
    places = dict(output=folder.parent / "other", run_dir=folder.parent / "other-run")
    narrow = tiny_training(folder, keep_discriminator=True, channels={4: 8, 8: 8, 16: 4})
    _, other = train_hub(replace(narrow, **places))
    for changes, error, message in (
        ({"start_from": start, "discriminator_from": other}, UsageError, "-from .*--size and --channels"),
        ({"start_from": start, "discriminator_from": start}, MissingPartError, "--keep-discriminator"),
        ({"discriminator_from": other}, UsageError, "--discriminator-from is for trainings that --start-from"),
    ):
        with pytest.raises(error, match=message):
            train_hub(tiny_training(folder, **changes, overwrite=True))


def test_a_start_decides_the_architecture(folder: Path) -> None:
    _, bundle = train_hub(tiny_training(folder))
    for changes, message in (
        ({"size": 32}, "--size: hub .* has 16, not 32"),
        ({"latent_dim": 16}, "--latent-dim: hub .* has 8, not 16"),
        ({"channels": {4: 8, 8: 8, 16: 4}}, "--channels: hub"),
        ({"start_from": None, "discriminator_warmup": 8}, "--discriminator-warmup is for trainings that --start-from"),
    ):
        with pytest.raises(UsageError, match=message):
            train_hub(tiny_training(folder, **{"start_from": bundle, "overwrite": True, **changes}))


def test_half_precision_is_half_the_file_and_the_same_hub_every_time(folder: Path) -> None:
    _, bundle = train_hub(tiny_training(folder))
    assert bundle is not None
    whole, size = Hub.load(bundle), (bundle / "generator.safetensors").stat().st_size
    train_hub(tiny_training(folder, half=True, resume=True))
    half = Hub.load(bundle)
    assert (bundle / "generator.safetensors").stat().st_size < 0.7 * size
    for name, value in whole.generator.state_dict().items():
        assert torch.equal(half.generator.state_dict()[name], value.half().float())
    with pytest.raises(ValueError, match="half-precision values"):
        whole.save(folder.parent / "other", half=True)
