"""Data sets of rendered faces on disk: one folder per modality, one file per sample, aligned by name.

::

    DIR/face/000000.png       RGB
    DIR/seg/000000.png        palette, index = class, colours of CelebAMask-HQ
    DIR/sketch/000000.png     8-bit gray
    DIR/landmark/000000.json  {"size": [width, height], "points": 68 of [x, y] in pixels, dlib's order}
    DIR/depth/000000.png      8-bit gray: near is white, the background black, linear between
    DIR/normal/000000.png     RGB: right, up and towards the camera, from [-1, 1]
    DIR/toon/000000.png       RGB; so is cat; toon_seg, cat_seg, cat_landmark ... are as their namesakes
    DIR/factors.csv           a row per sample: its name, then every factor
    DIR/dataset.yaml          how it was rendered

The name is the sample's index. Sample i of a seed is always the same picture, so a data set can be grown,
resumed after an interruption and given further modalities later; what is there already is never rendered again.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anchor_hub.config import dump_yaml, load_yaml
from anchor_hub.errors import ConfigError, DataError, UsageError
from anchor_hub.files import write_file
from anchor_hub.home import Home

from .rendering import CLASS_COLOURS, FACTOR_NAMES, MODALITIES, RENDERER_VERSION, render, sample_factors
from .rendering.render import check_modalities, check_size

DEFAULT_MODALITIES = ("face", "seg", "sketch", "landmark")
LARGEST_INDEX = 999_999  # names have six digits, so that they sort
PALETTE = bytes(value for colour in CLASS_COLOURS for value in colour)

Progress = Callable[[int, int], None]


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
    """Render samples ``start`` to ``start + count - 1`` of data set ``seed`` into ``folder``; returns that.

    ``size`` is the edge in pixels (a multiple of 16), ``workers`` the number of processes with one thread
    each (0 or 1: this process; more need the calling script to guard its start with ``__name__ ==
    "__main__"``). ``progress`` is called with (samples done, samples to render) after every chunk.
    Interrupting leaves whole files only, and the next call goes on where this one stopped. Raises
    UsageError for arguments out of range, and DataError where the folder holds other files, or a data set
    of another seed, size or renderer version.
    """
    folder = Path(folder)
    _check_arguments(count, size, seed, start, modalities, workers)
    settings = _merge_settings(folder, count, size, seed, start, modalities)
    for modality in modalities:
        (folder / modality).mkdir(parents=True, exist_ok=True)
    write_file(folder / "dataset.yaml", dump_yaml(settings).encode())
    jobs = _missing(folder, range(start, start + count), modalities, chunk=_chunk(count, size, workers))
    total = sum(len(indices) for indices, _ in jobs)
    done = 0
    try:
        for rendered in _run(folder, jobs, size, seed, workers):
            done += rendered
            if progress is not None:
                progress(done, total)
    except BrokenProcessPool as error:
        raise DataError(
            f"{folder}: a rendering process was killed (out of memory?); try again with fewer workers, "
            "what is rendered already is kept"
        ) from error
    finally:
        _write_factors(folder, seed)
    return folder


def training_folder(
    argument: str, *, size: int, count: int, seed: int, home: Home, progress: Progress | None = None
) -> Path:
    """The data set ``rendered-faces:ARGUMENT``: a folder with ``count`` images of modality ``argument``.

    An empty argument means "face". Rendered into the home's cache where it is not there yet. Raises as
    ``render_dataset`` does.
    """
    modality = argument or "face"
    check_modalities([modality])
    folder = home.cache / f"rendered-faces-{size}-seed{seed}-v{RENDERER_VERSION}"
    with home.lock(folder.name, timeout=3600.0):
        workers = max(1, min(8, os.cpu_count() or 1))
        render_dataset(
            folder,
            count=count,
            size=size,
            seed=seed,
            modalities=[modality],
            workers=workers,
            progress=progress,
        )
    return folder / modality


def _chunk(count: int, size: int, workers: int) -> int:
    """Samples to render in one go: enough to fill groups of one hair style, soon over when interrupted."""
    return max(4, min(64 * 64 * 64 // size**2, 64, -(-count // (4 * max(workers, 1)))))


def sample_path(folder: Path, modality: str, index: int) -> Path:
    """Where a sample's file of one modality lies."""
    return folder / modality / f"{index:06d}{'.json' if MODALITIES[modality][1] == 'landmark' else '.png'}"


def _check_arguments(count: int, size: int, seed: int, start: int, modalities: Sequence[str], workers: int) -> None:
    check_size(size)
    check_modalities(modalities)
    if count < 1:
        raise UsageError(f"count must be at least 1, got {count}")
    if seed < 0 or start < 0 or workers < 0:
        raise UsageError(f"seed, start and workers must be at least 0, got {seed}, {start} and {workers}")
    if start + count - 1 > LARGEST_INDEX:
        raise UsageError(f"sample {start + count - 1} is beyond {LARGEST_INDEX}, the last name; use another seed")


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
            found = load_yaml(path)
            differing = [name for name, value in settings.items() if found[name] != value]
            found_start, found_end = int(found["start"]), int(found["start"]) + int(found["count"])
            known = list(found["modalities"])
        except (ConfigError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged ({error!r}); delete the folder or choose another") from error
        if differing:
            details = ", ".join(f"{name} is {found[name]}, not {settings[name]}" for name in differing)
            raise DataError(f"{path}: {details}; choose another folder, or delete this one")
        start, end = min(start, found_start), max(end, found_end)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: not empty and not a rendered data set (no dataset.yaml); choose another folder")
    settings |= {"start": start, "count": end - start}
    settings["modalities"] = [name for name in MODALITIES if name in known or name in modalities]
    return settings


Jobs = list[tuple[list[int], tuple[str, ...]]]


def _missing(folder: Path, indices: Iterable[int], modalities: Sequence[str], chunk: int) -> Jobs:
    """(indices, modalities) still to be rendered, in chunks that miss the same modalities."""
    present = {name: {entry.name for entry in os.scandir(folder / name) if entry.stat().st_size} for name in modalities}
    by_modalities: dict[tuple[str, ...], list[int]] = {}
    for index in indices:
        absent = tuple(name for name in modalities if sample_path(folder, name, index).name not in present[name])
        if absent:
            by_modalities.setdefault(absent, []).append(index)
    return [
        (indices[first : first + chunk], absent)
        for absent, indices in by_modalities.items()
        for first in range(0, len(indices), chunk)
    ]


def _run(folder: Path, jobs: Jobs, size: int, seed: int, workers: int) -> Iterator[int]:
    """Render all jobs, yielding the number of samples of each as it ends."""
    if workers <= 1 or len(jobs) < 2:
        for indices, modalities in jobs:
            yield _render_chunk(folder, indices, modalities, size, seed)
        return
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_start_worker, initargs=(stop,))
    try:
        futures = [pool.submit(_render_chunk, folder, indices, modalities, size, seed) for indices, modalities in jobs]
        for future in as_completed(futures):
            yield future.result()
    finally:
        stop.set()  # the pool has handed out more chunks than workers are at, and cannot take them back
        pool.shutdown(wait=True, cancel_futures=True)


_stop: Event | None = None  # set in workers


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers after the chunk they are at


def _render_chunk(folder: Path, indices: Sequence[int], modalities: Sequence[str], size: int, seed: int) -> int:
    if _stop is not None and _stop.is_set():
        return 0
    for index, sample in zip(indices, render(seed, indices, size, modalities), strict=True):
        for modality in modalities:
            _write_atomically(sample_path(folder, modality, index), encode(modality, sample[modality], size))
    return len(indices)


def encode(modality: str, value: Tensor, size: int) -> bytes:
    """A modality as ``render`` gives it at ``size`` pixels, as the bytes of its file."""
    picture = MODALITIES[modality][1]
    if picture == "landmark":
        points = [[round(x, 3), round(y, 3)] for x, y in value.tolist()]
        return json.dumps({"size": [size, size], "points": points}).encode()
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
    write_file(folder / "factors.csv", text.getvalue().encode())


def _write_atomically(path: Path, data: bytes) -> None:
    """``write_file`` without waiting for the disk: what a power failure takes is rendered again."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
