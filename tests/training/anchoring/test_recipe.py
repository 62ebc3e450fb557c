"""The anchoring recipe on a tiny hub: every objective and modality learns, the hub stays, runs repeat exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from anchor_cli.main import app
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.errors import ConfigError, NotFoundError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import build_modality
from anchor_hub.training.anchoring import consensus, published_objective
from anchor_hub.training.anchoring import losses as anchor_losses
from anchor_hub.training.anchoring import recipe as anchor_recipe
from anchor_hub.training.anchoring.domain import build_domain, default_resolutions
from anchor_hub.training.anchoring.options import AlignedWeights, AnchorOptions
from anchor_hub.training.anchoring.presets import published_preset
from anchor_hub.training.anchoring.ranger import Ranger
from anchor_hub.training.anchoring.recipe import AnchorRecipe, pyramid_loss
from anchor_hub.training.base import TrainingContext
from anchor_hub.training.engine.randomness import seed_everything
from tests.tiny import SIZE, tiny_home, tiny_hub, write_sample
from tests.training.tiny import own, same

ROOT = Path(__file__).parents[3]
BATCH = 4
NARROW = {"encoder": {"name": "compact", "width": 4}, "regressor": {"name": "compact", "width": 8, "convs": 1}}
MODALITIES: dict[str, dict[str, Any]] = {
    "rgb": {"name": "rgb"},
    "gray": {"name": "gray"},
    "segmentation": {"name": "segmentation", "classes": 5},
    "landmarks": {"name": "landmarks"},
    "drawn": {"name": "landmarks", "drawn": True},
}


@pytest.fixture(scope="module")
def hub() -> Hub:
    return tiny_hub()


def samples(kind: str, hub: Hub) -> Tensor:
    """A fixed batch of a modality, as it collates files."""
    generator = torch.Generator().manual_seed(5)
    if kind == "landmarks" or kind == "drawn":
        points = SIZE / 2 + torch.randn(68, 2, generator=generator)
        return points + torch.rand(BATCH, 1, 2, generator=generator)
    if kind == "rgb":  # pictures the hub can make
        pictures = hub.image(hub.sample(BATCH, seed=9)).clamp(-1, 1)
        return ((pictures + 1) * 127.5).to(torch.uint8)
    cells = torch.randint(0, 5 if kind == "segmentation" else 256, (BATCH, 1, 4, 4), generator=generator)
    return cells.repeat_interleave(4, -1).repeat_interleave(4, -2).to(torch.uint8)


def make(kind: str, hub: Hub, total: int | None = None, world_batch: int = BATCH, **options: Any) -> AnchorRecipe:
    chosen = AnchorOptions.from_dict({**NARROW, **options})
    domain = build_domain("mine", build_modality(MODALITIES[kind]), hub, chosen)
    recipe = AnchorRecipe(domain, chosen, total)
    seed_everything(0)
    recipe.setup(TrainingContext(torch.device("cpu"), "fp32", 0, world_batch, Path("unused")))
    return recipe


def run(recipe: AnchorRecipe, batch: Tensor, steps: int, start: int = 0) -> list[dict[str, float]]:
    history = []
    for index in range(start, start + steps):
        seed_everything(index)
        history.append({name: float(value) for name, value in recipe.step(own(batch), index).items()})
    return history


ALIGNED_TERMS = {
    "reconstruction", "mahalanobis", "consistency", "adversarial", "edges", "sampled_edges", "discriminator"
}  # fmt: skip
PUBLISHED_TERMS = {"reconstruction", "latent_norm", "image_adversarial", "image_discriminator"}
# On a hub of random weights and in a few steps the full weights of critic and edges outvote the reading back, and the
# appearance of samples drowns the codes of label maps.
MILD: dict[str, Any] = {"weights": {"adversarial": 0.1, "edges": 0.3}}
PLAIN: dict[str, Any] = {**MILD, "appearance": 0}
CASES: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("aligned", "rgb", {}, ALIGNED_TERMS),
    ("aligned", "gray", {}, ALIGNED_TERMS | {"centre"}),
    ("aligned", "segmentation", PLAIN, ALIGNED_TERMS | {"centre", "regions", "sampled_regions", "dice"}),
    ("aligned", "landmarks", {}, ALIGNED_TERMS | {"centre"}),
    ("aligned", "drawn", MILD, ALIGNED_TERMS | {"centre"}),
    ("aligned", "rgb", {"regressor": {"name": "hub"}}, {"reconstruction", "mahalanobis", "consistency", "edges"}),
    ("published", "rgb", {}, PUBLISHED_TERMS),
    ("published", "gray", {}, PUBLISHED_TERMS),
    ("published", "segmentation", {}, PUBLISHED_TERMS),
    ("published", "drawn", {}, PUBLISHED_TERMS),
    ("published", "rgb", {"regressor": {"name": "hub"}}, PUBLISHED_TERMS),
]


@pytest.mark.parametrize(("objective", "kind", "changes", "terms"), CASES)
def test_every_objective_and_modality_learns_to_read_back_and_leaves_the_hub(
    hub, objective, kind, changes, terms, monkeypatch
):
    monkeypatch.setattr(anchor_recipe, "WARM_UP_STEPS", 3)
    before = {name: value.clone() for name, value in hub.generator.state_dict().items()}
    recipe = make(kind, hub, objective=objective, learning_rate=1e-2, **changes)
    untrained = {name: value.clone() for name, value in recipe.encoder.state_dict().items()}
    history = run(recipe, samples(kind, hub), 40)
    assert set(history[0]) == terms
    first, last = (sum(entry["reconstruction"] for entry in part) / 3 for part in (history[:3], history[-3:]))
    assert last < 0.9 * first, f"{first} -> {last}"
    assert not same(untrained, dict(recipe.encoder.state_dict()))
    assert same(before, dict(hub.generator.state_dict()))
    assert hub.current_fingerprint() == hub.fingerprint
    assert all(p.grad is None and not p.requires_grad for p in hub.generator.parameters())


def test_the_same_seed_gives_the_same_networks_and_leaves_the_callers_random_state(hub):
    modality, state = build_modality({"name": "gray"}), torch.get_rng_state()
    options = AnchorOptions.from_dict(NARROW)
    first, second, third = (build_domain("mine", modality, hub, options, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())
    assert same(dict(first.encoder.state_dict()), dict(second.encoder.state_dict()))
    assert same(dict(first.regressor.state_dict()), dict(second.regressor.state_dict()))
    assert not same(dict(first.encoder.state_dict()), dict(third.encoder.state_dict()))


def test_the_encoder_drives_only_the_structure_layers(hub, monkeypatch):
    recipe = make("gray", hub, structure_layers=3, codes=2, appearance=0)
    seen: list[Tensor] = []
    synthesize = hub.synthesize
    monkeypatch.setattr(hub, "synthesize", lambda latents, **how: (seen.append(latents), synthesize(latents, **how))[1])
    with torch.no_grad():
        recipe.encoder.weight.mul_(20)
    batch = samples("gray", hub)
    codes = recipe._codes(recipe.domain.modality.to_network(batch)).detach()
    run(recipe, batch, 1)
    sampled, encoded = seen
    torch.testing.assert_close(encoded[:, :3], codes[:, :3])
    # The second half of the sampled latents changes codes at any layer.
    for latents in (encoded, sampled[: (len(sampled) + 1) // 2]):
        fine = latents[:, 3:]
        assert torch.equal(fine, fine[:, :1].expand_as(fine)), "one random appearance for all finer layers"
        assert float((fine[:, 0] - fine[:, 0].roll(1, 0)).abs().amax(1).min().detach()) > 1e-3, "each image its own"
        assert not torch.allclose(fine[:, 0], latents[:, 0])
    domain = recipe.domain.eval()
    found = domain.encode(recipe.domain.modality.to_network(batch))
    assert torch.equal(found[:, 3:], hub.mean_latent.expand_as(found[:, 3:]))
    assert not torch.equal(found[:, 0], found[:, 1]) and torch.equal(found[:, 1], found[:, 2])


@pytest.mark.parametrize("weights", [{}, {"consistency": 0}])
@pytest.mark.parametrize("share", [1, 0.5])
def test_codes_get_the_appearance_of_samples(hub, monkeypatch, weights, share):
    """What the encoder does not find again in a map read from a sample is added to the codes of images."""
    recipe = make("segmentation", hub, structure_layers=3, appearance=share, weights=weights)
    drawn = torch.tensor([0.1, 0.3, 0.6, 0.9])
    monkeypatch.setattr(torch, "rand", lambda *size, **_: drawn.reshape(size))
    seen: list[Tensor] = []
    synthesize = hub.synthesize

    def watched(latents: Tensor, **how: Any) -> Any:
        seen.append(latents)
        return synthesize(latents, **{**how, "noise": "none"})

    monkeypatch.setattr(hub, "synthesize", watched)
    with torch.no_grad():
        recipe.encoder.weight.mul_(20)
        batch = samples("segmentation", hub)
        inputs = recipe.domain.modality.to_network(batch)
        recipe._terms(inputs, batch)
        latents, encoded = seen[0][:, :3], seen[1][:, :3]
        features = synthesize(seen[0], features=recipe.regressor.resolutions, noise="none").features
        fakes = recipe.domain.modality.as_input(recipe.regressor(features))
        codes, found = recipe._codes(inputs)[:, :3], recipe._codes(fakes)[:, :3]
    given = drawn < share
    torch.testing.assert_close(encoded[given], (codes + latents - found)[given], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(encoded[~given], codes[~given])
    assert float((encoded - codes)[given].abs().amax((1, 2)).min()) > 0.3


def test_the_appearance_of_samples_comes_in_over_the_first_half(hub, monkeypatch):
    """Before codes mean anything, what is left of a sample is all of it."""
    recipe = make("segmentation", hub, total=40 * BATCH, appearance=0.8)
    monkeypatch.setattr(torch, "rand", lambda *size, **_: (torch.arange(10) / 10 + 0.01).reshape(size))
    latents = hub.expand(hub.sample(10, seed=1))
    fakes = torch.zeros(10, 5, SIZE, SIZE)

    def given(index: int) -> int:
        recipe._set_learning_rate(index)
        return int((recipe._appearance(fakes, latents, None).abs().amax((1, 2)) > 0).sum())

    assert [given(index) for index in (0, 10, 20, 39)] == [0, 4, 8, 8]


def test_structure_layers_and_codes_by_default(hub):
    def domain(kind: str, **options: Any) -> AnchoredDomain:
        chosen = AnchorOptions.from_dict({**NARROW, **options})
        return build_domain("mine", build_modality(MODALITIES[kind]), hub, chosen)

    assert hub.num_latents == 6
    assert domain("gray").structure_layers == 4 and domain("gray").encoder.num_codes == 4
    assert domain("gray", codes=1).encoder.num_codes == 1
    assert domain("gray", codes=9).encoder.num_codes == 4
    for plain in (domain("gray", objective="published"), domain("rgb", regressor={"name": "hub"})):
        assert plain.structure_layers == 6 and plain.encoder.num_codes == 6
    assert domain("gray", resolutions=[8]).needs.features == (8,)
    assert domain("gray").needs.features == default_resolutions(hub) == (4, 8, 16)


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        (
            "gray",
            {"encoder": {"name": "compactt"}},
            NotFoundError,
            "no encoder named 'compactt'. Did you mean 'compact'",
        ),
        ("gray", {"regressor": {"name": "deepr"}}, NotFoundError, "no regressor named 'deepr'. Did you mean 'deeper'"),
        ("gray", {"encoder": {"name": "compact", "depth": 3}}, ConfigError, "depth"),
        ("gray", {"resolutions": [7]}, ConfigError, r"no feature map of resolution \[7\].*it has 4, 8, 16"),
        ("gray", {"structure_layers": 7}, UsageError, "structure_layers is 7; hub 'tiny' has 6 layers"),
        ("gray", {"regressor": {"name": "hub"}}, UsageError, "regressor 'hub' gives the hub's own RGB pictures"),
        ("gray", {"weights": {"regions": 1.0}}, UsageError, "needs label maps"),
        ("gray", {"objective": "published", "weights": {"edges": 1.0}}, UsageError, "has no term 'edges'"),
    ],
)
def test_choices_that_do_not_fit_are_told_before_anything_is_read(hub, kind, options, error, message):
    chosen = AnchorOptions.from_dict({**NARROW, **options})
    with pytest.raises(error, match=message) as caught:
        AnchorRecipe(build_domain("mine", build_modality(MODALITIES[kind]), hub, chosen), chosen)
    assert caught.value.exit_code == 2


def test_a_weight_of_zero_leaves_the_term_out(hub):
    weights = dict.fromkeys((f.name for f in fields(AlignedWeights)), 0) | {"reconstruction": 1, "mahalanobis": 0.1}
    recipe = make("segmentation", hub, weights=weights)
    assert set(recipe.networks) == {"encoder", "regressor"}
    assert set(run(recipe, samples("segmentation", hub), 1)[0]) == {"reconstruction", "mahalanobis"}


def test_the_mean_code_of_a_batch_is_drawn_to_the_mean_latent(hub):
    """Codes that differ from the mean latent in different directions are free, those that share one are not."""
    recipe = make("gray", hub)
    batch = samples("gray", hub)
    offsets = torch.randn(len(batch), recipe.domain.structure_layers, hub.latent_dim)

    def centre(codes: Tensor) -> float:
        recipe._codes = lambda inputs: hub.mean_latent + codes[: len(inputs)]
        return run(recipe, batch, 1)[0]["centre"]

    assert centre(offsets - offsets.mean(0)) == pytest.approx(0, abs=1e-6)
    assert centre(torch.ones_like(offsets)) > 0.1


def test_edges_and_regions_weigh_images_and_samples_apart(hub):
    """What is read from samples could put an edge wherever the picture has one; an image of the domain cannot."""
    without = {"sampled_edges": 0, "sampled_regions": 0}
    terms = set(run(make("segmentation", hub, weights=without), samples("segmentation", hub), 1)[0])
    assert {"edges", "regions"} <= terms and not terms & set(without)


def test_the_regressor_learns_from_the_consensus_of_its_readings_once_they_mean_something(hub, monkeypatch):
    monkeypatch.setattr(consensus, "WARM_UP", 2)
    alone = {f.name: 0 for f in fields(AlignedWeights)} | {"reconstruction": 1, "consensus": 5}
    recipe = make("segmentation", hub, total=40 * BATCH, learning_rate=1e-2, weights=alone)
    history = run(recipe, samples("segmentation", hub), 40)
    first = round(40 * anchor_recipe.CONSENSUS_FROM)
    assert ["consensus" in entry for entry in history] == [step >= first for step in range(40)]
    terms = [entry["consensus"] for entry in history[first:]]
    assert sum(terms[-3:]) < 0.8 * sum(terms[:3])
    assert "consensus" not in make("gray", hub).networks
    assert "consensus" not in make("segmentation", hub, weights={"consensus": 0}).networks


def test_label_maps_are_read_pixel_by_pixel_by_default(hub):
    def convs(kind: str, **regressor: Any) -> Any:
        chosen = AnchorOptions.from_dict({"regressor": {"name": "compact", **regressor}})
        domain = build_domain("mine", build_modality(MODALITIES[kind]), hub, chosen)
        return domain._architecture["regressor"]["options"].get("convs")

    assert convs("segmentation") == 0 and convs("gray") is None and convs("segmentation", convs=2) == 2


def test_the_compact_regressor_reads_structure_not_appearance_by_default(hub):
    def options(**choice: Any) -> dict[str, Any]:
        chosen = AnchorOptions.from_dict({**NARROW, **choice})
        domain = build_domain("mine", build_modality(MODALITIES["gray"]), hub, chosen)
        return domain._architecture["regressor"]["options"]

    assert options()["instance_norm"] is True
    assert options(regressor={"name": "compact", "instance_norm": False})["instance_norm"] is False
    assert "instance_norm" not in options(objective="published")


def test_the_learning_rate_warms_up_and_falls_at_the_end(hub):
    recipe = make("gray", hub, total=1000)

    def rates(index: int) -> list[float]:
        recipe._set_learning_rate(index)
        return [recipe.optimizers[name].param_groups[0]["lr"] for name in ("networks", "discriminator")]

    # 250 steps of 4 images: 100 steps of warm-up, then 1e-3 up to 60 % of the images, then down to 2 %.
    for index, factor in ((0, 0.01), (49, 0.5), (99, 1.0), (150, 1.0), (200, 0.5), (225, 0.25), (249, 0.02)):
        assert rates(index) == pytest.approx([1e-3 * factor, 5e-4 * factor]), index
    endless = make("gray", hub, total=None, learning_rate=2e-3)
    endless._set_learning_rate(100_000)
    assert endless.optimizers["networks"].param_groups[0]["lr"] == 2e-3


@pytest.mark.parametrize("objective", ["aligned", "published"])
def test_a_state_taken_up_goes_on_bit_for_bit(hub, objective, tmp_path, monkeypatch):
    monkeypatch.setattr(consensus, "WARM_UP", 2)
    monkeypatch.setattr(anchor_recipe, "CONSENSUS_FROM", 0)
    batch = samples("segmentation", hub)
    whole, parts = (make("segmentation", hub, total=100, objective=objective) for _ in range(2))
    run(whole, batch, 6)
    run(parts, batch, 3)
    torch.save(parts.state_dict(), tmp_path / "state.pt")
    again = make("segmentation", hub, total=100, objective=objective)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    run(again, batch, 3, start=3)
    assert same(whole.state_dict(), again.state_dict())


@pytest.mark.parametrize("case", [("landmarks", {}), ("segmentation", {}), ("rgb", {"regressor": {"name": "hub"}})])
def test_pictures_to_judge_by_change_nothing(hub, case):
    recipe = make(case[0], hub, **case[1])
    before = {name: module.state_dict() for name, module in recipe.networks.items()}
    before = {name: {key: value.clone() for key, value in state.items()} for name, state in before.items()}
    rows = recipe.samples(own(samples(case[0], hub)))
    assert {"input", "hub picture", "read back", "hub sample", "hub sample, read"} == set(rows)
    assert all(
        picture.dtype == torch.uint8 and picture.shape == (3, SIZE, SIZE) for row in rows.values() for picture in row
    )
    assert all(module.training for module in recipe.networks.values())
    assert same(before, {name: dict(module.state_dict()) for name, module in recipe.networks.items()})


def test_pyramid_loss_by_hand():
    output, target = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    assert float(pyramid_loss(output, target)) == 0
    assert float(pyramid_loss(output + 0.5, target)) == pytest.approx(0.5 + 0.25)
    checks = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2) * 2.0 - 1  # vanishes at the first halving
    assert float(pyramid_loss(checks.expand(1, 3, 16, 16), target)) == pytest.approx(2 / 4)


# --- the published objective's wiring -------------------------------------------------------------------------------


def test_published_terms_follow_the_published_formulas(hub, monkeypatch):
    recipe = make("gray", hub, objective="published", weights={"latent_adversarial": 0.1})
    totals: list[tuple[dict[str, Tensor], dict[str, float], Tensor]] = []
    weigh = anchor_losses.weighted_total

    def watched(terms, weights):
        total = weigh(terms, weights)
        totals.append((terms, weights, total))
        return total

    monkeypatch.setattr(published_objective.losses, "weighted_total", watched)
    kept: dict[str, Tensor] = {}
    for name, module in (("output", recipe.regressor), ("offsets", recipe.encoder)):
        module.register_forward_hook(lambda m, i, o, name=name: kept.__setitem__(name, o.detach()))
    logits: dict[str, list[Tensor]] = {"image_discriminator": [], "latent_discriminator": []}
    for name, calls in logits.items():
        hook = lambda m, i, o, calls=calls: calls.append(o.detach())  # noqa: E731
        recipe.networks[name].register_forward_hook(hook)
    batch = samples("gray", hub)
    with torch.no_grad():
        recipe.encoder.weight.mul_(20)
    report = run(recipe, batch, 1)[0]

    inputs = batch.float() / 127.5 - 1
    norm = kept["offsets"].double().flatten(1).square().sum(1).sqrt().mean()
    assert report["reconstruction"] == pytest.approx(float((kept["output"] - inputs).square().mean()), rel=1e-5)
    assert report["latent_norm"] == pytest.approx(float(norm), rel=1e-5)
    for kind, rows in (("image", BATCH), ("latent", BATCH * hub.num_latents)):
        real, fake, judged = (part.double() for part in logits[f"{kind}_discriminator"])
        assert len(real) == len(fake) == len(judged) == rows
        loss = (1 + (-real).exp()).log().mean() + (1 + fake.exp()).log().mean()
        assert report[f"{kind}_discriminator"] == pytest.approx(float(loss), rel=1e-5)
        assert report[f"{kind}_adversarial"] == pytest.approx(float((1 + (-judged).exp()).log().mean()), rel=1e-5)
        assert not torch.equal(fake, judged), "the networks' step is judged by the updated discriminator"
    ((terms, weights, total),) = totals
    table = {**published_preset("gray").weights, "latent_adversarial": 0.1}
    assert weights == table and set(terms) == {name for name, weight in table.items() if weight}
    assert float(total.detach()) == pytest.approx(sum(table[name] * report[name] for name in terms), rel=1e-5)


def test_published_segmentation_is_cross_entropy(hub):
    recipe = make("segmentation", hub, objective="published")
    kept: list[Tensor] = []
    recipe.regressor.register_forward_hook(lambda m, i, o: kept.append(o.detach()))
    batch = samples("segmentation", hub)
    report = run(recipe, batch, 1)[0]
    expected = -kept[0].log_softmax(1).gather(1, batch.long()).mean()
    assert report["reconstruction"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("kind", ["image", "latent"])
def test_the_discriminators_loss_carries_the_terms_weight(hub, kind):
    gradients = []
    for weight in (0.02, 0.06):
        recipe = make("gray", hub, objective="published", weights={f"{kind}_adversarial": weight})
        objective, critic = recipe.published, recipe.networks[f"{kind}_discriminator"]
        objective.optimizers[f"{kind}_discriminator"] = torch.optim.SGD(critic.parameters(), lr=0.0)
        shape = (4, 3, SIZE, SIZE) if kind == "image" else (8, hub.latent_dim)
        generator = torch.Generator().manual_seed(1)
        reals, fakes = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
        objective._discriminator_step(kind, reals, fakes)
        gradients.append([p.grad.clone() for p in critic.parameters()])
    for small, large in zip(*gradients, strict=True):
        torch.testing.assert_close(3 * small, large, rtol=1e-4, atol=1e-8)
    assert any(float(g.abs().max()) > 0 for g in gradients[0])


def test_published_optimisers_are_ranger_with_the_published_rate(hub):
    recipe = make("gray", hub, objective="published")
    assert set(recipe.optimizers) == {"networks", "image_discriminator"}
    for optimizer in recipe.optimizers.values():
        assert isinstance(optimizer, Ranger) and {group["lr"] for group in optimizer.param_groups} == {1e-4}
    run(recipe, samples("gray", hub), 2)
    assert {group["lr"] for group in recipe.optimizers["networks"].param_groups} == {1e-4}, "no schedule"
    faster = make("gray", hub, objective="published", learning_rate=3e-4)
    assert faster.optimizers["networks"].param_groups[0]["lr"] == 3e-4


def test_attention_norm_is_for_the_attention_regressor(hub):
    attention = {"regressor": {"name": "attention", "resolutions": [16]}, "weights": {"attention_norm": 0.001}}
    recipe = make("gray", hub, objective="published", **attention)
    report = run(recipe, samples("gray", hub), 1)[0]
    assert 0 < report["attention_norm"] < recipe.regressor.in_channels
    with pytest.raises(UsageError, match="'attention_norm' is for the regressor 'attention'"):
        make("gray", hub, objective="published", weights={"attention_norm": 0.001})


def test_a_batch_the_published_discriminators_cannot_group(hub):
    with pytest.raises(UsageError, match="choose --batch as a multiple of 4, not 6"):
        make("gray", hub, objective="published", world_batch=6)
    make("gray", hub, objective="published", world_batch=6, weights={"image_adversarial": 0})


# --- whole runs through the command line ----------------------------------------------------------------------------

# Kills itself (or not) in the step given; a checkpoint every 3 steps.
PROGRAM = """
import functools, os, signal, sys
from anchor_hub.training.anchoring import recipe as anchor_recipe
from anchor_hub.training.engine import trainer
step = anchor_recipe.AnchorRecipe.step
def watched(self, batch, index):
    if index == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)
if __name__ == "__main__":
    anchor_recipe.AnchorRecipe.step = watched
    begin = trainer.Trainer.__init__
    trainer.Trainer.__init__ = functools.partialmethod(begin, checkpoint_every=3)
    sys.argv[1:] = [sys.argv[1], *sys.argv[2:]]
    from anchor_cli.main import app
    from typer.main import get_command
    get_command(app).main(sys.argv[2:])
"""


def weights_of(bundle: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in bundle.glob("*.safetensors")}
    assert set(files) == {"encoder.safetensors", "regressor.safetensors"}
    return files


@pytest.mark.parametrize(("processes", "kind"), [(1, "gray"), (2, "gray"), (2, "segmentation")])
def test_kill_9_and_resume_give_the_uninterrupted_runs_weights(tmp_path, monkeypatch, processes, kind):
    tiny_home(tmp_path, monkeypatch, domains=())
    data = tmp_path / "data"
    for index in range(10):
        write_sample("sketch" if kind == "gray" else "seg", data / f"{index}.png", seed=index)
    (tmp_path / "program.py").write_text(PROGRAM)

    def arguments(which: str) -> list[str]:
        classes = ["--classes", "5"] if kind == "segmentation" else []
        return [
            "add-domain", "mine", "--hub", "tiny", "--data", str(data), "--modality", kind, *classes, "--images", "64",
            "--batch", "8", "--mirror", "--precision", "fp32", "--device", "cpu", "--processes", str(processes),
            "--quiet", "--run-dir", str(tmp_path / which / "run"), "-o", str(tmp_path / which / "bundle"),
        ]  # fmt: skip

    def here(*command: str) -> None:
        result = CliRunner().invoke(app, list(command))
        assert result.exit_code == 0, result.output + repr(result.exception)

    here(*arguments("whole"))
    paths = os.pathsep.join([str(ROOT), str(ROOT / "domains"), str(ROOT / "cli")])
    killed = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), "5", *arguments("killed")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    kept = sorted(path.name for path in (tmp_path / "killed/run/checkpoints").glob("*.pt"))
    assert kept == ["step-00000003.pt"] and not (tmp_path / "killed/bundle").exists()
    here(*arguments("killed"), "--resume")
    assert weights_of(tmp_path / "killed/bundle") == weights_of(tmp_path / "whole/bundle")
    assert Image.open(next((tmp_path / "whole/run/samples").glob("*.png"))).size[0] > SIZE


def test_the_discriminator_is_regularised_lazily(hub, monkeypatch):
    recipe = make("gray", hub)
    calls: list[int] = []
    penalty = anchor_recipe.r1_penalty
    monkeypatch.setattr(anchor_recipe, "r1_penalty", lambda *given: (calls.append(1), penalty(*given))[1])
    run(recipe, samples("gray", hub), 9)
    assert len(calls) == 2, "steps 0 and 8"
    assert isinstance(recipe.networks["discriminator"], nn.Module)


def test_the_articles_adam_is_a_choice(hub):
    recipe = make("gray", hub, objective="published", optimizer="adam")
    assert {type(optimizer) for optimizer in recipe.optimizers.values()} == {torch.optim.Adam}
    assert all(group["lr"] == 1e-4 for optimizer in recipe.optimizers.values() for group in optimizer.param_groups)


def test_the_published_regressor_reads_the_hubs_finest_map(hub):
    """256 px as published, or what a smaller hub has."""
    fine = max(hub.feature_channels)
    assert published_objective.published_resolutions(hub, build_modality({"name": "gray"})) == (fine,)
    recipe = make("gray", hub, objective="published", regressor={"name": "deeper"})
    assert recipe.domain.regressor.resolutions == (fine,)
    chosen = make("gray", hub, objective="published", regressor={"name": "deeper"}, resolutions=(8,))
    assert chosen.domain.regressor.resolutions == (8,)
