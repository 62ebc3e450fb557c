"""The data sets of a plan: where their files are, who brought them, their samples in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError, UsageError, did_you_mean
from anchor_hub.plugins.names import Registered
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DatasetSpec
from anchor_hub.system.home import home
from anchor_hub.training.base import Recipe, RunSettings, Samples, TrainingPlan

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from: a folder, zip archive or glob, or a registered data set and its argument."""

    given: str
    registered: Registered[DatasetSpec] | None = None
    argument: str = ""

    @property
    def label(self) -> str:
        """What the bundle's provenance calls it: no path of this machine."""
        return self.given if self.registered is not None else Path(self.given).name

    def folder(self, size: int, plan: TrainingPlan, progress: Progress | None) -> str | Path:
        """Where its files lie; those of a registered data set are made or found now."""
        if self.registered is None:
            return self.given
        make = registry().load(self.registered.spec.target)
        argument, options = self.argument, {"size": size, "count": plan.count, "seed": plan.seed}
        return Path(make(argument, **options, home=home(), progress=progress))


def sources(plan: TrainingPlan, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Source]:
    """The plan's data sets, those that the recipe reads and no others; ``optional`` ones where the plan has them.

    :raises UsageError: one too many or too few. :raises DatasetNotFoundError: a registered data set nobody knows.
    """
    for name in plan.data:
        if name not in names:
            raise UsageError(f"recipe {plan.recipe!r} reads no data set {name!r}.{did_you_mean(name, names)}")
    for name in names:
        if name not in plan.data and name not in optional:
            option = "--data FOLDER" if len(names) == 1 else f"--data {name}=FOLDER"
            raise UsageError(f"recipe {plan.recipe!r} reads the data set {name!r}; give a folder of it: {option}")
    return {name: _source(str(plan.data[name])) for name in names if name in plan.data}


def _source(given: str) -> Source:
    dataset, colon, argument = given.partition(":")
    if not colon or os.path.lexists(given):
        return Source(given)
    known = registry().datasets
    # A name that nobody knows may still be a path: reading it says what is wrong.
    return Source(given, known[dataset], argument) if dataset in known else Source(given)


@dataclass
class ReadData:
    """What was read: samples by data set, where their files are, and the files that were left out."""

    samples: dict[str, Samples]
    folders: dict[str, str | Path]
    skipped: list[str]


def read_all(
    recipe: Recipe,
    plan: TrainingPlan,
    run: RunSettings,
    given: Mapping[str, Source],
    progress: Callable[[str], Any],
) -> ReadData:
    """Every data set of the recipe, in memory where it fits.

    :param progress: of a data set's name, opens a progress bar and gives its ``update(done, total)``.
    :raises DataError, ImageError: nothing there, or a file that cannot be read, unless such are skipped.
    """
    read = ReadData({}, {}, [])
    for name, source in given.items():
        with progress(name) as update:
            folder = read.folders[name] = source.folder(recipe.size, plan, update)
            read.samples[name] = _read(recipe, name, folder, plan, run, update, read.skipped)
    return read


def _read(
    recipe: Recipe,
    name: str,
    folder: str | Path,
    plan: TrainingPlan,
    run: RunSettings,
    progress: Progress | None,
    skipped: list[str],
) -> Samples:
    own = recipe.read(name, folder, workers=run.workers, progress=progress)
    if own is not None:
        return own
    modality, errors = recipe.modality(name), "skip" if run.skip_bad else "raise"
    files = ImageFolder(folder, modality, recipe.size, where=plan.where, limit=plan.limit, errors=errors)  # type: ignore[arg-type]
    if not len(files):
        raise DataError(f"{folder} holds no images to train on; --data takes a folder of PNG or JPEG files")
    found = recipe.labels(name, folder, files)
    places = {path: place for place, path in enumerate(files.paths)}
    rows = files.load_all(run.workers, progress=progress)
    skipped += [str(entry) for entry in files.skipped]
    if found is None:
        return Samples(rows, modality)
    classes, labels = found
    kept = torch.tensor([places[path] for path in files.paths])
    return Samples(rows, modality, labels[kept], classes)
