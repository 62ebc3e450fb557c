"""Networks of GP-UNIT: parity with stored numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_gpunit import released
from anchor_gpunit.losses import perceptual_loss, r1_penalty
from anchor_gpunit.networks.autoencoder import LabelledConv
from anchor_gpunit.networks.blocks import Conv, StyledResidual, fold, instance_norm, leaky
from anchor_gpunit.networks.discriminator import HalvingResidual
from anchor_gpunit.networks.skips import DynamicSkip
from anchor_gpunit.networks.vgg import Vgg19, trunk_weights
from tests.gpunit import published
from tests.gpunit.published import case_of, filled, part
from tests.parity import assert_parity, case_names, stored_part

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


# ------------------------------------------------------------------------------------------------ blocks


def block_weights(state: Mapping[str, Tensor], name: str, inside: str, ours: str) -> dict[str, Tensor]:
    """A block's weights, renamed as in the whole network where it has the name ``inside``, ours ``ours``."""
    rename = released.autoencoder if inside.startswith(("G.", "contentE.")) else released.generator
    if name.startswith("d_"):
        rename = released.discriminator
    return part(rename({inside + key: value for key, value in part(state, f"{name}.").items()}), ours)


def blocks(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, nn.Module]:
    def labelled(name: str) -> dict[str, Tensor]:
        return block_weights(state, name, "G.layer2.", "decoder.coarse.3.")

    made: dict[str, tuple[nn.Module, dict[str, Tensor]]] = {
        name: (Conv(5, 6, stride=stride, reflect=True, spectral=True), part(labelled(name), "conv."))
        for name, stride in (("conv_instance", 2), ("conv_plain", 1), ("conv_moments", 1))
    }
    adain = LabelledConv(6, 128)
    adain.conv = Conv(5, 6, reflect=True, spectral=True)
    made["conv_adain"] = (adain, labelled("conv_adain"))
    for name, outputs in (("ada_res", 6), ("ada_res_same", 6)):
        block = StyledResidual(5 if name == "ada_res" else 6, outputs, 7)
        made[name] = (block, block_weights(state, name, "model.3.reslayer.", "stages.3.block."))
    for name, outputs in (("d_res", 6), ("d_res_same", 5)):
        made[name] = (HalvingResidual(5, outputs), block_weights(state, name, "model.1.", "trunk.1."))
    made["skip"] = (DynamicSkip(6, 6, 3), block_weights(state, "skip", "model.1.skiplayer.", "dynamic.0."))
    return {name: filled(module.to(dtype), weights) for name, (module, weights) in made.items()}


def outputs(made: Mapping[str, nn.Module], inputs: Mapping[str, Tensor], *, all_blocks: bool) -> dict[str, Tensor]:
    """What the manifest's calls compute."""
    x, (std, mean) = inputs["x"], (inputs[key].flatten(1) for key in ("std", "mean"))
    found = {
        "conv_instance": leaky(instance_norm(made["conv_instance"](x))),
        "conv_plain": torch.tanh(made["conv_plain"](x)),
        "conv_moments": torch.relu(instance_norm(made["conv_moments"](x), std, mean)),
        "conv_adain": made["conv_adain"](x, inputs["embed"]),
        "d_res": made["d_res"](x),
        "d_res_same": made["d_res_same"](x),
    }
    if all_blocks:
        skip, state = made["skip"](inputs["f_enc"], inputs["state"])
        found |= {
            "ada_res": made["ada_res"](x, inputs["style"]),
            "ada_res_same": made["ada_res_same"](inputs["xo"], inputs["style"]),
            "skip_f": skip.into(inputs["f_dec"]), "skip_h": state, "skip_mask": skip.mask,
        }  # fmt: skip
    return found


@DTYPES
@pytest.mark.parametrize("name", case_names("gpunit_blocks"))
def test_blocks(name: str, dtype: torch.dtype) -> None:
    _, state, inputs, expected = case_of(name, dtype)
    made = blocks(state, dtype)
    found = outputs(made, inputs, all_blocks=True)
    for key in (key for key in expected if key.startswith("eval/") and "grad" not in key):
        assert_parity(found[key.removeprefix("eval/")], expected[key], key)
    plain = made["conv_plain"]
    assert isinstance(plain, Conv) and plain.spectral is not None
    torch.tanh(plain(inputs["x"])).sum().backward()  # type: ignore[no-untyped-call]
    assert plain.spectral.weight.grad is not None
    assert_parity(plain.spectral.weight.grad, expected["eval/grad_conv_plain_weight_orig"])
    # In training every pass iterates once before it uses the vectors, and keeps them.
    for block in made.values():
        block.train()
    found = outputs(made, inputs, all_blocks=False)
    for key, value in found.items():
        assert_parity(value, expected[f"train/{key}"], f"train/{key}")
    assert_parity(torch.tanh(plain(inputs["x"])), expected["train/conv_plain_second_call"])
    # Stored behind the second call, though the manifest says the first.
    assert_parity(plain.spectral.u, expected["train/conv_plain.weight_u_after"])
    assert plain.spectral.v is not None
    assert_parity(plain.spectral.v, expected["train/conv_plain.weight_v_after"])
    # What is kept for inference is the same.
    with torch.no_grad():
        made = blocks(state, dtype)
        found = outputs({key: fold(block) for key, block in made.items()}, inputs, all_blocks=True)
    for key in (key for key in expected if key.startswith("eval/") and "grad" not in key):
        assert_parity(found[key.removeprefix("eval/")], expected[key], f"folded {key}")


# ------------------------------------------------------------------------------------------------ networks


@DTYPES
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("name", case_names("gpunit_content_encoder"))
@torch.no_grad()
def test_content_encoder(name: str, spectral: bool, dtype: torch.dtype) -> None:
    _, state, inputs, expected = case_of(name, dtype)
    encoder = published.content_encoder(state, spectral=spectral)
    for given in ("x256", "x_other"):
        maps = dict(zip(("c6", "c5", "c4", "c3", "c2", "c1"), encoder(inputs[given]), strict=True))
        for key in (key for key in expected if key.startswith(f"{given}/")):
            which = key.removeprefix(f"{given}/").removesuffix("_sub")
            assert_parity(stored_part(maps[which], expected[key]), expected[key], key)


@DTYPES
@pytest.mark.parametrize("name", case_names("gpunit_generator"))
@torch.no_grad()
def test_generator(name: str, dtype: torch.dtype) -> None:
    _, state, inputs, expected = case_of(name, dtype)
    generator = fold(published.generator(state))
    maps = [inputs[f"content{number}"] for number in range(6)]
    code = generator.style(inputs["style_image"])
    assert_parity(code, expected["style_code"])
    made = generator(maps, code)
    assert_parity(made.images, expected["exemplar/image"])
    for number, mask in enumerate(made.masks, 1):
        assert_parity(mask, expected[f"exemplar/mask{number}"])
    assert len(made.masks) == 2
    plain = generator(maps, code, use_skips=False)
    assert_parity(plain.images, expected["noskip/image"])
    assert plain.masks == ()
    # One content in many styles: the skips are computed once.
    first = [value[:1] for value in maps]
    skips = generator.skips(first)
    assert_parity(generator.decode(first[0], skips, inputs["style_code"]), expected["latent/image"])
    for stage in range(5):
        picture = generator.decode(first[0], skips, inputs["style_code"][:1], stage=stage)
        assert_parity(picture, expected[f"latent/scale{stage}"])
    x = generator.stages[0](maps[0], code)
    assert_parity(x, expected["inter/layer0"])
    x = generator.stages[1](x, code)
    assert_parity(x, expected["inter/layer1_before_skip"])
    skip, hidden = generator.dynamic[0](maps[2], maps[0])
    assert_parity(skip.into(x), expected["inter/layer1_after_skip"])
    assert_parity(hidden, expected["inter/h1"])


@pytest.mark.parametrize("name", case_names("gpunit_discriminator"))
def test_discriminator(name: str) -> None:
    manifest, state, inputs, expected = case_of(name)
    network = published.discriminator(state, manifest["config"]["max_conv_dim"]).requires_grad_(False)
    x = inputs["x"].clone().requires_grad_()
    asked = sorted({3, 5, 9, *manifest["config"]["layers"]})
    logits, styles = network(x, asked)
    assert_parity(logits, expected["logits"])
    for layer, style in zip(asked, styles, strict=True):
        for key in (f"style_feat_layer{layer}", f"list_3_5_9/feat{layer}"):
            if key in expected:
                assert_parity(style, expected[key], key)
    (gradient,) = torch.autograd.grad(logits.sum(), x, retain_graph=True)
    assert_parity(gradient[:, :, ::8, ::8], expected["dlogits_dx_sub"])
    assert_parity(r1_penalty(logits, x).reshape(1), expected["r1"])
    # A feature map's mean is the style feature of its layer.
    maps: dict[int, Tensor] = {}
    value = inputs["x"]
    with torch.no_grad():
        for number, element in enumerate(network.trunk, 1):
            value = maps[number] = element(value)
    assert_parity(maps[4][:, :, ::8, ::8], expected["feature_map_after_3_sub"])
    assert_parity(maps[7], expected["feature_map_after_block6"])


@DTYPES
@pytest.mark.parametrize("name", case_names("gpunit_sampler"))
def test_sampler(name: str, dtype: torch.dtype) -> None:
    _, state, inputs, expected = case_of(name, dtype)
    network = published.sampler(state)
    with torch.no_grad():
        assert_parity(network(inputs["e"]), expected["eval/codes"])
        assert_parity(network(inputs["e"][:1]), expected["eval/codes_first1"])
        assert_parity(network.train()(inputs["e"]), expected["train/codes"])
    for theirs, norm in (("bn1", network.norm_1), ("bn2", network.norm_2)):
        assert norm.running_mean is not None and norm.running_var is not None
        assert_parity(norm.running_mean, expected[f"train/{theirs}.running_mean_after"])
        assert_parity(norm.running_var, expected[f"train/{theirs}.running_var_after"])
        assert int(norm.num_batches_tracked or 0) == int(expected[f"train/{theirs}.num_batches_tracked_after"])


@pytest.mark.parametrize("name", case_names("gpunit_perceptual"))
def test_perceptual(name: str) -> None:
    _, state, inputs, expected = case_of(name)
    network = filled(Vgg19(), trunk_weights(state)).requires_grad_(False)
    x = inputs["x"].clone().requires_grad_()
    maps, wanted = network(x), network(inputs["y"])
    for number, (ours, theirs) in enumerate(zip(maps, wanted, strict=True), 1):
        assert_parity(F.l1_loss(ours, theirs).reshape(1), expected[f"l1_relu{number}_1"])
        assert_parity(ours.mean((2, 3)), expected[f"x_relu{number}_1_mean"])
    assert_parity(maps[-1], expected["x_relu5_1"])
    loss = perceptual_loss(maps, wanted)
    assert_parity(loss.reshape(1), expected["loss"])
    (gradient,) = torch.autograd.grad(loss, x)
    assert_parity(gradient, expected["grad_x"])


@pytest.mark.parametrize("name", case_names("gpunit_translate"))
@torch.no_grad()
def test_translation_at_published_size(name: str) -> None:
    _, state, inputs, expected = case_of(name)
    encoder = fold(published.content_encoder(part(state, "content_encoder.")))
    generator, sampler = fold(published.generator(part(state, "g_ema."))), published.sampler(part(state, "sampler."))

    def resized(picture: Tensor) -> Tensor:
        return F.interpolate(picture, (256, 256), mode="bilinear", align_corners=True)

    picture = resized(inputs["content_loaded"])
    assert_parity(stored_part(picture, expected["resized_content_sub"]), expected["resized_content_sub"])
    maps = dict(zip(("c6", "c5", "c4", "c3", "c2", "c1"), encoder(picture), strict=True))
    for key in ("c6", "c5", "c4_sub", "c3_sub", "c2_sub", "c1_sub"):
        assert_parity(stored_part(maps[key.removesuffix("_sub")], expected[key]), expected[key], key)
    code = generator.style(resized(inputs["style_loaded"]))
    assert_parity(code, expected["exemplar/style_code"])
    skips = generator.skips(list(maps.values()))
    for number, skip in enumerate(skips, 1):
        key = f"exemplar/mask{number}_sub"
        assert_parity(stored_part(skip.mask, expected[key]), expected[key], key)
    image = generator.decode(maps["c6"], skips, code)
    assert_parity(image[:, :, ::2, ::2], expected["exemplar/image_sub"])
    assert_parity(image[:, :, :32, :32], expected["exemplar/image_corner"])
    corner = ((image[:, :, :32, :32] + 1) * 127.5).to(torch.uint8)
    assert int((corner.int() - expected["exemplar/uint8_corner"].int()).abs().max()) <= 1
    assert_parity(sampler(inputs["noise"]), expected["latent/codes_running_stats"])
    codes = sampler.train()(inputs["noise"])
    assert_parity(codes, expected["latent/codes_batch_stats"])
    images = generator.decode(maps["c6"], skips, codes)
    assert_parity(images[:, :, ::2, ::2], expected["latent/images_batch_stats_sub"])
