"""Reads any published checkpoint file as plain data. Nothing in a file is ever executed.

:func:`load_raw` knows the containers (torch zip, torch legacy, NVIDIA pickle, safetensors, a folder with
``config.json`` and weights). What the weights mean is known to the readers of the families.
"""

from __future__ import annotations

import json
import math
import mmap
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from anchor_hub.checkpoints.pickles import Record, check_tree
from anchor_hub.checkpoints.sniffing import foreign_kind
from anchor_hub.errors import AnchorError, CheckpointError
from anchor_hub.system.files import file_sha256
from anchor_hub.system.guarded import open_regular, read_regular

__all__ = ["RawCheckpoint", "Record", "load_raw", "state_dict", "walk"]

Kind = Literal["torch", "torch-legacy", "pickle", "safetensors"]
#: Weights in a folder with ``config.json``, the first that exists.
FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.safetensors")
MAX_CONFIG_BYTES = 1_000_000


@dataclass(frozen=True)
class RawCheckpoint:
    """A file's content as plain data.

    Attributes:
        path: the file with the weights (of a folder: the one in it).
        kind: the container: ``torch`` (zip), ``torch-legacy``, ``pickle`` (NVIDIA's), ``safetensors``.
        content: dicts, lists, tuples, texts, numbers, tensors (CPU, dense, views of the file: do not write to
            them) and :class:`Record` for ``argparse.Namespace`` and for NVIDIA's network objects. It neither
            refers to itself nor unfolds into more than 5 million values.
        config: the ``config.json`` beside the weights, or None.
        size: bytes of ``path``.
    """

    path: Path
    kind: Kind
    content: Any
    config: dict[str, Any] | None
    size: int

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of ``path``, hexadecimal; read from disk when first asked for."""
        return file_sha256(self.path)

    def error(self, message: str) -> CheckpointError:
        """A CheckpointError that names the file."""
        return CheckpointError(f"{self.path}: {message}")


def load_raw(path: Path | str, *, refused: list[CheckpointError] | None = None) -> RawCheckpoint:
    """Read a checkpoint file, or a folder with ``config.json`` and weights; no code of it runs.

    :param refused: if given, anything but plain data becomes an inert :class:`Record`, and the error that would have
        been raised is added to this list: for looking at files, never for using them.
    :raises CheckpointError: missing, damaged, of another kind, or holding more than plain data. The message begins
        with the path and says which.
    """
    path = Path(path)
    try:
        weights, config = _locate(path)
        mode = weights.stat().st_mode
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such file") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{weights}: is not a regular file")
    try:
        kind, content, size = _read(weights, refused)
        check_tree(content)
    except OSError as error:
        if isinstance(error, AnchorError):
            raise
        raise CheckpointError(f"{weights}: cannot be read ({error.strerror or error})") from error
    except CheckpointError as error:
        # The first refused object is the reason why the rest could not be read.
        raise CheckpointError(f"{weights}: {refused[0] if refused else error}") from error
    except MemoryError as error:
        raise CheckpointError(f"{weights}: does not fit into memory") from error
    return RawCheckpoint(weights, kind, content, config, size)


def _locate(path: Path) -> tuple[Path, dict[str, Any] | None]:
    """The file with the weights, and the ``config.json`` beside it."""
    if path.is_dir():
        if (path / "bundle.yaml").is_file():
            raise CheckpointError(
                f"{path}: is a bundle of Anchor Hub already: use `anchor hubs install` or `anchor domains install`"
            )
        found = [path / name for name in FOLDER_WEIGHTS if (path / name).is_file()]
        if not found or not (path / "config.json").is_file():
            held = ", ".join(sorted(ascii(item.name)[1:-1] for item in path.iterdir())[:6]) or "nothing"
            raise CheckpointError(
                f"{path}: a folder needs config.json and one of {', '.join(FOLDER_WEIGHTS)}; it holds {held}"
            )
        return found[0], read_config(path / "config.json")
    beside = path.parent / "config.json"
    return path, read_config(beside) if path.name in FOLDER_WEIGHTS and beside.is_file() else None


def read_config(path: Path) -> dict[str, Any]:
    """The JSON object in a ``config.json``. :raises CheckpointError: anything else, beginning with the path."""
    try:
        found = json.loads(read_regular(path, MAX_CONFIG_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not JSON ({str(error)[:100]})") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: is not a JSON object")
    return found


def _read(path: Path, refused: list[CheckpointError] | None) -> tuple[Kind, Any, int]:
    from anchor_hub.checkpoints import torch_files
    from anchor_hub.checkpoints.storages import LEGACY_MAGIC

    stream, size = open_regular(path)
    with stream:
        head = stream.read(1024)
        if reason := foreign_kind(head, size):
            raise CheckpointError(reason)
        # A private mapping: pages are read when they are used and never written back.
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        view = memoryview(mapped)
        kind: Kind = "pickle"
        if head[:4] == b"PK\x03\x04":
            kind, content = "torch", torch_files.read_zip(view, stream, refused)
        elif _is_safetensors(head, size):
            kind, content = "safetensors", _safetensors(view, path)
        elif head[:1] == b"\x80" and LEGACY_MAGIC.to_bytes(10, "little") in head[:20]:
            kind, content = "torch-legacy", torch_files.read_legacy(view, refused)
        else:
            content = torch_files.read_pickle(view, refused)
        if hasattr(mapped, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
            # Comparing checksums has read every page; drop them, so that only pages in use are read again.
            mapped.madvise(mmap.MADV_DONTNEED)
        return kind, content, size


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def _safetensors(view: memoryview, path: Path) -> dict[str, Tensor]:
    import torch

    from anchor_hub.bundles import tensorfile
    from anchor_hub.checkpoints.storages import aligned
    from anchor_hub.errors import BundleError

    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "U8": "uint8", "BOOL": "bool"}
    names |= {f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}
    try:
        entries = tensorfile.check_header(view, path)
    except BundleError as error:
        reason = str(error).removeprefix(f"{path}: ").replace("; install the bundle again", "")
        raise CheckpointError(f"{reason}: download or copy it again") from error
    length = int.from_bytes(view[:8], "little")
    header = json.loads(bytes(view[8 : 8 + length]))
    result = {}
    for name, (dtype, shape) in entries.items():
        begin, end = header[name]["data_offsets"]
        data = view[8 + length + begin : 8 + length + end]
        result[name] = aligned(data, getattr(torch, names[dtype])).reshape(shape)
    return result


def state_dict(content: Any) -> dict[str, Tensor] | None:
    """``content`` as a state dict, if it is one: a dict of at least one tensor, and of nothing but tensors."""
    if not isinstance(content, Mapping) or not content:
        return None
    fits = all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    return dict(content) if fits else None


#: Where programs put a network's entries, beside the names that a family gives.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "params_ema", "weights")
#: What programs put before every entry: of parallel training, of compiled networks, of a network within a model.
PREFIXES = ("module.", "_orig_mod.", "generator.", "netG.", "model.", "net.", "network.")


def peeled(content: Any, *keys: str) -> Iterator[Any]:
    """What may be a network in a file: the values of ``keys``, then those of :data:`WRAPPERS`, then the content itself;
    each taken out of lists of one, and state dicts also without :data:`PREFIXES` that all (or some) entries have.
    """
    content = _alone(content)
    found = []
    if isinstance(content, Mapping):
        found = [_alone(content[key]) for key in keys if key in content]
        for key in WRAPPERS:
            inner = _alone(content.get(key))
            if isinstance(inner, Mapping) and key not in keys:
                found += [_alone(inner[name]) for name in keys if name in inner] + [inner]
    for candidate in (*found, content):
        yield candidate
        state = state_dict(candidate)
        while state is not None:
            prefix = next((one for one in PREFIXES if any(name.startswith(one) for name in state)), None)
            if prefix is None:
                break
            state = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
            yield state


def first_state(content: Any, fits: Callable[[dict[str, Tensor]], bool], *keys: str) -> dict[str, Tensor] | None:
    """The first state dict of :func:`peeled` that ``fits``; None where there is none."""
    for candidate in peeled(content, *keys):
        state = state_dict(candidate)
        if state is not None and fits(state):
            return state
    return None


def _alone(content: Any) -> Any:
    """What a tuple or list of one holds, or the first of a pair whose rest is no network."""
    while isinstance(content, (tuple, list)) and content and isinstance(content[0], (Mapping, tuple, list, Record)):
        content = content[0]
    return content


def plain_array(value: Any) -> Tensor | None:
    """A pickled numpy array of floating numbers as a float32 tensor; None for anything else. Numpy makes none of it."""
    import torch

    from anchor_hub.checkpoints.storages import NumpyType

    state = value.state.get("state") if isinstance(value, Record) else None
    if not isinstance(state, tuple) or len(state) != 5 or not value.class_name.endswith("._reconstruct"):
        return None
    _, shape, kind, fortran, data = state
    code = kind.code.lstrip("<|=") if isinstance(kind, NumpyType) else ""
    known = {"f2": torch.float16, "f4": torch.float32, "f8": torch.float64}.get(code)
    sides = isinstance(shape, tuple) and all(isinstance(side, int) and 0 < side < 1 << 20 for side in shape)
    if known is None or fortran or not sides or not isinstance(data, bytes):
        return None
    if len(data) != math.prod(shape) * known.itemsize:
        return None
    return torch.frombuffer(bytearray(data), dtype=known).reshape(shape).float()


def walk(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in the tree that is no container, with its dotted name; records give their class's name first."""
    if isinstance(content, Record):
        yield f"{prefix}", content
        content = content.state
    if isinstance(content, Mapping):
        items: Any = content.items()
    elif isinstance(content, (list, tuple)):
        items = enumerate(content)
    else:
        yield prefix, content
        return
    for name, value in items:
        yield from walk(value, f"{prefix}.{name}" if prefix else str(name))
