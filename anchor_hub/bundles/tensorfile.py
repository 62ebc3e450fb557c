"""Weights in .safetensors: written in one canonical form, read with every check before a tensor is made."""

from __future__ import annotations

import io
import json
import math
import re
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

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
    """Name -> (dtype, shape) of a .safetensors file's tensors, in the order of their bytes.

    BundleError naming `where` for anything unusual.

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
    spans: list[tuple[int, int, str]] = []
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
        spans.append((begin, end, name))
        result[name] = (dtype, tuple(shape))
    position = 0
    for begin, end, _ in sorted(spans):
        if begin != position:
            raise bad("its tensors overlap or leave holes")
        position = end
    if position != size - 8 - length:
        raise bad(f"it has {size - 8 - length} bytes of tensors where its header names {position}")
    return {name: result[name] for _, _, name in sorted(spans)}


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _wanted(value: Any) -> tuple[tuple[int, ...], Any]:
    """(shape, dtype or None) of an entry of `expected`."""
    if hasattr(value, "shape"):
        return tuple(value.shape), value.dtype
    if len(value) == 2 and not isinstance(value[0], int):
        return tuple(value[0]), value[1]
    return tuple(value), None


def _check_expected(
    found: Mapping[str, tuple[Any, tuple[int, ...]]], expected: Mapping[str, Any], where: object
) -> None:
    """Compare name -> (dtype, shape) with what is expected."""
    missing, unexpected = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
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
        own, held = found[name]
        if held != shape:
            raise BundleError(f"{where}: {name} has shape {list(held)}, the architecture needs {list(shape)}")
        if dtype is not None and dtype.is_floating_point != own.is_floating_point:
            raise BundleError(f"{where}: {name} has dtype {own}, the architecture needs {dtype}")


def read(data: bytes, where: object, expected: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
    """Tensors of a .safetensors file given as bytes, on the CPU; floating ones become float32.

    expected: see `Bundle.tensors`. Raises BundleError naming `where` (header, names, shapes, dtypes, NaN or Inf).
    """
    return read_stream(io.BytesIO(data), len(data), where, expected)


def read_stream(
    stream: BinaryIO,
    size: int,
    where: object,
    expected: Mapping[str, Any] | None = None,
    seen: Callable[[memoryview], None] = lambda data: None,
) -> dict[str, Tensor]:
    """Like :func:`read`, from an open file of `size` bytes, tensor by tensor: no second copy of the weights is held.

    seen: gets every byte of the file, in order and before it is used: for its hash.
    """
    import torch

    head = stream.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    head += stream.read(min(length, MAX_HEADER + 1))
    seen(memoryview(head))
    header = check_header(head, where, size)
    dtypes = _torch_dtypes()
    if expected is not None:
        _check_expected({name: (dtypes[code], shape) for name, (code, shape) in header.items()}, expected, where)
    result = {}
    for name, (code, shape) in header.items():
        tensor = torch.empty(shape, dtype=dtypes[code])
        data = memoryview(_bytes_of(tensor))
        if stream.readinto(data) != len(data):  # type: ignore[attr-defined]
            raise BundleError(f"{where}: ends before its last tensor does; install the bundle again")
        seen(data)
        if sys.byteorder == "big":
            numbers = _bytes_of(tensor).reshape(-1, tensor.element_size())
            numbers[:] = numbers[:, ::-1].copy()
        if tensor.dtype.is_floating_point:
            if not bool(torch.isfinite(tensor).all()):
                raise BundleError(
                    f"{where}: {name} holds NaN or infinity: the weights are damaged, install or "
                    "train them again"
                )
            tensor = tensor.to(torch.float32)
        result[name] = tensor
    return result


def _bytes_of(tensor: Tensor) -> Any:
    """A contiguous tensor's own memory, uint8 ``[n]``; writing to it changes the tensor."""
    import torch

    return tensor.reshape(-1).view(torch.uint8).numpy()


def _torch_dtypes() -> dict[str, Any]:
    """The dtype of each code that may be stored."""
    import torch

    return {
        "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
        "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    }  # fmt: skip


def write(tensors: Mapping[str, Tensor], where: object) -> bytearray:
    """The bytes of a .safetensors file; see :func:`pieces`."""
    return bytearray(b"".join(pieces(tensors, where)))


def pieces(tensors: Mapping[str, Tensor], where: object) -> Iterator[bytes]:
    """The bytes of a .safetensors file in pieces, the header and then tensor by tensor: tensors by name, no metadata.

    The same bytes as the safetensors library writes, without holding large weights a second time. BundleError, before
    the first piece, for what `read` would refuse.
    """
    import torch

    codes = {dtype: code for code, dtype in _torch_dtypes().items()}
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
    import torch

    flat = tensor.reshape(-1)
    raw = flat.view(torch.uint8).numpy() if flat.numel() else flat.numpy()
    if sys.byteorder == "big":
        raw = raw.reshape(-1, tensor.element_size())[:, ::-1]
    return raw.tobytes()
