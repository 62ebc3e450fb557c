"""Discriminators: the published latent discriminator's numbers, and the patch discriminator's contract."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.networks.anchor_discriminators import LatentDiscriminator, PatchDiscriminator
from anchor_hub.training.anchoring import losses
from anchor_hub.training.generators.gan_losses import d_logistic, g_nonsaturating
from tests.parity import assert_parity, case_names, load_case
from tests.witnesses.networks import latent_discriminator_from_published


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", case_names("lsa_losses"))
def test_latent_discriminator_equals_published_numbers(name, dtype):
    case = load_case(name, dtype)
    expected, inputs = case.expected, case.inputs
    discriminator = latent_discriminator_from_published(case.state, inputs["latent_avg"])
    rows = losses.latent_rows(inputs["latent"])
    fake, real = discriminator(rows[: len(expected["latentD_pred_fake"])]), discriminator(inputs["w_real"])
    assert_parity(fake, expected["latentD_pred_fake"], "fake")
    assert_parity(real, expected["latentD_pred_real"], "real")
    assert_parity(F.softplus(-real).mean().reshape(1), expected["latentD_real"], "real term")
    assert_parity(F.softplus(fake).mean().reshape(1), expected["latentD_fake"], "fake term")
    both = d_logistic(real, fake).reshape(1)
    assert_parity(both, expected["latentD_real"] + expected["latentD_fake"], "both", 1e-4)
    generator = g_nonsaturating(discriminator(rows)).reshape(1)
    assert_parity(generator, expected["latentD_G"], "generator term")


def test_rows_must_form_groups():
    discriminator = LatentDiscriminator(16, torch.zeros(4, 16))
    assert discriminator(torch.randn(3, 16)).shape == (3, 1)
    with pytest.raises(ValueError, match="groups of 4"):
        discriminator(torch.randn(6, 16))


def test_mean_latent_is_not_part_of_the_weights():
    assert set(LatentDiscriminator(8, torch.ones(8)).state_dict()) == {
        "hidden.weight",
        "hidden.bias",
        "output.weight",
        "output.bias",
    }


def test_patch_discriminator_is_twice_differentiable():
    discriminator = PatchDiscriminator(5, width=8)
    images = torch.randn(2, 5, 64, 64, requires_grad=True)
    logits = discriminator(images)
    assert logits.shape == (2, 1, 8, 8)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(
        parameter.grad is not None for name, parameter in discriminator.named_parameters() if "weight" in name
    )


def test_a_patch_sees_only_its_surroundings():
    discriminator = PatchDiscriminator(1, width=8, num_layers=2)
    images = torch.zeros(1, 1, 64, 64, requires_grad=True)
    discriminator(images)[0, 0, 0, 0].backward()
    reach = images.grad.nonzero()[:, 2:].max()
    assert 8 <= reach < 32


def test_a_patch_discriminator_with_detail_soon_tells_sharp_lines_from_blurred_ones():
    torch.manual_seed(0)
    critic = PatchDiscriminator(1, width=8, num_layers=2, detail=True)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.99))
    losses = []
    for _ in range(60):
        lines = torch.where(torch.rand(16, 1, 16, 16) < 0.15, -1.0, 1.0)
        blurred = F.avg_pool2d(torch.where(torch.rand_like(lines) < 0.15, -1.0, 1.0), 3, 1, 1)
        loss = F.softplus(-critic(lines)).mean() + F.softplus(critic(blurred)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.5 * losses[0], losses[::6]
