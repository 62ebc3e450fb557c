"""What a layout finds in a tree of files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from anchor_hub.data.layouts.trees import Tree
from anchor_hub.errors import DataError
from anchor_hub.images.reading import IMAGE_EXTENSIONS
from anchor_hub.images.sources import Source
from anchor_hub.modality.traits import Traits
from anchor_hub.system.inputs import shown
from anchor_hub.system.tables import same_name

if TYPE_CHECKING:
    from anchor_hub.modality import Modality

POINT_SUFFIXES = (".json", ".pts", ".csv")
SPLITS = ("train", "training", "trn", "val", "valid", "validation", "test", "testing", "eval")
TRAINING_SPLITS = ("train", "training", "trn")


@dataclass(frozen=True)
class Sample:
    """One sample: what is read, its name (its path without suffix), class, split, and columns for ``--where``."""

    source: Source
    name: PurePath
    label: str | None = None
    split: str | None = None
    row: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Found:
    """What a data set holds for one modality.

    ``layout``: the layout's name. ``columns``: what rows may hold besides ``class`` and ``split``. ``folder``: beside
    which a ``manifest.csv`` or ``factors.csv`` may lie. ``notes``: sentences about what was found odd, or left out.
    ``unused``: names of files that belong to the data set but to no sample.
    """

    layout: str
    samples: list[Sample]
    columns: tuple[str, ...] = ()
    folder: Path | None = None
    notes: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, numbers by value (2 before 10); empty where samples have none."""
        return tuple(sorted({sample.label for sample in self.samples if sample.label is not None}, key=natural))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, sorted; empty where there are none."""
        return tuple(sorted({sample.split for sample in self.samples if sample.split is not None}))


@dataclass(frozen=True)
class Request:
    """What is looked for: the modality's name (for messages), its traits, the suffixes its files may have, and the
    channels that networks see."""

    modality: str
    extensions: tuple[str, ...]
    traits: Traits
    channels: int

    @classmethod
    def of(cls, modality: Modality) -> Request:
        """What ``modality`` reads."""
        return cls(modality.name, tuple(modality.extensions), modality.traits, modality.input_channels)

    @property
    def label_maps(self) -> bool:
        """Whether label maps are looked for."""
        return bool(self.traits.classes)

    @property
    def points(self) -> bool:
        """Whether points are looked for, if only to draw them."""
        return bool(self.traits.points) or set(POINT_SUFFIXES) <= set(self.extensions)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes to look for if pictures and points lie side by side: for landmarks only those of points."""
        files = tuple(suffix for suffix in self.extensions if suffix not in IMAGE_EXTENSIONS)
        return files if self.points and files else self.extensions


class Layout(Protocol):
    """A layout is a module with these."""

    NAME: str
    SUMMARY: str

    def find(self, tree: Tree, request: Request) -> Found | None:
        """What the tree holds in this layout; None where it has another.

        :raises DataError: it has this layout, but not whole.
        """
        ...


def natural(name: str) -> list[tuple[int, str]]:
    """A key for sorting that puts 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def stem(name: str) -> PurePath:
    """A name without its suffix, in one form of Unicode, so that files beside each other find each other."""
    return PurePosixPath(same_name(name)).with_suffix("")


def is_image(name: str) -> bool:
    """Whether a name is that of a picture."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def readable(tree: Tree, request: Request) -> list[str]:
    """The files that the modality reads; where points lie beside their pictures, only the points."""
    if request.points:
        points = [name for name in tree.with_suffix(request.suffixes) if not _goes_with(name)]
        pictures = {str(stem(name)) for name in tree.with_suffix(IMAGE_EXTENSIONS)}
        if points and pictures & {str(stem(name)) for name in points}:
            return points
        return [name for name in tree.with_suffix(request.extensions) if not _goes_with(name)]
    return list(tree.with_suffix(request.extensions))


def unread(tree: Tree, names: Sequence[str]) -> list[str]:
    """The files other than ``names``, without tables and texts that go with a data set."""
    read = set(names)
    return [name for name in tree.files if name not in read and not _goes_with(name)]


def _goes_with(name: str) -> bool:
    last = name.rsplit("/", 1)[-1].lower()
    words = ("readme", "license", "licence", "copying", "citation", "attribution", "manifest.", "factors.", "dataset.")
    return last.startswith(words) or last in ("thumbs.db", "desktop.ini", "metadata.csv", "metadata.jsonl")


def nothing_readable(tree: Tree, request: Request) -> DataError:
    """The error for a tree without a single file of the modality."""
    return DataError(
        f"{shown(tree.root)}: holds no readable file for modality {request.modality!r}; readable are "
        f"{', '.join(sorted(request.extensions))}; found {tree.summary()}"
    )


def missing(tree: Tree, layout: str, what: str, parts: Sequence[str]) -> DataError:
    """The error for a layout that is not whole."""
    return DataError(
        f"{shown(tree.root)}: is {layout}, but without {what} ({' or '.join(parts)}); download that part, too "
        f"(found {tree.summary()})"
    )
