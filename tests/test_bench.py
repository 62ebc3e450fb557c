"""`make bench`: the plain networks give what the library's give; counts, orders and doubts are right."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anchor_hub.domains.loading import load_domain
from anchor_hub.networks.encoders import build_encoder
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig
from benchmarks import machine, plain, plain_domains
from benchmarks.__main__ import line, main
from benchmarks.measuring import Piece, Worker, count_flops
from benchmarks.rows import ROWS, add

CHANNELS = {4: 16, 8: 16, 16: 8, 32: 8}


def shaken(network: nn.Module) -> nn.Module:
    """The network with biases and noise strengths that are not zero."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                value.add_(torch.randn_like(value) * 0.3)
    return network.requires_grad_(False)


def close(first: Tensor, second: Tensor) -> None:
    assert first.abs().max() > 0.1
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_the_plain_generator_is_the_generator() -> None:
    torch.manual_seed(1)
    ours = shaken(Generator(StyleGAN2Config(32, latent_dim=16, channels=CHANNELS)))
    other = plain.Generator(ours.config)
    other.load_state_dict(ours.state_dict())
    w = ours.mapping(torch.randn(3, 16))
    close(other.mapping(torch.ones(3, 16)), ours.mapping(torch.ones(3, 16)))
    latents = torch.stack([w * (1 + layer / 8) for layer in range(ours.config.num_latents)], 1)
    for noise in ("const", "none"):
        first = ours.synthesize(latents, noise=noise, features=[8, 32])
        second = other.synthesis(latents, noise=noise, features=[8, 32])
        close(second.image, first.image)
        for resolution in (8, 32):
            close(second.features[resolution], first.features[resolution])


def test_the_plain_generator_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="classes"):
        plain.Generator(StyleGAN2Config(32, latent_dim=16, channels=CHANNELS, classes=3))


def test_the_plain_discriminator_is_the_discriminator() -> None:
    torch.manual_seed(2)
    ours = shaken(Discriminator(DiscriminatorConfig(32, channels=CHANNELS)))
    other = plain.Discriminator(ours.config)
    other.load_state_dict(ours.state_dict())
    images = torch.randn(8, 3, 32, 32)
    close(other(images), ours(images))


@pytest.mark.parametrize("name", ["seg", "face", "landmark"])
def test_the_plain_networks_of_domains_are_theirs(name: str) -> None:
    domain = load_domain(name, device="cpu")
    images = torch.randn(2, domain.modality.input_channels, 64, 64)
    with torch.no_grad():
        close(plain_domains.Encoder(domain.encoder)(images), domain.encoder(images))
        if isinstance(domain.regressor, nn.Module):
            features = domain.hub.features(domain.hub.sample(2, seed=0), domain.regressor.resolutions)
            reader = plain_domains.MapReader(domain.regressor, domain.hub.feature_channels)
            close(reader(features), domain.regressor(features))


def test_the_plain_published_encoder_is_the_encoder() -> None:
    torch.manual_seed(3)
    ours = shaken(build_encoder("psp", in_channels=3, num_latents=10, latent_dim=16, input_size=32)).eval()
    images = torch.randn(2, 3, 32, 32)
    close(plain_domains.PublishedEncoder(ours)(images), ours(images))


def test_the_plain_step_trains() -> None:
    torch.manual_seed(4)
    config = StyleGAN2Config(32, latent_dim=16, channels=CHANNELS)
    critic = plain.Discriminator(DiscriminatorConfig(32, channels=CHANNELS))
    step = plain.HubStep(plain.Generator(config), critic, 1.0, 0.002, 0.9)
    before = [value.clone() for value in (*step.generator.parameters(), *critic.parameters())]
    step(torch.randn(4, 3, 32, 32), True)
    after = [*step.generator.parameters(), *critic.parameters()]
    moved = sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    # Everything but the strengths of the noise, which is off.
    assert moved == len(before) - len(config.resolutions) * 2 + 1


def test_flops_are_counted_forward_backward_and_under_inference_mode() -> None:
    conv = nn.Conv2d(8, 16, 3, padding=1, bias=False)
    images = torch.randn(2, 8, 10, 10, requires_grad=True)
    once = 2 * 2 * 8 * 16 * 9 * 100
    with torch.inference_mode():
        assert count_flops(lambda: conv(images.detach())) == once
    assert count_flops(lambda: conv(images).sum().backward()) == 3 * once

    def penalty() -> None:
        leaf = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(conv(leaf).square().sum(), leaf, create_graph=True)
        gradient.square().sum().backward()

    assert count_flops(penalty) > 3 * once


def test_a_worker_weighs_parts_and_takes_times_of_other_processes() -> None:
    given = {"cpu": 2.0, "wall": 3.0, "memory": 7.0}
    piece = Piece([(0.25, lambda: given), (0.5, lambda: given)], units=4)
    worker = Worker(lambda cache: piece, Path())
    worker.warm()
    assert worker.run() == {"cpu": 1.5, "wall": 2.25, "memory": 7.0}
    assert worker.describe()["units"] == 4 and worker.flops() == {"flops": 0.0}


def test_a_line_divides_by_the_units() -> None:
    found = {
        "what": "work", "note": "batch 4", "units": 4, "flops_per_unit": 3e9, "share": 0.5, "plain_ratio": 2.0,
        "ours": {"cpu": 0.4, "wall": 1.0, "memory": 10.0},
    }  # fmt: skip
    assert line("x", found, "cpu", False) == ["x", "work (batch 4)", "100", "10", "10", "3", "50%", "2.00"]


def test_a_busy_machine_is_named() -> None:
    quiet = {"load_before": 0.1, "cores": 2}
    assert machine.busy(quiet, [10.0, 10.5]) == []
    assert len(machine.busy({"load_before": 3.0, "cores": 2}, [10.0, 20.0])) == 2


def test_rows_have_names_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="seg-face"):
        add("seg-face", "again", lambda cache: Piece([]))
    main(["--list"])
    assert [text.split()[0] for text in capsys.readouterr().out.splitlines()] == list(ROWS)
    with pytest.raises(SystemExit):
        main(["--only", "seg-faces"])
    assert "no such row: seg-faces" in capsys.readouterr().err


def test_what_the_benchmarks_import_is_there() -> None:
    """They import inside functions, which no other test runs."""
    for path in sorted((Path(machine.__file__).parent).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            older = isinstance(node, ast.ImportFrom) and node.module == "anchor_hub.training.engine.precision"
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("anchor_") and not older:
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    assert hasattr(module, alias.name) or importlib.util.find_spec(f"{module.__name__}.{alias.name}")
