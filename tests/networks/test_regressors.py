"""Published regressors against their numbers, and the contract of all of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anchor_hub.checkpoints.latent_space_anchoring import regressor_from_published, regressor_state
from anchor_hub.errors import CheckpointError, ConfigError
from anchor_hub.networks.regressors import REGRESSORS, build_regressor
from tests.parity import assert_parity, case_names, load_case

CASES = case_names("lsa_regressor")
CHANNELS = {16: 12, 32: 8, 64: 6}


def _features(batch: int = 2) -> dict[int, torch.Tensor]:
    torch.manual_seed(0)
    return {size: torch.randn(batch, channels, size, size) for size, channels in CHANNELS.items()}


@pytest.mark.parametrize("name", CASES)
def test_published_numbers(name):
    case = load_case(name)
    variant = case.manifest["config"]["network"]
    regressor = regressor_from_published(case.state)
    features = {256: case.inputs["x"]}
    with torch.no_grad():
        assert_parity(regressor(features), case.expected["y"], "eval")
        if variant == "attention":
            output, gate = regressor.forward_with_attention(features)
            assert_parity(output, case.expected["y"], "eval with attention")
            assert_parity(gate, case.expected["attention_weights"], "attention weights")
        regressor.train()
        assert_parity(regressor(features), case.expected["y_train_mode"], "train mode")
    statistics = [key for key in case.expected if key.startswith("after_train/")]
    assert bool(statistics) == (variant != "residual")
    for key in statistics:
        # Convolution, activation, norm: three of their layers are a block of ours.
        _, layer, leaf = key.split(".")
        assert_parity(getattr(regressor.blocks[int(layer) // 3].norm, leaf), case.expected[key], key)


@pytest.mark.parametrize("name", CASES)
def test_built_by_name_has_the_published_entries(name):
    case = load_case(name)
    config = case.manifest["config"]
    regressor = build_regressor(config["network"], {256: config["input_dim"]}, [256], config["out_class"])
    expected = {name: tuple(value.shape) for name, value in regressor_state(case.state).items()}
    assert {name: tuple(value.shape) for name, value in regressor.state_dict().items()} == expected


def test_every_published_variant_has_a_case():
    found = {load_case(name).manifest["config"]["network"] for name in CASES}
    assert found == {"shallow", "deep", "deep14", "deeper", "residual", "attention"}


def test_foreign_entries_are_refused():
    case = load_case(CASES[0])
    with pytest.raises(CheckpointError, match="surprise"):
        regressor_state({**case.state, "surprise": torch.zeros(1)})
    with pytest.raises(CheckpointError):
        regressor_from_published(
            {"layers.0.weight": torch.zeros(5, 7, 1, 1), "layers.3.weight": torch.zeros(2, 5, 1, 1)}
        )


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("resolutions", [(64,), (64, 16, 32)], ids=["single", "several"])
def test_contract(name, resolutions):
    regressor = build_regressor(name, CHANNELS, resolutions, 5, 64)
    assert regressor.resolutions == tuple(sorted(resolutions))
    assert regressor.in_channels == sum(CHANNELS[r] for r in resolutions)
    output = regressor(_features())
    assert output.shape == (2, 5, 64, 64) and torch.isfinite(output).all()
    output.square().mean().backward()
    assert not [key for key, parameter in regressor.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("name", ["deeper", "compact"])
def test_output_size(name):
    features = _features()
    assert build_regressor(name, CHANNELS, [16, 32], 3)(features).shape[-1] == 32
    assert build_regressor(name, CHANNELS, [16, 32], 3, 128)(features).shape[-1] == 128
    assert build_regressor(name, CHANNELS, [32, 64], 3, 16)(features).shape[-1] == 16


def test_pixelwise_regressors_see_one_pixel():
    regressor = build_regressor("deeper", CHANNELS, [64], 2).eval()
    features = {64: torch.zeros(1, 6, 64, 64, requires_grad=True)}
    regressor(features)[0, :, 20, 30].sum().backward()
    touched = features[64].grad.abs().sum(dim=1)[0].nonzero().tolist()
    assert touched == [[20, 30]]


def test_shallow_becomes_wide_with_many_classes():
    assert build_regressor("shallow", {8: 4}, [8], 31).widths == (128, 32)
    assert build_regressor("shallow", {8: 4}, [8], 32).widths == (256, 128)
    assert build_regressor("shallow-wide", {8: 4}, [8], 3).widths == (256, 128)


def test_instance_norm_hides_the_appearance_of_feature_maps():
    """Gain and offset of every channel, which is where a generator's style lies, are not seen; places are."""
    torch.manual_seed(0)
    plain, blind = (build_regressor("compact", CHANNELS, [16, 32], 3, instance_norm=norm) for norm in (False, True))
    features = {resolution: torch.randn(2, CHANNELS[resolution], resolution, resolution) for resolution in (16, 32)}
    restyled = {
        resolution: f * (torch.rand(2, f.shape[1], 1, 1) + 0.5) + torch.randn(2, f.shape[1], 1, 1)
        for resolution, f in features.items()
    }
    moved = {resolution: feature.flip(-1) for resolution, feature in features.items()}
    with torch.no_grad():
        torch.testing.assert_close(blind(restyled), blind(features), atol=1e-3, rtol=1e-3)
        assert float((plain(restyled) - plain(features)).abs().mean()) > 0.05
        assert float((blind(moved) - blind(features)).abs().mean()) > 0.05


def test_compact_is_light_and_does_not_depend_on_the_batch():
    regressor = build_regressor("compact", {16: 256, 32: 128, 64: 64}, [16, 32, 64], 19, 64)
    assert 200_000 < sum(parameter.numel() for parameter in regressor.parameters()) < 1_000_000
    assert not [module for module in regressor.modules() if isinstance(module, nn.BatchNorm2d)]
    features = {
        16: torch.randn(3, 256, 16, 16),
        32: torch.randn(3, 128, 32, 32),
        64: torch.randn(3, 64, 64, 64),
    }
    with torch.no_grad():
        together = regressor(features)
        alone = regressor({size: feature[1:2] for size, feature in features.items()})
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_errors_say_what_is_there():
    with pytest.raises(ConfigError, match="16, 32, 64"):
        build_regressor("deep", CHANNELS, [128], 3)
    with pytest.raises(ConfigError):
        build_regressor("deep", CHANNELS, [], 3)
    with pytest.raises(KeyError, match="deeper"):
        build_regressor("deepr", CHANNELS, [64], 3)
    with pytest.raises(KeyError, match="missing"):
        build_regressor("deep", CHANNELS, [64], 3)({32: torch.zeros(1, 8, 32, 32)})
    with pytest.raises(ConfigError, match="convs"):
        build_regressor("compact", CHANNELS, [16, 32], 3, convs=[1])
