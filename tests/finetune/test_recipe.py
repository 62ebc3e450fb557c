"""Fine-tuning: what is frozen, where it starts, what it leaves behind; and by the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_finetune.domain import FineTunedDomain
from anchor_finetune.options import FineTuneOptions
from anchor_finetune.recipe import FineTuneRecipe
from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.loading import clear_cache, load_domain
from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import build_modality
from anchor_hub.networks.stylegan2_discriminator import Discriminator
from anchor_hub.testing import check_recipe
from anchor_hub.training.base import Samples, TrainingContext
from anchor_hub.training.generators.start import WARMUP_IMAGES, discriminator_config
from tests.cli.running import anchor
from tests.tiny import tiny_biggan, tiny_home, tiny_hub
from tests.training.tiny import own, pictures, same

RGB = build_modality({"name": "rgb"})
CPU = torch.device("cpu")
FAST = ("--device", "cpu", "--precision", "fp32", "--processes", "1", "--quiet")


def ready(hub: Hub | None = None, **choices: Any) -> FineTuneRecipe:
    recipe = FineTuneRecipe(
        "toon-ft", hub or tiny_hub(), RGB, FineTuneOptions(**{"discriminator_warmup": 0, **choices})
    )
    recipe.setup(TrainingContext(CPU, "fp32", seed=0, batch=8, run_dir=Path("."), modality=RGB))
    return recipe


def changed(recipe: FineTuneRecipe, steps: int = 2) -> set[str]:
    """Names of the generator's weights that some steps change."""
    for index in range(steps):
        recipe.step(own(pictures(8)), index)
    start = recipe.hub.generator.state_dict()
    return {name for name, value in recipe.generator.state_dict().items() if not torch.equal(value, start[name])}


def test_it_keeps_the_recipes_contract() -> None:
    data = {"own": Samples(pictures(16), RGB)}
    check_recipe(FineTuneRecipe, data, options={"preset": "published"}, required={"hub": tiny_hub()}, batch=8)


def test_the_mapping_is_frozen_as_the_paper_means_it_and_none_freezes_nothing() -> None:
    frozen = changed(ready())
    assert frozen and not any(name.startswith("mapping") for name in frozen)
    assert any(name.startswith("mapping") for name in changed(ready(freeze="none")))


def test_lower_generator_freezes_the_coarse_layers() -> None:
    found = changed(ready(freeze="lower-generator", frozen_resolution=8))
    assert found and all(".blocks.16." in name for name in found)


def test_lower_discriminator_freezes_the_blocks_next_to_the_image() -> None:
    recipe = ready(freeze="lower-discriminator", frozen_resolution=16)
    before = {name: value.clone() for name, value in recipe.discriminator.state_dict().items()}
    changed(recipe)
    moved = {name for name, value in recipe.discriminator.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("blocks.8.") for name in moved)
    assert not any(name.startswith(("from_rgb", "blocks.16.")) for name in moved)


def test_it_starts_from_the_hub_and_its_discriminator(tmp_path: Path) -> None:
    hub = tiny_hub()
    torch.manual_seed(5)
    critic = Discriminator(discriminator_config(hub.config))
    kept = Hub.load(hub.save(tmp_path / "hub", discriminator=critic, exact_discriminator=True))
    recipe = FineTuneRecipe("toon-ft", kept, RGB, FineTuneOptions())
    assert recipe.options.discriminator_warmup == 0
    recipe.setup(TrainingContext(CPU, "fp32", seed=0, batch=8, run_dir=Path("."), modality=RGB))
    assert same(dict(recipe.discriminator.state_dict()), dict(critic.state_dict()))
    assert same(dict(recipe.generator.state_dict()), dict(hub.generator.state_dict()))
    without = FineTuneRecipe("toon-ft", hub, RGB, FineTuneOptions())
    assert without.options.discriminator_warmup == WARMUP_IMAGES


def test_the_hub_is_never_touched() -> None:
    hub = tiny_hub()
    before = hub.current_fingerprint()
    changed(ready(hub))
    assert hub.current_fingerprint() == before
    assert not any(weight.requires_grad for weight in hub.generator.parameters())


def test_the_domain_of_an_untrained_run_is_the_hub() -> None:
    recipe = ready()
    latents = recipe.hub.sample(2, seed=1)
    torch.testing.assert_close(recipe.domain().decode(latents), recipe.hub.image(latents))
    sheet = recipe.samples(own(pictures(8)))["hub-and-domain"]
    assert sheet.shape == (32, 3, 16, 16)
    assert torch.equal(sheet[:8], sheet[8:16]), "the hub's pictures above, the domain's below"


def test_what_it_cannot_fine_tune_is_said() -> None:
    hub = tiny_hub()
    with pytest.raises(UsageError, match="modality 'gray' needs a regressor"):
        FineTuneRecipe("toon-ft", hub, build_modality({"name": "gray"}), FineTuneOptions())
    with pytest.raises(UsageError, match="only StyleGAN2 hubs without classes"):
        FineTuneRecipe("toon-ft", tiny_biggan(), RGB, FineTuneOptions())
    for options, message in (
        ({"freeze": "mappin"}, "Did you mean 'mapping'"),
        ({"preset": "smal"}, "Did you mean 'small'"),
        ({"freeze": "lower-generator", "frozen_resolution": 32}, "the hub has"),
    ):
        with pytest.raises(UsageError, match=message):
            FineTuneRecipe("toon-ft", hub, RGB, FineTuneOptions(**options))  # type: ignore[arg-type]


@pytest.fixture
def toons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty pictures in a folder, and a home with the tiny hub."""
    tiny_home(tmp_path, monkeypatch, domains=("face", "seg"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "toons"
    folder.mkdir()
    for index, picture in enumerate(pictures(20)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{index:02}.png")
    return folder


def run(*arguments: object, code: int = 0) -> str:
    result = anchor(*(str(argument) for argument in arguments))
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def tune(*arguments: object, code: int = 0) -> str:
    fixed = ("--method", "finetune", "--hub", "tiny", "--modality", "rgb", *FAST)
    return run("add-domain", "drawn-ft", *fixed, *arguments, code=code)


def test_from_a_folder_to_a_translation(toons: Path, tmp_path: Path) -> None:
    tune("--data", toons, "--images", 48, "--set", "discriminator_warmup=16")
    manifest = open_bundle(tmp_path / "home/domains/drawn-ft").manifest
    assert manifest.architecture == {"name": "fine-tuned"}
    assert manifest.provenance["options"]["freeze"] == "mapping" and manifest.provenance["images_seen"] == 48
    from tests.tiny import write_sample

    source = write_sample("seg", tmp_path / "one.png")
    run("translate", "--from", "seg", "--to", "drawn-ft", source, "-o", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (16, 16) and np.asarray(picture).std() > 0
    assert "drawn-ft" in run("domains", "list")
    output = run("translate", "--from", "drawn-ft", "--to", "face", toons / "00.png", "-o", tmp_path / "b.png", code=1)
    assert "no encoder" in output


def test_an_interrupted_run_goes_on_bit_for_bit(toons: Path, tmp_path: Path) -> None:
    settings = ("--data", toons, "--set", "discriminator_warmup=16", "--set", "preset=published")
    tune(*settings, "--images", 64, "--output", tmp_path / "whole", "--run-dir", tmp_path / "run-whole")
    tune(*settings, "--images", 32, "--output", tmp_path / "part", "--run-dir", tmp_path / "run-part")
    tune(
        *settings, "--images", 64, "--output", tmp_path / "part", "--run-dir", tmp_path / "run-part", "--resume",
        "--overwrite",
    )  # fmt: skip
    whole, part = (open_bundle(tmp_path / name).tensors("generator") for name in ("whole", "part"))
    assert same(whole, part)


def test_three_pictures_are_said_to_be_few(toons: Path) -> None:
    for path in sorted(toons.iterdir())[3:]:
        path.unlink()
    output = tune("--data", toons, "--images", 32, "--set", "discriminator_warmup=0", code=1)
    assert "3 images are too few" in output


def test_a_bundle_in_half_precision_is_half_as_large(toons: Path, tmp_path: Path) -> None:
    for name, extra in (("full", ()), ("half", ("--half",))):
        tune("--data", toons, "--images", 32, "--set", "discriminator_warmup=0", "--output", tmp_path / name,
             "--run-dir", tmp_path / f"run-{name}", *extra)  # fmt: skip
    sizes = [(tmp_path / name / "generator.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    clear_cache()
    hub = load_domain("face").hub
    loaded = FineTunedDomain.load(tmp_path / "half", hub)
    assert loaded.decode(hub.sample(1, seed=0)).isfinite().all()


def test_it_takes_the_options_for_few_images() -> None:
    chosen = FineTuneOptions(augment="ada", stop_patience=2, stop_every=100).constants(has_discriminator=True)
    assert chosen.augment == ("ada", "geometry", "colour") and chosen.augment_images == 20_000
    assert chosen.stop is not None and (chosen.stop.patience, chosen.stop.every) == (2, 100)
    assert FineTuneOptions(critic="projected").constants(has_discriminator=True).discriminator_warmup == WARMUP_IMAGES
    with pytest.raises(UsageError, match="lower-discriminator"):
        FineTuneOptions(freeze="lower-discriminator", critic="projected").constants(True)
    with pytest.raises(UsageError, match="say when to stop"):
        FineTuneOptions(stop_every=5).constants(True)
