"""Inversion finds latents of an image again, keeps images apart, and never does worse than its start."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.errors import UsageError
from anchor_hub.inversion import invert, pyramid_error
from tests.tiny import SIZE, tiny_hub


@pytest.fixture(scope="module")
def hub():
    return tiny_hub()


@pytest.fixture(scope="module")
def images(hub):
    return hub.image(hub.sample(2, seed=11))


def test_images_of_the_hub_are_found_again(hub, images):
    mean = pyramid_error(hub.image(hub.mean_latent.expand(2, -1)), images)
    latents = invert(hub, images, steps=150, regulariser=0.001)
    assert latents.shape == (2, hub.num_latents, hub.latent_dim)
    assert (pyramid_error(hub.image(latents), images) < 0.05 * mean).all()


def test_space_w_gives_one_code(hub, images):
    latents = invert(hub, images, steps=20, space="w")
    assert torch.allclose(latents, latents[:, :1].expand_as(latents), atol=1e-6)


def test_images_do_not_influence_each_other(hub, images):
    both, alone = invert(hub, images, steps=10), invert(hub, images[1:], steps=10)
    assert torch.allclose(both[1:], alone, atol=1e-3)


def test_no_steps_return_the_start(hub, images):
    start = hub.expand(hub.sample(2, seed=11))
    assert torch.equal(invert(hub, images, steps=0, start=start), start)
    # From the perfect start the regulariser alone pulls; nothing worse in total is ever returned.
    assert (pyramid_error(hub.image(invert(hub, images, steps=5, start=start)), images) < 0.5).all()


def test_the_regulariser_keeps_latents_near_the_samples(hub):
    strange = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mean, whitening = hub.whitening()

    def distance(regulariser: float) -> torch.Tensor:
        latents = invert(hub, strange, steps=60, regulariser=regulariser)
        return ((latents - mean) @ whitening).square().mean()

    assert distance(1.0) < 0.5 * distance(0.0)


def test_the_hub_stays_frozen_and_the_random_state_untouched(hub, images):
    state = torch.get_rng_state()
    invert(hub, images, steps=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert hub.current_fingerprint() == hub.fingerprint
    assert all(p.grad is None for p in hub.generator.parameters())


def test_wrong_arguments(hub, images):
    with pytest.raises(UsageError, match="use 'w' or 'w\\+'"):
        invert(hub, images, space="z")
    with pytest.raises(UsageError, match=r"\[B, 3, 16, 16\]"):
        invert(hub, images[..., :8])
    with pytest.raises(UsageError, match="0 or more"):
        invert(hub, images, steps=-1)
