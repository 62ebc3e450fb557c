"""Data sets of rendered faces on disk: one folder per modality, one file per sample, aligned by name.

::

    DIR/face/000000.png       RGB
    DIR/seg/000000.png        palette, index = class, colours of CelebAMask-HQ
    DIR/sketch/000000.png     8-bit gray
    DIR/landmark/000000.json  {"size": [width, height], "points": 68 of [x, y] in pixels, dlib's order}
    DIR/depth/000000.png      8-bit gray: near is white, the background black, linear between
    DIR/normal/000000.png     RGB: right, up and towards the camera, from [-1, 1]
    DIR/toon/000000.png       RGB; so are cat, car, car_front; toon_seg, cat_landmark ... are as their namesakes
    DIR/car_seg/000000.png    palette, index = place in CAR_CLASS_NAMES, above 0 the car's shape
    DIR/factors.csv           a row per sample: its name, then every factor
    DIR/dataset.yaml          how it was rendered

The name is the sample's index. Sample i of a seed is always the same picture, so a data set can be grown,
resumed after an interruption and given further modalities later. Files that exist are never rendered again.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from anchor_hub.system.files import write_file
from anchor_hub.system.home import Home

from .growing import Progress, begin, by_missing, check_numbers, fill, fill_cache, numbered, present, write_factors
from .rendering import CLASS_COLOURS, MODALITIES, RENDERER_VERSION, render, sample_factors
from .rendering.render import check_modalities, check_size, group_length

DEFAULT_MODALITIES = ("face", "seg", "sketch", "landmark")
PALETTE = bytes(value for colour in CLASS_COLOURS for value in colour)


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

    An interruption leaves only whole files, and the next call goes on where this one stopped.

    :param size: edge in pixels, a multiple of 16.
    :param workers: number of processes with one thread each; 0 or 1: this process. With more, the calling script must
        guard its start with ``__name__ == "__main__"``.
    :param progress: called with (samples done, samples to render) after every chunk.
    :raises UsageError: an argument is out of range.
    :raises DataError: the folder holds other files, or a data set of another seed, size or renderer version.
    """
    folder = Path(folder)
    check_size(size)
    check_modalities(modalities)
    check_numbers(count, seed, start, workers)
    settings = {"renderer": "anchor_faces", "renderer_version": RENDERER_VERSION, "seed": seed, "size": size}
    lists = {"modalities": (list(MODALITIES), list(modalities))}
    begin(folder, settings, count, start, lists, modalities)
    missing = _missing(folder, range(start, start + count), modalities, chunk=chunk_length(count, size, workers))
    total = sum(len(indices) for indices, _ in missing)
    try:
        jobs = [(folder, indices, absent, size, seed) for indices, absent in missing]
        fill(_render_chunk, jobs, folder, total, workers, progress)
    finally:
        _write_factors(folder, seed)
    return folder


def training_folder(
    argument: str, *, size: int, count: int, seed: int, home: Home, progress: Progress | None = None
) -> Path:
    """The folder of the data set ``rendered-faces:ARGUMENT``, with ``count`` images of modality ``argument``.

    An empty argument means "face". Missing images are rendered into the home's cache. The errors are those of
    ``render_dataset``.
    """
    modality = argument or "face"
    check_modalities([modality])
    name = f"rendered-faces-{size}-seed{seed}-v{RENDERER_VERSION}"
    options: dict[str, Any] = {"count": count, "size": size, "seed": seed, "progress": progress}
    return fill_cache(home, name, render_dataset, modalities=[modality], **options) / modality


def chunk_length(count: int, size: int, workers: int) -> int:
    """Samples to render in one go: as many as are traced together, soon over when interrupted."""
    return max(4, min(group_length(size), -(-count // (4 * max(workers, 1)))))


def sample_path(folder: Path, modality: str, index: int) -> Path:
    """The path of the file of one modality of a sample."""
    return folder / modality / f"{index:06d}{'.json' if MODALITIES[modality][1] == 'landmark' else '.png'}"


Jobs = list[tuple[list[int], tuple[str, ...]]]


def _missing(folder: Path, indices: Iterable[int], modalities: Sequence[str], chunk: int) -> Jobs:
    """(indices, modalities) still to be rendered, in chunks that miss the same modalities."""
    held = {name: present(folder / name) for name in modalities}
    missing = by_missing(indices, modalities, lambda name, index: sample_path(folder, name, index).name in held[name])
    return [
        (indices[first : first + chunk], absent)
        for absent, indices in missing.items()
        for first in range(0, len(indices), chunk)
    ]


def _render_chunk(folder: Path, indices: Sequence[int], modalities: Sequence[str], size: int, seed: int) -> int:
    for index, sample in zip(indices, render(seed, indices, size, modalities), strict=True):
        for modality in modalities:
            write_picture(sample_path(folder, modality, index), modality, sample[modality], size)
    return len(indices)


def write_picture(path: Path, modality: str, value: Tensor, size: int) -> None:
    """Write the file of one modality of a sample, whole or not at all.

    Not durable, which is faster: files that a power failure destroys are rendered again.
    """
    write_file(path, encode(modality, value, size), durable=False)


def encode(modality: str, value: Tensor, size: int) -> bytes:
    """The bytes of a file that holds ``value``, a modality as ``render`` gives it at ``size`` pixels."""
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
    """Write factors.csv, with every sample that has a file."""
    indices = numbered(folder / modality for modality in MODALITIES)
    rows = (((f"{index:06d}",), sample_factors(seed, index).values()) for index in indices)
    write_factors(folder, ("name",), rows)
