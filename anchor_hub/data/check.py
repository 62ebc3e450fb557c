"""Checks a folder before training on it: what cannot be read, and what would surprise later."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anchor_hub.data.image_folder import ImageFolder, SkippedFile, parallel_map
from anchor_hub.errors import ImageError, UsageError
from anchor_hub.images.reading import IMAGE_EXTENSIONS, MAX_FILE_BYTES, default_white, is_deep
from anchor_hub.images.sources import ComposedFile, VirtualFile
from anchor_hub.modality import Modality, build_modality
from anchor_hub.modality.options import modality_table
from anchor_hub.modality.pictures import PictureModality
from anchor_hub.system.inputs import shown

FEW_FILES = 100


@dataclass
class FolderReport:
    """What :func:`check_folder` found.

    ``layout``: the data set's layout, or "files". ``splits``, ``class_counts``: number of files by split, by class.
    ``ignored``: files of the data set that nothing reads. ``bad``: files that cannot be read. ``sizes``, ``modes``:
    number of files by "WIDTHxHEIGHT" and by kind of pixel (Pillow's name), as stored, most frequent first.
    ``duplicates``: (file, the file before that has the same content); ``between_splits``: those in two splits.
    ``classes``: each class's share of all pixels, for label maps. ``warnings``: sentences about what is allowed but
    seldom intended.
    """

    files: int
    modality: str
    size: int
    bad: list[SkippedFile] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    duplicates: list[tuple[Path, Path]] = field(default_factory=list)
    classes: dict[str, float] | None = None
    layout: str = "files"
    splits: dict[str, int] = field(default_factory=dict)
    class_counts: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    between_splits: list[tuple[Path, Path]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def readable(self) -> int:
        """Files that can be read."""
        return self.files - len(self.bad)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return {
            "files": self.files,
            "readable": self.readable,
            "modality": self.modality,
            "size": self.size,
            "bad": [{"path": str(item.path), "reason": item.reason} for item in self.bad],
            "sizes": self.sizes,
            "duplicates": [[str(path), str(first)] for path, first in self.duplicates],
            "classes": self.classes,
            "layout": self.layout,
            "splits": self.splits,
            "class_counts": self.class_counts,
            "modes": self.modes,
            "between_splits": [[str(path), str(first)] for path, first in self.between_splits],
            "ignored": self.ignored,
            "warnings": self.warnings,
        }


@dataclass
class _Seen:
    """What is kept of one file; little, so that a folder of any size can be checked."""

    digest: bytes
    extent: tuple[int, int] | None
    mode: str | None
    is_flat: bool
    is_gray: bool
    outside: bool
    counts: Tensor | None
    values: tuple[float, float] | None  # least and greatest, of a picture of more than 8 bits


def folder_modality(
    domain: str | None = None,
    name: str | None = None,
    *,
    classes: int | None = None,
    palette: str | None = None,
    merge_classes: Path | None = None,
    ignore_id: int | None = None,
    span: str | None = None,
    settings: Sequence[str] = (),
) -> Modality:
    """The modality of a registered domain, or the one called ``name`` (rgb), with the options that a call adds.

    :param classes: with ``palette``, ``merge_classes``, ``ignore_id``, ``span`` and ``settings``: see
        :func:`~anchor_hub.modality.options.modality_table`.

    :raises UsageError: both a domain and a name are given, or the modality lacks an option.
    :raises DomainNotFoundError, ModalityNotFoundError, ConfigError: an unknown name, or wrong options.
    """
    from anchor_hub.plugins.registry import registry

    if domain is not None and name is not None:
        raise UsageError(f"--modality {name}: --domain {domain} says how its files are read; give one of the two")
    table: dict[str, Any] = {"name": name or "rgb"}
    if domain is not None:
        table = dict(registry().domains[domain].spec.modality)
    return build_modality(
        modality_table(
            table, classes=classes, palette=palette, merge_classes=merge_classes, ignore_id=ignore_id, span=span,
            settings=settings,
        )
    )


def check_folder(
    source: str | Path | Sequence[str | Path],
    modality: Modality,
    size: int,
    *,
    where: str | None = None,
    limit: int | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> FolderReport:
    """Read every file of every split as training would, at ``size`` pixels, and say what is in the folder.

    :param progress: called with (files read, files).
    :raises DataError: there are no files at all. :raises UsageError: a wrong filter.
    """
    folder = ImageFolder(source, modality, size, where=where, limit=limit, errors="skip", every_split=True)
    report = FolderReport(len(folder), modality.name, size)
    _describe_layout(report, folder)

    def look(path: Path) -> _Seen | SkippedFile:
        try:
            return _look(path, modality, size)
        except ImageError as error:
            return SkippedFile(path, str(error))

    sizes: Counter[str] = Counter()
    modes: Counter[str] = Counter()
    first_of: dict[bytes, tuple[Path, str | None]] = {}
    counts: Tensor | None = None
    flat: list[Path] = []
    gray: list[Path] = []
    outside: list[Path] = []
    stretched: list[Path] = []
    small: list[Path] = []
    deep: list[_Seen] = []
    paths = list(folder.paths)
    looked = zip(paths, folder.splits, parallel_map(look, paths, workers), strict=True)
    for done, (path, split, seen) in enumerate(looked, start=1):
        if isinstance(seen, SkippedFile):
            report.bad.append(seen)
        else:
            if seen.digest in first_of:
                first, other_split = first_of[seen.digest]
                report.duplicates.append((path, first))
                report.between_splits.extend([(path, first)] if split != other_split else [])
            first_of.setdefault(seen.digest, (path, split))
            modes.update([seen.mode] if seen.mode is not None else [])
            if seen.extent is not None:
                width, height = seen.extent
                sizes[f"{width}x{height}"] += 1
                stretched.extend([path] if width != height else [])
                small.extend([path] if min(width, height) < size else [])
            flat.extend([path] if seen.is_flat else [])
            gray.extend([path] if seen.is_gray else [])
            outside.extend([path] if seen.outside else [])
            deep.extend([seen] if seen.values is not None else [])
            if seen.counts is not None:
                counts = seen.counts if counts is None else counts + seen.counts
        if progress is not None:
            progress(done, len(paths))
    report.sizes, report.modes = dict(sizes.most_common()), dict(modes.most_common())
    fits = "cropped to their middle" if modality.fit == "crop" else "stretched to a square"
    for found, what in (
        (stretched, f"not square: they are {fits}"),
        (small, f"smaller than {size} pixels: they are enlarged"),
        (flat, "of one single colour or class"),
        (gray if len(gray) < report.readable else [], "gray among colour pictures"),
        (outside, "with points outside the image"),
        ([path for path, _ in report.duplicates], "like another one, pixel for pixel"),
        ([path for path, _ in report.between_splits], "in one split, and in another one as well"),
    ):
        if found:
            report.warnings.append(f"{len(found):,} of {report.readable:,} files are {what}, e.g. {shown(found[0])}")
    if deep:
        report.warnings.append(_describe_values(deep, modality))
    if gray and len(gray) == report.readable:
        report.warnings.append("all pictures are gray: perhaps --modality gray (or segmentation) is meant")
    if 0 < report.readable < FEW_FILES:
        how_many = "is only 1 readable file" if report.readable == 1 else f"are only {report.readable} readable files"
        report.warnings.append(f"there {how_many}")
    if counts is not None:
        _describe_classes(report, counts, modality)
    return report


def _describe_layout(report: FolderReport, folder: ImageFolder) -> None:
    if folder.found is None:
        return
    report.layout = folder.found.layout
    report.splits = dict(Counter(split for split in folder.splits if split is not None))
    numbers = Counter(folder.labels)
    report.class_counts = {name: numbers[index] for index, name in enumerate(folder.class_names)}
    report.warnings.extend(folder.found.notes)
    report.ignored = folder.found.unused
    if report.ignored and not folder.found.notes:
        kinds = Counter(Path(name).suffix.lower() or "without suffix" for name in report.ignored)
        said = ", ".join(f"{count:,} {suffix}" for suffix, count in kinds.most_common(5))
        report.warnings.append(f"{len(report.ignored):,} files are not read as {report.modality}: {said}")


def _look(path: Path, modality: Modality, size: int) -> _Seen:
    source: Any = path
    if isinstance(path, VirtualFile):  # read once, for its content and for its size
        data = path.read(MAX_FILE_BYTES)
        source = ComposedFile(PurePath(str(path)), lambda: data)
    sample = modality.read(source, size)
    is_points = sample.dtype.is_floating_point
    counts = None
    if modality.traits.classes:
        length = len(modality.traits.classes) + modality.traits.ignored
        counts = torch.bincount(sample.flatten().long(), minlength=length)
    is_gray = sample.shape[0] == 3 and bool((sample[0] == sample[1]).all() and (sample[1] == sample[2]).all())
    extent = mode = values = None
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        stream = io.BytesIO(source.read(MAX_FILE_BYTES)) if isinstance(source, VirtualFile) else path
        with Image.open(stream) as image:  # the header, unless deep; the reading before showed that the file is sound
            extent, mode = image.size, image.mode
            if is_deep(mode) and isinstance(modality, PictureModality):
                pixels = np.asarray(image)  # Pillow's getextrema knows not every deep mode
                values = float(pixels.min()), float(pixels.max())
    return _Seen(
        hashlib.blake2b(sample.numpy().tobytes(), digest_size=16).digest(),
        extent,
        mode,
        not is_points and bool((sample == sample[:, :1, :1]).all()),
        not is_points and is_gray,
        is_points and bool(((sample < 0) | (sample > size)).any()),
        counts,
        values,
    )


def _describe_values(deep: Sequence[_Seen], modality: Modality) -> str:
    found = [(seen.mode or "", *seen.values) for seen in deep if seen.values is not None]
    low, high = min(low for _, low, _ in found), max(high for _, _, high in found)
    said = f"{len(found):,} files have more than 8 bits, values {low:g} to {high:g}; "
    if span := getattr(modality, "span", None):
        return f"{said}{span[0]:g} is black, {span[1]:g} white"
    whites = sorted({default_white(mode, high) for mode, _, high in found})
    said += f"0 is black, {' or '.join(map(str, whites))} white"
    if len(whites) > 1:
        return f"{said}, which differs between files (--range {low:g}:{high:g} would read all alike)"
    return f"{said} (--range {low:g}:{high:g} would use all shades)"


def _describe_classes(report: FolderReport, counts: Tensor, modality: Modality) -> None:
    shares = (counts.double() / counts.sum()).tolist()
    if modality.traits.ignored and (share := shares.pop()):
        report.warnings.append(f"{share:.1%} of all pixels are unlabelled")
    report.classes = dict(zip(modality.traits.classes, shares, strict=True))
    missing = [name for name, share in report.classes.items() if share == 0]
    if missing:
        report.warnings.append(f"no pixel is of class {', '.join(missing)}")
