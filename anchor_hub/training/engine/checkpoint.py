"""Training checkpoints: written whole or not at all, checked by hash, the one before kept as a fallback."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import CheckpointError, TrainingError
from anchor_hub.system.files import write_file
from anchor_hub.system.guarded import read_regular

PATTERN = "step-*.pt"


@dataclass
class LoadedCheckpoint:
    """A checkpoint that passed its checks; `skipped` says in sentences which newer ones did not."""

    path: Path
    state: dict[str, Any]
    skipped: list[str] = field(default_factory=list)


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], keep: int = 2) -> Path:
    """Write `folder/step-XXXXXXXX.pt` atomically, its SHA-256 beside it, and drop all but the newest `keep`.

    Raises TrainingError where a tensor is not finite (such weights must never replace good ones) and where
    the disk is full or the folder cannot be written; the checkpoints already there stay untouched.
    """
    for name, tensor in _tensors(state):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise TrainingError(
                f"{name} holds NaN or infinity at step {step}, so no checkpoint was written; "
                f"{_last_good(folder)}"
            )
    path = folder / f"step-{step:08d}.pt"
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getbuffer()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The hash goes first: a checkpoint is there only once it can be checked.
        write_file(_hash_path(path), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n".encode())
        write_file(path, content)
        for old in _newest_first(folder)[keep:]:
            old.unlink(missing_ok=True)
            _hash_path(old).unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(
            f"cannot write the checkpoint {path}: {error.strerror or error}. Free some space or choose "
            f"another --run-dir, then go on with --resume; {_last_good(folder)}"
        ) from error
    return path


def load_newest_checkpoint(folder: Path) -> LoadedCheckpoint | None:
    """The newest checkpoint that is complete and unharmed, on the CPU; None where there is none at all.

    Raises CheckpointError where there are checkpoints, yet every one is damaged.
    """
    skipped: list[str] = []
    for path in _newest_first(folder):
        try:
            return LoadedCheckpoint(path, _load(path), skipped)
        except CheckpointError as error:
            skipped.append(str(error))
    if skipped:
        raise CheckpointError(
            f"no usable checkpoint in {folder}: {'; '.join(skipped)}. Start again in another --run-dir"
        )
    return None


def _load(path: Path) -> dict[str, Any]:
    try:
        content = read_regular(path, 1 << 40)
        recorded = read_regular(_hash_path(path)).decode("ascii").split()[:1]
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path.name} cannot be read ({error})") from error
    if recorded != [hashlib.sha256(content).hexdigest()]:
        raise CheckpointError(f"{path.name} is damaged (its SHA-256 differs from the recorded one)")
    try:
        # weights_only: tensors and plain containers, never code.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for damaged files
        raise CheckpointError(f"{path.name} is no training checkpoint ({type(error).__name__})") from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{path.name} is no training checkpoint (no step in it)")
    return state


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(PATTERN), reverse=True)


def _hash_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _last_good(folder: Path) -> str:
    newest = _newest_first(folder)[:1]
    return f"the last good checkpoint is {newest[0]}" if newest else "there is no earlier checkpoint"


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for key, item in enumerate(value):
            yield from _tensors(item, f"{name}.{key}")
