"""Published BigGAN weights through the import function and the command, and files that will not do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_hub.checkpoints.importing import import_hub, read_hub
from anchor_hub.errors import CheckpointError
from anchor_hub.hubs.base import Hub
from tests.checkpoints.full_size import biggan_deep
from tests.cli.running import anchor
from tests.parity import assert_parity, load_case

FLAT, DEEP = "biggan_brock", "biggan_deep_brock"
SMALL_DEEP: dict[str, Any] = {
    "output_dim": 16, "z_dim": 4, "class_embed_dim": 4, "channel_width": 4, "num_classes": 3,
    "layers": [[False, 16, 16], [True, 16, 8], [True, 8, 4]],
    "attention_layer_position": 2, "eps": 1e-4, "n_stats": 5,
}  # fmt: skip


def saved(path: Path, state: Mapping[str, Tensor], prefix: str = "") -> Path:
    torch.save({prefix + name: value for name, value in state.items()}, path)
    return path


def folder(path: Path, name: str) -> Path:
    """A published folder of a stored case."""
    case = load_case(name)
    path.mkdir()
    (path / "config.json").write_text(json.dumps(case.manifest["config"]))
    saved(path / "pytorch_model.bin", case.state)
    return path


@torch.no_grad()
def test_config_and_bin_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    source = folder(tmp_path / "biggan-deep-256", "biggan_deep_hf")
    result = anchor("hubs", "import", str(source), "--name", "imagenet-256", "--license", "MIT")
    assert result.exit_code == 0, result.output
    hub, case = Hub.load(tmp_path / "home" / "hubs" / "imagenet-256"), load_case("biggan_deep_hf")
    z, weights = case.inputs["z"], case.inputs["class_one_hot"]
    classes = hub.generator.embed(weights)
    for truncation in (0.4, 0.5, 0.435, 0.28, 0.58):
        image = hub.generator(z, classes, truncation=truncation).image
        assert_parity(image, case.expected[f"image_t{truncation}"], f"truncation {truncation}")
    labels = weights.argmax(dim=1)
    for row, label in enumerate(labels.tolist()):
        image = hub.of_class(label).image(z[row : row + 1])
        assert_parity(image, case.expected["image_t0.4"][row : row + 1], f"class {label}")
    assert hub.of_class("2").sample(64, seed=0).abs().max() <= 0.8, "never beyond the statistics' truncation"


@torch.no_grad()
def test_latent_space_anchoring_s_generator(tmp_path: Path) -> None:
    case = load_case("lsa_biggan_generator")
    result = import_hub(folder(tmp_path / "lsa", "lsa_biggan_generator"), "lsa", output=tmp_path / "hub")
    hub = Hub.load(result.folder)
    classes = hub.generator.embed(case.inputs["class_onehot"])
    for truncation in ("0.4", "1.0", "0.375"):
        output = hub.generator(case.inputs["z"], classes, truncation=float(truncation), features=(64,))
        assert_parity(output.image, case.expected[f"image_t{truncation}"])
        features = hub.generator.before_rgb(output.features[64], float(truncation))
        assert_parity(features, case.expected[f"features_t{truncation}"])
    soft = hub.generator(case.inputs["z"], hub.generator.embed(case.inputs["class_soft"]))
    assert_parity(soft.image, case.expected["image_soft"])
    assert not any("mean latent" in note for note in result.notes)


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", [FLAT, DEEP])
def test_generator_and_discriminator_files(name: str, prefix: str, tmp_path: Path) -> None:
    generator, critic = load_case(f"{name}_g"), load_case(f"{name}_d")
    result = import_hub(
        saved(tmp_path / "G_ema.pth", generator.state, prefix),
        "biggan",
        discriminator=saved(tmp_path / "D.pth", critic.state, prefix),
        output=tmp_path / "hub",
    )
    hub = Hub.load(result.folder)
    assert (hub.size, len(hub.classes), hub.num_latents) == (64, 6, 5 if name == FLAT else 1)
    z, y = generator.inputs["z"], generator.inputs["y"]
    assert_parity(hub.generator(z, y).image, generator.expected["image"], "image")
    for row, label in enumerate(y.tolist()):
        image = hub.of_class(label).image(z[row : row + 1])
        assert_parity(image, generator.expected["image"][row : row + 1], f"class {label}")
    found = hub.discriminator().eval()
    logits = found(critic.inputs["x"], critic.inputs["y"])
    assert_parity(logits[:, None], critic.expected["logits"], "logits")
    fake = found(critic.inputs["x_fake"], critic.inputs["y_fake"])
    assert_parity(fake[:, None], critic.expected["logits_fake"], "logits of fakes")


@torch.no_grad()
def test_standing_statistics_in_sums(tmp_path: Path) -> None:
    """The other batch norm of the same code: sums in <layer>.bn and a counter of batches."""
    case = load_case("biggan_brock_g")
    state: dict[str, Tensor] = {}
    for name, value in case.state.items():
        module, _, leaf = name.rpartition(".")
        if leaf in ("stored_mean", "stored_var"):
            state[f"{module}.bn.{leaf}"] = value * 3
            state[f"{module}.bn.accumulation_counter"] = torch.tensor([3.0])
        else:
            state[name] = value
    found = read_hub(saved(tmp_path / "G_ema.pth", state))
    assert_parity(found.generator(case.inputs["z"], case.inputs["y"]).image, case.expected["image"])
    assert found.notes == [] and "average" in read_hub(saved(tmp_path / "G.pth", state)).notes[0]


def test_what_the_published_sizes_are_recognised_by(tmp_path: Path) -> None:
    source = biggan_deep(tmp_path / "small", SMALL_DEEP)
    found = read_hub(source)
    assert found.generator.config.size == 16 and found.classes == ("0", "1", "2")
    # The file alone does not say which blocks double the resolution.
    (source / "config.json").unlink()
    with pytest.raises(CheckpointError, match="put its config.json beside it"):
        read_hub(source / "pytorch_model.bin")
    layers = [[False, 16, 16], [True, 16, 16], [False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 4]]
    layers += [[False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1]]
    published = {**SMALL_DEEP, "output_dim": 128, "layers": layers, "attention_layer_position": 8}
    source = biggan_deep(tmp_path / "published", published)
    (source / "config.json").unlink()
    config = read_hub(source / "pytorch_model.bin").generator.config
    assert config.size == 128 and config.attention == (8,)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"layers": "many"}, "needs 'channel_width' and 'layers'"),
        ({"layers": [[False, 16, 16], [True, 16, 8], [True, 8, 8]]}, "describes blocks of channels"),
        ({"attention_layer_position": 1}, "attention before block 1"),
        ({"eps": -1}, "eps must be"),
        ({"num_classes": 1000}, "num_classes 1000 for 3"),
        ({"output_dim": 32}, "output_dim 32 for 16"),
    ],
)
def test_configurations_of_other_weights(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    source = biggan_deep(tmp_path / "small", SMALL_DEEP)
    (source / "config.json").write_text(json.dumps({**SMALL_DEEP, **change}))
    with pytest.raises(CheckpointError, match=match):
        read_hub(source)


def test_files_that_will_not_do(tmp_path: Path) -> None:
    generator, critic = load_case(f"{FLAT}_g").state, load_case(f"{FLAT}_d").state
    good = saved(tmp_path / "G_ema.pth", generator)

    def refused(match: str, state: Mapping[str, Any], discriminator: Path | None = None) -> None:
        path = tmp_path / "bad.pth"
        torch.save(dict(state), path)
        with pytest.raises(CheckpointError, match=match) as caught:
            read_hub(path, discriminator)
        assert str(caught.value).startswith(str(path if discriminator is None else discriminator))

    def without(state: Mapping[str, Tensor], *parts: str) -> dict[str, Tensor]:
        return {name: value for name, value in state.items() if not any(part in name for part in parts)}

    refused("record of a BigGAN training", {"itr": 5, "epoch": 1, "config": {"G_ch": 96}})
    refused("is a BigGAN discriminator", critic)
    refused("without a shared class embedding", without(generator, "shared"))
    refused("lacks the entry 'blocks.1.0.conv2.weight'", without(generator, "blocks.1.0.conv2.weight"))
    refused("does not have: blocks.0.0.surprise", {**generator, "blocks.0.0.surprise": torch.zeros(1)})
    refused("does not fit its own architecture", {**generator, "blocks.1.0.conv2.bias": torch.zeros(3)})
    refused("NaN or infinity", {**generator, "linear.bias": generator["linear.bias"] / 0})
    refused("take 17 values", {**generator, "blocks.0.0.bn1.gain.weight": torch.zeros(256, 17)})
    refused("is not a BigGAN discriminator's.*a BigGAN generator", generator, good)
    other = saved(tmp_path / "D.pth", {**critic, "embed.weight": torch.zeros(9, 256), "embed.u0": torch.zeros(1, 9)})
    refused("is for 9 classes, the generator for 6", generator, other)
    plain = saved(tmp_path / "plain.pth", without(critic, "u0"))
    refused("without spectral norm", generator, plain)
    hf = load_case("biggan_deep_hf")
    source = folder(tmp_path / "hf", "biggan_deep_hf")
    with pytest.raises(CheckpointError, match="published without a discriminator"):
        read_hub(source, other)
    saved(source / "pytorch_model.bin", {**hf.state, "generator.layers.0.bn_9.scale.weight_u": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="unknown entries: generator.layers.0.bn_9"):
        read_hub(source)
    saved(source / "pytorch_model.bin", without(hf.state, "generator.bn.running_means"))
    with pytest.raises(CheckpointError, match="lacks the entry 'generator.bn.running_means'"):
        read_hub(source)
