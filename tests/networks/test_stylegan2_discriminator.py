"""The discriminator against stored numbers of a published implementation, and its contract."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
import torch

from anchor_hub.checkpoints.stylegan2_rosinality import config_from, to_ours, to_theirs
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig, minibatch_stddev
from anchor_hub.training.generators.gan_losses import r1_penalty
from tests.parity import ParityCase, assert_gradients, assert_parity, case_names, load_case, numbered, stored_part

SMALL = DiscriminatorConfig(size=16, channels={4: 12, 8: 10, 16: 8})


CASES = [(name, dtype) for name in case_names("stylegan2_rosinality_d") for dtype in (torch.float32, torch.float64)]


@pytest.fixture(scope="module", params=CASES, ids=str)
def published(request: pytest.FixtureRequest) -> tuple[Discriminator, ParityCase]:
    name, dtype = request.param
    case = load_case(name, dtype)
    config = config_from(case.state)
    assert isinstance(config, DiscriminatorConfig) and config.size == case.manifest["config"]["size"]
    discriminator = Discriminator(config).to(dtype)
    discriminator.load_state_dict(to_ours(case.state))
    return discriminator.requires_grad_(False), case


def test_logits_and_features_match_the_published_numbers(published: tuple[Discriminator, ParityCase]) -> None:
    """float64: to 1e-8 beyond the rounding of the stored float32 numbers, see tests.parity.float64_error."""
    discriminator, case = published
    images, want = case.inputs["image"], case.expected
    seen: list[torch.Tensor] = []
    modules = [discriminator.from_rgb, *discriminator.blocks.values()]
    handles = [m.register_forward_hook(lambda m, i, o: seen.append(o)) for m in modules]
    discriminator(images)
    for handle in handles:
        handle.remove()
    maps = numbered(case, "feat_convs.")
    assert len(maps) == len(seen)
    for (name, _), found in zip(maps, seen, strict=True):
        assert_parity(stored_part(found, want[name]), want[name], name)
    ((name, count),) = numbered(case, "stddev_")
    assert count == len(images)
    statistic = minibatch_stddev(seen[-1], discriminator.config.stddev_group)[:, 0, 0, 0]
    assert_parity(statistic, want[name].reshape(-1), name)
    for name, count in numbered(case, "logits_"):
        assert_parity(discriminator(images[: int(count)]), want[name], name)


def test_r1_matches(published: tuple[Discriminator, ParityCase]) -> None:
    discriminator, case = published
    for name, count in numbered(case, "r1_grad_"):
        images = case.inputs["image"][: int(count)].clone().requires_grad_()

        def compute(critic: torch.nn.Module, x: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"images": torch.autograd.grad(critic(x["image"]).sum(), x["image"])[0]}

        assert_gradients(discriminator, {"image": images}, {"images": case.expected[name]}, compute)
        logits = discriminator(images)
        (gradient,) = torch.autograd.grad(logits.sum(), images, retain_graph=True)
        per_sample = gradient.square().flatten(1).sum(1)
        stored = case.expected[name.replace("grad", "per_sample")]
        assert_parity(per_sample, stored.reshape(-1), "per sample")
        mean = case.expected[name.replace("_grad", "")]
        assert_parity(r1_penalty(logits, images).reshape(1), mean.reshape(1), "r1")


def test_conversion_is_invertible_and_refuses_strangers(published: tuple[Discriminator, ParityCase]) -> None:
    discriminator, case = published
    back = to_theirs(discriminator.state_dict(), discriminator.config)
    assert set(back) == set(case.state)
    assert all(torch.equal(back[name], case.state[name]) for name in back)
    with pytest.raises(CheckpointError, match="lacks 'final_conv.1.bias'"):
        to_ours({name: value for name, value in case.state.items() if name != "final_conv.1.bias"})
    with pytest.raises(CheckpointError, match="unknown entries"):
        to_ours(case.state | {"extra.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="FIR kernel"):
        to_ours(case.state | {"convs.1.skip.0.kernel": torch.ones(4, 4)})
    with pytest.raises(CheckpointError, match="neither"):
        config_from({"weight": torch.zeros(1)})


def test_r1_gradients_reach_every_weight_and_are_right() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(SMALL).double()
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    r1_penalty(discriminator(images), images).backward()
    for name, value in discriminator.named_parameters():
        if name != "final_logit.bias" and not name.endswith(".bias"):
            assert value.grad is not None and value.grad.abs().max() > 0, name

    small = images.detach()[:2].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: discriminator(x).sum(), small, fast_mode=True)


def test_minibatch_stddev_groups_are_strided() -> None:
    x = torch.tensor([0.0, 5.0, 2.0, 5.0]).reshape(4, 1, 1, 1).expand(-1, 2, 3, 3)
    statistic = minibatch_stddev(x, 2)  # groups {0, 2} and {1, 3}
    assert statistic.shape == (4, 1, 3, 3)
    assert statistic[:, 0, 0, 0].tolist() == pytest.approx([1.0, 1e-4, 1.0, 1e-4], abs=1e-6)
    with pytest.raises(ValueError, match="multiple"):
        minibatch_stddev(torch.zeros(6, 2, 4, 4), 4)


def test_config_survives_json_and_refuses_nonsense() -> None:
    config = DiscriminatorConfig(64, stddev_group=8)
    assert DiscriminatorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    for values in (
        {},
        {"size": 20},
        {"size": 16, "stddev_features": 3},
        {"size": 16, "stddev_group": 0},
        {"sise": 16},
    ):
        with pytest.raises(ValueError):
            DiscriminatorConfig.from_dict(values)
    with pytest.raises(ValueError, match="images"):
        Discriminator(SMALL)(torch.zeros(4, 3, 32, 32))


def test_bfloat16_autocast_and_channels_last_stay_close() -> None:
    torch.manual_seed(1)
    discriminator = Discriminator(SMALL)
    images = torch.randn(8, 3, 16, 16)
    reference = discriminator(images)
    discriminator.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        fast = discriminator(images.contiguous(memory_format=torch.channels_last))
    assert fast.dtype == torch.float32
    assert (fast - reference).abs().max() < 0.05 * reference.std() + 0.02
