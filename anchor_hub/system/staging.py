"""Several files that appear together or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock

from anchor_hub.errors import DataError
from anchor_hub.system.files import write_file

PREFIX = ".anchor-"
#: Held by the process that the folder belongs to.
LOCK = "lock"
#: Errors of a lock that another process holds, or that the file system (some network disks) cannot make; nobody can
#: sweep there then, and outputs are written all the same.
UNLOCKABLE = (OSError, NotImplementedError)


class Staging:
    """A hidden temporary folder beside the outputs; :meth:`commit` moves every file into its place.

    Use it as a context manager: without a commit (an error, Ctrl-C) nothing remains of it.
    """

    def __init__(self, beside: Path) -> None:
        """``beside``: the folder that outputs go to; it need not exist yet."""
        parent = Path(os.path.abspath(beside))
        while not parent.is_dir():
            parent = parent.parent
        self._parent = parent
        self._moves: list[tuple[Path, Path]] = []
        self._folder: Path | None = None
        self._lock: FileLock | None = None

    def __enter__(self) -> Staging:
        try:
            self._sweep()
            self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._parent))
        except OSError as error:
            raise DataError(f"{self._parent}: cannot be written to ({error.strerror or error})") from None
        self._lock = FileLock(self._folder / LOCK, timeout=0)
        with suppress(*UNLOCKABLE):
            self._lock.acquire()
        return self

    def _sweep(self) -> None:
        """Remove folders of processes that were killed: their locks are free."""
        for folder in self._parent.glob(f"{PREFIX}????????"):
            with suppress(*UNLOCKABLE):
                if folder.is_symlink() or not (folder / LOCK).is_file():
                    continue
                with FileLock(folder / LOCK, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)

    def path(self, final: Path) -> Path:
        """Where to write what will be ``final``; it has the same suffix."""
        assert self._folder is not None
        staged = self._folder / f"{len(self._moves):08d}{final.suffix}"
        self._moves.append((staged, final))
        return staged

    def commit(self) -> None:
        """Move all files that were written into place, replacing what is there."""
        for staged, final in self._moves:
            if not staged.is_file():
                continue
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.replace(staged, final)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    # The output is on another disk than the staging folder: write it beside its place, then rename it.
                    write_file(final, staged.read_bytes())
            except OSError as error:
                raise DataError(f"{final}: cannot be written ({error.strerror or error})") from None
        self._moves.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.release()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
