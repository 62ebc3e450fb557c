"""Tensors of published files: the tables of names that their pickles may use, and views checked against storages."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints.pickles import Blob, Global, Machine, Record, Table, hashable, refusal
from anchor_hub.errors import CheckpointError

DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
#: Elements that views may have beyond their storages, in a whole file (repeated latents are stored so).
SPARE_ELEMENTS = 16 << 20

#: ``(dtype, key, elements) -> [elements]``: the storage of a persistent id.
Storages = Callable[[torch.dtype, str, int], Tensor]


class NumpyType:
    """A stand-in for numpy's dtype: its code; scalars need no more."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code if isinstance(code, str) else ""

    def set_state(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise CheckpointError("it holds big-endian numbers, which are not supported")


def numpy_scalar(kind: Any, data: Any) -> Any:
    """A Python number for a pickled numpy scalar."""
    forms = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "u8": "<Q", "u4": "<I", "b1": "<?"}
    forms |= {"i2": "<h", "i1": "<b", "u2": "<H", "u1": "<B"}
    code = kind.code.lstrip("<|=") if isinstance(kind, NumpyType) else ""
    if isinstance(data, str):
        data = data.encode("latin-1")
    if code not in forms or not isinstance(data, bytes) or len(data) != struct.calcsize(forms[code]):
        raise CheckpointError("it holds a numpy scalar of an unusual kind")
    return struct.unpack(forms[code], data)[0]


def _encode(text: Any, encoding: Any = "utf-8") -> bytes:
    if encoding not in ("latin1", "latin-1", "utf-8", "ascii") or not isinstance(text, str):
        raise CheckpointError("it holds bytes in an unusual encoding")
    return text.encode(encoding)


def _ordered(items: Any = ()) -> dict[Any, Any]:
    return {hashable(key): value for key, value in items}


def _namespace(*arguments: Any) -> Record:
    return Record("argparse.Namespace")


def _path(*parts: Any) -> str:
    return "/".join(_words(parts))


def _device(*parts: Any) -> str:
    return ":".join(_words(parts))


def _words(parts: tuple[Any, ...]) -> list[str]:
    """Texts and numbers as texts; anything else is refused (lists of shared lists would unfold without end)."""
    if not all(isinstance(part, (str, int)) for part in parts):
        raise CheckpointError("it is damaged: a path or device that is no text")
    return [str(part) for part in parts]


def _set(items: Any = ()) -> set[Any]:
    return {hashable(item) for item in items}


#: Plain values, in whatever pickle.
PLAIN: Table = {
    name: Global(name, build)
    for name, build in {
        "collections.OrderedDict": _ordered,
        "collections.defaultdict": lambda factory=None, items=(): _ordered(items),
        "argparse.Namespace": _namespace,
        "builtins.set": _set,
        "__builtin__.set": _set,
        "builtins.frozenset": _set,
        "__builtin__.frozenset": _set,
        "builtins.bytearray": lambda data=b"", *_: data,
        "builtins.dict": None,
        "builtins.list": None,
        "__builtin__.dict": None,
        "__builtin__.list": None,
        "_codecs.encode": _encode,
        "pathlib.PosixPath": _path,
        "pathlib.WindowsPath": _path,
        "pathlib._local.PosixPath": _path,
        "pathlib._local.WindowsPath": _path,
        "numpy.dtype": NumpyType,
        "numpy.core.multiarray.scalar": numpy_scalar,
        "numpy._core.multiarray.scalar": numpy_scalar,
        "torch.Size": lambda items=(): tuple(items),
        "torch.device": _device,
        "torch.nn.parameter.Parameter": None,
        "torch.Tensor": None,
    }.items()
} | {f"torch.{dtype}".replace("torch.torch.", "torch."): Global(str(dtype)) for dtype in DTYPES.values()}

STORAGE_TYPES: Table = {
    f"torch{package}.{name}Storage": Global(f"torch.{name}Storage")
    for name in DTYPES
    for package in ("", ".cuda")
}


class Tensors:
    """Builds a file's tensors as views of its storages, each checked; counts what views add to them."""

    def __init__(self) -> None:
        self._spare = SPARE_ELEMENTS

    def table(self) -> Table:
        """The globals of torch's tensors."""
        builders: dict[str, Callable[..., Any]] = {
            "torch._utils._rebuild_tensor_v2": self.rebuild,
            "torch._utils._rebuild_tensor": self.rebuild,
            "torch._utils._rebuild_parameter": lambda data, *_: data,
            "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
            "torch._tensor._rebuild_from_type_v2": self._rebuild_from_type,
        }
        return {name: Global(name, build) for name, build in builders.items()}

    def rebuild(
        self, storage: Any, offset: Any, size: Any, stride: Any, grad: Any = False, hooks: Any = None, *rest: Any
    ) -> Tensor:
        """A view of ``storage``. :raises CheckpointError: larger than its storage, or not as torch writes it."""
        numbers = (offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else ()
        if not isinstance(storage, Tensor) or not numbers or len(size) != len(stride) or len(size) > 12:
            raise CheckpointError("it is damaged: a tensor without storage or shape")
        if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 2**40 for n in numbers):
            shape = f" {list(size)}"[:100] if all(isinstance(n, int) for n in size) else ""
            raise CheckpointError(f"it holds a tensor of an impossible shape{shape}: it is damaged or malicious")
        if rest and rest[0]:
            raise CheckpointError("it holds conjugated or negated views of tensors, which are not supported")
        count = math.prod(size)
        last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
        if count and last >= storage.numel():
            raise CheckpointError(
                f"it holds a tensor of shape {list(size)} that is larger than its storage of "
                f"{storage.numel()} numbers: it is damaged or malicious"
            )
        self._spare -= max(0, count - storage.numel())
        if self._spare < 0:
            raise CheckpointError(
                f"it holds a tensor of shape {list(size)} that repeats a storage of {storage.numel()} numbers: "
                "it is damaged or malicious"
            )
        if not count:
            return torch.empty(0, dtype=storage.dtype)
        return torch.as_strided(storage, size, stride, offset)

    def _rebuild_from_type(self, function: Any, kind: Any, arguments: Any, state: Any) -> Any:
        names = ("torch.Tensor", "torch.nn.parameter.Parameter")
        if not isinstance(function, Global) or function.build is None or not isinstance(arguments, tuple):
            raise CheckpointError("it is damaged: a tensor without a way to build it")
        if function.name not in self.table():
            raise refusal(function.name)
        if not isinstance(kind, Global) or kind.name not in names:
            raise CheckpointError("it holds tensors of a class of their own: save plain tensors")
        return function.build(*arguments)


def storage_of(identity: Any, storages: Storages) -> Tensor:
    """The storage of a persistent id ``("storage", type, key, location, elements[, view])``."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        if isinstance(identity, tuple) and identity and identity[0] == "module":
            named = identity[1].name if len(identity) > 1 and isinstance(identity[1], Global) else "a module"
            raise refusal(named)
        raise CheckpointError("it refers to data in a way torch does not write: it is damaged or malicious")
    kind, key, count = identity[1], identity[2], identity[4]
    name = kind.name.removeprefix("torch.").removesuffix("Storage") if isinstance(kind, Global) else ""
    if name not in DTYPES or isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**40:
        raise CheckpointError("it is damaged: a storage without type or size")
    if not isinstance(key, (str, int)):
        raise CheckpointError("it is damaged: a storage without a key")
    storage = storages(DTYPES[name], str(key), count)
    view = identity[5] if len(identity) == 6 else None
    if view is None:
        return storage
    if not isinstance(view, tuple) or len(view) != 3 or not all(isinstance(n, int) for n in view[1:]):
        raise CheckpointError("it is damaged: a view without a size")
    if view[1] < 0 or view[2] < 0 or view[1] + view[2] > storage.numel():
        raise CheckpointError("it holds a view that is larger than its storage: it is damaged or malicious")
    return storage[view[1] : view[1] + view[2]]


def storage_in(buffer: memoryview, data: Any) -> Tensor:
    """The one storage of a legacy ``torch.save`` stream inside a pickle (``torch.storage._load_from_bytes``).

    :raises CheckpointError: it is anything else.
    """
    inner = buffer[data.start : data.stop] if isinstance(data, Blob) else memoryview(bytearray(data))
    found: list[tuple[torch.dtype, str, int]] = []

    def note(dtype: torch.dtype, key: str, count: int) -> Tensor:
        # The numbers come after the pickles; only their type and count are known here.
        found.append((dtype, key, count))
        return torch.empty(0, dtype=dtype)

    position = legacy_head(inner)
    for table, persistent in ((STORAGE_TYPES, lambda identity: storage_of(identity, note)), ({}, None)):
        machine = Machine(inner, table, persistent, position)
        machine.run()
        position = machine.position
    if len(found) != 1:
        raise CheckpointError("it is damaged: stored numbers that are not one storage")
    dtype, _, count = found[0]
    return legacy_numbers(inner, position, dtype, count)[0]


def legacy_head(buffer: memoryview) -> int:
    """Where the object's pickle begins in a legacy torch stream: after magic number, version and system.

    :raises CheckpointError: not such a stream, or of another machine.
    """
    position, values = 0, []
    for _ in range(3):
        machine = Machine(buffer, {}, None, position)
        values.append(machine.run())
        position = machine.position
    magic, version, system = values
    if magic != LEGACY_MAGIC or version != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise CheckpointError("it is damaged: no torch file of a known version")
    if system.get("little_endian") is False:
        raise CheckpointError("it holds big-endian numbers, which are not supported")
    return position


def legacy_numbers(
    buffer: memoryview, position: int, dtype: torch.dtype, count: int
) -> tuple[Tensor, int]:
    """The numbers of one storage (8 bytes with their count, then the numbers) and the position where they end."""
    size = count * dtype.itemsize
    stop = position + 8 + size
    if stop > len(buffer):
        raise CheckpointError("it ends before its numbers do (truncated): download or copy it again")
    if int.from_bytes(buffer[position : position + 8], "little") != count:
        raise CheckpointError("it is damaged: stored numbers of another size than announced")
    return aligned(buffer[position + 8 : stop], dtype), stop


def aligned(data: memoryview, dtype: torch.dtype) -> Tensor:
    """``data`` as a flat tensor: a view where it lies at a multiple of its numbers' size, else a copy."""
    if not len(data):
        return torch.empty(0, dtype=dtype)
    raw = torch.frombuffer(data, dtype=torch.uint8)
    if raw.data_ptr() % dtype.itemsize:
        raw = raw.clone()
    return raw.view(dtype)
