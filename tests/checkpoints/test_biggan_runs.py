"""What BigGAN weights do not say: the epsilon of the batch norms; and the images a discriminator is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anchor_hub.checkpoints.importing import import_hub, read_hub
from anchor_hub.errors import CheckpointError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.biggan_deep import BigGANDeep, BigGANDeepConfig
from anchor_hub.networks.biggan_discriminators import (
    BigGANDeepDiscriminator,
    BigGANDeepDiscriminatorConfig,
    BigGANDiscriminator,
    BigGANDiscriminatorConfig,
)
from tests.checkpoints.full_size import biggan_deep
from tests.checkpoints.makers import biggan_for, biggan_state, rosinality_file, saved
from tests.checkpoints.test_biggan import SMALL_DEEP
from tests.cli.running import anchor
from tests.parity import FLOAT32_TOLERANCE, assert_parity, case_names, load_case, relative_error
from tests.tiny import tiny_generator

FLAT = biggan_state(biggan_for(32, 3))


def config_of(path: Path, **options: Any) -> tuple[Any, list[str]]:
    found = read_hub(path, **options)
    return found.generator.config, found.notes


def record(path: Path, config: dict[str, Any]) -> Path:
    """A training's record as the authors' code writes it: with whole objects in its configuration."""
    whole = {**config, "G_activation": nn.ReLU(inplace=True), "D_activation": nn.ReLU()}
    torch.save({"itr": 7, "epoch": 1, "save_num": 0, "best_IS": 0.0, "config": whole}, path)
    return path


@torch.no_grad()
@pytest.mark.parametrize("name", [*case_names("biggan_brock_g"), *case_names("biggan_deep_brock_g")])
def test_another_epsilon_counts_in_the_conditional_norms_alone(name: str, tmp_path: Path) -> None:
    """Variances lowered by what the epsilon is raised: the published image, through another epsilon."""
    case = load_case(name)
    epsilon = case.manifest["config"]["BN_eps"]
    norms = [key for key in case.state if key.endswith(".stored_var") and not key.startswith("output_layer")]
    raised = float(min(case.state[key].min() for key in norms)) * 0.9
    state = {key: value - (raised if key in norms else 0) for key, value in case.state.items()}
    path = saved(tmp_path / "G_ema.pth", state)
    z, y = case.inputs["z"], case.inputs["y"]
    image = read_hub(path, norm_epsilon=epsilon + raised).generator(z, y).image
    assert_parity(image, case.expected["image"], "image")
    other = read_hub(path).generator(z, y).image
    assert relative_error(other, case.expected["image"]) > 10 * FLOAT32_TOLERANCE


def test_a_training_s_record_beside_the_file_is_read_and_nothing_in_it_runs(tmp_path: Path) -> None:
    path = saved(tmp_path / "G_ema.pth", FLAT)
    config, notes = config_of(path)
    assert config.norm_epsilon == 1e-5 and notes == []
    record(tmp_path / "state_dict.pth", {"BN_eps": 1e-4, "SN_eps": 1e-8, "resolution": 32, "n_classes": 3})
    config, notes = config_of(path)
    assert (config.norm_epsilon, config.spectral_epsilon) == (1e-4, 1e-8)
    assert notes == ["The epsilon of its batch norms, 0.0001, comes from state_dict.pth beside it."]
    # A snapshot's own record comes before that of the training's end.
    best = saved(tmp_path / "G_ema_best0.pth", FLAT)
    assert config_of(best)[0].norm_epsilon == 1e-4
    record(tmp_path / "state_dict_best0.pth", {"BN_eps": 1e-3})
    assert config_of(best)[0].norm_epsilon == 1e-3 and config_of(path)[0].norm_epsilon == 1e-4
    # What the user says comes before all.
    config, notes = config_of(best, norm_epsilon=2e-5)
    assert config.norm_epsilon == 2e-5 and notes == []


def test_a_configuration_of_another_training_is_passed_over(tmp_path: Path) -> None:
    path = saved(tmp_path / "G_ema.pth", FLAT)
    for table, note in (
        ({"BN_eps": 1e-4, "resolution": 128, "n_classes": 1000}, "belongs to a training of 128 px and 1000 classes"),
        ({"BN_eps": 1e-4, "n_classes": 5}, "belongs to a training of 5 classes"),
        ({"BN_eps": 0}, "BN_eps must be a small positive number, not 0"),
        ({"BN_eps": "1e-4"}, "BN_eps must be"),
        ({"BN_eps": 1e-4, "resolution": "C10"}, "resolution must be a whole number"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(table))
        config, notes = config_of(path)
        assert config.norm_epsilon == 1e-5 and len(notes) == 1
        assert note in notes[0] and "not used" in notes[0] and "config.json" in notes[0]
    (tmp_path / "config.json").write_text("{")
    assert "is not JSON" in config_of(path)[1][0]
    (tmp_path / "state_dict.pth").write_bytes(b"PK\x03\x04 damaged")
    assert len(config_of(path)[1]) == 2
    # Of another program: it says nothing about a BigGAN, and is nobody's business.
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "state_dict.pth").unlink()
    assert config_of(path)[1] == []


def test_the_record_says_how_many_blocks_a_resolution_has(tmp_path: Path) -> None:
    """Six blocks of no published channels: three resolutions of two blocks, or two of three."""
    blocks = [(False, 16, 16), (False, 16, 16), (True, 16, 16), (False, 16, 16), (False, 16, 16), (True, 16, 8)]
    torch.manual_seed(0)
    network = BigGANDeep(
        BigGANDeepConfig(16, latent_dim=3, classes=3, embedding_dim=5, blocks=blocks, attention=())
    )
    path = saved(tmp_path / "G_ema.pth", biggan_state(network))
    assert config_of(path)[0].size == 32
    (tmp_path / "config.json").write_text(json.dumps({"G_depth": 3, "resolution": 16, "BN_eps": 1e-4}))
    config, _ = config_of(path)
    assert config.size == 16 and config.block_list == network.config.block_list and config.norm_epsilon == 1e-4


@torch.no_grad()
def test_the_option_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    path, hubs = saved(tmp_path / "G_ema.pth", FLAT), tmp_path / "home" / "hubs"

    def imported(name: str, *options: str) -> Hub:
        result = anchor("hubs", "import", str(path), "--name", name, "--license", "MIT", *options)
        assert result.exit_code == 0, result.output
        return Hub.load(hubs / name)

    plain, given = imported("plain"), imported("given", "--bn-eps", "1e-4")
    assert (plain.config.norm_epsilon, given.config.norm_epsilon) == (1e-5, 1e-4)
    assert plain.fingerprint != given.fingerprint, "they draw different pictures"
    z = plain.sample(2, seed=0)
    assert not torch.equal(plain.of_class(1).image(z), given.of_class(1).image(z))
    other = rosinality_file(tmp_path / "other.pt", _rosinality())
    for file, value, words in (
        (path, "0", "--bn-eps must lie above 0"),
        (path, "1", "--bn-eps must lie above 0"),
        (path, "nan", "--bn-eps must lie above 0"),
        (other, "1e-4", "--bn-eps applies to BigGANs only"),
    ):
        result = anchor("hubs", "import", str(file), "--name", "no", "--bn-eps", value)
        assert result.exit_code == 2 and words in result.stderr, result.output
        assert not (hubs / "no").exists()


def _rosinality() -> dict[str, Tensor]:
    from anchor_hub.checkpoints.stylegan2_rosinality import to_theirs

    generator = tiny_generator()
    return {f"g_ema.{name}": value for name, value in to_theirs(generator.state_dict(), generator.config).items()}


def test_the_layout_of_tf_hub_takes_it_too(tmp_path: Path) -> None:
    source = biggan_deep(tmp_path / "small", SMALL_DEEP)
    assert config_of(source)[0].norm_epsilon == SMALL_DEEP["eps"]
    config, _ = config_of(source, norm_epsilon=1e-3)
    assert (config.norm_epsilon, config.output_norm_epsilon, config.spectral_epsilon) == (1e-3, 1e-3, SMALL_DEEP["eps"])
    with pytest.raises(UsageError, match="--bn-eps"):
        read_hub(source, norm_epsilon=-1.0)


def critic_of_32_px(kind: str) -> BigGANDiscriminator | BigGANDeepDiscriminator:
    flat = {"width": 4, "classes": 3}
    if kind == "flat":
        return BigGANDiscriminator(BigGANDiscriminatorConfig.of_size(32, **flat))
    if kind == "flat with attention":
        return BigGANDiscriminator(BigGANDiscriminatorConfig(32, attention=(1, 2, 3, 4), **flat))
    return BigGANDeepDiscriminator(BigGANDeepDiscriminatorConfig.of_size(32, depth=1 + (kind == "deep"), **flat))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["flat", "flat with attention", "deep", "deep of one block"])
def test_discriminators_of_32_px_halve_the_side_twice(kind: str, tmp_path: Path) -> None:
    critic = critic_of_32_px(kind).eval()
    path = saved(tmp_path / "G_ema.pth", FLAT)
    judge = saved(tmp_path / "D.pth", biggan_state(critic))
    found = Hub.load(import_hub(path, "b", discriminator=judge, output=tmp_path / "hub").folder).discriminator().eval()
    assert found.config == critic.config and sum(down for down, _ in found.config.block_list) == 2
    images, labels = torch.randn(2, 3, 32, 32), torch.tensor([0, 2])
    assert torch.equal(found(images, labels), critic(images, labels))
    larger = saved(tmp_path / "large" / "G_ema.pth", biggan_state(biggan_for(64, 3)))
    with pytest.raises(CheckpointError, match="D.pth: is for 32 px images, the generator makes 64 px"):
        read_hub(larger, judge)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_discriminators_of_other_sizes_end_at_4_px(size: int, tmp_path: Path) -> None:
    flat = BigGANDiscriminator(BigGANDiscriminatorConfig.of_size(size, width=4, classes=3))
    deep = BigGANDeepDiscriminator(BigGANDeepDiscriminatorConfig.of_size(size, width=4, classes=3))
    fitting = saved(tmp_path / "fits" / "G_ema.pth", biggan_state(biggan_for(size, 3)))
    small = saved(tmp_path / "small" / "G_ema.pth", FLAT)
    for critic in (flat, deep):
        judge = saved(tmp_path / "D.pth", biggan_state(critic))
        assert read_hub(fitting, judge).discriminator.config == critic.config
        with pytest.raises(CheckpointError, match=f"is for {size} px images, the generator makes 32 px"):
            read_hub(small, judge)
