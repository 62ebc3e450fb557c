"""The last phase of an anchoring run: the encoder learns its corrected codes, and corrections go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from anchor_cli.main import app
from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.training.anchoring import distillation
from anchor_hub.training.anchoring.losses import latent_consistency
from anchor_hub.training.anchoring.recipe import AnchorRecipe
from tests.tiny import tiny_biggan, tiny_home, tiny_hub, write_sample
from tests.training.anchoring.test_recipe import BATCH, make, run, samples
from tests.training.tiny import same

HUB_DECODER = {"regressor": {"name": "hub"}}


@pytest.fixture(scope="module")
def hub() -> Hub:
    return tiny_hub()


def lively(recipe: AnchorRecipe) -> AnchorRecipe:
    """The recipe, its encoder reacting to images, as a trained one does: fresh ones predict the mean latent."""
    with torch.no_grad():
        recipe.encoder.weight.mul_(20)
    return recipe


def codes(recipe: AnchorRecipe, inputs: Tensor, corrections: int) -> Tensor:
    with torch.no_grad():
        return recipe.domain.corrected(corrections).encode(inputs)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("rgb", HUB_DECODER), ("segmentation", {}), ("landmarks", {}), ("gray", {"structure_layers": 2})],
)
def test_the_encoder_comes_near_the_codes_that_its_corrections_gave(hub, monkeypatch, kind, options):
    monkeypatch.setattr(distillation, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(distillation, "WARM_UP_STEPS", 3)
    recipe = lively(make(kind, hub, total=40 * BATCH, distill=40 * BATCH, **options))
    batch = samples(kind, hub)
    inputs = recipe.domain.modality.to_network(batch)
    assert recipe.domain.corrections == 2
    first, wanted = codes(recipe, inputs, 0), codes(recipe, inputs, 2)
    decoder = [p.clone() for p in recipe.regressor.parameters()] if recipe.regressor else []
    history = run(recipe, batch, 40)

    def away(found: Tensor) -> float:
        return float(latent_consistency(found, wanted, recipe.mean, recipe.whitening))

    # The mean over the driven layers; codes of single images round differently from those of a batch.
    expected = away(first) * hub.num_latents / recipe.domain.structure_layers
    assert history[0] == {"distill": pytest.approx(expected, rel=1e-4)}
    assert recipe.domain.corrections == 0, "the bundle's, from the last step on"
    learned = codes(recipe, inputs, 0)
    assert away(learned) < 0.3 * away(first)
    assert torch.equal(recipe.domain.encode(inputs), learned)
    assert torch.equal(learned[:, recipe.domain.structure_layers :], wanted[:, recipe.domain.structure_layers :])
    if recipe.regressor is not None:
        assert all(torch.equal(a, b) for a, b in zip(decoder, recipe.regressor.parameters(), strict=True))
    assert hub.current_fingerprint() == hub.fingerprint


def test_a_phase_of_its_own_after_the_training(hub):
    """The same as a shorter run up to its last step; then the encoder alone learns from the encoder as it is."""
    batch = samples("gray", hub)
    plain, longer = make("gray", hub, total=6 * BATCH), make("gray", hub, total=10 * BATCH, distill=4 * BATCH)
    assert run(plain, batch, 6) == run(longer, batch, 6)
    for name, module in plain.networks.items():
        assert same(dict(module.state_dict()), dict(longer.networks[name].state_dict())), name
    assert longer.domain.corrections == 2
    assert set(run(longer, batch, 1, start=6)[0]) == {"distill"}
    assert longer.distillation is not None and longer.distillation.teacher.encoder is not None
    assert same(dict(plain.encoder.state_dict()), dict(longer.distillation.teacher.encoder.state_dict()))
    assert not same(dict(plain.encoder.state_dict()), dict(longer.encoder.state_dict()))
    assert longer.domain.corrections == 2, "a run that ends before its time keeps the corrections"
    run(longer, batch, 3, start=7)
    assert longer.domain.corrections == 0
    assert "corrections" not in longer.contents().architecture


def test_the_teacher_sees_every_image_once(hub):
    batch = samples("gray", hub)
    recipe = make("gray", hub, total=6 * BATCH, distill=4 * BATCH)
    run(recipe, batch, 2)
    assert recipe.distillation is not None
    calls: list[int] = []
    encode = AnchoredDomain.encode

    def watched(self: AnchoredDomain, images: Tensor) -> Tensor:
        calls.append(len(images))
        return encode(self, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AnchoredDomain, "encode", watched)
        run(recipe, batch.flip(0), 2, start=2)
        run(recipe, batch.roll(1, 0), 2, start=4)
    assert calls == [1] * BATCH, "one by one, so that no code depends on the batch"


def test_without_it_states_and_records_are_those_of_before(hub):
    recipe = make("gray", hub, total=4 * BATCH)
    assert set(recipe.state_dict()) == {"networks", "optimizers"}
    assert "distill" not in recipe.describe() and recipe.distillation is None
    assert make("gray", hub, total=4 * BATCH, distill="8").describe()["distill"] == 8


@pytest.mark.parametrize("stop", [3, 6, 7, 10], ids=["before", "between", "within", "after"])
def test_a_state_taken_up_goes_on_exactly(hub, stop):
    def fresh() -> AnchorRecipe:
        return make("gray", hub, total=10 * BATCH, distill=4 * BATCH)

    batch, whole, begun, resumed = samples("gray", hub), fresh(), fresh(), fresh()
    run(whole, batch, 10)
    run(begun, batch, stop)
    state = json.loads(json.dumps({"done": begun.state_dict()["distillation"]["done"]}))
    assert state == {"done": max(0, stop - 6)}
    resumed.load_state_dict(begun.state_dict())
    assert resumed.domain.corrections == begun.domain.corrections
    run(resumed, batch, 10 - stop, start=stop)
    assert same(whole.state_dict(), resumed.state_dict())
    assert resumed.domain.corrections == 0


@pytest.mark.parametrize(
    ("options", "total", "message"),
    [
        ({"distill": 9}, 8, "the run's last images, of which there are 8, so it cannot be 9"),
        ({"distill": 9}, None, "of which there are None"),
        ({"distill": 8, "objective": "published"}, 8, "makes no corrections"),
        ({"distill": -1}, 8, "distill must be a whole number"),
        ({"distill": True}, 8, "distill must be a whole number"),
        ({"distill": "many"}, 8, "distill must be a whole number"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_read(hub, options, total, message):
    with pytest.raises(UsageError, match=message):
        make("gray", hub, total=total, **options)


def test_hubs_whose_domains_are_not_corrected():
    with pytest.raises(UsageError, match="makes no corrections"):
        make("gray", tiny_biggan().of_class("cat"), total=8, distill=8)


def add_domain(folder: Path, data: Path, *more: str) -> Path:
    result = CliRunner().invoke(app, [
        "add-domain", "mine", "--hub", "tiny", "--data", str(data), "--modality", "gray", "--images", "48", "--batch",
        "8", "--mirror", "--precision", "fp32", "--device", "cpu", "--processes", "1", "--quiet", "--run-dir",
        str(folder / "run"), "-o", str(folder / "bundle"), *more,
    ])  # fmt: skip
    assert result.exit_code == 0, result.output + repr(result.exception)
    return folder / "bundle"


def test_the_command_line_trains_it_records_it_and_resumes_exactly(tmp_path, monkeypatch):
    tiny_home(tmp_path, monkeypatch, domains=())
    for index in range(10):
        write_sample("sketch", tmp_path / "data" / f"{index}.png", seed=index)
    plain = add_domain(tmp_path / "plain", tmp_path / "data")
    whole = add_domain(tmp_path / "whole", tmp_path / "data", "--set", "distill=24")
    manifest = open_bundle(whole).manifest
    assert "corrections" not in manifest.architecture and manifest.provenance["options"]["distill"] == 24
    before = open_bundle(plain).manifest
    assert before.architecture["corrections"] == 2 and "distill" not in before.provenance["options"]

    step, seen = distillation.Distillation.step, []

    def interrupted(self: distillation.Distillation, inputs: Tensor, images: Tensor, index: int) -> Any:
        seen.append(index)
        if index == 4:
            raise KeyboardInterrupt
        return step(self, inputs, images, index)

    # Stopped within the phase, as by a power cut after a checkpoint.
    from anchor_hub.training.engine import trainer

    every = trainer.Trainer.__init__
    monkeypatch.setattr(
        trainer.Trainer, "__init__", lambda self, *a, **k: every(self, *a, **{**k, "checkpoint_every": 1})
    )
    monkeypatch.setattr(distillation.Distillation, "step", interrupted)
    with pytest.raises(AssertionError):
        add_domain(tmp_path / "cut", tmp_path / "data", "--set", "distill=24")
    assert seen == [3, 4] and not (tmp_path / "cut/bundle").exists()
    monkeypatch.setattr(distillation.Distillation, "step", step)
    again = add_domain(tmp_path / "cut", tmp_path / "data", "--set", "distill=24", "--resume")
    for name in ("encoder.safetensors", "regressor.safetensors"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name
    assert (whole / "encoder.safetensors").read_bytes() != (plain / "encoder.safetensors").read_bytes()
