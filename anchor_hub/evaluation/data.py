"""What an evaluation reads: the samples of two domains in a folder, paired by name where they are pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anchor_hub.errors import DataError, UsageError
from anchor_hub.files import file_sha256
from anchor_hub.inputs import InputFile, list_inputs, shown
from anchor_hub.modality import Modality


@dataclass(frozen=True)
class Item:
    """One sample: its input, and the very output it should become, where that is known.

    ``name`` is the input's path below its folder, without suffix; its first folder is the class, if it has any.
    """

    index: int
    name: str
    input: Path
    truth: Path | None

    @property
    def label(self) -> str:
        """The class it belongs to: the first folder of its name, or ''."""
        return self.name.rpartition("/")[0].partition("/")[0]


@dataclass(frozen=True)
class PairData:
    """Samples of a source domain, and the real files of the target domain that outputs are measured against.

    ``paired``: whether every item has its truth. ``real`` may hold other files, and more, than the truths.
    """

    path: Path
    items: tuple[Item, ...]
    real: tuple[InputFile, ...]
    paired: bool

    def sha256(self) -> str:
        """Over the names and bytes of all files, in order."""
        digest = hashlib.sha256()
        for role, name, path in self._files():
            try:
                found = file_sha256(path)
            except OSError as error:
                raise DataError(f"{shown(path)}: cannot be read ({error.strerror or error})") from None
            digest.update(f"{role}\0{name}\0{found}\n".encode())
        return digest.hexdigest()

    def _files(self) -> list[tuple[str, str, Path]]:
        files = [("input", item.name, item.input) for item in self.items]
        files += [("truth", item.name, item.truth) for item in self.items if item.truth is not None]
        truths = {item.truth for item in self.items}
        files += [("real", file.name.as_posix(), file.path) for file in self.real if file.path not in truths]
        return files


def pair_data(
    folder: str | Path,
    source: tuple[str, Modality],
    target: tuple[str, Modality],
    *,
    real: str | Path | None = None,
    limit: int | None = None,
) -> PairData:
    """The samples in ``folder/<source>`` with their truths of the same names in ``folder/<target>``.

    Where no name is in both folders, the sets are taken as unpaired: only metrics of whole sets can be measured.

    :param source: name and modality of the source domain; ``target``: likewise.
    :param real: folder of the real target files for distances between sets, instead of ``folder/<target>``.
    :param limit: take the first so many inputs (and, where they are pairs, only their truths as real files).
    :raises DataError: a folder is not there or is empty, two files of one name, or only some inputs have a truth.
    """
    top = Path(folder)
    if limit is not None and limit < 1:
        raise UsageError(f"--count {limit}: must be at least 1")
    inputs = _files(top, *source)
    others = [] if real is not None and not (top / target[0]).is_dir() else _files(top, *target)
    truths = {file.name.as_posix(): file.path for file in others}
    names = [file.name.as_posix() for file in inputs]
    missing = [name for name in names if name not in truths]
    paired = bool(truths) and not missing
    if missing and len(missing) < len(names):
        raise DataError(
            f"{shown(top / target[0])}: {len(missing)} of {len(names)} inputs have no true {target[0]}, the first: "
            f"{shown(missing[0])}; complete the folder, or leave those inputs out"
        )
    chosen = inputs[:limit]
    items = tuple(
        Item(index, file.name.as_posix(), file.path, truths[file.name.as_posix()] if paired else None)
        for index, file in enumerate(chosen)
    )
    if real is not None:
        compared: Sequence[InputFile] = list_inputs([real], target[1].extensions)
    elif paired and limit is not None:
        wanted = {item.truth for item in items}
        compared = [file for file in others if file.path in wanted]
    else:
        compared = others
    return PairData(top, items, tuple(compared), paired)


def _files(top: Path, name: str, modality: Modality) -> list[InputFile]:
    folder = top / name
    if not folder.is_dir():
        inside = sorted(item.name for item in top.iterdir() if item.is_dir()) if top.is_dir() else []
        there = f"there are {', '.join(inside[:12])}" if inside else "there is no folder in it"
        raise DataError(
            f"{shown(folder)}: is not there ({there}); --data is a folder with one folder per domain, as "
            "anchor data render writes it"
        )
    files = list_inputs([folder], modality.extensions)
    seen: dict[str, Path] = {}
    for file in files:
        key = file.name.as_posix()
        if key in seen:
            raise DataError(f"{shown(file.path)}: {shown(seen[key].name)} has the same name: keep one of them")
        seen[key] = file.path
    return files
