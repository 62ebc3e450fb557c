"""A data set's files by name, in a folder or a zip archive. Layouts look at nothing else."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from anchor_hub.errors import DataError, ImageError
from anchor_hub.images.reading import read_bytes
from anchor_hub.images.sources import Source
from anchor_hub.images.zips import ZipArchive, ZipMember
from anchor_hub.system.inputs import shown

MAX_TEXT_BYTES = 1_000_000_000


class Tree(ABC):
    """Files below a root, by names such as ``train/cat/0001.jpg``: sorted, hidden ones left out."""

    def __init__(self, root: Path, files: Sequence[str]) -> None:
        self.root, self.files = root, list(files)

    @abstractmethod
    def source(self, name: str) -> Source:
        """What a reader reads for a file of that name."""

    @cached_property
    def names(self) -> frozenset[str]:
        """All names, for looking one up."""
        return frozenset(self.files)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The names of the folders directly below the root that hold files, sorted."""
        return tuple(sorted({name.split("/", 1)[0] for name in self.files if "/" in name}))

    @cached_property
    def top(self) -> tuple[str, ...]:
        """The names of the files directly below the root."""
        return tuple(name for name in self.files if "/" not in name)

    def below(self, folder: str) -> Tree:
        """The tree of one folder, e.g. ``train`` or ``images/train``; it may hold no files."""
        return SubTree(self, folder)

    def text(self, name: str) -> str:
        """A text file's content. :raises DataError: it cannot be read, or is not UTF-8."""
        source = self.source(name)
        try:
            return read_bytes(source, MAX_TEXT_BYTES).decode("utf-8-sig")
        except ImageError as error:
            raise DataError(str(error)) from error
        except UnicodeDecodeError:
            raise DataError(f"{shown(source)}: is not UTF-8 text; save it as UTF-8") from None

    def with_suffix(self, suffixes: Sequence[str]) -> Iterator[str]:
        """Names of the files with one of these suffixes (lower case, with dot)."""
        wanted = tuple(suffixes)
        return (name for name in self.files if name.lower().endswith(wanted))

    def summary(self) -> str:
        """What lies in it, for messages: ``30 .jpg, 2 .txt; folders images, masks``."""
        counts = Counter(PurePosixPath(name).suffix.lower() or "without suffix" for name in self.files)
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common(6)) or "no files"
        inner = ", ".join(shown(name) for name in self.folders[:8])
        return kinds + (f"; folders {inner}{' ...' if len(self.folders) > 8 else ''}" if inner else "")


class FolderTree(Tree):
    """A folder; links to folders are not followed."""

    def __init__(self, root: Path) -> None:
        files: list[str] = []
        for where, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inner = Path(where).relative_to(root).as_posix()
            prefix = "" if inner == "." else f"{inner}/"
            files.extend(f"{prefix}{name}" for name in names if not name.startswith("."))
        # Sorted as paths are, part by part, so that the files of a folder stay together.
        super().__init__(root, sorted(files, key=lambda name: name.split("/")))

    def source(self, name: str) -> Source:
        return self.root / name


class ZipTree(Tree):
    """A zip archive; a single folder that holds everything in it is not part of the names."""

    def __init__(self, path: Path) -> None:
        self.archive = ZipArchive(path)
        files = sorted(
            (
                name
                for name in self.archive.members
                if not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
            ),
            key=lambda name: name.split("/"),
        )
        super().__init__(path, files)

    def source(self, name: str) -> Source:
        return ZipMember(self.archive, name)


class SubTree(Tree):
    """A part of another tree."""

    def __init__(self, outer: Tree, folder: str) -> None:
        self.outer, self.folder = outer, folder.strip("/")
        prefix = f"{self.folder}/"
        files = [name[len(prefix) :] for name in outer.files if name.startswith(prefix)]
        super().__init__(outer.root / self.folder, files)

    def source(self, name: str) -> Source:
        return self.outer.source(f"{self.folder}/{name}")


class Without(Tree):
    """Another tree, less one folder."""

    def __init__(self, outer: Tree, folder: str) -> None:
        self.outer = outer
        super().__init__(outer.root, [name for name in outer.files if not name.startswith(f"{folder}/")])

    def source(self, name: str) -> Source:
        return self.outer.source(name)
