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
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminator, BigGANDiscriminatorConfig
from tests.checkpoints.full_size import biggan_deep
from tests.checkpoints.makers import biggan_for, biggan_state, saved
from tests.cli.running import anchor
from tests.parity import assert_parity, case_names, load_case, numbered

GENERATORS = [*case_names("biggan_brock_g"), *case_names("biggan_deep_brock_g")]
DISCRIMINATORS = [*case_names("biggan_brock_d"), *case_names("biggan_deep_brock_d")]
SMALL_DEEP: dict[str, Any] = {
    "output_dim": 16, "z_dim": 4, "class_embed_dim": 4, "channel_width": 4, "num_classes": 3,
    "layers": [[False, 16, 16], [True, 16, 8], [True, 8, 4]],
    "attention_layer_position": 2, "eps": 1e-4, "n_stats": 5,
}  # fmt: skip


def folder(path: Path, name: str) -> Path:
    """A published folder of a stored case."""
    case = load_case(name)
    path.mkdir()
    (path / "config.json").write_text(json.dumps(case.manifest["config"]))
    saved(path / "pytorch_model.bin", case.state)
    return path


def run(path: Path, name: str, prefix: str = "") -> Path:
    """A stored case as a file of weights with its training's configuration beside it."""
    case = load_case(name)
    saved(path, case.state, prefix)
    (path.parent / "config.json").write_text(json.dumps(case.manifest["config"]))
    return path


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("biggan_deep_hf"))
def test_config_and_bin_by_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    source = folder(tmp_path / "biggan-deep-256", name)
    result = anchor("hubs", "import", str(source), "--name", "imagenet-256", "--license", "MIT")
    assert result.exit_code == 0, result.output
    assert "--hub imagenet-256 --class CLASS --data FOLDER" in result.stdout  # which one of its classes
    hub, case = Hub.load(tmp_path / "home" / "hubs" / "imagenet-256"), load_case(name)
    z, weights = case.inputs["z"], case.inputs["class_one_hot"]
    classes = hub.generator.embed(weights)
    for key, truncation in numbered(case, "image_t"):
        image = hub.generator(z, classes, truncation=truncation).image
        assert_parity(image, case.expected[key], key)
    own = hub.config.truncation
    for row, label in enumerate(weights.argmax(dim=1).tolist()):
        image, stored = hub.of_class(label).image(z[row : row + 1]), case.expected.get(f"image_t{own}")
        if stored is not None:
            assert_parity(image, stored[row : row + 1], f"class {label}")
    samples = hub.of_class(0).sample(64, seed=0)
    assert samples.abs().max() <= 2 * own, "never beyond the statistics' truncation"


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_biggan_generator"))
def test_latent_space_anchoring_s_generator(name: str, tmp_path: Path) -> None:
    case = load_case(name)
    result = import_hub(folder(tmp_path / "lsa", name), "lsa", output=tmp_path / "hub")
    hub = Hub.load(result.folder)
    classes = hub.generator.embed(case.inputs["class_onehot"])
    for key, truncation in numbered(case, "image_t"):
        output = hub.generator(case.inputs["z"], classes, truncation=truncation, features=(hub.size,))
        assert_parity(output.image, case.expected[key], key)
        features = hub.generator.before_rgb(output.features[hub.size], truncation)
        maps = key.replace("image", "features")
        assert_parity(features, case.expected[maps], maps)
    soft = hub.generator(case.inputs["z"], hub.generator.embed(case.inputs["class_soft"]))
    assert_parity(soft.image, case.expected["image_soft"])
    assert not any("mean latent" in note for note in result.notes)


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", GENERATORS)
def test_generator_files(name: str, prefix: str, tmp_path: Path) -> None:
    case = load_case(name)
    config = case.manifest["config"]
    hub = Hub.load(import_hub(run(tmp_path / "run" / "G_ema.pth", name, prefix), "b", output=tmp_path / "hub").folder)
    slots = 1 if "G_depth" in config or not config["hier"] else len(hub.feature_channels)
    assert (hub.size, len(hub.classes), hub.num_latents) == (config["resolution"], config["n_classes"], slots)
    assert (hub.config.norm_epsilon, hub.config.spectral_epsilon) == (config["BN_eps"], config["SN_eps"])
    z, y = case.inputs["z"], case.inputs["y"]
    assert_parity(hub.generator(z, y).image, case.expected["image"], "image")
    for row, label in enumerate(y.tolist()):
        image = hub.of_class(label).image(z[row : row + 1])
        assert_parity(image, case.expected["image"][row : row + 1], f"class {label}")


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminator_files(name: str, prefix: str, tmp_path: Path) -> None:
    case = load_case(name)
    config = case.manifest["config"]
    generator = biggan_state(biggan_for(config["resolution"], config["n_classes"]))
    result = import_hub(
        saved(tmp_path / "made" / "G_ema.pth", generator, prefix),
        "biggan",
        discriminator=run(tmp_path / "run" / "D.pth", name, prefix),
        output=tmp_path / "hub",
    )
    found = Hub.load(result.folder).discriminator().eval()
    logits = found(case.inputs["x"], case.inputs["y"])
    assert_parity(logits[:, None], case.expected["logits"], "logits")
    fake = found(case.inputs["x_fake"], case.inputs["y_fake"])
    assert_parity(fake[:, None], case.expected["logits_fake"], "logits of fakes")


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("biggan_brock_g"))
def test_standing_statistics_in_sums(name: str, tmp_path: Path) -> None:
    """The other batch norm of the same code: sums in <layer>.bn and a counter of batches."""
    case = load_case(name)
    state: dict[str, Tensor] = {}
    for entry, value in case.state.items():
        module, _, leaf = entry.rpartition(".")
        if leaf in ("stored_mean", "stored_var"):
            state[f"{module}.bn.{leaf}"] = value * 3
            state[f"{module}.bn.accumulation_counter"] = torch.tensor([3.0])
        else:
            state[entry] = value
    epsilon = case.manifest["config"]["BN_eps"]
    found = read_hub(saved(tmp_path / "G_ema.pth", state), norm_epsilon=epsilon)
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
    generator = load_case(GENERATORS[0]).state
    size, classes = 32, len(generator["shared.weight"])
    plain = biggan_state(BigGANDiscriminator(BigGANDiscriminatorConfig.of_size(size, width=4, classes=classes)))
    fitting = biggan_state(biggan_for(size, classes))
    critic = load_case(DISCRIMINATORS[0]).state
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
    gain = generator["blocks.0.0.bn1.gain.weight"]
    odd = gain.shape[1] + 1
    refused(f"take {odd} values", {**generator, "blocks.0.0.bn1.gain.weight": torch.zeros(len(gain), odd)})
    refused("is not a BigGAN discriminator's.*a BigGAN generator", generator, good)
    wrong = {"embed.weight": torch.zeros(classes + 3, 16), "embed.u0": torch.zeros(1, classes + 3)}
    other = saved(tmp_path / "D.pth", {**plain, **wrong})
    refused(f"is for {classes + 3} classes, the generator for {classes}", fitting, other)
    bare = saved(tmp_path / "plain.pth", without(plain, "u0"))
    refused("without spectral norm", fitting, bare)
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
