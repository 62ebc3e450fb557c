"""Reading published checkpoint files: layouts, and files that must be refused."""

from __future__ import annotations

import argparse

import pytest
import torch

from anchor_hub.checkpoints import latent_space_anchoring as published
from anchor_hub.errors import CheckpointError
from tests.parity import load_case


def _content() -> dict[str, object]:
    state = {f"regressor.{name}": value for name, value in load_case("lsa_regressor_shallow").state.items()}
    state |= {f"encoder.{name}": value for name, value in load_case("lsa_encoder_w").state.items()}
    return {
        "translator": {**state, "decoder.input.input": torch.zeros(1), "decoder2.input.input": torch.ones(1)},
        "latent_avg": torch.zeros(1, 512),
        "opts": {"output_size": 1024, "regressor": "shallow"},
    }


def test_reads_a_file_and_keeps_decoders_apart(tmp_path):
    path = tmp_path / "published.pt"
    torch.save(_content(), path)
    parts = published.read_published(path)
    assert parts.options["output_size"] == 1024
    assert parts.mean_latent is not None and parts.mean_latent.shape == (1, 512)
    # "decoder." must not swallow "decoder2.".
    assert float(parts.generator["input.input"]) == 0 and float(parts.frozen_generator["input.input"]) == 1
    assert published.regressor_from_published(parts.regressor).out_channels == 5
    assert published.encoder_from_published(parts.encoder).space == "w"


def test_state_dict_is_the_older_key():
    content = _content()
    content["state_dict"] = content.pop("translator")
    assert published.split_published(content).encoder


class _Executed:
    def __reduce__(self):
        return (print, ("code from a checkpoint ran",))


@pytest.mark.parametrize(
    "kind", ["missing", "garbage", "code", "list", "other model", "no prefix", "no tensors", "odd mean"]
)
def test_refused_files(kind, tmp_path, capsys):
    path = tmp_path / "bad.pt"
    if kind == "garbage":
        path.write_bytes(b"\x00" * 100)
    elif kind != "missing":
        content = {
            "code": {"translator": _Executed()},
            "no tensors": {"translator": {"encoder.weight": "text"}},
            "odd mean": {**_content(), "latent_avg": 3},
            "list": [1, 2],
            "other model": {"g_ema": {}},
            "no prefix": {"translator": {"weight": torch.zeros(1)}},
        }[kind]
        torch.save(content, path)
    with pytest.raises(CheckpointError, match="bad.pt"):
        published.read_published(path)
    assert "ran" not in capsys.readouterr().out


def test_a_model_needs_its_generator():
    content = _content()
    content["translator"] = {n: v for n, v in content["translator"].items() if not n.startswith("decoder")}
    with pytest.raises(CheckpointError, match="decoder"):
        published.anchor_from_published(published.split_published(content))


def test_options_in_a_namespace_are_read(tmp_path):
    path = tmp_path / "published.pt"
    torch.save({**_content(), "opts": argparse.Namespace(regressor="deeper")}, path)
    assert published.read_published(path).options == {"regressor": "deeper"}
