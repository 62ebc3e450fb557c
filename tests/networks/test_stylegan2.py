"""The generator against stored numbers of a published implementation, and its contract."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

from anchor_hub.checkpoints.stylegan2_rosinality import config_from, to_ours, to_theirs
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config, mix_styles, truncate
from anchor_hub.training.generators.gan_losses import path_length_penalty, path_lengths
from tests.parity import ParityCase, assert_parity, case_names, load_case, numbered, stated, stored_part
from tests.witnesses.networks import modulated_conv

DTYPES = [torch.float32, torch.float64]
SMALL = StyleGAN2Config(size=16, latent_dim=24, mapping_layers=2, channels={4: 20, 8: 16, 16: 12})


CASES = [(name, dtype) for name in case_names("stylegan2_rosinality_g") for dtype in DTYPES]


@pytest.fixture(scope="module", params=CASES, ids=str)
def published(request: pytest.FixtureRequest) -> tuple[Generator, ParityCase]:
    name, dtype = request.param
    case = load_case(name, dtype)
    config, table = config_from(case.state), case.manifest["config"]
    assert isinstance(config, StyleGAN2Config)
    assert (config.size, config.latent_dim, config.mapping_layers) == (
        table["size"], table["style_dim"], table["n_mlp"],
    )  # fmt: skip
    generator = Generator(config).to(dtype)
    generator.load_state_dict(to_ours(case.state))
    return generator.requires_grad_(False), case


@pytest.fixture
def small() -> Generator:
    torch.manual_seed(0)
    generator = Generator(SMALL).double()
    for conv in generator.synthesis.styled_convs():
        torch.nn.init.constant_(conv.noise_strength, 0.3)
        torch.nn.init.normal_(conv.bias, std=0.1)
    return generator


def test_images_match_the_published_numbers(published: tuple[Generator, ParityCase]) -> None:
    """Every image of the case: W, W+, truncation, mixing, given and zero noise.

    float64 is compared as tests.parity.float64_error describes: the stored numbers are float32, so agreement
    to 1e-8 is checked beyond the half spacing that rounding them hides.
    """
    generator, case = published
    x, want = case.inputs, case.expected
    length, stored = generator.config.num_latents, case.manifest
    psi, mix_psi = stated(stored, "image_trunc", "psi="), stated(stored, "image_mix_trunc", "psi=")
    w, w2 = generator.map(x["z"]), generator.map(x["z2"])
    w_trunc = generator.map(x["z"], truncation=psi, mean_latent=x["mean_latent"])
    mixed = mix_styles(w, w2, int(stated(stored, "image_mix", "inject_index=")), length)
    given = [x[f"noise_{i}"] for i in range(length - 1)]
    got = {
        "w": w,
        "w_trunc": w_trunc,
        "latent_mix": mixed,
        "image": generator(x["z"]),
        "image_w_input": generator.synthesize(want["w"].to(w)).image,
        "image_wplus": generator.synthesize(x["w_plus"]).image,
        "image_trunc": generator(x["z"], truncation=psi, mean_latent=x["mean_latent"]),
        "image_mix": generator.synthesize(mixed).image,
        "image_mix_trunc": generator.synthesize(truncate(mixed, x["mean_latent"], mix_psi)).image,
        "image_noise_given": generator.synthesize(w, noise=given).image,
        "image_noise_zero": generator.synthesize(w, noise="none").image,
    }
    # image_w_input starts from the stored float32 w, so that even in float64 it is good to its rounding only.
    coarse = {"image_w_input": 1e-6 if w.dtype == torch.float64 else 1e-4}
    for name, value in got.items():
        assert_parity(value, want[name], name, coarse.get(name))


def test_feature_maps_and_partial_images_match(published: tuple[Generator, ParityCase]) -> None:
    generator, case = published
    want = case.expected
    seen: dict[str, torch.Tensor] = {}
    handles = []

    def keep(name: str, module: torch.nn.Module, raw: bool = False) -> None:
        def hook(m: Any, i: Any, o: torch.Tensor) -> None:
            seen[name] = modulated_conv(m, i[0], i[1]) if raw else o

        handles.append(module.register_forward_hook(hook))

    resolutions = generator.config.resolutions
    for resolution in resolutions[1:]:
        keep(f"conv_up_{resolution}", generator.synthesis.blocks[str(resolution)].up)
    keep("modconv_4", generator.synthesis.blocks["4"].conv, raw=True)
    keep("modconv_up_8", generator.synthesis.blocks["8"].up, raw=True)
    output = generator.synthesize(generator.map(case.inputs["z"]), features=True)
    for handle in handles:
        handle.remove()

    assert list(output.features) == list(resolutions)
    seen |= {f"torgb_in_{resolution}": found for resolution, found in output.features.items()}
    names = [key for key in want if key.startswith(("torgb_in_", "conv_up_", "modconv_"))]
    assert {"torgb_in_4", "conv_up_8", "modconv_4", "modconv_up_8"} <= set(names)
    for name in names:
        assert_parity(stored_part(seen[name], want[name]), want[name], name)
    for name, resolution in numbered(case, "rgb_"):
        partial = generator.synthesize(generator.map(case.inputs["z"]), up_to=int(resolution)).image
        assert_parity(partial, want[name], name)


def test_path_lengths_match(published: tuple[Generator, ParityCase]) -> None:
    generator, case = published
    length = generator.config.num_latents
    latents = generator.map(case.inputs["z"])[:, None].repeat(1, length, 1).requires_grad_()
    image = generator.synthesize(latents).image
    lengths = path_lengths(image, latents, noise=case.inputs["pl_noise"])
    before, decay = (stated(case.manifest, "pl_mean", text) for text in ("previous mean m = ", "pl_mean = m + "))
    penalty, mean = path_length_penalty(lengths, torch.tensor(before, dtype=latents.dtype), decay)
    assert_parity(lengths, case.expected["pl_lengths"], "path lengths")
    assert_parity(penalty.reshape(1), case.expected["pl_penalty"].reshape(1), "penalty")
    assert_parity(mean.reshape(1), case.expected["pl_mean"].reshape(1), "mean")


def test_conversion_is_invertible(published: tuple[Generator, ParityCase]) -> None:
    generator, case = published
    back = to_theirs(generator.state_dict(), generator.config)
    assert set(back) == set(case.state)
    assert all(torch.equal(back[name], case.state[name]) for name in back)


def test_old_checkpoints_without_noise_images_load(published: tuple[Generator, ParityCase]) -> None:
    generator, case = published
    old = {name: value for name, value in case.state.items() if not name.startswith("noises.")}
    first, second = to_ours(old), to_ours(old)
    ours = generator.state_dict()
    assert set(first) == set(ours)
    for name, value in ours.items():
        assert first[name].shape == value.shape and torch.equal(first[name], second[name]), name
        assert torch.equal(first[name], value) != name.endswith(".noise"), name


def test_gradients_and_second_gradients_are_right(small: Generator) -> None:
    """Against finite differences, through every layer, to latents and (via a styled convolution) weights."""
    torch.manual_seed(1)
    latents = torch.randn(2, SMALL.num_latents, 24, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    small.requires_grad_(False)

    def projected(codes: torch.Tensor) -> torch.Tensor:
        image = small.synthesize(codes).image
        assert image is not None
        return (image * direction).sum()

    assert torch.autograd.gradcheck(projected, latents, fast_mode=True)
    assert torch.autograd.gradgradcheck(projected, latents, fast_mode=True)

    conv = small.synthesis.blocks["8"].up
    weight = conv.weight.detach().clone().requires_grad_()
    x = torch.randn(2, 20, 4, 4, dtype=torch.float64, requires_grad=True)

    def layer(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        arguments = (x, latents.detach()[:, 0], conv.noise)
        return torch.func.functional_call(conv, {"weight": weight}, arguments)

    assert torch.autograd.gradcheck(layer, (x, weight), fast_mode=True)
    assert torch.autograd.gradgradcheck(layer, (x, weight), fast_mode=True)


def test_every_parameter_gets_a_gradient_from_path_lengths() -> None:
    torch.manual_seed(2)
    generator = Generator(SMALL)
    latents = generator.map(torch.randn(2, 24))[:, None].expand(-1, SMALL.num_latents, -1)
    lengths = path_lengths(generator.synthesize(latents, noise="random").image, latents)
    lengths.square().mean().backward()
    # Additive terms of the last layers do not enter the derivative of the image.
    linear = {"bias", "noise_strength"}
    without = [
        name
        for name, value in generator.named_parameters()
        if name.split(".")[-1] not in linear and (value.grad is None or not value.grad.abs().max() > 0)
    ]
    assert without == []


def test_noise_modes(small: Generator) -> None:
    w = torch.randn(3, 24, dtype=torch.float64)

    def run(**options: object) -> torch.Tensor:
        image = small.synthesize(w, **options).image
        assert image is not None
        return image

    const = [conv.noise for conv in small.synthesis.styled_convs()]
    zeros = [torch.zeros_like(noise) for noise in const]
    assert torch.equal(run(noise="const"), run(noise=const))
    assert torch.allclose(run(noise="none"), run(noise=zeros), rtol=0, atol=1e-12)
    assert not torch.allclose(run(noise="const"), run(noise="none"))
    seeded = [run(noise="random", generator=torch.Generator().manual_seed(s)) for s in (5, 5, 6)]
    assert torch.equal(seeded[0], seeded[1]) and not torch.allclose(seeded[0], seeded[2])
    same_code = small.synthesize(w[:1].expand(2, -1), noise="random").image
    assert same_code is not None and not torch.allclose(same_code[0], same_code[1])
    with pytest.raises(ValueError, match="noise must be"):
        run(noise="constant")
    with pytest.raises(ValueError, match="noise images are needed"):
        run(noise=const[:2])
    with pytest.raises(ValueError, match="noise image must be"):
        run(noise=const[::-1])


def test_only_what_is_asked_for_is_computed(small: Generator) -> None:
    w = torch.randn(1, 24, dtype=torch.float64)
    calls: list[str] = []
    for name, module in small.named_modules():
        if name.endswith((".to_rgb", ".up", ".conv")):
            module.register_forward_hook(
                lambda m, i, o, name=name: calls.append(name.removeprefix("synthesis.blocks."))
            )
    full = small.synthesize(w, features=True)
    calls.clear()
    part = small.synthesize(w, features=[8], image=False)
    assert calls == ["4.conv", "8.up", "8.conv"]
    assert part.image is None and list(part.features) == [8]
    assert torch.equal(part.features[8], full.features[8])
    calls.clear()
    nothing = small.synthesize(w, image=False)
    assert calls == [] and nothing.features == {} and nothing.image is None
    with pytest.raises(ValueError, match="no feature maps"):
        small.synthesize(w, features=[64])
    with pytest.raises(ValueError, match="up_to"):
        small.synthesize(w, up_to=64)


def test_w_and_w_plus_and_batches_agree(small: Generator) -> None:
    w = torch.randn(3, 24, dtype=torch.float64)
    together = small.synthesize(w).image
    plus = small.synthesize(w[:, None].repeat(1, SMALL.num_latents, 1)).image
    assert together is not None and plus is not None
    assert torch.equal(together, plus)
    alone = torch.cat([small.synthesize(w[i : i + 1]).image for i in range(3)])  # type: ignore[misc]
    assert torch.allclose(together, alone, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="latents must be"):
        small.synthesize(torch.randn(2, 5, 24))
    with pytest.raises(ValueError, match=r"\[B, D\]"):
        small.map(torch.randn(2, 5, 24))
    with pytest.raises(ValueError, match="mean_latent"):
        small.map(w, truncation=0.5)


def test_mixing_takes_layers_from_the_right_code() -> None:
    w1, w2 = torch.zeros(3, 4), torch.ones(3, 4)
    assert mix_styles(w1, w2, 2, 6)[0, :, 0].tolist() == [0, 0, 1, 1, 1, 1]
    per_sample = mix_styles(w1, w2, torch.tensor([0, 3, 6]), 6)
    assert per_sample[:, :, 0].sum(1).tolist() == [6, 3, 0]
    with pytest.raises(ValueError, match="crossover"):
        mix_styles(w1, w2, 7, 6)


def test_mean_latent_is_the_mean_of_mapped_samples(small: Generator) -> None:
    z = torch.randn(300, 24, generator=torch.Generator().manual_seed(3))
    mean = small.mean_latent(300, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(mean, small.map(z.double()).mean(0, keepdim=True), rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128, 256, 512, 1024])
def test_config_survives_json_and_has_the_published_table(size: int) -> None:
    config = StyleGAN2Config(size)
    assert StyleGAN2Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.num_latents == 2 * math.log2(size) - 2
    table = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
    assert config.channels == {r: c for r, c in table.items() if r <= size}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"size": 48},
        {"size": 4},
        {"size": 2048},
        {"size": 16, "channels": {4: 8, 8: 8}},
        {"size": 16, "latent_dim": 0},
        {"size": 16, "depth": 3},
    ],
)
def test_bad_configurations_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        StyleGAN2Config.from_dict(values)


@pytest.mark.parametrize("size", [16, 64, 256])
def test_sizes_and_outputs(size: int) -> None:
    config = StyleGAN2Config(size, latent_dim=8, mapping_layers=1, channels={4 * 2**k: 4 for k in range(9)})
    image = Generator(config)(torch.randn(2, 8))
    assert image.shape == (2, 3, size, size) and torch.isfinite(image).all()


def test_bfloat16_autocast_and_channels_last_stay_close() -> None:
    torch.manual_seed(4)
    generator = Generator(SMALL)
    z = torch.randn(4, 24)
    reference = generator(z)
    fast = Generator(SMALL).to(memory_format=torch.channels_last)
    fast.load_state_dict(generator.state_dict())
    assert torch.allclose(fast(z), reference, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        image = fast(z)
        features = fast.synthesize(fast.map(z), features=[16], image=False).features[16]
    assert image.dtype == torch.float32 and features.dtype == torch.bfloat16
    assert (image - reference).std() < 0.03 * reference.std()


def test_initial_outputs_have_unit_scale() -> None:
    """Equalised learning rate and demodulation: no layer starts exploded or vanished."""
    torch.manual_seed(5)
    generator = Generator(StyleGAN2Config(32, latent_dim=64, channels={4: 64, 8: 64, 16: 64, 32: 64}))
    output = generator.synthesize(generator.map(torch.randn(8, 64)), features=True)
    for resolution, activation in output.features.items():
        assert 0.2 < activation.square().mean().sqrt() < 1.5, resolution
