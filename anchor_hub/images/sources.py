"""Files that do not exist on disk: members of an archive, and label maps or points composed of other files."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path, PurePath

from anchor_hub.errors import ImageError


class VirtualFile(os.PathLike[str]):
    """Something to read like a file. Its path (``str()``) says where it comes from, for messages and suffixes."""

    def __init__(self, path: PurePath) -> None:
        self._path = path

    @abstractmethod
    def read(self, limit: int) -> bytes:
        """The content. :raises ImageError: it cannot be read, is empty, or longer than ``limit`` bytes."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self._path.name

    @property
    def stem(self) -> str:
        """``name`` without its suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The suffix that says how it is read, with its dot."""
        return self._path.suffix

    @property
    def parent(self) -> PurePath:
        """The folder part of its path."""
        return self._path.parent

    def __fspath__(self) -> str:
        return str(self._path)

    def __str__(self) -> str:
        return str(self._path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VirtualFile) and type(self) is type(other) and self._path == other._path

    def __hash__(self) -> int:
        return hash(self._path)

    def __lt__(self, other: object) -> bool:
        return str(self) < str(other)


class ComposedFile(VirtualFile):
    """A file composed of other files when it is read.

    :param path: its name in messages; the suffix says how it is read (``.pgm``, ``.json``).
    :param make: gives the content; it may raise ImageError.
    """

    def __init__(self, path: PurePath, make: Callable[[], bytes]) -> None:
        super().__init__(path)
        self._make = make

    def read(self, limit: int) -> bytes:
        """The content, composed now."""
        data = self._make()
        if len(data) > limit:
            raise ImageError(f"{self}: is {len(data) / 1e6:.0f} MB, the limit is {limit / 1e6:.0f} MB")
        return data


Source = Path | VirtualFile
