"""Which classes the data has, and which of them are targets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anchor_hub.errors import DataError, UsageError, did_you_mean
from anchor_hub.system.inputs import shown
from anchor_hub.training.base import Samples
from anchor_hub.training.chosen import chosen_samples

if TYPE_CHECKING:
    from anchor_hub.data.image_folder import ImageFolder

#: A class with fewer images is refused: the discriminator would know each of them by heart.
FEWEST = 5


def read_classes(folder: str | Path, files: ImageFolder, column: str | None) -> tuple[tuple[str, ...], Tensor]:
    """Names of the classes and the class of each file, from class folders or a table's column.

    :raises DataError: fewer than two classes, an empty class, or one of fewer than :data:`FEWEST` images.
    """
    if column is not None:
        from anchor_hub.data.class_labels import column_labels

        names, labels = column_labels(files.paths, folder, column)
    else:
        names, labels = tuple(files.class_names), torch.tensor(files.labels, dtype=torch.long)
        _refuse_empty(folder, names)
    if len(names) < 2:
        found = f" (found {names[0]!r} only)" if names else ""
        raise DataError(f"{shown(Path(folder))}: needs a folder of images per class, two classes at least{found}")
    check_counts(names, labels)
    return names, labels


def check_counts(names: Sequence[str], labels: Tensor) -> None:
    """:raises DataError: a class of fewer than :data:`FEWEST` images."""
    for name, count in zip(names, torch.bincount(labels, minlength=len(names)).tolist(), strict=True):
        if count < FEWEST:
            raise DataError(
                f"class {name!r} has {count} image{'s' if count != 1 else ''}, too few to learn it from; give {FEWEST} "
                "or more, or remove its folder"
            )


def _refuse_empty(folder: str | Path, names: Sequence[str]) -> None:
    """:raises DataError: the folder of a class holds no images."""
    if not os.path.isdir(folder):
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if (
            entry.is_dir()
            and not entry.name.startswith(".")
            and entry.name not in names
            and not any(files for _, _, files in os.walk(entry.path))
        ):
            raise DataError(
                f"class {entry.name!r} has no images; put some into {shown(Path(entry.path))}, or remove it"
            )


def target_classes(wanted: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Indices of the target classes among all; default: all. :raises UsageError: an unknown class."""
    for name in wanted:
        if name not in names:
            raise UsageError(f"--to {name}: the data has no class of that name.{did_you_mean(name, names)}")
    return tuple(names.index(name) for name in wanted) if wanted else tuple(range(len(names)))


def of_targets(held: Samples, targets: Sequence[int]) -> Samples:
    """The samples of the target classes, their labels numbered as ``targets`` are."""
    assert held.labels is not None
    names = tuple(held.classes[index] for index in targets)
    number = torch.full((len(held.classes),), -1)
    number[torch.tensor(targets)] = torch.arange(len(targets))
    labels = number[held.labels]
    kept = (labels >= 0).nonzero()[:, 0].tolist()
    renamed = replace(held, labels=labels, classes=names)
    return renamed if len(kept) == len(labels) else chosen_samples(renamed, kept)


def spread(held: Samples, count: int) -> list[int]:
    """Indices of ``count`` samples, spread evenly over the classes' order; of fewer, of all that there are."""
    total = len(held)
    count = min(count, total)
    return [(2 * number + 1) * total // (2 * count) for number in range(count)]
