"""Which files a command reads: files, folders, globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import overload

from anchor_hub.errors import DataError, UsageError


@dataclass(frozen=True)
class InputFile:
    """A file to read. ``name``: its path below the given folder, without suffix; outputs are named after it."""

    index: int
    path: Path
    name: PurePath


def shown(path: object) -> str:
    """A path for messages: control characters and bytes that are not text appear as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def list_inputs(given: Sequence[str | Path], extensions: Collection[str]) -> list[InputFile]:
    """The files meant by paths, folders and globs, in the order given; what a folder or glob holds is sorted.

    Folders are searched with their subfolders (links to folders are not followed, hidden names are skipped)
    for files of the given ``extensions``; a file named outright may have any. A file that was named twice is read once.

    :raises DataError: nothing is there under a name, or a folder holds no file of these kinds.
    :raises UsageError: no names, or an empty one.
    """
    refuse_empty_names(given)
    found: list[tuple[Path, PurePath]] = []
    for item in given:
        path = Path(item)
        if path.is_dir():
            found.extend(_folder(path, extensions))
        elif path.exists() or not glob.has_magic(str(item)):
            # A missing file is reported when it is read, so that --skip-bad can pass over it.
            found.append((path, PurePath(path.stem)))
        else:
            matches = sorted(Path(match) for match in glob.glob(str(item), recursive=True))
            files = [match for match in matches if match.is_file() and match.suffix.lower() in extensions]
            if not files:
                raise DataError(
                    f"{shown(path)}: no file matches; readable are {', '.join(sorted(extensions))}"
                )
            found.extend((match, PurePath(match.stem)) for match in files)
    if not found:
        raise UsageError("no input: give files, folders or globs")
    unique: dict[str, tuple[Path, PurePath]] = {}
    for path, name in found:
        unique.setdefault(os.path.abspath(path), (path, name))
    return [InputFile(index, path, name) for index, (path, name) in enumerate(unique.values())]


def refuse_empty_names(given: Sequence[str | Path]) -> None:
    """Raise UsageError if a name is '' (a shell variable that is not set, say), which as a path means this folder."""
    if "" in given:
        raise UsageError("an input is the empty name ''; write . if the current folder is meant")


class FolderFiles(Sequence[InputFile]):
    """The files of a folder, as ``list_inputs([folder], ...)`` gives them. Only names are held, so that many files take
    little memory; each :class:`InputFile` is made on access."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, names

    @classmethod
    def of(cls, folder: str | Path, extensions: Collection[str]) -> FolderFiles:
        """:raises DataError: the folder holds no file of these kinds, or is a data set of several domains."""
        _refuse_several_domains(Path(folder))
        return cls(Path(folder), _names(Path(folder), extensions))

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> InputFile: ...
    @overload
    def __getitem__(self, index: slice) -> list[InputFile]: ...
    def __getitem__(self, index: int | slice) -> InputFile | list[InputFile]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self.names)))]
        name = self.names[index]
        return InputFile(range(len(self.names))[index], self.folder / name, PurePath(name).with_suffix(""))


def _refuse_several_domains(folder: Path) -> None:
    if (folder / "dataset.yaml").is_file():
        # Its folders hold the same pictures in several domains; reading them all as one domain is never meant.
        inside = sorted(item.name for item in folder.iterdir() if item.is_dir() and item.name[0] != ".")
        raise DataError(
            f"{shown(folder)}: is a data set of several domains; name one of its folders: "
            f"{', '.join(inside[:12]) or 'none'}"
        )


def _folder(folder: Path, extensions: Collection[str]) -> list[tuple[Path, PurePath]]:
    _refuse_several_domains(folder)
    return [(folder / name, PurePath(name).with_suffix("")) for name in _names(folder, extensions)]


def _names(folder: Path, extensions: Collection[str]) -> list[str]:
    """Paths below ``folder`` of its files, sorted as paths are: part by part."""
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(root, folder)
        found.extend(
            name if inside == os.curdir else os.path.join(inside, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in extensions
        )
    if not found:
        raise DataError(
            f"{shown(folder)}: holds no readable file; readable are {', '.join(sorted(extensions))}"
        )
    return sorted(found, key=lambda name: name.replace(os.sep, "\0"))
