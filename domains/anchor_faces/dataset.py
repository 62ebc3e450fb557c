"""Data sets of rendered faces on disk: one folder per modality, one file per sample, aligned by name.

::

    DIR/face/000000.png      RGB                        DIR/landmark/000000.json   68 [x, y] in pixels, dlib's order
    DIR/seg/000000.png       palette, index = class     DIR/depth/000000.png       8-bit gray, near is white
    DIR/sketch/000000.png    8-bit gray                 DIR/normal/000000.png      RGB, (x, y, z) from [-1, 1]
    DIR/toon/000000.png      RGB                        DIR/cat/000000.png         RGB
    DIR/factors.csv          a row per sample           DIR/dataset.yaml           how it was rendered

The name is the sample's index. Sample i of a seed is always the same picture, so a data set can be grown, resumed after
an interruption and given further modalities later; what is there already is never rendered again.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor

from .rendering import CLASS_COLOURS, FACTOR_NAMES, MODALITIES, RENDERER_VERSION, render, sample_factors

DEFAULT_MODALITIES = ("face", "seg", "sketch", "landmark")
CHUNK = 64  # samples a worker renders at a time
PALETTE = bytes(value for colour in CLASS_COLOURS for value in colour)

Progress = Callable[[int, int], None]


class DatasetMismatchError(ValueError):
    """The folder holds a data set rendered with other settings."""


def render_dataset(
    folder: str | os.PathLike[str],
    *,
    count: int,
    size: int,
    seed: int = 0,
    start: int = 0,
    modalities: Sequence[str] = DEFAULT_MODALITIES,
    workers: int = 2,
    progress: Progress | None = None,
) -> Path:
    """Render samples ``start`` to ``start + count - 1`` of data set ``seed`` into ``folder``; returns the folder.

    ``size`` is the edge in pixels (a multiple of 16), ``workers`` the number of processes with one thread each (0 or 1:
    this process). ``progress`` is called with (samples done, samples to render) after every chunk. Interrupting leaves
    whole files only, and the next call goes on where this one stopped. Raises DatasetMismatchError where the folder holds
    a data set of another seed, size or renderer version, and ValueError for arguments out of range.
    """
    folder = Path(folder)
    _check_arguments(count, size, seed, start, modalities)
    settings = _merge_settings(folder, count, size, seed, start, modalities)
    for modality in modalities:
        (folder / modality).mkdir(parents=True, exist_ok=True)
    _write_atomically(folder / "dataset.yaml", yaml.safe_dump(settings, sort_keys=False).encode())
    jobs = _missing(folder, range(start, start + count), modalities)
    total = sum(len(indices) for indices, _ in jobs)
    done = 0
    try:
        for rendered in _run(folder, jobs, size, seed, workers):
            done += rendered
            if progress is not None:
                progress(done, total)
    finally:
        _write_factors(folder, seed)
    return folder


def sample_path(folder: Path, modality: str, index: int) -> Path:
    """Where a sample's file of one modality lies."""
    return folder / modality / f"{index:06d}{'.json' if modality == 'landmark' else '.png'}"


def _check_arguments(count: int, size: int, seed: int, start: int, modalities: Sequence[str]) -> None:
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if size < 16 or size % 16:
        raise ValueError(f"size must be a positive multiple of 16, got {size}")
    if seed < 0 or start < 0:
        raise ValueError(f"seed and start must be at least 0, got seed {seed} and start {start}")
    unknown = sorted(set(modalities) - set(MODALITIES))
    if unknown or not modalities:
        raise ValueError(f"unknown modality {', '.join(unknown) or '(none)'}; choose from {', '.join(MODALITIES)}")


def _merge_settings(
    folder: Path, count: int, size: int, seed: int, start: int, modalities: Sequence[str]
) -> dict[str, Any]:
    """The contents of dataset.yaml, covering what the folder holds already."""
    settings: dict[str, Any] = {"renderer": "anchor_faces", "renderer_version": RENDERER_VERSION}
    settings |= {"seed": seed, "size": size}
    path = folder / "dataset.yaml"
    known: list[str] = []
    end = start + count
    if path.exists():
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            differing = [name for name, value in settings.items() if found[name] != value]
            known, found_start, found_count = list(found["modalities"]), int(found["start"]), int(found["count"])
        except (yaml.YAMLError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
            raise DatasetMismatchError(f"{path} is damaged ({error!r}); delete the folder or choose another") from error
        if differing:
            details = ", ".join(f"{name} is {found[name]}, not {settings[name]}" for name in differing)
            raise DatasetMismatchError(f"{path}: {details}; choose another folder, or delete this one")
        start, end = min(start, found_start), max(end, found_start + found_count)
    elif folder.exists() and any(folder.iterdir()):
        raise DatasetMismatchError(f"{folder} is not empty and holds no dataset.yaml; choose another folder")
    settings |= {"start": start, "count": end - start}
    settings["modalities"] = [name for name in MODALITIES if name in known or name in modalities]
    return settings


Jobs = list[tuple[list[int], tuple[str, ...]]]


def _missing(folder: Path, indices: Iterable[int], modalities: Sequence[str]) -> Jobs:
    """(indices, modalities) still to be rendered, in chunks that miss the same modalities."""
    present = {name: {entry.name for entry in os.scandir(folder / name)} for name in modalities}
    by_modalities: dict[tuple[str, ...], list[int]] = {}
    for index in indices:
        absent = tuple(name for name in modalities if sample_path(folder, name, index).name not in present[name])
        if absent:
            by_modalities.setdefault(absent, []).append(index)
    return [
        (indices[first : first + CHUNK], absent)
        for absent, indices in by_modalities.items()
        for first in range(0, len(indices), CHUNK)
    ]


def _run(folder: Path, jobs: Jobs, size: int, seed: int, workers: int) -> Iterator[int]:
    """Render all jobs, yielding the number of samples of each as it ends."""
    if workers <= 1 or len(jobs) < 2:
        for indices, modalities in jobs:
            yield _render_chunk(folder, indices, modalities, size, seed)
        return
    pool = ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), initializer=_start_worker)
    try:
        futures = [
            pool.submit(_render_chunk, folder, indices, modalities, size, seed) for indices, modalities in jobs
        ]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers after the chunk they are at


def _render_chunk(folder: Path, indices: Sequence[int], modalities: Sequence[str], size: int, seed: int) -> int:
    for index, sample in zip(indices, render(seed, indices, size, modalities), strict=True):
        for modality in modalities:
            _write_atomically(sample_path(folder, modality, index), encode(modality, sample[modality]))
    return len(indices)


def encode(modality: str, value: Tensor) -> bytes:
    """A rendered modality, as ``render`` gives it, as the bytes of its file."""
    picture = MODALITIES[modality][1]
    if picture == "landmark":
        return json.dumps([[round(x, 3), round(y, 3)] for x, y in value.tolist()]).encode()
    if picture == "label":
        image = Image.fromarray(value.numpy().astype(np.uint8), mode="P")
        image.putpalette(PALETTE)
    else:
        if picture == "normal":
            value = value * 0.5 + 0.5
        eight_bit = (value.clamp(0, 1) * 255).round().byte()
        image = Image.fromarray((eight_bit.permute(1, 2, 0) if eight_bit.dim() == 3 else eight_bit).numpy())
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def _write_factors(folder: Path, seed: int) -> None:
    """Write factors.csv for every sample of which there is a file."""
    indices: set[int] = set()
    for modality in MODALITIES:
        if (folder / modality).is_dir():
            indices.update(int(name.stem) for name in (folder / modality).iterdir() if name.stem.isdigit())
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *FACTOR_NAMES])
    for index in sorted(indices):
        values = sample_factors(seed, index).values()
        writer.writerow([f"{index:06d}", *(round(v, 6) if isinstance(v, float) else v for v in values)])
    _write_atomically(folder / "factors.csv", text.getvalue().encode())


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
