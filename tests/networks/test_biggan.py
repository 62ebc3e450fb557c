"""BigGAN's and BigGAN-deep's generators against stored numbers of the authors' PyTorch code, and their own manners."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from anchor_hub.checkpoints import biggan_brock
from anchor_hub.checkpoints.biggan_run import settings_of
from anchor_hub.networks.biggan import BigGAN, BigGANConfig
from anchor_hub.networks.biggan_deep import BigGANDeep, BigGANDeepConfig
from anchor_hub.networks.biggan_layers import standing_statistics
from anchor_hub.training.generators.gan_losses import add_orthogonal_gradient
from tests.parity import (
    ParityCase,
    assert_gradients,
    assert_parity,
    case_names,
    load_case,
    stated,
    stored_part,
)

CASES = [*case_names("biggan_brock_g"), *case_names("biggan_deep_brock_g")]
TINY = BigGANConfig(
    16, latent_dim=3, classes=4, embedding_dim=5, channels={4: 8, 8: 8, 16: 8}, attention=(8,)
)
TINY_DEEP = BigGANDeepConfig(
    16,
    latent_dim=3,
    classes=4,
    embedding_dim=5,
    blocks=((False, 16, 16), (True, 16, 8), (False, 8, 8), (True, 8, 8)),
    attention=(2,),
)
Generator = BigGAN | BigGANDeep


def _published(name: str, dtype: torch.dtype) -> tuple[Generator, dict[str, str], ParityCase]:
    """The generator with the published weights, our name of each entry's module, and the case."""
    case = load_case(name, dtype)
    table = case.manifest["config"]
    config = biggan_brock.generator_config(case.state, settings_of(table))
    assert (config.size, config.classes) == (table["resolution"], table["n_classes"])
    names = biggan_brock.generator_names(config)
    generator: Generator = BigGANDeep(config) if isinstance(config, BigGANDeepConfig) else BigGAN(config)
    generator.to(dtype).load_state_dict(biggan_brock._converted(case.state, names, "generator"))
    return generator.eval(), {theirs: ours for ours, theirs in names.items()}, case


@contextmanager
def _outputs(generator: Generator) -> Iterator[dict[str, Tensor]]:
    """What every block, attention and linear layer returns, by our names."""
    seen: dict[str, Tensor] = {}
    hooks = []
    for name, module in generator.named_modules():
        hooks.append(module.register_forward_hook(lambda _m, _i, output, name=name: seen.update({name: output})))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _module(theirs: str, generator: Generator) -> str:
    """Our module of a published ``blocks.i.j``."""
    _, entry, place = theirs.split(".")
    if isinstance(generator, BigGANDeep):
        number = int(entry) + int(place)
    else:
        number = generator.config.bottom * 2 ** (int(entry) + 1)
    return f"{'attentions' if place == '1' else 'blocks'}.{number}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_images_and_maps_equal_published_numbers(name: str, dtype: torch.dtype) -> None:
    generator, _, case = _published(name, dtype)
    z, y = case.inputs["z"], case.inputs["y"]
    with _outputs(generator) as seen:
        output = generator(z, y, features=True)
    assert output.image is not None
    assert_parity(output.image, case.expected["image"], "image")
    assert_parity(generator.embed(y), case.expected["shared"], "shared")
    bottom = generator.config.bottom
    linear = seen["linear"].unflatten(1, (-1, bottom, bottom))
    assert_parity(linear, case.expected["feat/linear"], "linear")
    blocks = {key: value for key, value in case.expected.items() if key.startswith("feat/blocks")}
    assert blocks
    for key, expected in blocks.items():
        found = seen[_module(key.removeprefix("feat/"), generator)]
        assert_parity(stored_part(found, expected, first_channels=True), expected, key)
    before_rgb = generator.before_rgb(output.features[generator.config.size])
    expected = case.expected["feat/before_rgb"]
    assert_parity(stored_part(before_rgb, expected, first_channels=True), expected, "before_rgb")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_one_training_pass_equals_published_numbers(name: str, dtype: torch.dtype) -> None:
    generator, ours, case = _published(name, dtype)
    z, y = case.inputs["z"], case.inputs["y"]
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    generator.train()
    image = generator(z, y).image
    assert image is not None
    assert_parity(image, case.expected["train/image"], "image")
    state = {key: value.clone() for key, value in generator.state_dict().items()}
    buffers = [key for key in case.expected if key.startswith("train/") and not key.startswith("train/grad")]
    buffers.remove("train/image")
    assert buffers
    for key in buffers:
        theirs, expected = key.removeprefix("train/"), case.expected[key]
        if theirs in ours:
            assert_parity(state[ours[theirs]].reshape(expected.shape), expected, key)
        else:
            assert theirs.endswith(".sv0"), key
            # Iterated once from the stored vector: what training mode has just divided by.
            generator.load_state_dict(before)
            module = generator.get_submodule(ours[theirs.replace(".sv0", ".weight")].rpartition(".")[0])
            assert_parity(module.sigma().reshape(1), expected, key)
            generator.load_state_dict(state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_published_numbers(name: str, dtype: torch.dtype) -> None:
    generator, ours, case = _published(name, dtype)
    prefix = "train/grad/"
    expected = {key: value for key, value in case.expected.items() if key.startswith(prefix)}

    def compute(network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        loss = (network(inputs["z"], inputs["y"]).image * inputs["gradient_weight"]).sum()
        losses.append(loss.detach().reshape(1))
        parameters = dict(network.named_parameters())
        wanted = [parameters[ours[key.removeprefix(prefix)]] for key in expected]
        return dict(zip(expected, torch.autograd.grad(loss, wanted), strict=True))

    losses: list[Tensor] = []
    assert_gradients(generator.train(), case.inputs, expected, compute)
    assert losses[0].dtype == dtype
    assert_parity(losses[0], case.expected["train/grad_loss"].reshape(1), "loss")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_standing_statistics_equal_published_numbers(name: str, dtype: torch.dtype) -> None:
    generator, ours, case = _published(name, dtype)
    batches = zip(case.inputs["standing_z"], case.inputs["standing_y"], strict=True)
    assert standing_statistics(generator, batches) == len(case.inputs["standing_z"])
    assert not generator.training
    means = [key for key in case.expected if key.startswith("standing/") and key.endswith(".mean")]
    assert means
    for key in means:
        layer = key.removeprefix("standing/").removesuffix(".mean")
        module = generator.get_submodule(ours[f"{layer}.stored_mean"].rpartition(".")[0])
        # The case computes the variance as E[x^2] - E[x]^2, which in float64 agrees to about 1e-10.
        assert_parity(module.mean, case.expected[key], f"{layer}.mean")
        assert_parity(module.var, case.expected[f"standing/{layer}.var"], f"{layer}.var")
    with torch.no_grad():
        image = generator(case.inputs["z"], case.inputs["y"]).image
    assert image is not None
    assert_parity(image, case.expected["standing/image"], "image")


@pytest.mark.parametrize("name", CASES)
def test_orthogonal_regularisation_equals_published_numbers(name: str) -> None:
    generator, ours, case = _published(name, torch.float64)
    for parameter in generator.parameters():
        parameter.grad = torch.zeros_like(parameter)
    strength = stated(case.manifest, "ortho/shared.weight_max", "strength ")
    add_orthogonal_gradient(generator.parameters(), strength, exclude=[generator.embedding.weight])
    parameters = dict(generator.named_parameters())
    weights = [key for key in case.expected if key.startswith("ortho/") and not key.endswith("_max")]
    assert weights
    for key in weights:
        gradient = parameters[ours[key.removeprefix("ortho/")]].grad
        assert gradient is not None
        assert_parity(gradient, case.expected[key], key)
    assert float(case.expected["ortho/shared.weight_max"]) == 0
    assert generator.embedding.weight.grad is not None and not generator.embedding.weight.grad.any()
    assert generator.linear.bias is not None and generator.linear.bias.grad is not None
    assert not generator.linear.bias.grad.any()


def _tiny(config: BigGANConfig | BigGANDeepConfig) -> Generator:
    torch.manual_seed(0)
    generator: Generator = BigGANDeep(config) if isinstance(config, BigGANDeepConfig) else BigGAN(config)
    for attention in generator.attentions.values():
        nn.init.constant_(attention.gamma, 0.5)
    return generator.eval()


@pytest.mark.parametrize("config", [TINY, TINY_DEEP], ids=["flat", "deep"])
@torch.no_grad()
def test_only_what_is_asked_for_is_computed(config: BigGANConfig | BigGANDeepConfig) -> None:
    generator = _tiny(config)
    z, y = torch.randn(2, config.num_latents, config.latent_dim), torch.tensor([0, 3])
    with _outputs(generator) as seen:
        whole = generator(z, y, features=True)
        assert {r: m.shape[1] for r, m in whole.features.items()} == config.feature_channels
        assert all(m.shape[-1] == r for r, m in whole.features.items())
        for resolution in config.resolutions:
            seen.clear()
            part = generator(z, y, features=(resolution,), image=False)
            assert part.image is None and list(part.features) == [resolution]
            assert torch.equal(part.features[resolution], whole.features[resolution])
            maps = [value for name, value in seen.items() if name and value.ndim == 4]
            assert max((m.shape[-1] for m in maps), default=4) <= resolution
            assert "to_rgb" not in seen
        seen.clear()
        nothing = generator(z, y, image=False)
        assert nothing.image is None and nothing.features == {} and list(seen) == ["embedding", ""]
        image = generator(z, y).image
        assert image is not None and torch.equal(image, whole.image) and image.abs().max() <= 1


@pytest.mark.parametrize("config", [TINY, TINY_DEEP], ids=["flat", "deep"])
def test_latents_and_classes_in_every_allowed_form(config: BigGANConfig | BigGANDeepConfig) -> None:
    generator = _tiny(config).requires_grad_(False)
    z, y = torch.randn(3, config.num_latents, config.latent_dim), torch.tensor([1, 1, 1])
    reference = generator(z, y).image
    assert reference is not None
    weights = torch.zeros(3, 4).index_fill_(1, torch.tensor([1]), 1.0)
    for latents, labels in (
        (z.flatten(1), y),
        (z, torch.tensor([1])),
        (z, torch.tensor(1)),
        (z, generator.embed(y)),
        (z, generator.embed(y[:1])),
        (z, generator.embed(weights)),
    ):
        assert torch.allclose(generator(latents, labels).image, reference, atol=1e-6)
    assert not torch.allclose(generator(z, torch.tensor([2])).image, reference, atol=1e-3)
    for latents, labels, match in (
        (z[:, :, :2], y, "latents must be"),
        (z, torch.tensor([4]), "classes are 0 to 3, got 4"),
        (z, torch.tensor([-1]), "got -1"),
        (z, torch.tensor([0, 1]), "2 classes do not fit 3 latents"),
        (z, weights, "class embeddings must be"),
    ):
        with pytest.raises(ValueError, match=match):
            generator(latents, labels)
    with pytest.raises(ValueError, match="class weights"):
        generator.embed(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="no feature maps at \\[32\\]"):
        generator(z, y, features=(32,))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("config", [TINY, TINY_DEEP], ids=["flat", "deep"])
def test_twice_differentiable(config: BigGANConfig | BigGANDeepConfig, training: bool) -> None:
    generator = _tiny(config).double().train(training)
    z = torch.randn(3, config.num_latents, config.latent_dim, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 1, 3])

    def value(latents: Tensor) -> Tensor:
        # Fresh buffers, for in training mode a pass moves them on.
        state = {name: buffer.clone() for name, buffer in generator.named_buffers()}
        output = torch.func.functional_call(generator, state, (latents, y), {"features": (8,)})
        return output.image[:, :, ::5, ::5].sum() + output.features[8].square().mean()

    assert torch.autograd.gradcheck(value, (z,), fast_mode=True)
    assert torch.autograd.gradgradcheck(value, (z,), fast_mode=True, atol=1e-4)
    (gradient,) = torch.autograd.grad(value(z), z, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    assert generator.to_rgb.weight.grad is not None and generator.to_rgb.weight.grad.abs().max() > 0


@pytest.mark.parametrize("config", [TINY, TINY_DEEP], ids=["flat", "deep"])
def test_two_training_passes_before_one_backward(config: BigGANConfig | BigGANDeepConfig) -> None:
    generator = _tiny(config).train()
    y = torch.tensor([0, 1])
    images = [generator(torch.randn(2, config.num_latents, config.latent_dim), y).image for _ in range(2)]
    sum(image.square().sum() for image in images).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in generator.parameters())


@torch.no_grad()
def test_eval_mode_changes_nothing_and_bfloat16_stays_close() -> None:
    for config in (TINY, TINY_DEEP):
        generator = _tiny(config)
        standing_statistics(
            generator,
            [(torch.randn(16, config.num_latents, config.latent_dim), torch.arange(16) % 4) for _ in range(4)],
        )
        before = {name: value.clone() for name, value in generator.state_dict().items()}
        z, y = torch.randn(4, config.num_latents, config.latent_dim), torch.arange(4)
        reference = generator(z, y).image
        assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
        with torch.autocast("cpu", torch.bfloat16):
            fast = generator(z, y).image
        assert fast.dtype == torch.float32 and (fast - reference).abs().max() < 0.1


def test_hierarchical_chunks_reach_their_blocks_and_no_others() -> None:
    generator = _tiny(TINY).requires_grad_(False)
    z = torch.randn(1, 3, 3)
    changed = z.clone()
    changed[:, 2] += 1
    y = torch.tensor([0])
    first, second = (generator(code, y, features=True).features for code in (z, changed))
    assert torch.equal(first[4], second[4]) and torch.equal(first[8], second[8])
    assert not torch.allclose(first[16], second[16])
    shape = {"latent_dim": 6, "classes": 2, "embedding_dim": 4, "channels": TINY.channels}
    plain = BigGANConfig(16, **shape, hierarchical=False, attention=())
    assert plain.num_latents == 1 and plain.condition_dim == 4
    assert _tiny(plain)(torch.randn(2, 6), torch.tensor([0, 1])).image.shape == (2, 3, 16, 16)


def test_published_sizes() -> None:
    for size, chunks in ((64, 5), (128, 6), (256, 7), (512, 8)):
        assert BigGANConfig(size).num_latents == chunks
    with torch.device("meta"):
        count = sum(p.numel() for p in BigGAN(BigGANConfig(128)).parameters())
        deep = {
            size: sum(p.numel() for p in BigGANDeep(BigGANDeepConfig(size, rgb_channels=128)).parameters())
            for size in (128, 256, 512)
        }
    # Brock et al., appendix B: 70.43 million parameters at 128 px.
    assert round(count / 1e6, 2) == 70.43
    assert [round(deep[size] / 1e6, 1) for size in (128, 256, 512)] == [50.4, 55.9, 56.2]
    assert BigGANDeepConfig(128).attention == BigGANDeepConfig(256).attention == (8,)


def test_configurations_survive_json_and_refuse_nonsense() -> None:
    for config in (TINY, TINY_DEEP, BigGANConfig(64), BigGANDeepConfig(128)):
        assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    for kind, values, match in (
        (BigGANConfig, {}, "needs 'size'"),
        (BigGANConfig, {"sise": 3}, "unknown BigGANConfig settings"),
        (BigGANConfig, {"size": 48}, "power of two"),
        (BigGANConfig, {"size": 1024}, "no published channels"),
        (BigGANConfig, {"size": 8, "channels": {"4": 8}}, "resolutions \\[8\\]"),
        (BigGANConfig, {"size": 64, "classes": 0}, "classes"),
        (BigGANConfig, {"size": 64, "attention": (4,)}, "attention at \\[4\\]"),
        (BigGANConfig, {"size": 64, "truncation": 0.0}, "truncation"),
        (BigGANDeepConfig, {"size": 16, "blocks": [[True, 8, 8]]}, "do not end at 16"),
        (BigGANDeepConfig, {"size": 8, "blocks": [[True, 8, 16]]}, "never widens"),
        (BigGANDeepConfig, {"size": 16, "blocks": [[True, 8, 8], [True, 16, 8]]}, "takes 16 channels"),
        (BigGANDeepConfig, {"size": 64, "attention": [9]}, "0 to 8"),
        (BigGANDeepConfig, {"size": 64, "rgb_channels": 2}, "rgb_channels"),
    ):
        with pytest.raises(ValueError, match=match):
            kind.from_dict(values)
