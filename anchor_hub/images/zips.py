"""Zip archives as data sets: read in place, never unpacked to disk, and checked against what their directory says."""

from __future__ import annotations

import threading
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from anchor_hub.errors import DataError, ImageError
from anchor_hub.images.sources import VirtualFile
from anchor_hub.system.guarded import open_regular
from anchor_hub.system.inputs import shown

MAX_MEMBERS = 5_000_000
MAX_MEMBER_BYTES = 512_000_000
MAX_RATIO = 200  # of a deflated member: no file to train on is that repetitive
SMALL_BYTES = 1_000_000  # below this a ratio proves nothing: a black label map deflates a thousandfold
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class ZipArchive:
    """A zip's members by name, checked. Reading is safe in threads.

    :raises DataError: it is no zip, or its directory holds what an honest one does not: absolute paths or ``..``,
        repeated names, encrypted or oddly packed members, members that expand enormously.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stream: IO[bytes] = open_regular(path)[0]  # kept open for as long as its members are read
        except OSError as error:
            raise DataError(f"{shown(path)}: cannot be opened ({error.strerror or error})") from error
        try:
            self._zip = zipfile.ZipFile(self._stream)
            self.members = self._checked()
        except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
            self._stream.close()
            raise DataError(f"{shown(path)}: is no zip archive, or damaged ({error}); download it again") from error
        except DataError:
            self._stream.close()
            raise
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}  # another process opens the archive for itself

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS:
            raise self._wrong(f"holds {len(infos):,} members, the limit is {MAX_MEMBERS:,}")
        members: dict[str, zipfile.ZipInfo] = {}
        size = self.path.stat().st_size
        for info in infos:
            # Some tools of Windows write the folders of a path with backslashes.
            name = info.filename.replace("\\", "/")
            if name.endswith("/"):
                continue
            if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name[:2] or not name:
                raise self._wrong(f"holds {shown(name)!r}, a path that leaves the archive")
            if name in members:
                raise self._wrong(f"holds {shown(name)!r} twice")
            if info.flag_bits & 0x1:
                raise self._wrong(f"holds {shown(name)!r} encrypted")
            if info.compress_type not in _METHODS:
                raise self._wrong(f"holds {shown(name)!r} packed by method {info.compress_type}; store or deflate it")
            if info.file_size > MAX_MEMBER_BYTES:
                raise self._wrong(f"holds {shown(name)!r} of {info.file_size / 1e6:,.0f} MB; that is no image")
            if info.compress_size > size or info.header_offset > size:
                raise self._wrong(f"is truncated: {shown(name)!r} lies beyond its end")
            if info.file_size > SMALL_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1):
                ratio = info.file_size // max(info.compress_size, 1)
                raise self._wrong(f"holds {shown(name)!r}, which expands {ratio:,}-fold")
            members[name] = info
        return members

    def _wrong(self, reason: str) -> DataError:
        return DataError(f"{shown(self.path)}: {reason}; refused, pack the data set again")

    def read(self, name: str, limit: int) -> bytes:
        """A member's content, never more than the directory says. :raises ImageError: damaged, empty, too long."""
        label = f"{shown(self.path)}/{shown(name)}"
        info = self.members.get(name)
        if info is None:
            raise ImageError(f"{label}: is not in the archive")
        if info.file_size > limit:
            raise ImageError(f"{label}: is {info.file_size / 1e6:.0f} MB, the limit is {limit / 1e6:.0f} MB")
        if info.file_size == 0:
            raise ImageError(f"{label}: is empty (0 bytes); pack the archive again")
        try:
            with self._lock:  # one stream, so that a hundred thousand members are not as many opened files
                with self._zip.open(info) as stream:
                    data = stream.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
            raise ImageError(f"{label}: is damaged in the archive ({error}); download it again") from error
        if len(data) != info.file_size:
            raise ImageError(f"{label}: is not as long as the archive says; download it again")
        return data


class ZipMember(VirtualFile):
    """One member of an archive."""

    def __init__(self, archive: ZipArchive, member: str) -> None:
        super().__init__(archive.path / PurePosixPath(member))
        self.archive, self.member = archive, member

    def read(self, limit: int) -> bytes:
        """The member's content."""
        return self.archive.read(self.member, limit)


def is_zip(path: Path) -> bool:
    """Whether a file begins like a zip archive."""
    try:
        with open_regular(path)[0] as stream:
            return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False
