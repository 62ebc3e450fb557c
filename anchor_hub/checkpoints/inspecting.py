"""Says what any checkpoint file holds, for `anchor checkpoints inspect`. No code in the file is run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from anchor_hub.checkpoints.base import HubReader
from anchor_hub.checkpoints.families import describe, families, matches
from anchor_hub.checkpoints.raw import RawCheckpoint, Record, load_raw, walk
from anchor_hub.checkpoints.stylegan2_ada import module_state
from anchor_hub.errors import CheckpointError

CONTAINERS = {
    "torch": "a file of torch.save (zip)",
    "torch-legacy": "a file of torch.save (before torch 1.6)",
    "pickle": "a pickle of NVIDIA's kind",
    "safetensors": "a .safetensors file",
}


@dataclass(frozen=True)
class Entry:
    """A tensor, a value, or (``count`` > 0) a group of ``count`` of them. ``numbers``: how many its tensors hold."""

    name: str
    kind: str
    shape: str
    value: str
    count: int = 0
    numbers: int = 0


@dataclass
class Inspection:
    """What was found.

    Attributes:
        path, bytes, sha256: of the file with the weights.
        container: how it is stored.
        family: name of the supported family it belongs to, or "".
        summary: what importing it would give, in a line.
        entries: every tensor and value.
        config: the ``config.json`` beside it.
        notes: the notes that importing would print.
        problems: why it cannot be imported, one sentence each; empty where it can.
    """

    path: str
    bytes: int
    sha256: str
    container: str
    family: str = ""
    summary: str = ""
    entries: list[Entry] = field(default_factory=list)
    config: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def groups(self) -> list[Entry]:
        """The entries grouped by the first parts of their names: few rows for many layers."""
        for depth in (3, 2, 1):
            rows = self._grouped(depth)
            if len(rows) <= 24 or depth == 1:
                return rows
        return []

    def _grouped(self, depth: int) -> list[Entry]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(".".join(entry.name.split(".")[:depth]), []).append(entry)
        rows = []
        for name, entries in found.items():
            if len(entries) == 1:
                only = entries[0]
                rows.append(Entry(only.name, only.kind, only.shape, only.value, 1, only.numbers))
                continue
            numbers = sum(entry.numbers for entry in entries)
            tensors = [entry for entry in entries if entry.numbers or entry.shape.startswith("[")]
            kinds = ", ".join(sorted({entry.kind for entry in tensors})) or "values"
            holds = f"{len(tensors)} tensors" if tensors else f"{len(entries)} values"
            if tensors and len(entries) > len(tensors):
                holds += f", {len(entries) - len(tensors)} values"
            rows.append(Entry(name, kinds, f"{numbers:,} numbers" if tensors else "", holds, len(entries), numbers))
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The inspection as JSON-able values."""
        return asdict(self)


def inspect_checkpoint(path: Path | str) -> Inspection:
    """What a checkpoint holds; if it cannot be imported, ``problems`` says why.

    :raises CheckpointError: there is nothing to show; the file is missing, empty, damaged, or no checkpoint.
    """
    refused: list[CheckpointError] = []
    raw = load_raw(path, refused=refused)
    found = Inspection(str(raw.path), raw.size, raw.sha256, CONTAINERS[raw.kind], config=raw.config)
    found.entries = [_entry(name, value) for name, value in _flat(raw.content)]
    if refused:
        found.problems = list(dict.fromkeys(f"{raw.path}: {error}" for error in refused))
        return found
    try:
        _family(raw, found)
    except CheckpointError as error:
        text = str(error)
        found.problems.append(text if text.startswith(str(raw.path)) else f"{raw.path}: {text}")
    return found


def _flat(content: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor and value by name; NVIDIA's network objects without torch's bookkeeping."""
    for key, value in content.items() if isinstance(content, Mapping) else [("", content)]:
        if not isinstance(value, Record) or "_modules" not in value.state:
            yield from walk(value, str(key))
            continue
        try:
            state = module_state(value)
        except CheckpointError:
            yield from walk(value, str(key))
            continue
        yield str(key), value
        yield from walk(value.state.get("_init_kwargs", {}), f"{key}.(arguments)")
        for name, tensor in state.items():
            yield f"{key}.{name}", tensor


def _family(raw: RawCheckpoint, found: Inspection) -> None:
    """Fill in family and summary. :raises CheckpointError: it cannot be imported."""
    problems: list[str] = []
    for reader in families("hub", problems):
        if matches(reader, raw, problems):
            _generator(reader, raw, found)
            break
    others = [reader for reader in families(None, problems) if reader.KIND != "hub" and matches(reader, raw, problems)]
    if others:
        found.family = found.family or others[0].NAME.removesuffix(f"-{others[0].KIND}")
        uses = ", ".join(f"a {reader.KIND} (`anchor {reader.KIND}s import`)" for reader in others)
        found.summary = "; ".join([*([found.summary] if found.summary else []), uses])
    found.notes += list(dict.fromkeys(problems))
    if not found.family:
        known = ", ".join(dict.fromkeys(reader.NAME for reader in families(None, [])))
        raise CheckpointError(f"is of no supported family: {describe(raw.content)}; supported: {known}")


def _generator(reader: HubReader, raw: RawCheckpoint, found: Inspection) -> None:
    """Fill in the summary of the generator."""
    found.family = reader.NAME
    imported = reader.read(raw, None)
    found.notes = imported.notes
    config: Any = imported.generator.config
    numbers = sum(value.numel() for value in imported.generator.parameters())
    classes = f", {len(imported.classes)} classes" if imported.classes else ""
    kept = ", a discriminator" if imported.discriminator is not None else ""
    mean = ", a mean latent" if imported.mean_latent is not None else ""
    found.summary = f"a generator of {config.size} px{classes}, {numbers / 1e6:.1f} million parameters{kept}{mean}"


def _entry(name: str, value: Any) -> Entry:
    if isinstance(value, Tensor):
        shape, count = list(value.shape), math.prod(value.shape)
        few = f"{value.item():.6g}" if count == 1 else ""
        return Entry(name, str(value.dtype).removeprefix("torch."), str(shape), few, 0, count)
    if isinstance(value, Record):
        source = f", with {value.source:,} characters of program text, not run" if value.source else ""
        return Entry(name or "(all)", "object", "", f"of class {ascii(value.class_name)[1:-1][:80]}{source}")
    text = ascii(value) if isinstance(value, str) else str(value)
    return Entry(name, type(value).__name__, "", text if len(text) <= 80 else f"{text[:77]}...")
