"""Writes that survive kill -9: a file appears under its final name whole, or not at all. Also digests of files."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anchor_hub.errors import HomeError
from anchor_hub.system.guarded import open_regular


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable, where the system can (Windows cannot and need not)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; the file written there becomes ``path`` where the block raises nothing.

    :param durable: wait for the disk, so that not even a power failure leaves half a file. Raises OSError.
    """
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        if durable:
            with open(temporary, "r+b") as stream:
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_folder(path.parent)


def write_file(path: Path | str, data: bytes | memoryview, *, durable: bool = True) -> Path:
    """Write `data` to `path` atomically, see :func:`replacing`. Raises OSError."""
    path = Path(path)
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(data)
    return path


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


def recover_folder(folder: Path) -> None:
    """Put back the previous version of `folder` if a process died between the two renames of `new_folder`."""
    if not folder.exists() and _previous(folder).is_dir():
        with suppress(OSError):
            os.replace(_previous(folder), folder)


@contextmanager
def new_folder(folder: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Fill a temporary folder that becomes `folder` when the block ends without an error.

    Raises FileExistsError where `folder` exists and `overwrite` is false, HomeError where nothing can be written.
    """
    folder = Path(folder)
    recover_folder(folder)
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{folder}: exists already")
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise HomeError(
            f"{folder}: cannot be created ({error.strerror or error}); choose a folder you can write to"
        ) from error
    try:
        yield temporary
        for item in temporary.rglob("*"):
            if item.is_file():
                with open(item, "rb") as stream:
                    os.fsync(stream.fileno())
        fsync_folder(temporary)
        if folder.exists():
            remove_folder(_previous(folder))
            os.replace(folder, _previous(folder))
        os.replace(temporary, folder)
        fsync_folder(folder.parent)
        remove_folder(_previous(folder))
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        recover_folder(folder)
        raise


def remove_folder(folder: Path) -> None:
    """Delete `folder`. It is first renamed in one step, so that nobody ever sees half of it."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink():
        folder.unlink()
        return
    doomed = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.removed")
    os.replace(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path)[0] as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
