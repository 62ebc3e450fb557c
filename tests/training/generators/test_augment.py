"""Differentiable augmentation."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.errors import UsageError
from anchor_hub.training.generators.augment import AUGMENTATIONS, augment, parse_augment


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_changes_every_image_its_own_way_and_passes_gradients(name: str, images: torch.Tensor) -> None:
    torch.manual_seed(1)
    same = images[:1].expand(6, -1, -1, -1).clone().requires_grad_(True)
    changed = augment(same, (name,))
    assert changed.shape == same.shape and not torch.equal(changed[0], changed[1])
    changed.sum().backward()
    assert same.grad is not None and float(same.grad.abs().sum()) > 0
    torch.manual_seed(1)
    assert torch.equal(changed, augment(same, (name,))), "a seed fixes it"


def test_translation_moves_by_an_eighth_at_most(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    for moved, image in zip(augment(images, ("translation",)), images, strict=True):
        inside = [
            torch.equal(moved[:, 2 + dy : 14 + dy, 2 + dx : 14 + dx], image[:, 2:14, 2:14])
            for dy in range(-2, 3)
            for dx in range(-2, 3)
        ]
        assert sum(inside) == 1


def test_cutout_zeroes_a_square_of_half_the_side(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    ones = torch.ones(200, 1, 16, 16)
    cut = augment(ones, ("cutout",)) == 0
    areas = cut.sum(dim=(1, 2, 3))
    assert int(areas.max()) == 64 and int(areas.min()) >= 16  # a quarter of it where the centre is a corner
    rows, columns = torch.where(cut[int(areas.argmax())][0])
    assert rows.max() - rows.min() == columns.max() - columns.min() == 7


def test_colour_keeps_the_places(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    changed = augment(images, ("colour",))
    for before, after in zip(images, changed, strict=True):
        gray = torch.stack([before.mean(0).flatten(), after.mean(0).flatten()])
        assert float(torch.corrcoef(gray)[0, 1]) == pytest.approx(1, abs=1e-4)


def test_names() -> None:
    assert parse_augment("all") == ("colour", "translation", "cutout")
    assert parse_augment("cutout, colour") == ("colour", "cutout") and parse_augment("none") == ()
    with pytest.raises(UsageError, match="Did you mean 'translation'"):
        parse_augment("translations")
    images = torch.zeros(1, 3, 8, 8)
    assert augment(images, ()) is images
