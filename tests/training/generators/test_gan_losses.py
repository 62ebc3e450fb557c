"""The training losses against stored numbers of a published implementation."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.training.engine.average import ema_decay, ema_update, lerp_parameters
from anchor_hub.training.generators.gan_losses import (
    d_logistic,
    g_nonsaturating,
    lazy_adam_settings,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)
from tests.parity import ParityCase, assert_parity, case_names, load_case

CASES = [(name, dtype) for name in case_names("stylegan2_train_losses") for dtype in (torch.float32, torch.float64)]


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> ParityCase:
    return load_case(*request.param)


def check(case: ParityCase, name: str, value: torch.Tensor) -> None:
    expected = case.expected[name]
    assert value.numel() == expected.numel()
    assert_parity(value.reshape(expected.shape), expected, name)


def test_adversarial_losses(case: ParityCase) -> None:
    real = case.inputs["real_pred"].requires_grad_()
    fake = case.inputs["fake_pred"].requires_grad_()
    loss = d_logistic(real, fake)
    check(case, "d_logistic", loss)
    for name, gradient in zip(("real", "fake"), torch.autograd.grad(loss, (real, fake)), strict=True):
        check(case, f"d_logistic_grad_{name}", gradient)
    loss = g_nonsaturating(fake)
    check(case, "g_nonsaturating", loss)
    check(case, "g_nonsaturating_grad", torch.autograd.grad(loss, fake)[0])


def test_r1(case: ParityCase) -> None:
    images = case.inputs["real_img"].requires_grad_()
    a, b = case.inputs["toy_d_a"].requires_grad_(), case.inputs["toy_d_b"].requires_grad_()
    logits = (a * images + 0.5 * b * images.square()).flatten(1).sum(1)
    check(case, "toy_d_logits", logits)
    penalty = r1_penalty(logits, images)
    config = case.manifest["config"]
    weighted = config["r1"] / 2 * penalty * config["d_reg_every"]
    check(case, "r1_penalty", penalty)
    check(case, "r1_weighted", weighted)
    grad_a, grad_b = torch.autograd.grad(weighted, (a, b))
    check(case, "r1_weighted_grad_a", grad_a)
    check(case, "r1_weighted_grad_b", grad_b)


def test_path_length(case: ParityCase) -> None:
    config = case.manifest["config"]
    latents = case.inputs["latents"].requires_grad_()
    kernel = case.inputs["toy_g_k"].requires_grad_()
    images = torch.tanh(torch.einsum("chwld,nld->nchw", kernel, latents))
    check(case, "toy_g_image", images)
    lengths = path_lengths(images, latents, noise=case.inputs["pl_noise"])
    check(case, "path_lengths", lengths)
    mean = torch.tensor(config["mean_path_length"], dtype=latents.dtype)
    penalty, new_mean = path_length_penalty(lengths, mean, config["pl_decay"])
    check(case, "path_penalty", penalty)
    check(case, "path_mean_new", new_mean)
    assert not new_mean.requires_grad
    weighted = config["path_regularize"] * config["g_reg_every"] * penalty
    check(case, "path_weighted", weighted)
    check(case, "path_weighted_grad_k", torch.autograd.grad(weighted, kernel)[0])


def test_path_length_noise_is_reproducible() -> None:
    latents = torch.randn(2, 3, 4, requires_grad=True)
    images = latents.square().sum((1, 2))[:, None, None, None] * torch.ones(1, 3, 4, 4)
    first, second, third = (
        path_lengths(images, latents, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, second) and not torch.equal(first, third)


def test_ema(case: ParityCase) -> None:
    average = case.inputs["ema_old"].clone()
    decay = case.manifest["config"]["ema_decay"]
    lerp_parameters([average], [case.inputs["ema_new"]], decay)
    check(case, "ema_result", average)
    assert ema_decay(32) == pytest.approx(0.5 ** (32 / 10_000), rel=1e-12)
    assert ema_decay(16, 0) == 0.0


def test_ema_update_averages_parameters_and_copies_buffers() -> None:
    average, model = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    torch.nn.init.constant_(model.weight, 3.0)
    model.running_mean += 7  # type: ignore[operator]
    ema_update(average, model, 0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.running_mean is not None and average.running_mean.tolist() == [7, 7]


def test_lazy_adam_settings() -> None:
    learning_rate, betas = lazy_adam_settings(0.002, (0.0, 0.99), 16)
    assert learning_rate == pytest.approx(0.002 * 16 / 17)
    assert betas == pytest.approx((0.0, 0.99 ** (16 / 17)))
    assert lazy_adam_settings(0.002, (0.0, 0.99), None) == (0.002, (0.0, 0.99))
    with pytest.raises(ValueError, match="interval"):
        lazy_adam_settings(0.002, (0.0, 0.99), 0)
