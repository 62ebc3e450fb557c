"""Early stop: what it measures, when it stops, what is exported, and that a resumed run ends alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_finetune.domain import FineTunedDomain
from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation.distance import model_distance
from anchor_hub.metrics import efficientnet
from anchor_hub.modality import build_modality
from anchor_hub.networks.stylegan2 import Generator
from anchor_hub.training.base import Samples, TrainingContext
from anchor_hub.training.engine.trainer import RunEnd, Trainer
from anchor_hub.training.generators.start import HubStart
from anchor_hub.training.generators.stopping import EarlyStop, StopOptions, split
from anchor_hub.training.generators.stylegan2_recipe import HubOptions, HubRecipe
from tests.tiny import tiny_generator, tiny_hub
from tests.training.generators.frozen import frozen as frozen
from tests.training.tiny import CONFIG, PlainRGB, final_state, pictures, same


def generator(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return Generator(CONFIG)


def stop(options: StopOptions, **given: Any) -> EarlyStop:
    context = TrainingContext(torch.device("cpu"), "fp32", seed=0, batch=8, run_dir=Path("."), modality=PlainRGB())
    return EarlyStop(options, context, size=16, code_dim=CONFIG.code_dim, **given)


def test_splits_are_spread_and_complete() -> None:
    rows = torch.arange(50)[:, None]
    for data in (rows, list(rows)):
        trained, held = split(Samples(data), 0.2)
        places = [int(held.rows[index]) for index in range(len(held))]
        assert places == [2, 7, 12, 17, 22, 27, 32, 37, 42, 47]
        assert sorted(places + [int(trained.rows[index]) for index in range(len(trained))]) == list(range(50))
    with pytest.raises(UsageError, match="too few"):
        split(Samples(rows[:15]), 0.2)


@pytest.mark.usefixtures("frozen")
def test_the_model_distance_is_zero_for_the_start_itself_and_grows() -> None:
    free = stop(StopOptions(distance=100.0, latents=8), base=generator())
    assert free.look(generator(), 100) == {"model_distance": 0.0} and free.reason is None
    near, far = generator(), generator()
    for copy, step in ((near, 0.1), (far, 3.0)):
        torch.manual_seed(1)
        for parameter in copy.parameters():
            parameter.data += step * torch.randn_like(parameter)
    small, large = (free.look(copy, 200)["model_distance"] for copy in (near, far))
    assert 0 < small < large and free.exported is None, "a run that goes on exports what it has"
    watched = stop(StopOptions(distance=(small + large) / 2, latents=8), base=generator())
    for copy in (near, far):
        watched.look(copy, 200)
    assert watched.reason is not None and "200 images, beyond" in watched.reason
    assert watched.exported is not None and same(watched.exported, dict(near.state_dict())), "the last within the limit"


@pytest.mark.usefixtures("frozen")
def test_the_model_distance_is_that_of_the_evaluation() -> None:
    hub = tiny_hub()
    moved = tiny_generator(seed=1)
    moved.mapping.load_state_dict(hub.generator.mapping.state_dict())
    measured = stop(StopOptions(distance=1.0), base=hub.generator)
    measured.latents = hub.sample_z(6, seed=3)
    domain = FineTunedDomain("moved", build_modality({"name": "rgb"}), hub, moved)
    (metric,) = model_distance(hub, domain, metrics=("efficientnet",), count=6, seed=3).pairs[0].metrics
    assert 0.01 < float(metric.value or 0) == pytest.approx(measured.look(moved, 8)["model_distance"], rel=1e-5)


@pytest.mark.usefixtures("frozen")
def test_the_held_out_distance_is_smallest_for_the_pictures_own_generator_and_patience_ends() -> None:
    options = StopOptions(patience=2, latents=24)
    good = generator()
    z = torch.randn(24, CONFIG.code_dim, generator=torch.Generator().manual_seed(5))
    image = good.synthesis(good.mapping(z), noise="const").image
    assert image is not None
    held = ((image.detach() + 1) * 127.5).round().clamp(0, 255).byte()
    watched = stop(options, held=held)
    values = [watched.look(network, images)["held_out_distance"]
              for images, network in enumerate((generator(1), good, generator(2)))]  # fmt: skip
    assert min(values) == values[1] and watched.reason is None
    watched.look(generator(1), 3)
    assert watched.reason is not None and "after 1 images" in watched.reason
    assert watched.exported is not None and same(watched.exported, dict(good.state_dict()))
    again = stop(options, held=held)
    again.load_state_dict(watched.state_dict())
    assert same(again.state_dict(), watched.state_dict()) and again.record()["exported_after_images"] == 1


def test_evaluations_come_every_so_many_images() -> None:
    watched = object.__new__(EarlyStop)
    watched.options = StopOptions(patience=1, every=20)
    watched.context = TrainingContext(torch.device("cpu"), "fp32", seed=0, batch=8, run_dir=Path("."))
    assert [index for index in range(10) if watched.due(index)] == [2, 4, 7, 9]


def train(run_dir: Path, options: StopOptions, images: int, *, resume: bool = False, quiet: bool = True) -> tuple[
    HubRecipe, RunEnd
]:
    start = HubStart("start", "0" * 64, generator(), None)
    constants = HubOptions(stop=options, path_length_weight=0, r1_gamma=1.0, average_rampup=None,
                           average_half_life=8.0, learning_rate=0.01)  # fmt: skip
    recipe = HubRecipe(CONFIG, constants, start=start)
    recipe.check()
    data = recipe.trained_on({"own": Samples(pictures(), PlainRGB())})
    run = Trainer(recipe, data, run_dir, total_images=images, batch=8, quiet=quiet, options=recipe.describe())
    return recipe, run.run(resume)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("options", [StopOptions(distance=1e-6, every=16, latents=4),
                                     StopOptions(patience=1, every=16, latents=8)])  # fmt: skip
def test_a_run_ends_when_it_has_enough_and_resumed_ones_end_alike(
    tmp_path: Path, options: StopOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, end = train(tmp_path / "whole", options, 200, quiet=False)
    assert end.reason == "enough" and end.finished and end.images < 200
    assert recipe.stop is not None and str(recipe.stop.reason) in capsys.readouterr().err
    train(tmp_path / "parts", options, end.images - 8)
    again, resumed = train(tmp_path / "parts", options, 200, resume=True)
    assert (resumed.reason, resumed.steps) == ("enough", end.steps)
    first, second = final_state(tmp_path / "whole")["recipe"], final_state(tmp_path / "parts")["recipe"]
    assert same(first, second) and first["early_stop"]["reason"]
    assert train(tmp_path / "parts", options, 400, resume=True)[1].steps == end.steps, "it has enough for good"
    exported = recipe.averaged_generator().state_dict()
    best = recipe.stop.exported
    assert same(dict(exported), dict(recipe.average.module.state_dict() if best is None else best))
    assert same(dict(again.averaged_generator().state_dict()), dict(exported))
    if options.patience:
        assert len(recipe.held or ()) == 8 and best is not None


@pytest.mark.usefixtures("frozen")
def test_without_a_stop_nothing_of_it_is_recorded() -> None:
    recipe = HubRecipe(CONFIG)
    assert recipe.stop_record() == {} and "stop" not in recipe.describe() and recipe.finished(3) is None


def test_wrong_options_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for options, critic, start, message in (
        (StopOptions(1.0, 2), "stylegan2", True, "give one of them"),
        (StopOptions(1.0), "stylegan2", False, "add --start-from HUB"),
        (StopOptions(patience=2), "projected", True, "--set stop_extractor=FILE"),
        (StopOptions(patience=2, held_out=1.0), "stylegan2", True, "between 0 and 1"),
    ):
        with pytest.raises(UsageError, match=message) as raised:
            options.check(critic, start)
        assert len(str(raised.value)) <= 200
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_anywhere")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/nowhere")
    with pytest.raises(DataError, match="perceptual"):
        StopOptions(patience=2).check("stylegan2", False)


