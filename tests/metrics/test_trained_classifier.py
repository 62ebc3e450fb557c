from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.metrics.trained_classifier import SIDE, PictureClassifier, PictureNetwork, _batches, _moved, reduced


def stripes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy pictures of two classes of the same colours: lying and standing stripes."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(count) % 2
    wave = (torch.arange(SIDE) // 4 % 2 * 160).float()
    pictures = torch.where(classes[:, None, None] == 0, wave[None, :, None], wave[None, None, :])
    noise = torch.rand(count, 3, SIDE, SIDE, generator=generator) * 90
    return (pictures[:, None] + noise).to(torch.uint8), classes


def fitted(pictures: Tensor, classes: Tensor, seed: int = 0, steps: int = 25) -> PictureClassifier:
    return PictureClassifier(2, seed, steps=steps).fit(lambda numbers: pictures[numbers], classes)


def test_it_learns_what_tells_classes_apart() -> None:
    classifier = fitted(*stripes(40, 0))
    pictures, classes = stripes(60, 1)
    right = classifier.right(lambda numbers: pictures[numbers], classes)
    assert right.dtype == torch.bool and right.double().mean() > 0.9
    assert classifier.right(lambda numbers: pictures[numbers], 1 - classes).double().mean() < 0.1
    # What a picture is taken for depends on no other picture.
    alone = [classifier.right(lambda _, n=n: pictures[n : n + 1], classes[n : n + 1]) for n in range(60)]
    assert torch.equal(torch.cat(alone), right)


def test_the_same_seed_gives_the_same_network() -> None:
    state = torch.get_rng_state()
    steps: list[int] = []
    pictures, classes = stripes(10, 0)
    first, again, other = (PictureClassifier(2, seed, steps=3) for seed in (0, 0, 1))
    for classifier in (first, again, other):
        classifier.fit(lambda numbers: pictures[numbers], classes, steps.append)
    weights = [classifier.network.head.weight for classifier in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state) and sum(steps) == 9


def test_every_picture_is_seen_before_any_comes_again() -> None:
    seen = torch.cat(list(_batches(50, 25, torch.Generator().manual_seed(0))))
    assert len(seen) == 25 * 32 and all(part.unique().numel() == 50 for part in seen[:750].split(50))


def test_training_pictures_move_and_keep_their_colours() -> None:
    pictures = torch.zeros(64, 3, SIDE, SIDE, dtype=torch.uint8)
    pictures[:, :, 20, 30] = 255
    moved = _moved(pictures, torch.Generator().manual_seed(0))
    assert moved.shape == pictures.shape and moved.dtype == torch.uint8
    places = {tuple(one[0].nonzero()[0].tolist()) for one in moved}
    assert all(int((one == 255).sum()) == 3 for one in moved) and len(places) > 20
    assert {y for y, _ in places} <= set(range(14, 27))


def test_pictures_of_any_side_are_brought_to_one() -> None:
    pictures = torch.randint(0, 256, (3, 3, 100, 100), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    small = reduced(pictures)
    assert small.shape == (3, 3, SIDE, SIDE) and torch.equal(torch.cat([reduced(one[None]) for one in pictures]), small)
    assert torch.equal(reduced(small), small)
    assert PictureNetwork(5)(small).shape == (3, 5)


def test_wrong_calls() -> None:
    with pytest.raises(DataError, match="two classes"):
        PictureClassifier(1)
    nothing: Any = torch.zeros(0, dtype=torch.long)
    with pytest.raises(DataError, match="no pictures"):
        PictureClassifier(2).fit(lambda numbers: numbers, nothing)
