"""Losses of both stages and the training of the style sampler: parity with stored numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anchor_gpunit import losses, released
from anchor_gpunit.imle import SamplerTraining, train_epoch, train_sampler, with_rare_styles
from anchor_gpunit.networks.sampler import StyleSampler
from tests.gpunit import published
from tests.gpunit.published import case_of, enlarged, part
from tests.parity import assert_parity, case_names, stored_part


def one(value: Tensor) -> Tensor:
    return value.detach().reshape(1)


def stored_parameters(network: nn.Module, rename: Any, names: Sequence[str]) -> dict[str, nn.Parameter]:
    """The parameters of these published names; the only ones whose gradients are stored, so no others are computed."""
    found = dict(network.named_parameters())
    return {name: found[next(iter(rename({name: torch.zeros(())})))] for name in names}


def descend(loss: Tensor, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The parameters' gradients, this loss's added to what earlier ones left; the loss's graph is kept."""
    loss.backward(inputs=list(parameters.values()), retain_graph=True)  # type: ignore[no-untyped-call]
    result = {}
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        result[name] = parameter.grad
    return result


# ------------------------------------------------------------------------------------------------ stage II


VARIANTS = [
    (name, tuple(variant)) for name in case_names("gpunit_losses") for variant in case_of(name)[0]["config"]["variants"]
]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_generator_step(name: str, variant: tuple[str, int, bool, bool]) -> None:
    """In float64: the signs inside L1 losses flip by float32's rounding."""
    manifest, state, inputs, expected = case_of(name, torch.float64)
    (key, layer, all_skips, flip), config = variant, manifest["config"]
    x, y = enlarged(inputs["x64"]), enlarged(inputs["y64"])
    encoder = published.content_encoder(part(state, "netEC.")).requires_grad_(False)
    generator = published.generator(part(state, "netG."))
    critic = published.discriminator(part(state, "netD."), config["max_conv_dim"]).requires_grad_(False)
    with torch.no_grad():
        source, target = encoder(x), encoder(y)
        real, (wanted,) = critic(y, [layer])
    code = generator.style(y.flip(3) if flip else y)
    made = generator(source, code)
    again = generator(target, code, use_skips=all_skips)
    fake, (style,) = critic(made.images, [layer])
    found = {
        "adv": losses.generator_loss(fake, saturating=False),
        "con": config["lambda_content"] * losses.content_loss(encoder.content(made.images), source[0]),
        "sty": config["lambda_style"] * losses.style_loss(style, wanted),
        "msk": config["lambda_mask"] * losses.mask_loss(made.masks),
        "rec_l1": config["lambda_reconstruction"] * losses.reconstruction_loss(again.images, y),
    }
    found["total"] = sum(found.values(), start=x.new_zeros(()))
    for what, value in found.items():
        assert_parity(one(value), expected[f"{key}/g_{what}"], f"{key}/g_{what}")
    assert_parity(made.images[:, :, ::8, ::8].detach(), expected[f"{key}/yhat_sub"])
    assert_parity(again.images[:, :, ::8, ::8].detach(), expected[f"{key}/ybar_sub"])
    assert_parity(fake.detach(), expected[f"{key}/logits_fake"])
    assert_parity(real, expected[f"{key}/logits_real"])
    assert_parity(one(losses.discriminator_loss(real, fake)), expected[f"{key}/d_adv"])
    parameters = stored_parameters(generator, released.generator, names_under(f"{key}/grad_g/", expected))
    check(descend(found["total"], parameters), expected, f"{key}/grad_g/")


@pytest.mark.parametrize(("name", "variant"), VARIANTS[:1])
def test_discriminator_step(name: str, variant: tuple[str, int, bool, bool]) -> None:
    """Variants differ in the fakes alone."""
    manifest, state, inputs, expected = case_of(name, torch.float64)
    key, config = variant[0], manifest["config"]
    x, y = enlarged(inputs["x64"]), enlarged(inputs["y64"]).requires_grad_()
    generator = published.generator(part(state, "netG."))
    # In training mode, as stored: its vectors are converged to float32's rounding, which the square of R1 shows.
    critic = published.discriminator(part(state, "netD."), config["max_conv_dim"]).train()
    with torch.no_grad():
        maps = published.content_encoder(part(state, "netEC."))(x)
        made = generator(maps, generator.style(y.flip(3) if variant[3] else y)).images
    real, _ = critic(y)
    penalty = losses.r1_penalty(real, y)
    assert_parity(one(penalty), expected[f"{key}/d_r1"])
    parameters = stored_parameters(critic, released.discriminator, names_under(f"{key}/grad_d/", expected))
    check(descend(penalty, parameters), expected, f"{key}/grad_r1/")
    adversarial = losses.discriminator_loss(real, critic(made)[0])
    assert_parity(one(adversarial + penalty), expected[f"{key}/d_total"])
    check(descend(adversarial, parameters), expected, f"{key}/grad_d/")


@pytest.mark.parametrize("name", case_names("gpunit_losses"))
def test_losses_of_logits_and_the_average(name: str) -> None:
    _, _, inputs, expected = case_of(name)
    fake, real = inputs["logits_fake"], inputs["logits_real"]
    assert_parity(one(losses.generator_loss(fake, saturating=False)), expected["adv/generator"])
    assert_parity(one(losses.discriminator_loss(real, fake)), expected["adv/discriminator"])
    assert_parity(real[:3].lerp(fake[:3], 1 - 0.999), expected["ema/weight"])


def names_under(prefix: str, expected: Mapping[str, Tensor]) -> list[str]:
    """What is stored under ``prefix``: one name at least."""
    names = [key.removeprefix(prefix) for key in expected if key.startswith(prefix)]
    assert names, prefix
    return names


def check(gradients: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str) -> None:
    """All gradients stored under ``prefix``."""
    for name in names_under(prefix, expected):
        assert_parity(gradients[name], expected[prefix + name], prefix + name)


def test_the_papers_forms_are_the_defaults() -> None:
    logits = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    saturating = torch.log(1 - torch.sigmoid(logits)).mean()
    assert torch.allclose(losses.generator_loss(logits), saturating)
    first, second = (torch.randn(3, 1, 4, 4, requires_grad=True) for _ in range(2))
    losses.distance_loss(first, second).backward()  # type: ignore[no-untyped-call]
    assert first.grad is not None and second.grad is not None and torch.equal(first.grad, -second.grad)
    content = torch.ones(4, 1, 2, 2)
    assert float(losses.norm_loss(content)) == 2.0 and float(losses.norm_loss(content, whole_batch=True)) == 4.0


# ------------------------------------------------------------------------------------------------ stage I


@pytest.mark.parametrize("name", case_names("gpunit_distillation"))
def test_stage_one(name: str) -> None:
    manifest, state, inputs, expected = case_of(name, torch.float64)
    config = manifest["config"]
    pairs, deviation = config["batch"], config["noise"]
    images, labels = enlarged(inputs["imgs64"]), inputs["labels"]
    shapes = losses.shapes_at(enlarged(inputs["masks64"]), 16)
    assert_parity(shapes, expected["masks16"])
    for variant in ("noflip", "flip"):
        network = published.autoencoder(state).train()
        styled = images.flip(3) if variant == "flip" else images
        made = network(images, labels, pairs=pairs, noise=deviation * inputs["noise"], styled=styled)
        first, second = made.content[-2 * pairs :].chunk(2)
        parts = {
            "arec_l2": config["lambda_app_rec"] * losses.appearance_loss(made.images, images),
            "srec": config["lambda_shape_rec"] * losses.shape_loss(made.shapes, shapes),
            "fdist": config["lambda_feat_dist"] * losses.distance_loss(first, second, one_sided=True),
            "sdist": config["lambda_shape_dist"] * losses.shape_loss(made.exchanged, shapes[-2 * pairs :]),
            "reg_norm": config["lambda_reg"] * losses.norm_loss(made.content, whole_batch=True),
            "reg_class": config["lambda_class"] * losses.class_loss(made.logits, labels),
        }
        parts["total"] = sum(parts.values(), start=images.new_zeros(()))
        values = {f"loss_{what}": one(value) for what, value in parts.items()} | {
            "content": made.content, "recon_mask": made.shapes, "trans_mask": made.exchanged,
            "class_logits": made.logits, "recon_sub": made.images[:, :, ::8, ::8],
        }  # fmt: skip
        moments = network.style(styled)
        for number, (mean, std) in enumerate(moments, 1):
            values |= {f"style{number}_mean": mean, f"style{number}_std": std}
        if variant == "noflip":
            (of_distance,) = torch.autograd.grad(parts["fdist"], made.content, retain_graph=True)
            of_class = torch.autograd.grad(
                parts["reg_class"], (made.content, network.classifier.linear.weight), retain_graph=True
            )
            values |= {"grad_fdist_wrt_content": of_distance, "grad_class_wrt_content": of_class[0]}
            values["grad_class_wrt_fc3"] = of_class[1]
        (values["grad_total/content"],) = torch.autograd.grad(parts["total"], made.content, retain_graph=True)
        names = [name for name in names_under(f"{variant}/grad_total/", expected) if name != "content"]
        parameters = stored_parameters(network, released.autoencoder, names)
        values |= {f"grad_total/{name}": value for name, value in descend(parts["total"], parameters).items()}
        for key in (key for key in expected if key.startswith(f"{variant}/")):
            assert_parity(values[key.removeprefix(f"{variant}/")].detach(), expected[key], key)
    network = published.autoencoder(state)
    with torch.no_grad():
        content = network.content.content(images[:1])
        picture, shape = network.reconstruct(content, network.style(images[:1]), labels[:1])
    assert_parity(content, expected["eval_no_noise/content"])
    assert_parity(stored_part(picture, expected["eval_no_noise/recon_sub"]), expected["eval_no_noise/recon_sub"])
    assert_parity(shape, expected["eval_no_noise/mask"])


# ------------------------------------------------------------------------------------------------ style sampler


@pytest.mark.parametrize("name", case_names("gpunit_sampler"))
def test_training_of_the_sampler(name: str) -> None:
    manifest, state, inputs, expected = case_of(name, torch.float64)
    config = manifest["config"]
    network = published.sampler(state)
    for epoch in range(config["epochs"]):
        rate = config["lr"] * 0.5 ** (epoch // config["decay_epochs"])
        noises, order = list(inputs[f"epoch{epoch}/e"]), inputs[f"epoch{epoch}/perm"]
        chosen, steps = train_epoch(network, inputs["codes"], noises, order, rate, config["bs"])
        assert torch.equal(chosen, expected[f"imle/epoch{epoch}/nearest_index"].long())
        found = torch.tensor(steps, dtype=torch.float64)
        assert_parity(found, expected[f"imle/epoch{epoch}/step_losses"])
    network.eval()
    assert network.norm_2.running_var is not None
    assert_parity(network.linear_out.weight.detach(), expected["imle/final/lin_out.weight"])
    assert_parity(network.norm_1.weight.detach(), expected["imle/final/bn1.weight"])
    assert_parity(network.norm_2.running_var, expected["imle/final/bn2.running_var"])
    with torch.no_grad():
        assert_parity(network(inputs["e"]), expected["imle/final/eval_codes"])


def test_a_sampler_learns_where_codes_lie() -> None:
    """Codes on a short line: what is sampled lies near it, with the codes' spread."""
    torch.manual_seed(0)
    codes = torch.linspace(1, 3, 256)[:, None] * torch.tensor([1.0, 2.0, 0.5])
    network = StyleSampler(3, noise_dim=8, hidden=32)
    seen: list[tuple[int, int, float]] = []
    how = SamplerTraining(batch=64, learning_rate=1e-2, codes_seen=256 * 40)
    train_sampler(network, codes, torch.Generator().manual_seed(0), how, lambda *told: seen.append(told))
    assert not network.training and [told[:2] for told in seen] == [(number, 40) for number in range(1, 41)]
    assert seen[-1][2] < 0.2 * seen[0][2]
    with torch.no_grad():
        drawn = network(torch.randn(200, 8, generator=torch.Generator().manual_seed(1)))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.5)
    assert bool((drawn.std(0) > 0.3 * codes.std(0)).all())


def test_rare_styles_are_repeated() -> None:
    codes = torch.zeros(4000, 2)
    codes[:, 0] = torch.arange(4000.0)
    repeated = with_rare_styles(codes)
    assert len(repeated) == 4000 + 2000 + 1000 + 500 + 250
    distance = (repeated[4000:] - codes.mean(0)).abs().sum(1)
    assert float(distance[:2000].min()) > float((codes - codes.mean(0)).abs().sum(1).median()) - 1
    assert float(distance[-250:].min()) > 1870 and len(with_rare_styles(codes[:999])) == 999
