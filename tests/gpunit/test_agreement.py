"""How well contents agree across classes."""

from __future__ import annotations

import torch

from anchor_gpunit.agreement import agreement, descriptions, pictures_of_latents, small_pixels
from tests.gpunit.making import generator
from tests.tiny import tiny_biggan


def test_perfect_agreement_and_chance() -> None:
    one = torch.randn(40, 8, generator=generator(0))
    assert agreement(torch.stack((one, one + 1e-4, one)))["nearest"] == 1.0
    assert agreement(torch.stack((one, one)))["ratio"] == 0.0
    chance = agreement(torch.randn(6, 40, 8, generator=generator(1)))
    assert chance["nearest"] < 0.1 and 0.9 < chance["ratio"] < 1.1


def test_by_hand() -> None:
    found = torch.tensor([[[0.0], [10.0]], [[6.0], [11.0]]])
    # Distances 6, 11 and 4, 1: picture 0 of the first class is nearest to 0, 1 to 1; of the second, 0 to 1 and 1 to 1.
    assert agreement(found) == {"nearest": 0.75, "ratio": round(3.5 / 7.5, 4)}


def test_pictures_of_one_latent_in_every_class() -> None:
    hub = tiny_biggan()
    pictures = pictures_of_latents(hub, 3)
    assert pictures.shape == (3, 3, 3, 16, 16)
    alone = hub.of_class(2).image(hub.sample(3, seed=0)).clamp(-1, 1)
    torch.testing.assert_close(pictures[2], alone)
    assert descriptions(pictures, small_pixels(4)).shape == (3, 3, 48)
