"""Weights in .safetensors: written in one canonical form, read with every check before a tensor is made."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from anchor_hub.errors import BundleError

if TYPE_CHECKING:
    from torch import Tensor

_TENSOR_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,499}")
# Sizes in bytes of what may be stored.
_DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
# Narrow to wide, as the safetensors library orders them.
_ALIGNMENT = ("BOOL", "U8", "I8", "I16", "F16", "BF16", "I32", "F32", "F64", "I64")
MAX_HEADER = 10_000_000
MAX_TENSORS = 50_000


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{ascii(twice)[:80]} appears twice")
    return result


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those of floating point in half precision."""
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def check_header(
    data: bytes | memoryview, where: object, size: int | None = None
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> (dtype, shape) of a .safetensors file's tensors; BundleError naming `where` for anything unusual.

    size: bytes of the whole file, of which `data` then need be the beginning only.
    """
    size = len(data) if size is None else size

    def bad(reason: str) -> BundleError:
        return BundleError(f"{where}: is not a usable .safetensors file: {reason}; install the bundle again")

    if len(data) < 9:
        raise bad(f"it has only {len(data)} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if length > MAX_HEADER or 8 + length > size:
        raise bad("its header is longer than the file or than 10 MB (truncated, or another format?)")
    try:
        header = json.loads(bytes(data[8 : 8 + length]).decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise bad(f"its header is not JSON ({str(error)[:100]})") from error
    if not isinstance(header, dict):
        raise bad("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise bad("its metadata is not text")
    if not header or len(header) > MAX_TENSORS:
        raise bad("it holds no tensors" if not header else f"it holds more than {MAX_TENSORS} tensors")
    result: dict[str, tuple[str, tuple[int, ...]]] = {}
    spans = []
    for name, entry in header.items():
        shown = ascii(name)[:80]
        if not _TENSOR_NAME.fullmatch(name) or ".." in name:
            raise bad(f"the tensor name {shown} is not allowed")
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise bad(f"the entry of {shown} must have exactly dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise bad(f"{shown} has the dtype {ascii(dtype)[:40]}, which is not supported")
        if not isinstance(shape, list) or len(shape) > 8 or not all(_is_size(size) for size in shape):
            raise bad(f"{shown} has no usable shape")
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(at) for at in offsets):
            raise bad(f"{shown} has no usable offsets")
        begin, end = offsets
        if end - begin != math.prod(shape) * _DTYPES[dtype] or 0 in shape:
            raise bad(f"the size of {shown} does not fit its shape {shape}"[:300])
        spans.append((begin, end))
        result[name] = (dtype, tuple(shape))
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            raise bad("its tensors overlap or leave holes")
        position = end
    if position != size - 8 - length:
        raise bad(f"it has {size - 8 - length} bytes of tensors where its header names {position}")
    return result


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _wanted(value: Any) -> tuple[tuple[int, ...], Any]:
    """(shape, dtype or None) of an entry of `expected`."""
    if hasattr(value, "shape"):
        return tuple(value.shape), value.dtype
    if len(value) == 2 and not isinstance(value[0], int):
        return tuple(value[0]), value[1]
    return tuple(value), None


def _check_expected(tensors: Mapping[str, Tensor], expected: Mapping[str, Any], where: object) -> None:
    missing, unexpected = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or unexpected:
        parts = [
            f"{label} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
            for label, names in (("lacks", missing), ("has the unexpected", unexpected))
            if names
        ]
        raise BundleError(
            f"{where}: does not fit its architecture: {'; '.join(parts)}. Is it a file of another bundle?"
        )
    for name, value in expected.items():
        shape, dtype = _wanted(value)
        tensor = tensors[name]
        if tuple(tensor.shape) != shape:
            raise BundleError(
                f"{where}: {name} has shape {list(tensor.shape)}, the architecture needs {list(shape)}"
            )
        if dtype is not None and dtype.is_floating_point != tensor.dtype.is_floating_point:
            raise BundleError(f"{where}: {name} has dtype {tensor.dtype}, the architecture needs {dtype}")


def read(data: bytes, where: object, expected: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
    """Tensors of a .safetensors file given as bytes, on the CPU; floating ones become float32.

    expected: see `Bundle.tensors`. Raises BundleError naming `where` (header, names, shapes, dtypes, NaN or Inf).
    """
    check_header(data, where)
    import safetensors
    import safetensors.torch
    import torch

    try:
        stored = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError, KeyError, OverflowError) as error:
        raise BundleError(f"{where}: is not a usable .safetensors file ({str(error)[:200]})") from error
    if expected is not None:
        _check_expected(stored, expected, where)
    result = {}
    for name, tensor in stored.items():
        if tensor.dtype.is_floating_point:
            if not bool(torch.isfinite(tensor).all()):
                raise BundleError(
                    f"{where}: {name} holds NaN or infinity: the weights are damaged, install or "
                    "train them again"
                )
            tensor = tensor.to(torch.float32)
        result[name] = tensor
    return result


def write(tensors: Mapping[str, Tensor], where: object) -> bytearray:
    """The bytes of a .safetensors file; see :func:`pieces`."""
    return bytearray(b"".join(pieces(tensors, where)))


def pieces(tensors: Mapping[str, Tensor], where: object) -> Iterator[bytes]:
    """The bytes of a .safetensors file in pieces, the header and then tensor by tensor: tensors by name, no metadata.

    The same bytes as the safetensors library writes, without holding large weights a second time. BundleError, before
    the first piece, for what `read` would refuse.
    """
    import torch

    codes = {
        torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
        torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    }  # fmt: skip
    for name, tensor in tensors.items():
        if tensor.dtype not in codes:
            raise BundleError(f"{where}: {name} has the dtype {tensor.dtype}, which is not saved")
        if tensor.dtype.is_floating_point and not bool(torch.isfinite(tensor).all()):
            raise BundleError(
                f"{where}: {name} holds NaN or infinity, so it is not saved: train again with a lower "
                "learning rate"
            )
    entries, position = {}, 0
    # Wide numbers first, so that all lie at multiples of their size.
    order = sorted(tensors, key=lambda name: (-_ALIGNMENT.index(codes[tensors[name].dtype]), name))
    for name in order:
        tensor = tensors[name]
        end = position + tensor.numel() * tensor.element_size()
        shape, dtype = list(tensor.shape), codes[tensor.dtype]
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    head = struct.pack("<Q", len(header)) + header
    check_header(head, where, len(head) + position)
    yield head
    for name in order:
        yield raw_bytes(tensors[name].detach().to("cpu").contiguous())


def raw_bytes(tensor: Tensor) -> bytes:
    """A contiguous CPU tensor's bytes, little-endian."""
    import sys

    import torch

    flat = tensor.reshape(-1)
    raw = flat.view(torch.uint8).numpy() if flat.numel() else flat.numpy()
    if sys.byteorder == "big":
        raw = raw.reshape(-1, tensor.element_size())[:, ::-1]
    return raw.tobytes()
