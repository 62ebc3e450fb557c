"""Whatever bytes of a file change: no crash, no hang, nothing foreign is imported, and only our errors."""

from __future__ import annotations

import argparse
import io
import pickle
import sys
from collections import OrderedDict
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from anchor_hub.checkpoints.families import family_of
from anchor_hub.checkpoints.inspecting import inspect_checkpoint
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.checkpoints.makers import network, nvidia_pickle
from tests.parity import GOLDEN

# A guard against hanging, which ends the whole test; nothing is timed.
pytestmark = pytest.mark.timeout(240)


def _tiny() -> dict[str, torch.Tensor]:
    from anchor_hub.checkpoints.stylegan2_rosinality import to_theirs

    config = StyleGAN2Config(8, latent_dim=4, mapping_layers=1, channels={4: 4, 8: 4})
    torch.manual_seed(0)
    return to_theirs(Generator(config).state_dict(), config)


@cache
def fixture(kind: str) -> bytes:
    """The bytes of a small file of every kind that is read."""
    import tempfile

    stream, state = io.BytesIO(), _tiny()
    content = {"g_ema": OrderedDict(state), "latent_avg": torch.zeros(4), "args": argparse.Namespace(size=8, lr=0.1)}
    if kind in ("zip", "legacy"):
        torch.save(content, stream, _use_new_zipfile_serialization=kind == "zip")
        return stream.getvalue()
    if kind == "release":
        translator = {f"decoder.{name}": value for name, value in state.items()}
        translator |= {"encoder.linear.weight": torch.zeros(4, 4), "regressor.layers.0.weight": torch.zeros(4, 8, 1, 1)}
        torch.save({"translator": translator, "latent_avg": torch.zeros(4, 4), "opts": {"size": 8}}, stream)
        return stream.getvalue()
    if kind == "safetensors":
        return save({"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(3, dtype=torch.int64)})
    if kind == "small pickle":
        with tempfile.TemporaryDirectory() as folder:
            state = {"b4.a": torch.zeros(2, 2), "w_avg": torch.zeros(2)}
            small = network("Generator", state, {"z_dim": 2}, "import os")
            return nvidia_pickle(Path(folder) / "n.pkl", {"G_ema": small, "augment_pipe": None}).read_bytes()
    if kind == "plain pickle":
        return pickle.dumps({"a": [1, (2.5, None)], "b": {3, 4}, 5: b"x" * 300, "c": 2**70}, protocol=2)
    return (GOLDEN / "stylegan2_ada_pkl" / "network.pkl").read_bytes()


KINDS = ["zip", "legacy", "release", "safetensors", "small pickle", "plain pickle", "network.pkl"]


def check(data: bytes, path: Path) -> None:
    """Read the file in every way that reads; only CheckpointError may come out."""
    path.write_bytes(data)
    before = set(sys.modules)
    try:
        raw = load_raw(path)
        family_of(raw).read(raw)
    except CheckpointError as error:
        message = str(error)
        assert message and "\n" not in message and len(message) < 3000
    try:
        found = inspect_checkpoint(path)
        assert found.groups() is not None and found.as_dict()
    except CheckpointError:
        pass
    new = {name for name in set(sys.modules) - before if not name.startswith(("anchor_hub", "torch", "numpy", "sympy"))}
    assert not new & {"torch_utils", "dnnlib", "antigravity", "this", "training"}, new


@st.composite
def mutations(draw: st.DrawFn, size: int) -> list[tuple[int, int, bytes]]:
    """Up to four replacements (position, bytes taken out, bytes put in)."""
    result = []
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, size - 1))
        removed = draw(st.integers(0, 4))
        result.append((position, removed, draw(st.binary(min_size=0, max_size=4))))
    return result


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(data=st.data())
def test_changed_bytes(kind, data, tmp_path):
    whole = bytearray(fixture(kind))
    # Most of a file are numbers: half of the changes are made where the structure is.
    ends = data.draw(st.sampled_from(["anywhere", "begin", "end"]))
    size = len(whole) if ends == "anywhere" else min(len(whole), 600)
    for position, removed, added in data.draw(mutations(size)):
        at = len(whole) - 1 - position if ends == "end" else position
        at = max(0, min(at, len(whole)))
        whole[at : at + removed] = added
    check(bytes(whole), tmp_path / "file.pt")


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=20, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(share=st.floats(0, 1), junk=st.binary(max_size=30))
def test_cut_and_continued(kind, share, junk, tmp_path):
    whole = fixture(kind)
    check(whole[: int(len(whole) * share)] + junk, tmp_path / "file.pt")


@settings(
    max_examples=300, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(body=st.binary(max_size=60))
def test_any_pickle(body, tmp_path):
    check(b"\x80\x04" + body + b".", tmp_path / "file.pkl")


@settings(
    max_examples=300, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.lists(st.sampled_from([
    b"N", b"(", b"0", b"1", b"2", b"]", b"}", b")", b"a", b"e", b"u", b"s", b"t", b"l", b"d", b"R", b"b", b"o",
    b"\x81", b"\x85", b"\x86", b"\x87", b"\x8f", b"\x90", b"\x91", b"\x92", b"\x93", b"\x94", b"K\x01", b"U\x01a",
    b"q\x00", b"h\x00", b"ccollections\nOrderedDict\n", b"cargparse\nNamespace\n", b"cbuiltins\nset\n", b"Q",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"cnumpy\ndtype\n", b"ctorch\nSize\n",
    b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n", b"\x8c\x05state", b"\x89", b"G" + bytes(8),
    b"ctorch.storage\n_load_from_bytes\n", b"C\x02ab", b"c_codecs\nencode\n", b"cdnnlib.util\nEasyDict\n",
    b"icollections\ndefaultdict\n", b"ctorch._tensor\n_rebuild_from_type_v2\n", b"cnumpy.core.multiarray\nscalar\n",
]), max_size=30))  # fmt: skip
def test_any_order_of_operations(tmp_path, operations):
    check(b"\x80\x04" + b"".join(operations) + b".", tmp_path / "file.pkl")
