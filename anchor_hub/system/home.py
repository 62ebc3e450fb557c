"""The user's home folder: `$ANCHOR_HOME`, else the platform's folder for user data. Made when first written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anchor_hub.errors import HomeError
from anchor_hub.specs import check_name
from anchor_hub.system.spawned import refuse_unguarded_script


@dataclass(frozen=True)
class Home:
    """Paths below the home folder; reading them creates nothing. Works wherever a path does (`os.fspath`, `/`).
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, other: str | os.PathLike[str]) -> Path:
        return self.path / other

    @property
    def hubs(self) -> Path:
        return self.path / "hubs"

    @property
    def domains(self) -> Path:
        return self.path / "domains"

    @property
    def translators(self) -> Path:
        return self.path / "translators"

    @property
    def priors(self) -> Path:
        return self.path / "priors"

    @property
    def runs(self) -> Path:
        """Training runs, one folder each."""
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        """Files that can be made again, such as rendered data sets."""
        return self.path / "cache"

    def folder(self, kind: str) -> Path:
        """Where bundles of `kind` ("hub", "domain", "translator" or "prior") live."""
        folders = {"hub": self.hubs, "domain": self.domains, "translator": self.translators, "prior": self.priors}
        return folders[kind]

    def make(self, folder: Path | None = None) -> Path:
        """Create `folder` (default: the home itself) and its parents; HomeError where that fails."""
        target = folder or self.path
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(
                f"{target}: cannot be created ({error.strerror or error}); set ANCHOR_HOME to a folder "
                "you can write to"
            ) from error
        return target

    @contextmanager
    def lock(self, name: str, *, timeout: float = 60.0) -> Iterator[None]:
        """Hold the lock `name` against other processes; HomeError after `timeout` seconds.

        The system frees it when its holder dies, kill -9 included.
        """
        import filelock

        refuse_unguarded_script(f"the lock {name!r}")
        path = self.make(self.path / "locks") / f"{check_name(name, 'lock name')}.lock"
        held = filelock.FileLock(path, timeout=timeout)
        try:
            held.acquire()
        except filelock.Timeout as error:
            raise HomeError(
                f"{path}: another process has been holding this lock for {timeout:.0f} s; wait for "
                "it to finish"
            ) from error
        except (OSError, NotImplementedError) as error:
            raise HomeError(
                f"{path}: cannot be locked ({error}); set ANCHOR_HOME to a folder you can write to"
            ) from error
        try:
            yield
        finally:
            held.release()


def home() -> Home:
    """The home folder in force now: `$ANCHOR_HOME` if set and not empty, else the user data folder "anchor-hub".

    Raises HomeError where the system has no home folder to offer and ANCHOR_HOME is not set.
    """
    chosen = os.environ.get("ANCHOR_HOME", "")
    if chosen:
        if "\0" in chosen:
            raise HomeError("ANCHOR_HOME contains a NUL character")
        try:
            path = Path(chosen).expanduser()
        except RuntimeError:
            path = Path(chosen)
        return Home(Path(os.path.abspath(path)))
    import platformdirs

    path = Path(platformdirs.user_data_dir("anchor-hub", appauthor=False))
    if not path.is_absolute() or str(path).startswith("~"):
        raise HomeError("this system names no home folder: set ANCHOR_HOME to a folder you can write to")
    return Home(path)
