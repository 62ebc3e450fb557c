"""Files that people tried to import: wrappers, prefixes, other defaults, harmless objects, other kinds."""

from __future__ import annotations

import collections
import datetime
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anchor_hub.checkpoints.importing import read_hub
from anchor_hub.checkpoints.latent_space_anchoring import PublishedParts
from anchor_hub.checkpoints.lsa_domain import ENCODER_TYPES, _check_family
from anchor_hub.checkpoints.raw import Record, load_raw, peeled, plain_array
from anchor_hub.checkpoints.stylegan2_ada import _built
from anchor_hub.checkpoints.stylegan2_rosinality import to_theirs
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.tiny import tiny_generator


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    generator = tiny_generator(size=8)
    return to_theirs(generator.state_dict(), generator.config)


def saved(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "a.pt")
    return folder / "a.pt"


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


MEAN = torch.arange(16.0)


@pytest.mark.parametrize(
    "wrap",
    {
        "g_ema": lambda s: {"g_ema": s},
        "bare": lambda s: s,
        "parallel": lambda s: {"g_ema": prefixed(s, "module.")},
        "compiled, parallel": lambda s: {"g_ema": prefixed(s, "module._orig_mod.")},
        "state_dict": lambda s: {"state_dict": s, "latent_avg": MEAN, "opts": {"device": "cuda"}},
        "model": lambda s: {"model": {"g_ema": s}},
        "of a whole model": lambda s: {"state_dict": {**prefixed(s, "generator."), "discriminator.x": MEAN}},
        "tuple": lambda s: ({"g_ema": s}, 5),
        "list in dict": lambda s: {"g_ema": [s]},
    }.items(),
    ids=lambda item: item[0],
)
def test_wrappers_and_prefixes(wrap: Any, state: dict[str, Tensor], tmp_path: Path) -> None:
    found = read_hub(saved(tmp_path, wrap[1](state)))
    assert found.generator.config.size == 8
    if wrap[0] == "state_dict":
        assert found.mean_latent is not None and torch.equal(found.mean_latent, MEAN)


def test_a_refusal_lists_what_is_inside(tmp_path: Path) -> None:
    content = {"g_ema": {"some.weight": torch.ones(2), "other.weight": torch.ones(2)}}
    with pytest.raises(CheckpointError, match=r"it holds g_ema \(of some.weight, other.weight"):
        read_hub(saved(tmp_path, content))


def test_peeling_gives_the_named_first() -> None:
    state = {"a": torch.ones(1)}
    assert next(peeled({"g": state, "state_dict": {"b": torch.ones(1)}}, "g")) is state


@pytest.mark.parametrize(
    "beside",
    [
        datetime.datetime(2020, 1, 1), range(5), np.arange(3), np.float32(2), Path("a") / "b", slice(1, 2), 3 + 4j,
        collections.Counter("ab"), [datetime.date(2020, 1, 1), {"x": np.zeros((2, 2))}],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 4])
def test_harmless_objects_beside_weights(beside: Any, protocol: int, state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"g_ema": state, "beside": beside}, tmp_path / "a.pt", pickle_protocol=protocol)
    assert read_hub(tmp_path / "a.pt").generator.config.size == 8


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_mean_latent_of_numpy_is_read(kind: Any, protocol: int, state: dict[str, Tensor], tmp_path: Path) -> None:
    mean = np.arange(16).astype(kind)
    torch.save({"g_ema": state, "latent_avg": mean}, tmp_path / "a.pt", pickle_protocol=protocol)
    found = read_hub(tmp_path / "a.pt").mean_latent
    assert found is not None and torch.equal(found, MEAN)


class Evil:
    def __reduce__(self) -> Any:
        return (eval, ("1 + 1",))


def test_programs_stay_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="asks to run"):
        read_hub(saved(tmp_path, {"g_ema": state, "beside": Evil()}))
    data = pickle.dumps({"a": np.dtype("O"), "b": np.array([Evil], dtype=object)}, protocol=4)
    (tmp_path / "b.pkl").write_bytes(data)
    with pytest.raises(CheckpointError):
        load_raw(tmp_path / "b.pkl")


def test_arrays_that_are_not_floating_are_no_tensors() -> None:
    assert plain_array(Record("numpy.ndarray")) is None and plain_array(5) is None


def test_the_class_embedding_was_lost(state: dict[str, Tensor], tmp_path: Path) -> None:
    wide = {**state, "style.1.weight": torch.cat([state["style.1.weight"]] * 2, dim=1)}
    with pytest.raises(CheckpointError, match="the class embedding was lost"):
        read_hub(saved(tmp_path, {"g_ema": wide}))


def test_hubs_that_are_not_square(state: dict[str, Tensor], tmp_path: Path) -> None:
    tall = {**state, "input.input": torch.ones(1, 16, 8, 4)}
    with pytest.raises(CheckpointError, match="its constant is 8x4 .* only square hubs"):
        read_hub(saved(tmp_path, {"g_ema": tall}))


@pytest.mark.parametrize("channels", [1, 4])
def test_hubs_of_other_channels_are_refused_by_name(channels: int, tmp_path: Path) -> None:
    table = {4: 8, 8: 8}
    generator = Generator(StyleGAN2Config(8, latent_dim=8, mapping_layers=1, channels=table, image_channels=channels))
    with pytest.raises(CheckpointError, match=f"its pictures have {channels} channel"):
        read_hub(saved(tmp_path, {"g_ema": to_theirs(generator.state_dict(), generator.config)}))


def layer(**state: Any) -> Record:
    return Record("Layer", state)


def network(*clamps: Any) -> Record:
    convs = {f"conv{number}": layer(conv_clamp=clamp, use_noise=True) for number, clamp in enumerate(clamps)}
    block = layer(architecture="skip", _modules=convs)
    weight = torch.ones(4, 16)
    first = layer(weight_gain=0.01 / 4, _parameters={"weight": weight})
    mapping = layer(_modules={"fc0": first})
    return layer(_modules={"synthesis": layer(_modules={"b4": block}), "mapping": mapping})


def test_layers_say_what_arguments_leave_out() -> None:
    assert _built(network(256, 256)) == {
        "conv_clamp": 256, "use_noise": True, "architecture": "skip", "mapping.lr_multiplier": 0.01,
    }  # fmt: skip
    assert _built(network(None))["conv_clamp"] is None
    with pytest.raises(CheckpointError, match="layers differ in conv_clamp"):
        _built(network(256, None))


def parts(options: dict[str, Any], channels: int = 3) -> PublishedParts:
    encoder = {"input_layer.0.weight": torch.ones(1, channels, 3, 3)}
    return PublishedParts(encoder=encoder, generator={}, frozen_generator={}, regressor={}, mean_latent=None,
                          options=options, image_discriminator={}, latent_discriminator={})  # fmt: skip


@pytest.mark.parametrize("kind", ["Encoder4Editing", "ProgressiveBackboneEncoder", "SomethingNew", 5])
def test_descendants_of_psp_are_refused_by_name(kind: object) -> None:
    with pytest.raises(CheckpointError, match=rf"of the type .*{kind}.* \(opts.encoder_type\)"):
        _check_family(parts({"encoder_type": kind}), None)


def test_iterative_encoders_are_refused() -> None:
    for options in ({"n_iters_per_batch": 5}, {"input_nc": 6}, {}):
        with pytest.raises(CheckpointError, match="iterative encoders"):
            _check_family(parts(options, 6), None)
    _check_family(parts({}, 6), {"name": "segmentation", "classes": 6})
    for kind in ENCODER_TYPES:
        _check_family(parts({"encoder_type": kind}), None)
