"""Where a command may write: asked before the work is done, and never in place of something else."""

from __future__ import annotations

import os
from pathlib import Path

from anchor_hub.errors import DataError, UsageError
from anchor_hub.system.files import write_file
from anchor_hub.system.inputs import shown


def check_folder(
    folder: Path, mark: str, what: str, *, overwrite: bool, option: str = "-o", empty_is_new: bool = False
) -> None:
    """Whether ``folder`` may become, or be replaced by, a new ``what`` (a study, a hub ...).

    :param mark: the file that such a folder holds: only a folder with it (or an empty one) is ever replaced.
    :param empty_is_new: an empty folder may be filled without ``overwrite``.
    :raises UsageError: it is a file or a folder of something else, whatever ``overwrite`` says, or exists already.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise UsageError(f"{option} {shown(folder)}: is a file; give a folder that is not there yet")
    if empty_is_new and not any(folder.iterdir()):
        return
    if not (folder / mark).is_file() and any(folder.iterdir()):
        raise UsageError(
            f"{option} {shown(folder)}: exists and is no {what} (it is not empty and holds no {mark}), so it is not "
            "replaced; choose another folder"
        )
    if not overwrite:
        raise UsageError(f"{option} {shown(folder)}: exists already; choose another folder or pass --overwrite")


def check_new(folder: Path, option: str, *, resume: bool = False, user: str = "") -> None:
    """Whether ``folder`` is free for results: not there yet, or empty.

    :param resume: there is ``--resume``, which the message offers. ``user``: what does not use it, for the message.
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
    """Whether a file can be written to ``path``, before hours of work that end in it; nothing is made.

    :raises UsageError: ``path`` is a folder, or one of its folders is a file, or nothing may be written there.
    """
    if path.is_dir():
        raise UsageError(f"{option} {shown(path)}: is a folder; give the name of a file")
    check_place(path.parent, option, path)


def check_place(folder: Path, option: str, given: Path | None = None) -> None:
    """Whether ``folder`` is there, or can be made; nothing is made. ``given``: the path that the message names.

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
    """Write a file that an option names, whole or not at all; its folders are made. :raises DataError: it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_file(path, data)
    except OSError as error:
        raise DataError(
            f"{option} {shown(path)}: cannot be written ({error.strerror or error}); choose another place"
        ) from None
