"""Edge and region agreement: cases known by hand, ranges, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.training.anchoring.structure import edge_agreement_loss, edge_strength, region_colour_loss

K = 5


def blocks(seed: int, count: int = 2, classes: int = K, size: int = 32) -> Tensor:
    """One-hot label maps of 8-px blocks, [count, classes, size, size]."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, classes, (count, size // 8, size // 8), generator=generator)
    ids = ids.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)
    return F.one_hot(ids, classes).permute(0, 3, 1, 2).float()


def painted(maps: Tensor, seed: int = 0) -> Tensor:
    """The maps with a colour of its own for every class, [count, 3, size, size]."""
    colours = torch.rand(maps.shape[1], 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.einsum("bkhw,kc->bchw", maps, colours)


def test_edge_strength_of_a_step_by_hand():
    image = torch.zeros(1, 1, 5, 6)
    image[..., 3:] = 2.0
    strength = edge_strength(image)
    assert strength.shape == (1, 1, 5, 6)
    # The gradient is 2 in column 2 and 0 (1e-3 under the root) elsewhere; the blur spreads it over three columns.
    expected = torch.tensor([0.0, 2 / 3, 2 / 3, 2 / 3, 0.0, 0.0])
    torch.testing.assert_close(strength[0, 0], expected.expand(5, 6), atol=2e-3, rtol=0)


def test_edge_strength_joins_channels_by_their_length():
    image = torch.zeros(1, 2, 4, 4)
    image[:, 0, :, 2:], image[:, 1, :, 2:] = 3.0, 4.0
    # 3-4-5; columns 0 to 2 see the step's column among the two or three they average.
    expected = torch.tensor([5 / 2, 5 / 3, 5 / 3, 0.0]).expand(4, 4)
    torch.testing.assert_close(edge_strength(image)[0, 0], expected, atol=2e-3, rtol=0)


def test_edges_of_a_picture_agree_with_themselves_in_any_contrast_and_sign():
    maps = blocks(0)
    picture = painted(maps)
    assert float(edge_agreement_loss(picture, picture)) == pytest.approx(0, abs=1e-4)
    assert float(edge_agreement_loss(picture, -0.3 * picture + 0.2)) == pytest.approx(0, abs=0.02)


def test_edges_of_the_right_map_agree_better_than_of_another():
    maps = blocks(0, count=4)
    picture = painted(maps)
    right, wrong = edge_agreement_loss(maps, picture), edge_agreement_loss(maps.roll(1, 0).roll(3, -1), picture)
    assert 0 <= float(right) < 0.2 < float(wrong) <= 2
    pixels = torch.randperm(32 * 32, generator=torch.Generator().manual_seed(0))
    shuffled = maps.flatten(2)[..., pixels].view_as(maps)
    assert float(edge_agreement_loss(shuffled, picture)) > 0.5


def test_a_flat_picture_has_no_edges_to_agree_with():
    loss = edge_agreement_loss(blocks(0), torch.full((2, 3, 32, 32), 0.3))
    assert float(loss) == pytest.approx(1, abs=1e-3)


def test_opposite_edges_count_up_to_two():
    column = torch.zeros(1, 1, 8, 8)
    column[..., 2:] = 1
    ramp = torch.cumsum(1 - (edge_strength(column) > 0.1).float(), -1)
    assert 1 < float(edge_agreement_loss(column, ramp)) <= 2


@pytest.mark.parametrize("loss", [edge_agreement_loss, region_colour_loss])
def test_pictures_of_another_size_are_resized(loss):
    maps = blocks(1)
    large = F.interpolate(painted(maps), scale_factor=2, mode="nearest")
    assert float(loss(maps, large)) == pytest.approx(float(loss(maps, painted(maps))), abs=0.1)


def test_a_perfect_partition_leaves_no_variance():
    maps = blocks(0)
    assert float(region_colour_loss(maps, painted(maps))) == pytest.approx(0, abs=1e-4)


def test_region_loss_by_hand():
    # Two regions of two pixels; colours 0, 2 in the first and 4, 4 in the second: residual 2 of total 11.
    maps = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0, 1.0]]]])
    picture = torch.tensor([[[[0.0, 2.0, 4.0, 4.0]]]])
    assert float(region_colour_loss(maps, picture)) == pytest.approx(2 / 11, abs=1e-3)


def test_a_shuffled_map_explains_less():
    maps = blocks(0)
    picture = painted(maps)
    pixels = torch.randperm(32 * 32, generator=torch.Generator().manual_seed(0))
    shuffled = maps.flatten(2)[..., pixels].view_as(maps)
    assert float(region_colour_loss(shuffled, picture)) > 0.9
    assert 0.2 < float(region_colour_loss(maps.roll(5, -1), picture)) < float(region_colour_loss(shuffled, picture))


@pytest.mark.parametrize("seed", range(5))
def test_ranges_on_noise(seed):
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randn(2, 3, 32, 32, generator=generator)
    maps = blocks(seed)
    assert 0 <= float(region_colour_loss(maps, picture)) <= 1.001
    assert 0 <= float(edge_agreement_loss(maps, picture)) <= 2


@pytest.mark.parametrize("loss", [edge_agreement_loss, region_colour_loss])
def test_gradients_reach_both_sides_and_descending_helps(loss):
    maps = (blocks(0) * 0.9 + 0.1 / K).requires_grad_()
    picture = (painted(blocks(3)) + 0.01).requires_grad_()
    before = loss(maps, picture)
    before.backward()
    for tensor in (maps, picture):
        assert torch.isfinite(tensor.grad).all() and float(tensor.grad.abs().sum()) > 0
    step = picture.grad * (1e-3 / picture.grad.abs().max())
    assert float(loss(maps, picture - step).detach()) < float(before.detach())


@pytest.mark.parametrize("loss", [edge_agreement_loss, region_colour_loss])
def test_gradients_are_finite_where_nothing_changes(loss):
    picture = torch.zeros(1, 3, 16, 16, requires_grad=True)
    maps = torch.zeros(1, K, 16, 16)
    maps[:, 0] = 1
    maps.requires_grad_()
    loss(maps, picture).backward()
    assert torch.isfinite(picture.grad).all() and torch.isfinite(maps.grad).all()


@pytest.mark.parametrize("loss", [edge_agreement_loss, region_colour_loss])
def test_bfloat16_pictures_are_compared_in_float32(loss):
    maps = blocks(0)
    value = loss(maps, painted(maps).bfloat16())
    assert value.dtype == torch.float32 and float(value) < 0.2
