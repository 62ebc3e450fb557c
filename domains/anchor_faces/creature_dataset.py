"""Data sets of rendered creatures on disk: a tree of class folders for each modality.

::

    DIR/image/ginger/000000.png     RGB; a folder per class
    DIR/seg/ginger/000000.png       palette, index = class of the pixel, colours of CelebAMask-HQ
    DIR/landmark/ginger/000000.json {"size": [width, height], "points": 68 of [x, y] in pixels, dlib's order}
    DIR/factors.csv                 a row per sample: its name (ginger/000000), its class, then every factor
    DIR/dataset.yaml                how it was rendered

Sample i of every class has the same pose, expression, light and surroundings. Existing files are never rendered again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from anchor_hub.errors import UsageError
from anchor_hub.system.home import Home

from .dataset import chunk_length, write_picture
from .growing import Progress, begin, by_missing, check_numbers, fill, fill_cache, numbered, present, write_factors
from .rendering import RENDERER_VERSION
from .rendering.creatures import (
    CLASS_NAMES,
    CREATURE_MODALITIES,
    CREATURE_NAMES,
    check_creature_modalities,
    creature,
    creature_factors,
    render_creatures,
)
from .rendering.render import check_size

CREATURES_VERSION = 1  # rises whenever a class's picture changes
DEFAULT_CREATURE_MODALITIES = ("image", "seg", "landmark")


def parse_classes(text: str) -> list[str]:
    """The classes that ``text`` names (separated by commas), in the table's order; ``all``: all but the distant ones.

    :raises UsageError: no name, or an unknown one.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError(f"no class given; choose all, or from {', '.join(CLASS_NAMES)}")
    if names == ["all"]:
        return list(CREATURE_NAMES)
    for name in names:
        creature(name)
    return [name for name in CLASS_NAMES if name in names]


def render_creature_dataset(
    folder: str | os.PathLike[str],
    *,
    classes: Sequence[str] = CREATURE_NAMES,
    count: int,
    size: int,
    seed: int = 0,
    start: int = 0,
    modalities: Sequence[str] = DEFAULT_CREATURE_MODALITIES,
    workers: int = 2,
    progress: Progress | None = None,
) -> Path:
    """Render samples ``start`` to ``start + count - 1`` of every class into ``folder``; returns the folder.

    All classes grow together, so that an interrupted data set is balanced. Parameters and errors are those of
    :func:`~anchor_faces.dataset.render_dataset`.
    """
    folder = Path(folder)
    check_size(size)
    classes = parse_classes(",".join(classes))
    check_creature_modalities(modalities, classes)
    check_numbers(count, seed, start, workers)
    settings: dict[str, Any] = {"renderer": "anchor_faces", "renderer_version": RENDERER_VERSION}
    settings |= {"data_set": "rendered-creatures", "creatures_version": CREATURES_VERSION, "seed": seed, "size": size}
    lists = {
        "classes": (list(CLASS_NAMES), list(classes)),
        "modalities": (list(CREATURE_MODALITIES), list(modalities)),
    }
    begin(folder, settings, count, start, lists, [f"{modality}/{name}" for modality in modalities for name in classes])
    missing = _missing(folder, classes, range(start, start + count), modalities, chunk_length(count, size, workers))
    total = sum(len(indices) for _, indices, _ in missing)
    try:
        jobs = [(folder, name, indices, absent, size, seed) for name, indices, absent in missing]
        fill(_render_chunk, jobs, folder, total, workers, progress)
    finally:
        _write_factors(folder, seed)
    return folder


def training_folder(
    argument: str, *, size: int, count: int, seed: int, home: Home, progress: Progress | None = None
) -> Path:
    """The folder of the data set ``rendered-creatures:MODALITY/CLASS``, with ``count`` images of the class.

    Without a class: a folder per class, with ``count`` images over all classes. The default modality is ``image``.
    Missing images are rendered into the home's cache. The errors are those of ``render_creature_dataset``.
    """
    modality, _, name = argument.partition("/")
    modality = modality or "image"
    classes = parse_classes(name or "all")
    check_creature_modalities([modality], classes)
    each = -(-count // len(classes))
    # Training uses the whole folder, so a request for fewer images must not find those of an earlier, larger request.
    cached = f"rendered-creatures-{size}-seed{seed}-v{RENDERER_VERSION}.{CREATURES_VERSION}-{each}"
    options: dict[str, Any] = {"count": each, "size": size, "seed": seed, "progress": progress}
    folder = fill_cache(home, cached, render_creature_dataset, classes=classes, modalities=[modality], **options)
    return folder / modality / name


def creature_path(folder: Path, modality: str, name: str, index: int) -> Path:
    """The path of the file of one modality of a sample of class ``name``."""
    return folder / modality / name / f"{index:06d}{'.json' if modality == 'landmark' else '.png'}"


Jobs = list[tuple[str, list[int], tuple[str, ...]]]


def _missing(folder: Path, classes: Sequence[str], indices: range, modalities: Sequence[str], chunk: int) -> Jobs:
    """(class, indices, modalities) still to be rendered, class by class for one stretch of indices after another."""
    held = {(m, name): present(folder / m / name) for m in modalities for name in classes}

    def there(name: str, modality: str, index: int) -> bool:
        return creature_path(folder, modality, name, index).name in held[modality, name]

    jobs: Jobs = []
    for first in range(indices.start, indices.stop, chunk):
        for name in classes:
            missing = by_missing(range(first, min(first + chunk, indices.stop)), modalities, partial(there, name))
            jobs.extend((name, wanted, absent) for absent, wanted in missing.items())
    return jobs


def _render_chunk(
    folder: Path, name: str, indices: Sequence[int], modalities: Sequence[str], size: int, seed: int
) -> int:
    for index, sample in zip(indices, render_creatures(name, seed, indices, size, modalities), strict=True):
        for modality in modalities:
            picture = "face" if modality == "image" else modality
            write_picture(creature_path(folder, modality, name, index), picture, sample[modality], size)
    return len(indices)


def _write_factors(folder: Path, seed: int) -> None:
    """Write factors.csv, with every sample that has a file."""
    write_factors(folder, ("name", "class"), _factor_rows(folder, seed))


def _factor_rows(folder: Path, seed: int) -> Iterator[tuple[tuple[str, str], Iterable[Any]]]:
    for name in CLASS_NAMES:
        for index in numbered(folder / modality / name for modality in CREATURE_MODALITIES):
            yield (f"{name}/{index:06d}", name), creature_factors(name, seed, index).values()
