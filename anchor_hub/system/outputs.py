"""Where a command may write, and under which names. Checked before the work starts; only its own kind is replaced."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

from anchor_hub.errors import DataError, UsageError
from anchor_hub.system.files import write_file
from anchor_hub.system.inputs import InputFile, shown


def check_folder(
    folder: Path, mark: str, what: str, *, overwrite: bool, option: str = "-o", empty_is_new: bool = False
) -> None:
    """Check that ``folder`` may become a new ``what`` (a study, a hub ...), or be replaced by one.

    :param mark: the file that such a folder holds: only a folder with it (or an empty one) is ever replaced.
    :param empty_is_new: an empty folder may be filled without ``overwrite``.
    :raises UsageError: it is a file or holds something else (even with ``overwrite``), or it exists already.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise UsageError(f"{option} {shown(folder)}: is a file; give a folder that is not there yet")
    if empty_is_new and not any(folder.iterdir()):
        return
    if not (folder / mark).is_file() and any(folder.iterdir()):
        raise UsageError(
            f"{option} {shown(folder)}: exists and is no {what} (it holds no {mark}) and is not empty: it is not "
            "replaced; choose another folder"
        )
    if not overwrite:
        raise UsageError(f"{option} {shown(folder)}: exists already; choose another folder or pass --overwrite")


def check_new(folder: Path, option: str, *, resume: bool = False, user: str = "") -> None:
    """Check that ``folder`` is free for results: it does not exist yet, or is empty.

    :param resume: the message offers ``--resume``.
    :param user: the message adds that the folder is not in use by this, e.g. "an evaluation".
    :raises UsageError: it is a file, in use, or nothing may be written there.
    """
    if folder.is_dir():
        if any(folder.iterdir()):
            go_on = "give --resume to go on with it, or " if resume else ""
            by_others = f", and not by {user}" if user else ""
            raise UsageError(f"{option} {shown(folder)}: is in use{by_others}: {go_on}choose another folder")
    elif os.path.lexists(folder):
        raise UsageError(f"{option} {shown(folder)}: is a file; give a folder")
    check_place(folder, option)


def check_file(path: Path, option: str) -> None:
    """Check that a file can be written to ``path``, before hours of work whose result it is; creates nothing.

    :raises UsageError: ``path`` is a folder, or one of its folders is a file, or nothing may be written there.
    """
    if path.is_dir():
        raise UsageError(f"{option} {shown(path)}: is a folder; give the name of a file")
    check_place(path.parent, option, path)


def check_sheet(path: str | Path | None, option: str = "--grid") -> None:
    """Check that a contact sheet can be written to ``path``; None: none is asked for.

    :raises UsageError: it is not called ``.png``, or :func:`check_file` refuses it.
    """
    if path is None:
        return
    check_file(Path(path), option)
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"{option} {shown(path)}: the sheet is a PNG, give a name ending in .png")


def check_place(folder: Path, option: str, given: Path | None = None) -> None:
    """Check that ``folder`` exists or can be made; creates nothing. ``given``: the path that the message names.

    :raises UsageError: one of its folders is a file, or nothing may be written there.
    """
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    where = f"{option} {shown(given or folder)}: "
    if not there.is_dir():
        raise UsageError(f"{where}{shown(there)} is a file, not a folder; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{where}nothing can be written to {shown(there)}; choose another place")


def write_output(path: Path, data: bytes, option: str) -> Path:
    """Write the file that an option names, whole or not at all; makes its folders. :raises DataError: writing fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_file(path, data)
    except OSError as error:
        raise DataError(
            f"{option} {shown(path)}: cannot be written ({error.strerror or error}); choose another place"
        ) from None


def plan_outputs(
    inputs: Sequence[InputFile],
    output: str | Path,
    *,
    suffix: str,
    suffixes: Collection[str] = (),
    endings: Sequence[str] = (),
) -> list[list[Path]]:
    """The paths to write for each input, one per output.

    ``output`` is a folder, or, for a single input, may be a file (a name with a suffix that is no existing
    folder). In a folder, ``a/b.jpg`` of an input folder becomes ``a/b<suffix>``; two inputs of one name get
    ``-2``, ``-3``, ... in input order (upper and lower case count as the same). With several ``endings``
    (``style1``, ``style2``, ...), ``-`` and each of them is appended to each name.

    :param suffix: suffix of the target's files; ``suffixes``: others that it can write, too.
    :raises UsageError: several inputs for one file, a suffix that cannot be written, or an output that is an input.
    """
    folder = Path(output)
    as_file = bool(folder.suffix) and not folder.is_dir() and not str(output).endswith(("/", os.sep))
    if as_file:
        if len(inputs) > 1:
            raise UsageError(
                f"-o {shown(folder)} names one file, but there are {len(inputs)} inputs: give a folder"
            )
        if folder.suffix.lower() not in {suffix, *suffixes}:
            allowed = ", ".join(sorted({suffix, *suffixes}))
            raise UsageError(f"-o {shown(folder)}: this target is written as {allowed}")
        names = [PurePath(folder.name).with_suffix("")]
        folder, suffix = folder.parent, folder.suffix
    else:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"-o {shown(folder)} is a file; give a folder, or a name ending in {suffix}")
        names = _distinct([item.name for item in inputs])
    tails = [suffix] if len(endings) < 2 else [f"-{ending}{suffix}" for ending in endings]
    planned = [[folder / name.with_name(name.name + tail) for tail in tails] for name in names]
    sources = {os.path.realpath(item.path) for item in inputs}
    for path in (path for paths in planned for path in paths):
        if os.path.realpath(path) in sources:
            raise UsageError(
                f"{shown(path)} is one of the inputs and would be overwritten: choose another -o"
            )
        if path.is_dir():
            raise UsageError(f"{shown(path)} is a folder: choose another -o")
    return planned


def _distinct(names: Sequence[PurePath]) -> list[PurePath]:
    used: set[str] = set()
    distinct = []
    for name in names:
        candidate, number = name, 1
        while str(candidate).casefold() in used:
            number += 1
            candidate = name.with_name(f"{name.name}-{number}")
        used.add(str(candidate).casefold())
        distinct.append(candidate)
    return distinct
