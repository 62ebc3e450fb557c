"""The library's own writer of .safetensors gives the bytes of the safetensors library."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch

from anchor_hub.bundles import tensorfile
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
