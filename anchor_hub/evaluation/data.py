"""What an evaluation reads: the samples of two domains in a folder, paired where files share their names."""

from __future__ import annotations

import glob
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import overload

from anchor_hub.errors import DataError, UsageError
from anchor_hub.modality import Modality
from anchor_hub.system.files import file_sha256
from anchor_hub.system.inputs import FolderFiles, InputFile, list_inputs, shown
from anchor_hub.system.tables import same_name


@dataclass(frozen=True)
class Item:
    """One sample: its input, and its truth (the output that a perfect translation gives) where that is known.

    ``name`` is the input's path below its folder, without suffix; its first folder is the class, if it has any.
    """

    index: int
    name: str
    input: Path
    truth: Path | None

    @property
    def label(self) -> str:
        """The sample's class: the first folder of its name, or ''."""
        return labels([self.name])[0]


class Items(Sequence[Item]):
    """A sequence of samples that holds only the names of files and makes each :class:`Item` on access.

    :param truths: the truth of each of ``inputs``, in the same order; None: no truth is known.
    """

    def __init__(self, inputs: FolderFiles, truths: FolderFiles | None) -> None:
        self.inputs, self.truths = inputs, truths

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        file = self.inputs[index]
        truth = None if self.truths is None else self.truths[index].path
        return Item(file.index, file.name.as_posix(), file.path, truth)


@dataclass(frozen=True)
class PairData:
    """Samples of a source domain, and the real files of the target domain that outputs are measured against.

    ``paired``: whether every item has its truth. ``real`` need not be the truths: it may hold other and more files.
    """

    path: Path
    items: Sequence[Item]
    real: Sequence[InputFile]
    paired: bool

    def sha256(self) -> str:
        """SHA-256 over the names and bytes of all files, in order."""
        digest = hashlib.sha256()
        for role, name, path in self._files():
            try:
                found = file_sha256(path)
            except OSError as error:
                raise DataError(f"{shown(path)}: cannot be read ({error.strerror or error})") from None
            digest.update(f"{role}\0{name}\0{found}\n".encode())
        return digest.hexdigest()

    def _files(self) -> Iterator[tuple[str, str, Path]]:
        yield from (("input", item.name, item.input) for item in self.items)
        yield from (("truth", item.name, item.truth) for item in self.items if item.truth is not None)
        truths = {str(item.truth) for item in self.items}
        yield from (("real", file.name.as_posix(), file.path) for file in self.real if str(file.path) not in truths)


def labels(names: Iterable[str]) -> list[str]:
    """The class of each name: its first folder, or ''."""
    # Interned: all samples of a class share one string, however many they are.
    return [sys.intern(name.rpartition("/")[0].partition("/")[0]) for name in names]


def pair_data(
    folder: str | Path,
    source: tuple[str, Modality],
    target: tuple[str, Modality],
    *,
    real: str | Path | None = None,
    limit: int | None = None,
    alone: bool = False,
) -> PairData:
    """The samples in ``folder/<source>`` with their truths of the same names in ``folder/<target>``.

    Where the folders share no name, the sets are unpaired: only metrics of whole sets can be measured.

    :param source: name and modality of the source domain; ``target``: likewise.
    :param real: folder of the real target files for distances between sets, instead of ``folder/<target>``.
    :param limit: number of inputs to take, the first ones (of pairs, only their truths count as real files).
    :param alone: no metric looks at target files, so the folder ``folder/<target>`` need not exist.
    :raises DataError: a folder is missing or empty, two files share a name, or only some inputs have a truth.
    :raises UsageError: ``limit`` is below 1.
    """
    top = Path(folder)
    if limit is not None and limit < 1:
        raise UsageError(f"--count {limit}: must be at least 1")
    if real is not None and not os.path.lexists(real) and not glob.has_magic(str(real)):
        raise DataError(f"--real {shown(real)}: there is no such folder; it holds the real files of {target[0]!r}")
    inputs = _files(top, *source)
    there = (real is None and not alone) or (top / target[0]).is_dir()
    others = _files(top, *target) if there else FolderFiles(top / target[0], ())
    truths = {_stem(name): name for name in others.names}
    missing = [name for name in inputs.names if _stem(name) not in truths]
    paired = bool(truths) and not missing
    if missing and len(missing) < len(inputs):
        raise DataError(
            f"{shown(others.folder)}: {len(missing)} of {len(inputs)} inputs have no true {target[0]} (the first: "
            f"{shown(_stem(missing[0]))}); add the missing files, or remove those inputs"
        )
    chosen = FolderFiles(inputs.folder, inputs.names[:limit])
    matched = FolderFiles(others.folder, [truths[_stem(name)] for name in chosen.names]) if paired else None
    if real is not None:
        compared: Sequence[InputFile] = (
            FolderFiles.of(real, target[1].extensions)
            if Path(real).is_dir()
            else list_inputs([real], target[1].extensions)
        )
    elif matched is not None and limit is not None:
        wanted = set(matched.names)
        compared = FolderFiles(others.folder, [name for name in others.names if name in wanted])
    else:
        compared = others
    return PairData(top, Items(chosen, matched), compared, paired)


def _stem(name: str) -> str:
    """A name without its suffix, by text alone: pathlib would intern the parts of every path and never free them."""
    return same_name(os.path.splitext(name)[0].replace(os.sep, "/"))


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _files(top: Path, name: str, modality: Modality) -> FolderFiles:
    folder = top / name
    if not folder.is_dir():
        inside = sorted(item.name for item in top.iterdir() if item.is_dir()) if top.is_dir() else []
        there = f"there are {', '.join(inside[:12])}" if inside else "there is no folder in it"
        raise DataError(
            f"{shown(folder)}: is not there ({there}); --data takes a folder with one folder per domain, as "
            "anchor data render writes it"
        )
    files = FolderFiles.of(folder, modality.extensions)
    seen: dict[str, str] = {}
    for file in files.names:
        key = _stem(file)
        if not _is_text(key):
            raise DataError(f"{shown(folder / file)}: its name is not UTF-8, so no report can hold it; rename it")
        if key in seen:
            raise DataError(
                f"{shown(folder / file)}: {shown(PurePath(seen[key]).name)} has the same name; keep one of the two"
            )
        seen[key] = file
    return files
