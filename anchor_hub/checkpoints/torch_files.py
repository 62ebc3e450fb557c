"""Files of ``torch.save`` (zip and legacy) and NVIDIA's pickles, read in place: no code runs, nothing unpacks."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints.pickles import Blob, Global, Machine, Record, Table, hashable
from anchor_hub.checkpoints.storages import (
    PLAIN,
    STORAGE_TYPES,
    Tensors,
    aligned,
    legacy_head,
    legacy_numbers,
    storage_in,
    storage_of,
)
from anchor_hub.errors import CheckpointError

MAX_MEMBERS = 200_000
#: See :func:`anchor_hub.checkpoints.raw.load_raw`.
Refused = list[CheckpointError] | None
_LOCAL_HEADER = 30


def read_zip(buffer: memoryview, stream: io.BufferedIOBase, refused: Refused = None) -> Any:
    """The content of a zip that ``torch.save`` wrote.

    :raises CheckpointError: damage, compressed members, a TorchScript program, another zip.
    """
    members, root = _members(stream, len(buffer))
    order = members.get(f"{root}/byteorder")
    if order is not None and bytes(_stored(buffer, order)) == b"big":
        raise CheckpointError("it holds big-endian numbers, which are not supported")
    storages: dict[str, Tensor] = {}

    def storage(dtype: torch.dtype, key: str, count: int) -> Tensor:
        if key not in storages:
            member = members.get(f"{root}/data/{key}")
            if member is None:
                raise CheckpointError(f"it lacks the numbers of storage {key[:40]!r}: it is damaged")
            data = _stored(buffer, member)
            if len(data) != count * dtype.itemsize:
                raise CheckpointError(
                    f"storage {key[:40]!r} has {len(data)} bytes where {count * dtype.itemsize} are announced: "
                    "it is damaged or malicious"
                )
            storages[key] = aligned(data, dtype)
        if storages[key].dtype != dtype or storages[key].numel() != count:
            raise CheckpointError(f"storage {key[:40]!r} is used as two kinds of numbers: it is damaged")
        return storages[key]

    pickle = _stored(buffer, members[f"{root}/data.pkl"])
    table = {**PLAIN, **STORAGE_TYPES, **Tensors().table()}
    return Machine(pickle, table, lambda identity: storage_of(identity, storage), refused=refused).run()


def _members(stream: io.BufferedIOBase, size: int) -> tuple[dict[str, zipfile.ZipInfo], str]:
    """The members by name, checked against the file, and the folder that holds ``data.pkl``."""
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, OSError) as error:
        raise CheckpointError(
            "it begins like a zip but has no directory of its members at the end (truncated?): download or "
            "copy it again"
        ) from error
    names = {info.filename for info in infos}
    if "bundle.yaml" in names:
        raise CheckpointError("it is a bundle of Anchor Hub: use `anchor hubs install` or `anchor domains install`")
    roots = [name[: -len("/data.pkl")] for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names) and roots:
        raise CheckpointError("it is a TorchScript program, which is code: save its state dict, and import that")
    if len(infos) > MAX_MEMBERS or len(names) != len(infos):
        raise CheckpointError("its zip directory names members twice or too many: it is damaged or malicious")
    # Sizes are checked before anything else: a small member may announce a size that fills the memory.
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(
                f"its member {ascii(info.filename)[:80]} is compressed ({info.compress_size:,} bytes that expand to "
                f"{info.file_size:,}), which torch never does: save the checkpoint again with torch.save"
            )
    if len(roots) != 1:
        some = ", ".join(ascii(name)[1:-1][:40] for name in sorted(names)[:4]) or "nothing"
        raise CheckpointError(f"it is a zip, but not one of torch.save (no data.pkl in it; it holds {some})")
    if sum(info.file_size for info in infos) > size or any(i.flag_bits & 1 for i in infos):
        raise CheckpointError("its zip members overlap or are encrypted: it is damaged or malicious")
    return {info.filename: info for info in infos}, roots[0]


def _stored(buffer: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of a stored member, checked against its checksum."""
    start = info.header_offset
    header = bytes(buffer[start : start + _LOCAL_HEADER]) if start >= 0 else b""
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise CheckpointError(f"its member {ascii(info.filename)[:80]} is not where it should be: it is damaged")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start += _LOCAL_HEADER + name_length + extra_length
    data = buffer[start : start + info.file_size]
    if info.compress_size != info.file_size or len(data) != info.file_size:
        raise CheckpointError(f"its member {ascii(info.filename)[:80]} ends too early (truncated): download it again")
    if zlib.crc32(data) != info.CRC:
        raise CheckpointError(
            f"its member {ascii(info.filename)[:80]} is damaged (the checksum differs): download or copy it again"
        )
    return data


def read_legacy(buffer: memoryview, refused: Refused = None) -> Any:
    """The content of a stream that ``torch.save`` wrote before torch 1.6 (or with its old serialization).

    :raises CheckpointError: damage, truncation, objects with code.
    """
    storages: dict[str, Tensor] = {}
    announced: dict[str, tuple[torch.dtype, int]] = {}
    table = {**PLAIN, **STORAGE_TYPES, **Tensors().table()}

    def collect(dtype: torch.dtype, key: str, count: int) -> Tensor:
        if announced.setdefault(key, (dtype, count)) != (dtype, count):
            raise CheckpointError(f"storage {key[:40]!r} is used as two kinds of numbers: it is damaged")
        # The numbers come after the pickle. On the first pass, tensors without memory stand for them.
        return storages[key] if key in storages else torch.empty(count, dtype=dtype, device="meta")

    start = legacy_head(buffer)
    machine = Machine(buffer, table, lambda identity: storage_of(identity, collect), start, refused)
    machine.run()
    keys_machine = Machine(buffer, {}, None, machine.position)
    keys, position = keys_machine.run(), keys_machine.position
    fits = isinstance(keys, list) and len(keys) == len(announced) and all(isinstance(k, (str, int)) for k in keys)
    if not fits or {str(key) for key in keys} != set(announced):
        raise CheckpointError("its list of storages does not fit its content: it is damaged")
    for key in map(str, keys):
        storages[key], position = legacy_numbers(buffer, position, *announced[key])
    table = {**PLAIN, **STORAGE_TYPES, **Tensors().table()}
    return Machine(buffer, table, lambda identity: storage_of(identity, collect), start, refused).run()


def read_pickle(buffer: memoryview, refused: Refused = None) -> Any:
    """The content of a plain pickle in the layout of NVIDIA's networks.

    Each of its objects names a class and brings that class's source text; the text is dropped unread, the
    object becomes a :class:`Record` of that class name and the attributes.

    :raises CheckpointError: damage, objects with code of any other kind.
    """
    tensors, unread = Tensors(), len(buffer)

    def record(meta: Any) -> Record:
        fits = isinstance(meta, dict) and meta.get("type") == "class" and isinstance(meta.get("state"), dict)
        if not fits or not isinstance(meta.get("class_name"), str):
            raise CheckpointError("it has an NVIDIA network object without class name or state: it is damaged")
        source = meta.get("module_src")
        return Record(meta["class_name"], meta["state"], len(source) if isinstance(source, str) else 0)

    def load_storage(data: Any) -> Tensor:
        if not isinstance(data, (Blob, bytes)):
            raise CheckpointError("it is damaged: stored numbers that are no bytes")
        nonlocal unread
        unread -= data.stop - data.start if isinstance(data, Blob) else len(data)
        if unread < 0:
            raise CheckpointError("it reads the same stored numbers again and again: it is damaged or malicious")
        return storage_in(buffer, data)

    nvidia: dict[str, Any] = {
        "torch_utils.persistence._reconstruct_persistent_obj": record,
        "dnnlib.util.EasyDict": _easy_dict,
        "torch.storage._load_from_bytes": load_storage,
    }
    table: Table = {
        **PLAIN,
        **tensors.table(),
        **{name: Global(name, build) for name, build in nvidia.items()},
    }
    machine = Machine(buffer, table, refused=refused)
    content = machine.run()
    if machine.position != len(buffer):
        raise CheckpointError("it goes on after its end: it is damaged or another kind of file")
    return content


def _easy_dict(items: Any = ()) -> dict[Any, Any]:
    return {hashable(key): value for key, value in (items.items() if isinstance(items, dict) else items)}
