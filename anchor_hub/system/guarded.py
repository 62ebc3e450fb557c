"""The one way to open a file that somebody else may have put there: regular files only, their size known first.

A named pipe would be waited for without end, a device read without end; what links to one is refused like itself.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TextIO

#: Bytes of a file of ours that is held in memory whole: enough for any published generator.
MAX_FILE = 4 << 30


class RefusedFile(OSError):
    """A file that is there and is not read: no regular file, or too large; `strerror` says which."""


def open_regular(path: str | os.PathLike[str], limit: int | None = None) -> tuple[io.BufferedReader, int]:
    """A regular file opened for reading, and its size in bytes, at most `limit`. Raises OSError whose `strerror` says
    what else it is: a folder, no regular file, too large."""
    # Without O_NONBLOCK, opening a named pipe would wait for ever.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a folder; name a file", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise RefusedFile(errno.EINVAL, "is not a regular file; copy its content into one", str(path))
        if limit is not None and status.st_size > limit:
            sizes = f"{_size(status.st_size)}; the limit is {_size(limit)}"
            raise RefusedFile(errno.EFBIG, f"is larger than what is read ({sizes})", str(path))
        return os.fdopen(handle, "rb"), status.st_size
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: str | os.PathLike[str], limit: int = MAX_FILE) -> bytes:
    """The content of a regular file of at most `limit` bytes, see :func:`open_regular`. Raises OSError.

    No more is read than the file had when it was opened: a file that grows is cut, not followed.
    """
    stream, size = open_regular(path, limit)
    with stream:
        return stream.read(size)


def open_text(path: str | os.PathLike[str]) -> TextIO:
    """A regular UTF-8 file opened for reading line by line. Raises OSError."""
    return io.TextIOWrapper(open_regular(path)[0], encoding="utf-8")


def _size(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1_000_000 else f"{count:,} bytes"
