"""The library's own writer and reader of .safetensors do what the safetensors library does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

import anchor_faces
from anchor_hub.bundles import tensorfile
from anchor_hub.bundles.base import write_bundle
from anchor_hub.errors import BundleError

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
]  # fmt: skip


def test_the_same_bytes():
    torch.manual_seed(0)
    tensors = {
        f"layer{(number * 7) % 11}.{kind}.weight": (torch.randn(3, 5) * 3).to(dtype)
        for kind, dtype in enumerate(DTYPES)
        for number in range(3)
    }
    tensors |= {"scalar": torch.tensor(3.0), "turned": torch.randn(4, 6).t(), "step": torch.tensor(7)}
    theirs = safetensors.torch.save({name: value.contiguous() for name, value in tensors.items()})
    assert bytes(tensorfile.write(tensors, "x")) == theirs
    found = tensorfile.read(theirs, "x")
    assert all(torch.equal(found[name], tensors[name].to(found[name].dtype)) for name in tensors)


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({}, "no tensors"),
        ({"a": torch.tensor([torch.nan])}, "NaN"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "complex64"),
        ({"../a": torch.zeros(1)}, "not allowed"),
        ({"a": torch.zeros(0)}, "does not fit"),
    ],
)
def test_what_is_not_written(tensors, match):
    with pytest.raises(BundleError, match=match):
        tensorfile.write(tensors, "x")


BUNDLED = sorted(Path(anchor_faces.__file__).parent.glob("bundles/*/*.safetensors"))


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_is_read_is_what_the_library_reads(path: Path) -> None:
    wanted = safetensors.torch.load_file(path)
    pieces: list[bytes] = []
    with open(path, "rb") as stream:
        found = tensorfile.read_stream(
            stream, path.stat().st_size, path, seen=lambda data: pieces.append(bytes(data))
        )
    assert b"".join(pieces) == path.read_bytes(), "every byte is seen, in order"
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor.float() if tensor.is_floating_point() else tensor), name


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the system does not tell the peak of memory")
def test_weights_are_held_once_while_they_are_read(tmp_path: Path) -> None:
    """Peak memory of loading stays below one and a half times the file."""
    weights = {"generator": {f"w{number}": torch.ones(2**20) for number in range(24)}}
    write_bundle(
        tmp_path / "big", kind="domain", name="big", tensors=weights, architecture={}, card="", hub="tiny",
        hub_fingerprint="0" * 64, modality={"name": "rgb"},
    )  # fmt: skip
    code = (
        "import sys, torch\n"
        "from anchor_hub.bundles.base import open_bundle\n"
        "def peak():\n"
        "    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "bundle = open_bundle(sys.argv[1]); torch.isfinite(torch.ones(2**20)).all(); before = peak()\n"
        "held = bundle.tensors('generator'); print((peak() - before) * 1024)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "big")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    size = (tmp_path / "big" / "generator.safetensors").stat().st_size
    assert int(done.stdout) < 1.5 * size
