"""What a frozen generator spares: conversions of weights that stay, gradients of codes that nobody learns."""

from __future__ import annotations

import copy

import torch

from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

CONFIG = StyleGAN2Config(16, latent_dim=8, mapping_layers=1, channels={4: 8, 8: 8, 16: 4})


def _generator() -> Generator:
    torch.manual_seed(0)
    return Generator(CONFIG).requires_grad_(False)


def _latents() -> torch.Tensor:
    return torch.randn(2, CONFIG.num_latents, 8, generator=torch.Generator().manual_seed(1))


def test_only_the_learned_layers_get_gradients_and_the_same_ones():
    generator, gradients = _generator(), []
    for learned in (None, 2):
        latents = _latents().requires_grad_()
        image = generator.synthesize(latents, learned=learned).image
        gradients.append(torch.autograd.grad(image.square().sum(), latents)[0])
    everything, some = gradients
    torch.testing.assert_close(some[:, :2], everything[:, :2])
    assert not some[:, 2:].any() and everything[:, 2:].abs().amax((0, 2)).min() > 0


def test_a_frozen_weight_that_changes_is_prepared_anew():
    generator, other = _generator(), Generator(CONFIG).requires_grad_(False)
    before = generator.synthesize(_latents()).image
    generator.load_state_dict(other.state_dict())
    after = generator.synthesize(_latents()).image
    assert torch.equal(after, other.synthesize(_latents()).image) and not torch.equal(before, after)
    moved = copy.deepcopy(generator).double()
    torch.testing.assert_close(moved.synthesize(_latents().double()).image.float(), after, atol=1e-4, rtol=1e-4)


def test_a_frozen_generator_computes_what_a_learning_one_does_in_every_precision():
    frozen = _generator()
    learning = copy.deepcopy(frozen).requires_grad_(True)
    for enabled in (False, True, False):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            images = [generator.synthesize(_latents()).image for generator in (frozen, learning)]
        assert torch.equal(*images)


def test_what_a_translation_kept_serves_a_training():
    generator = _generator()
    with torch.inference_mode():
        generator.synthesize(_latents())
    latents = _latents().requires_grad_()
    generator.synthesize(latents).image.sum().backward()
    assert latents.grad is not None and latents.grad.abs().sum() > 0
