"""DeepI2I's BigGAN kind against stored numbers of its published code: networks, losses, gradients."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anchor_deepi2i import losses, published_biggan
from anchor_deepi2i.networks import BigGANNetworks, build_networks
from anchor_deepi2i.published import assembled
from anchor_hub.checkpoints import biggan_brock
from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminator
from anchor_hub.training.generators.gan_losses import d_hinge, g_hinge
from tests.parity import ParityCase, assert_gradients, assert_parity, case_names, load_case, stored_part

(NAME,) = case_names("deepi2i_biggan")
SIDES = (32, 16, 8, 4)


def table(case: ParityCase, network: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(f"{network}/"): value for key, value in case.state.items() if key.startswith(f"{network}/")
    }


def file(case: ParityCase, network: str) -> RawCheckpoint:
    return RawCheckpoint(Path(f"{network}.pth"), "torch", table(case, network), None, 0)


def published(case: ParityCase) -> tuple[BigGANNetworks, BigGANDiscriminator]:
    """The networks and the discriminator of the case, not folded."""
    generator: Any = biggan_brock.read(file(case, "G")).generator
    encoder, critic = (biggan_brock.read_discriminator(file(case, name), generator.config) for name in ("E1", "D"))
    fusion = {int(side): weight for side, weight in case.manifest["config"]["E1_fea_w"].items()}
    adaptors, names = table(case, "A1"), published_biggan.adaptor_names
    networks: Any = assembled(BigGANNetworks, encoder, generator, fusion, adaptors, names)
    assert isinstance(critic, BigGANDiscriminator)
    return networks.eval(), critic


@pytest.fixture(scope="module")
def case() -> ParityCase:
    return load_case(NAME)


@pytest.fixture(scope="module")
def made(case: ParityCase) -> tuple[BigGANNetworks, BigGANDiscriminator]:
    return published(case)


def check(actual: Tensor, case: ParityCase, key: str) -> None:
    expected = case.expected[key]
    assert_parity(stored_part(actual, expected, first_channels=True), expected, key)


def near(actual: Tensor, case: ParityCase, key: str) -> None:
    assert_parity(actual.reshape(1), case.expected[key].reshape(1), key)


@pytest.mark.parametrize("folded", [False, True])
@torch.no_grad()
def test_features_adaptors_fusion_and_image(case: ParityCase, folded: bool) -> None:
    networks, _ = published(case)
    if folded:
        networks.freeze()
    inputs = case.inputs
    features = networks.features(inputs["source"])
    adapted = {side: networks.adaptors[str(side)](features[side]) for side in SIDES}
    seen: dict[str, Tensor] = {}
    for number, block in enumerate(networks.generator.blocks.values()):
        block.register_forward_pre_hook(lambda _m, given, number=number: seen.update({str(number): given[0]}))
    image = networks.generate(inputs["z"], inputs["target_class"], networks.adapt(features))
    for side in SIDES:
        check(features[side], case, f"encoder/{side}")
        check(adapted[side], case, f"adaptor/{side}")
    for number in range(5):
        check(seen[str(number)], case, f"generator/input.blocks.{number}")
    check(image, case, "image")
    check(networks.generate(inputs["z"], inputs["target_class"], {}), case, "image_without_features")


@torch.no_grad()
def test_features_of_the_discriminator_and_all_losses(
    case: ParityCase, made: tuple[BigGANNetworks, BigGANDiscriminator]
) -> None:
    networks, critic = made
    inputs = case.inputs
    fake = networks(inputs["source"], inputs["z"], inputs["target_class"])
    fake_logits, fake_maps = critic.judge(fake, inputs["target_class"], SIDES)
    source_logits, source_maps = critic.judge(inputs["source"], inputs["source_class"], SIDES)
    check(fake_logits[:, None], case, "logits_fake")
    check(source_logits[:, None], case, "logits_source")
    for side in SIDES:
        check(fake_maps[side], case, f"d_feat_fake/{side}")
        check(source_maps[side], case, f"d_feat_source/{side}")
    real_logits = critic(inputs["real"], inputs["real_class"])
    check(real_logits[:, None], case, "logits_real")
    near(d_hinge(real_logits, fake_logits) - case.expected["loss/d_fake"], case, "loss/d_real")
    alpha = {int(side): weight for side, weight in case.manifest["config"]["D_fea_w"].items()}
    assert alpha == losses.ALPHA
    terms = losses.pairs(fake_maps, source_maps)
    for side in SIDES:
        near(terms[side], case, f"loss/rec_pairs/{side}")
    near(losses.weighted(terms, alpha), case, "loss/rec_pairs_weighted")
    for batch in (1, 2):
        near(g_hinge(fake_logits[:batch]), case, f"loss/g_adv_batch{batch}")
        terms = losses.published(*({side: maps[side][:batch] for side in SIDES} for maps in (fake_maps, source_maps)))
        for side in SIDES:
            near(terms[side], case, f"loss/rec_published_batch{batch}/{side}")
        total = g_hinge(fake_logits[:batch]) + losses.weighted(terms, alpha)
        near(total, case, f"loss/g_total_published_batch{batch}")


def test_the_papers_loss_is_the_absolute_difference_of_each_pair() -> None:
    made, source = {4: torch.tensor([[1.0], [4.0]])}, {4: torch.tensor([[0.0], [1.0]])}
    assert losses.paper(made, source)[4] == 2.0 and losses.pairs(made, source)[4] == 5.0
    assert losses.published(made, source)[4] == 9.0, "two translations of different images"
    assert losses.weighted({4: torch.tensor(2.0), 8: torch.tensor(3.0)}, {4: 0.1, 8: 0.0}) == pytest.approx(0.2)


class Step(nn.Module):
    """All networks of a generator's step."""

    def __init__(self, networks: BigGANNetworks, critic: BigGANDiscriminator) -> None:
        super().__init__()
        self.networks, self.critic = networks, critic


def test_gradients_of_a_generators_step_in_training_mode(
    case: ParityCase, made: tuple[BigGANNetworks, BigGANDiscriminator]
) -> None:
    networks, critic = made
    names = {f"A1/{theirs}": f"adaptors.{ours}" for ours, theirs in published_biggan.adaptor_names(networks).items()}
    ours = biggan_brock.generator_names(networks.generator.config)
    names |= {f"G/{theirs}": f"generator.{own}" for own, theirs in ours.items()}
    prefix = "train/grad/"
    expected = {key: value for key, value in case.expected.items() if key.startswith(prefix)}
    state: dict[str, Tensor] = {}

    def compute(step: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        assert isinstance(step, Step)
        features = step.networks.features(inputs["source"])
        fake = step.networks.generate(inputs["z"], inputs["target_class"], step.networks.adapt(features))
        both = torch.cat([fake, inputs["source"]])
        logits, maps = step.critic.judge(both, torch.cat([inputs["target_class"], inputs["source_class"]]), SIDES)
        halves = [{side: maps[side].chunk(2)[half] for side in SIDES} for half in (0, 1)]
        adversarial, rec = g_hinge(logits[:2]), losses.weighted(losses.pairs(*halves), losses.ALPHA)
        if not state:
            near(adversarial, case, "train/g_adv")
            near(rec, case, "train/rec_pairs_weighted")
            near(
                adversarial + losses.weighted(losses.published(*halves), losses.ALPHA), case, "train/g_total_published"
            )
            state.update({key: value.clone() for key, value in step.networks.state_dict().items()})
        parameters = dict(step.networks.named_parameters())
        wanted = [parameters[names[key.removeprefix(prefix)]] for key in expected]
        return dict(zip(expected, torch.autograd.grad(adversarial + rec, wanted), strict=True))

    step = copy.deepcopy(Step(networks, critic)).train()
    step.networks.adaptors.requires_grad_(True)
    step.networks.generator.requires_grad_(True)
    assert_gradients(step, case.inputs, expected, compute)
    mean = case.expected["train/G/blocks.1.0.bn1.stored_mean"]
    assert_parity(state[names["G/blocks.1.0.bn1.stored_mean"]], mean, "running mean")
    u = case.expected["train/E1/blocks.1.0.conv1.u0"]
    assert_parity(state["encoder.blocks.1.conv1.u"].reshape(u.shape), u, "power iteration of the encoder")


def test_networks_are_built_again_from_their_description(
    made: tuple[BigGANNetworks, BigGANDiscriminator], case: ParityCase
) -> None:
    networks = copy.deepcopy(made[0]).freeze()
    again = build_networks(networks.describe())
    for part in ("encoder", "adaptors", "generator"):
        again.fold(getattr(again, part), divide=False)
        getattr(again, part).load_state_dict(networks.parts()[part])
    inputs = case.inputs["source"], case.inputs["z"], case.inputs["target_class"]
    with torch.no_grad():
        assert torch.equal(again(*inputs), networks(*inputs))
