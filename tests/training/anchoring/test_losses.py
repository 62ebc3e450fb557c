"""Losses of latent-space anchoring: published numbers, and the properties of our own terms."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.errors import ConfigError
from anchor_hub.training.anchoring import losses
from anchor_hub.training.anchoring.presets import published_preset
from anchor_hub.training.generators.gan_losses import d_logistic, g_nonsaturating
from tests.parity import assert_parity, case_names, load_case, stored_part
from tests.witnesses import losses as witness

CASES = pytest.mark.parametrize("case_name", case_names("lsa_losses"))
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@DTYPES
@CASES
def test_single_terms_equal_published_numbers(case_name, dtype):
    case = load_case(case_name, dtype)
    x, expected = case.inputs, case.expected
    l2 = losses.reconstruction_l2(x["x_hat_img"], x["x_img"])
    one_hot = F.one_hot(x["labels"].long(), case.manifest["config"]["classes"]).permute(0, 3, 1, 2).to(dtype)
    actual = {
        "l2": l2,
        "sketch": l2,
        "landmark": l2,
        "seg": losses.reconstruction_cross_entropy(x["x_hat_logits"], one_hot),
        "w_norm": losses.latent_norm(x["latent"], x["latent_avg"]),
        "w_norm_uncentred": losses.latent_norm(x["latent"]),
        "w_norm_no_avg": witness.latent_norm_over_layers(x["latent"]),
        "attention_norm": losses.attention_norm(x["attention_weights"]),
        "imageD_G": g_nonsaturating(x["D_fake"]),
        "imageD_real": F.softplus(-x["D_real"]).mean(),
        "imageD_fake": F.softplus(x["D_fake"]).mean(),
        "content_term": witness.content_loss(x["feat_a"], x["feat_b"]),
        "style_term": witness.style_loss(x["feat_a"], x["feat_b"]),
        "normalized_content_term": witness.normalised_content_loss(x["feat_a"], x["feat_b"]),
    }
    for name, value in actual.items():
        assert_parity(value.reshape(1), expected[name], name)
    discriminator = d_logistic(x["D_real"], x["D_fake"])
    assert_parity(discriminator.reshape(1), expected["imageD_real"] + expected["imageD_fake"], "D", 1e-6)


@DTYPES
@CASES
@pytest.mark.parametrize(("name", "modality"), [("seg2ffhq", "segmentation"), ("sketch2ffhq", "gray")])
def test_published_totals_and_gradients(case_name, name, modality, dtype):
    """The weights come from the table of published settings, so this test holds the table, too."""
    case = load_case(case_name, dtype)
    preset = published_preset(modality, "code")
    inputs = {key: value.clone() for key, value in case.inputs.items()}
    output = inputs["x_hat_logits" if modality == "segmentation" else "x_hat_img"].requires_grad_()
    latent, fake = inputs["latent"].requires_grad_(), inputs["D_fake"].requires_grad_()
    if preset.reconstruction == "cross-entropy":
        reconstruction = losses.reconstruction_cross_entropy(output, inputs["labels"])
    else:
        reconstruction = losses.reconstruction_l2(output, inputs["x_img"])
    terms = {
        "reconstruction": reconstruction,
        "latent_norm": losses.latent_norm(latent, inputs["latent_avg"]),
        "image_adversarial": g_nonsaturating(fake),
    }
    total = losses.weighted_total(terms, preset.weights)
    total.backward()
    assert_parity(total.reshape(1), case.expected[f"total_{name}"], "total")
    assert_parity(output.grad, case.expected[f"grad_{name}/x_hat"], "gradient of the output")
    stored = case.expected[f"grad_{name}/latent"]
    assert_parity(stored_part(latent.grad, stored), stored, "gradient of the latent")
    assert_parity(fake.grad, case.expected[f"grad_{name}/D_fake"], "gradient of the verdict")


def test_cross_entropy_takes_ids_with_or_without_a_channel_axis():
    logits = torch.randn(2, 5, 4, 4)
    ids = torch.randint(0, 5, (2, 4, 4), dtype=torch.uint8)
    one_hot = F.one_hot(ids.long(), 5).permute(0, 3, 1, 2).float()
    expected = losses.reconstruction_cross_entropy(logits, one_hot)
    assert torch.equal(losses.reconstruction_cross_entropy(logits, ids), expected)
    assert torch.equal(losses.reconstruction_cross_entropy(logits, ids[:, None]), expected)


def test_soft_dice_counts_every_class_the_same():
    ids = torch.zeros(2, 8, 8, dtype=torch.long)
    ids[:, 0, 0] = 1  # one pixel of a small class; class 2 is absent
    one_hot = F.one_hot(ids, 3).permute(0, 3, 1, 2).float()
    assert float(losses.soft_dice(one_hot * 100, one_hot)) == pytest.approx(0, abs=1e-6)
    everything_large = F.one_hot(torch.zeros_like(ids), 3).permute(0, 3, 1, 2).float() * 100
    large = 1 - 2 * 126 / (128 + 126)
    assert float(losses.soft_dice(everything_large, one_hot)) == pytest.approx((large + 1) / 2, abs=1e-5)
    logits = torch.zeros(2, 3, 8, 8, requires_grad=True)
    losses.soft_dice(logits, one_hot).backward()
    assert logits.grad[0, 1, 0, 0] < 0 < logits.grad[0, 1, 4, 4]


def _samples(count: int = 20_000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Correlated codes with uneven variances: samples [N, 8], mean, covariance."""
    torch.manual_seed(0)
    mixing = torch.randn(8, 8) * torch.tensor([3.0, 2.0, 1.0, 1.0, 0.8, 0.6, 0.5, 0.5])[:, None]
    samples = torch.randn(count, 8) @ mixing + torch.arange(8.0)
    return samples, samples.mean(dim=0), samples.T.cov()


def whitening_of(covariance: torch.Tensor) -> torch.Tensor:
    """``covariance ** -1/2``, as ``Hub.whitening`` has it."""
    values, vectors = torch.linalg.eigh(covariance.double())
    return ((vectors * values.rsqrt()) @ vectors.T).float()


def test_mahalanobis_is_one_for_samples_and_large_off_the_hub():
    samples, mean, covariance = _samples()
    whitening = whitening_of(covariance)
    assert abs(float(losses.mahalanobis(samples, mean, whitening)) - 1) < 1e-3
    assert float(losses.mahalanobis(samples.reshape(-1, 10, 8), mean, whitening)) == pytest.approx(
        1, abs=1e-3
    )
    assert float(losses.mahalanobis(mean[None], mean, whitening)) == 0
    # The same step costs more where the hub varies less.
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
    flat = losses.mahalanobis((mean + eigenvectors[:, 0])[None], mean, whitening)
    long = losses.mahalanobis((mean + eigenvectors[:, -1])[None], mean, whitening)
    assert float(flat / long) == pytest.approx(float(eigenvalues[-1] / eigenvalues[0]), rel=1e-3)


def test_mahalanobis_ignores_autocast():
    samples, mean, covariance = _samples(64)
    whitening = whitening_of(covariance)
    with torch.autocast("cpu", torch.bfloat16):
        rough = losses.mahalanobis(samples, mean, whitening)
    assert torch.equal(rough, losses.mahalanobis(samples, mean, whitening))


def test_latent_consistency():
    samples, mean, covariance = _samples()
    whitening = whitening_of(covariance)
    codes = samples[:, None].expand(-1, 3, -1)
    assert float(losses.latent_consistency(codes, samples, mean, whitening)) < 1e-9
    assert float(losses.latent_consistency(codes, codes, mean, whitening)) < 1e-9
    strangers = losses.latent_consistency(codes, samples.roll(1, 0), mean, whitening)
    assert float(strangers) == pytest.approx(2, abs=0.05)


def test_total_refuses_terms_without_a_weight():
    with pytest.raises(ConfigError, match="surprise"):
        losses.weighted_total({"surprise": torch.tensor(1.0)}, {"reconstruction": 1.0})
    with pytest.raises(ConfigError):
        losses.weighted_total({}, {"reconstruction": 1.0})
