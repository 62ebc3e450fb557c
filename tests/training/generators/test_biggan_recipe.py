"""The BigGAN hub recipe: what a step does, exact resume with labels, from class folders to a hub bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from anchor_hub.errors import ConfigError, DataError, TrainingError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.biggan import BigGANConfig
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminatorConfig
from anchor_hub.training.base import Batch, Samples, TrainingContext
from anchor_hub.training.engine.batches import BatchLoader, BatchPlan
from anchor_hub.training.engine.trainer import Trainer
from anchor_hub.training.generators.biggan_recipe import BigGANOptions, BigGANRecipe
from anchor_hub.training.generators.gan_losses import d_hinge, difference, g_hinge, mode_seeking, pairs_of_one_class
from anchor_hub.training.generators.training import HubTraining, parse_resolutions, train_hub
from tests.training.tiny import PlainRGB, final_state, own, pictures, same

CHANNELS = {4: 8, 8: 8, 16: 8}
GENERATOR = BigGANConfig(16, latent_dim=4, classes=3, embedding_dim=4, channels=CHANNELS, attention=())
CRITIC = BigGANDiscriminatorConfig.of_size(16, channels={8: 8, 4: 8}, classes=3)
LABELS = torch.arange(40) % 3


def recipe(**options: Any) -> BigGANRecipe:
    return BigGANRecipe(GENERATOR, CRITIC, ("a", "b", "c"), BigGANOptions(**options))


def ready(**options: Any) -> BigGANRecipe:
    torch.manual_seed(0)
    made = recipe(**options)
    made.setup(TrainingContext(torch.device("cpu"), "fp32", seed=0, batch=8, run_dir=Path("."), modality=PlainRGB()))
    return made


def batch(count: int = 8) -> dict[str, Batch]:
    return own(pictures(count), LABELS[:count])


def train(run_dir: Path, *, images: int, resume: bool = False, labels: torch.Tensor = LABELS, **options: Any) -> None:
    made = recipe(augment=("colour", "translation", "cutout"), **options)
    trainer = Trainer(
        made, {"own": Samples(pictures(), PlainRGB(), labels)}, run_dir, batch=8, total_images=images, mirror=True,
        checkpoint_every=3, quiet=True, options=made.describe(),
    )  # fmt: skip
    assert trainer.run(resume).finished


def test_hinge_losses() -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
    assert float(d_hinge(real, fake)) == 0.5 + 1.0 and float(g_hinge(fake)) == 1.0


@pytest.mark.parametrize("options", [{}, {"share_fakes": True}, {"discriminator_steps": 2}, {"mismatch": 0.5}])
def test_a_step_trains_both_networks_and_the_average_follows(options: dict[str, Any]) -> None:
    made = ready(**options)
    before = {name: value.clone() for name, value in made.state_dict()["generator"].items()}
    critic = {name: value.clone() for name, value in made.state_dict()["discriminator"].items()}
    losses = made.step(batch(), 0)
    assert set(losses) == {"discriminator", "generator", "real_logit", "fake_logit"}
    assert not same(before, dict(made.generator.state_dict()))
    assert not same(critic, dict(made.discriminator.state_dict()))
    assert not same(before, dict(made.average.module.state_dict()))


def test_each_network_learns_from_its_own_loss_only() -> None:
    made = ready()
    before = {name: value.clone() for name, value in made.generator.named_parameters()}
    real = PlainRGB().to_network(pictures(4))
    with torch.no_grad():
        fakes = made._fakes(4)
    made._discriminator_step(real, LABELS[:4], fakes)
    assert same(before, dict(made.generator.named_parameters()))
    critic = {name: value.clone() for name, value in made.discriminator.named_parameters()}
    made._generator_step(made._fakes(4), real, LABELS[:4])
    assert same(critic, dict(made.discriminator.named_parameters()))
    assert not same(before, dict(made.generator.named_parameters()))


def test_the_discriminator_sees_the_labels() -> None:
    first, second = ready(), ready()
    torch.manual_seed(1)
    first.step(batch(), 0)
    torch.manual_seed(1)
    second.step(own(pictures(8), (LABELS[:8] + 1) % 3), 0)
    assert not same(dict(first.discriminator.state_dict()), dict(second.discriminator.state_dict()))


def test_labels_stay_with_their_samples() -> None:
    data = LABELS[:, None, None, None].expand(40, 3, 2, 2).contiguous()
    loader = BatchLoader(data, BatchPlan(40, 8, seed=0), modality=PlainRGB(), mirror=True, labels=LABELS)
    seen = []
    for step in range(5):
        part = loader.batch(step)
        assert part.labels is not None
        assert torch.equal(part.images[:, 0, 0, 0], part.labels)
        seen += part.labels.tolist()
    assert sorted(seen) == sorted(LABELS.tolist())
    with pytest.raises(TrainingError, match="39 labels"):
        BatchLoader(data, BatchPlan(40, 8, seed=0), labels=LABELS[:39])


def test_resuming_is_exact(tmp_path: Path) -> None:
    train(tmp_path / "whole", images=64)
    train(tmp_path / "parts", images=32)
    train(tmp_path / "parts", images=64, resume=True)
    assert same(final_state(tmp_path / "whole")["recipe"], final_state(tmp_path / "parts")["recipe"])
    with pytest.raises(UsageError, match="learning_rate"):
        train(tmp_path / "parts", images=80, resume=True, learning_rate=0.1)


def test_samples_are_a_row_per_class_of_the_same_latents() -> None:
    made = ready()
    made.step(batch(), 0)
    rows = made.samples(batch())
    assert list(rows) == ["a", "b", "c"]
    assert all(len(row) == 8 and row[0].shape == (3, 16, 16) and row[0].dtype == torch.uint8 for row in rows.values())
    torch.manual_seed(99)
    assert torch.equal(made.samples(batch())["b"][3], rows["b"][3])
    assert made.average.module.training is False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, picture in enumerate(pictures(12)):
        target = tmp_path / "images" / ("cat", "dog")[index % 2]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(target / f"{index:03d}.png")
    return tmp_path / "images"


def training(folder: Path, **changes: Any) -> HubTraining:
    settings: dict[str, Any] = {
        "arch": "biggan", "size": 16, "channels": CHANNELS, "batch": 4, "images": 16, "precision": "fp32",
        "device": "cpu", "processes": 1, "quiet": True, "augment": "all"}  # fmt: skip
    places = {"run_dir": folder.parent / "run", "output": folder.parent / "hub"}
    return HubTraining("zoo", folder, **{**places, **settings, **changes})


def test_from_class_folders_to_a_hub_that_loads(folder: Path) -> None:
    result, bundle = train_hub(training(folder, keep_discriminator=True, discriminator_steps=2))
    assert bundle is not None and result.images == 16 and result.steps == 2, "two discriminator steps take two batches"
    hub = Hub.load(bundle)
    assert hub.classes == ("cat", "dog") and hub.of_class("dog").image(hub.sample(2, seed=0)).shape == (2, 3, 16, 16)
    average = final_state(folder.parent / "run")["recipe"]["average"]
    weights = dict(hub.generator.named_parameters())
    assert all(torch.equal(weights[name], average[name]) for name in weights)
    norms = [value for name, value in hub.generator.state_dict().items() if name.endswith("norm1.mean")]
    assert all(bool((value != 0).any()) for value in norms), "standing statistics"
    assert len(list(hub.discriminator().parameters())) > 0
    train_hub(training(folder, images=24, resume=True, keep_discriminator=True, discriminator_steps=2))
    assert Hub.load(bundle).fingerprint != hub.fingerprint


def test_classes_from_a_table(folder: Path) -> None:
    flat = folder.parent / "flat"
    flat.mkdir()
    lines = ["name,kind"]
    for path in sorted(folder.rglob("*.png")):
        path.rename(flat / path.name)
        lines.append(f"{path.name},{'odd' if int(path.stem) % 2 else 'even'}")
    (flat / "manifest.csv").write_text("\n".join(lines) + "\n")
    _, bundle = train_hub(training(flat, class_column="kind"))
    assert bundle is not None and Hub.load(bundle).classes == ("even", "odd")
    with pytest.raises(UsageError, match="Did you mean 'kind'"):
        train_hub(training(flat, class_column="kinds", run_dir=flat / "run", overwrite=True))
    with pytest.raises(DataError, match="a folder of images per class"):
        train_hub(training(flat, overwrite=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"r1_gamma": 1.0}, "--r1 is an option of --arch stylegan2"),
        ({"arch": "biggans"}, "Did you mean 'biggan'"),
        ({"arch": "stylegan2", "class_column": "x"}, "--class-column is an option of --arch biggan"),
        ({"preset": "smal"}, "Did you mean 'small'"),
        ({"augment": "colours"}, "Did you mean 'colour'"),
        ({"learning_rate": 2.0}, "--learning-rate"),
        ({"discriminator_learning_rate": 0.0}, "--discriminator-learning-rate"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_read(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_hub(training(Path("/nowhere/images"), **changes))


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="--size 24"):
        train_hub(training(Path("/nowhere/images"), size=24))
    with pytest.raises(ConfigError, match="attention"):
        train_hub(training(Path("/nowhere/images"), attention=(64,)))
    assert parse_resolutions("32,16") == (16, 32) and parse_resolutions("none") == ()
    with pytest.raises(UsageError, match="--attention"):
        parse_resolutions("big")


def test_mode_seeking_asks_for_pictures_that_differ_as_real_ones_do() -> None:
    images = torch.cat([torch.zeros(2, 3, 32, 32), torch.full((2, 3, 32, 32), 0.1)]).requires_grad_(True)
    halves = torch.tensor([0, 1]), torch.tensor([2, 3])
    assert difference(images, halves).item() == pytest.approx(0.1)
    value = mode_seeking(images, torch.tensor(0.3))
    assert value.item() == pytest.approx(0.3 / 0.101 - 1)
    (gradient,) = torch.autograd.grad(value, images)
    assert float(gradient[2:].sum()) < 0 < float(gradient[:2].sum()), "the two are driven apart"
    assert mode_seeking(images, torch.tensor(0.05)).item() == 0, "and no further than that"
    noise = torch.cat([images[:2].detach(), torch.tensor([0.5, -0.5]).repeat(2, 3, 32, 16)])
    assert float(difference(noise, halves)) < 1e-6, "what is gone at 16 px does not count"


def test_real_images_are_compared_within_their_class() -> None:
    """Else the bar would be how much classes differ, which no latent of one class can reach."""
    images = torch.tensor([0.0, 0.5, 0.1, 0.9]).reshape(4, 1, 1, 1).expand(4, 3, 16, 16)
    pairs = pairs_of_one_class(torch.tensor([3, 1, 3, 2]))
    assert [part.tolist() for part in pairs] == [[0], [2]]
    assert difference(images, pairs).item() == pytest.approx(0.1)
    assert difference(images, pairs_of_one_class(torch.arange(4))).item() == 0, "no pair, no demand"


def test_diversity_pairs_latents_of_one_class() -> None:
    made = ready(diversity=0.1)
    fakes = made._fakes(8)
    assert torch.equal(fakes.labels[:4], fakes.labels[4:]) and not torch.equal(fakes.images[:4], fakes.images[4:])
    assert "diversity" in made.step(batch(), 0)
