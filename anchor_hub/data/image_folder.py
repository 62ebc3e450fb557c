"""A domain's files as a data set."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor

from anchor_hub.data.layouts.base import Found, Sample
from anchor_hub.data.layouts.detection import find_data_set, is_data_set, training_samples
from anchor_hub.data.sample_tables import select, select_samples
from anchor_hub.errors import DataError, ImageError, UsageError
from anchor_hub.modality import Modality
from anchor_hub.system.inputs import InputFile, list_inputs, refuse_empty_names, shown
from anchor_hub.system.reading_ahead import ReadAhead

Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")
CHUNK = 64  # files that a thread reads before it hands them over; one by one would cost more than reading


@dataclass(frozen=True)
class SkippedFile:
    """A file that could not be used, and why (the reason starts with the path)."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return self.reason


class ImageFolder(Sequence[Tensor]):
    """The files of a data set, folder (with its subfolders), glob, or list of files and folders, as samples.

    :param source: a folder or a zip archive in any layout of :mod:`anchor_hub.data.layouts`; or a file, a glob, or
        several of all these. What folders hold is sorted. A data set with a training split is read as that split.
    :param size: side in pixels the samples are read at.
    :param where: filter over ``class``, ``split``, the layout's own columns (attributes) and those of a
        ``manifest.csv`` or ``factors.csv`` in or beside the folder, e.g. ``"smile>0.5 and glasses==1"``.
    :param limit: at most this many files, the first ones (after the filter).
    :param errors: ``raise`` on the first file that cannot be read, or ``skip`` such files and collect them in
        :attr:`skipped`.
    :param every_split: take the validation and test splits, too.
    :raises DataError: no files. :raises UsageError: a wrong filter or limit.
    """

    def __init__(
        self,
        source: str | Path | Sequence[str | Path],
        modality: Modality,
        size: int,
        *,
        where: str | None = None,
        limit: int | None = None,
        errors: Literal["raise", "skip"] = "raise",
        every_split: bool = False,
    ) -> None:
        if limit is not None and limit < 1:
            raise UsageError(f"--limit {limit}: must be at least 1")
        if errors not in ("raise", "skip"):
            raise UsageError(f"errors is {errors!r}, must be 'raise' or 'skip'")
        given = [source] if isinstance(source, (str, Path)) else list(source)
        refuse_empty_names(given)
        #: The modality, declared for ``size``: what depends on the side of the samples' images asks this one.
        self.modality = modality.at(size)
        self.size, self.errors = size, errors
        #: What was found, with its layout's name; None where files were named one by one, or by a glob.
        self.found: Found | None = None
        root = Path(given[0]) if len(given) == 1 else None
        if root is not None and is_data_set(root):
            _refuse_several_domains(root)
            self.found = found = find_data_set(root, modality)
            samples = found.samples if every_split else training_samples(found, where)
            if where is not None:
                samples = select_samples(found, samples, where)
        else:
            files = find_files(given, modality.extensions)
            if where is not None:
                files = select(files, folder_of(given), where)
            samples = [Sample(item.path, item.name) for item in files]
        classed = bool(samples) and all(sample.label is not None for sample in samples)
        #: Names of the classes (2 before 10), where the data set has classes; else empty.
        self.class_names: tuple[str, ...] = Found("", samples).class_names if classed else ()
        samples = samples[:limit]
        #: For each file its split, where the data set has splits.
        self.splits: list[str | None] = [sample.split for sample in samples]
        #: The files, in order; those skipped so far are not among them.
        self.paths: list[Path] = [cast(Path, sample.source) for sample in samples]
        #: For each of :attr:`paths` its class, an index of :attr:`class_names`; empty where there are no classes.
        self.labels: list[int] = []
        if classed:
            index = {name: number for number, name in enumerate(self.class_names)}
            self.labels = [index[str(sample.label)] for sample in samples]
        #: Files that could not be read, with reasons (``errors="skip"``).
        self.skipped: list[SkippedFile] = []

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        """The sample of one file, read now. :raises ImageError: it cannot be read."""
        return self.modality.read(self.paths[index], self.size)

    def load_all(
        self, workers: int = 2, *, progress: Progress | None = None, max_bytes: int = 8_000_000_000
    ) -> Tensor | ImageFolder:
        """All samples in one tensor ``[N, ...]`` in memory; where that is too large, this folder itself.

        Every file is read once in either case, so that a bad one is found now and not after an hour.

        :param progress: called with (files read, files).
        :raises ImageError: a bad file, unless they are skipped. :raises DataError: none could be read.
        """
        total = len(self.paths)
        store: Tensor | None = None
        kept: list[int] = []
        in_memory = True
        for done, (path, result) in enumerate(parallel_map(self._try, self.paths, workers), start=1):
            if isinstance(result, ImageError):
                if self.errors == "raise":
                    raise result
                self.skipped.append(SkippedFile(path, str(result)))
            else:
                if store is None:
                    in_memory = total * result.numel() * result.element_size() <= max_bytes
                    store = torch.empty((total if in_memory else 1, *result.shape), dtype=result.dtype)
                if result.shape != store.shape[1:] or result.dtype != store.dtype:
                    raise ImageError(
                        f"{shown(path)}: is a {_kind(result)}, the files before are {_kind(store[0])}s; "
                        "keep one kind of file in a data set"
                    )
                if in_memory:
                    store[len(kept)] = result
                kept.append(done - 1)
            if progress is not None and (done % 256 == 0 or done == total):
                progress(done, total)
        if store is None:
            first = f"; the first: {self.skipped[0].reason}" if self.skipped else ""
            raise DataError(f"none of {total} files could be read{first}")
        self.paths = [self.paths[place] for place in kept]
        self.labels = [self.labels[place] for place in kept] if self.labels else []
        self.splits = [self.splits[place] for place in kept]
        return store[: len(kept)] if in_memory else self

    def _try(self, path: Path) -> tuple[Path, Tensor | ImageError]:
        try:
            return path, self.modality.read(path, self.size)
        except ImageError as error:
            return path, error


def _kind(sample: Tensor) -> str:
    return f"list of {len(sample)} points" if sample.ndim == 2 else f"picture of shape {list(sample.shape)}"


def find_files(given: Sequence[str | Path], extensions: Sequence[str]) -> list[InputFile]:
    """The files that names, globs and folders mean, sorted.

    :raises DataError: nothing is there, or it is the top folder of a rendered data set.
    """
    for item in given:
        folder = Path(item)
        if not os.path.lexists(folder) and not glob.has_magic(str(item)):
            raise DataError(f"{shown(folder)}: there is no such file or folder; check the name.{_near_name(folder)}")
        _refuse_several_domains(folder)
    return list_inputs(given, extensions)


def _refuse_several_domains(folder: Path) -> None:
    """Raise DataError for the top folder of rendered faces: the folders inside are domains, never meant as one."""
    if (folder / "dataset.yaml").is_file():
        inner = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        if inner and not (folder / "image").is_dir():
            raise DataError(
                f"{shown(folder)}: holds one folder per modality; name one: {shown(folder / inner[0])}"
                + (f" (or {', '.join(inner[1:])})" if inner[1:] else "")
            )


def _near_name(path: Path) -> str:
    """A sentence with the most similar name that exists, beginning with a space; '' if there is none."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f" Did you mean {shown(path.parent / near[0])}?" if near else ""


def folder_of(given: Sequence[str | Path]) -> Path:
    """The folder whose table describes the files."""
    first = Path(given[0])
    return first if first.is_dir() else Path(os.path.abspath(first)).parent


def parallel_map(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """``map`` over threads, in order, a bounded number of results ahead (decoding needs no GIL)."""
    if workers <= 1:
        yield from map(work, items)
        return
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    with ReadAhead(lambda part: [work(item) for item in part], chunks, readers=workers, ahead=4 * workers) as reading:
        for _, results in reading:
            yield from results.result()
