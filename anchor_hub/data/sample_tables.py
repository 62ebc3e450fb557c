"""Tables beside images: ``manifest.csv`` or the renders' ``factors.csv``, one row per file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePath

from anchor_hub.data.layouts.base import Found, Sample
from anchor_hub.data.layouts.where import mentions, parse_where
from anchor_hub.errors import DataError
from anchor_hub.system.guarded import read_regular
from anchor_hub.system.inputs import InputFile, shown
from anchor_hub.system.tables import read_rows, same_name

TABLE_NAMES = ("manifest.csv", "factors.csv")
KEY_COLUMNS = ("name", "file", "filename", "file_name", "path", "image", "image_id")
MAX_BYTES = 500_000_000


def find_table(folder: Path) -> Path:
    """The table of a folder: in it, or beside it, or beside its parent (renders keep one for all their folders).

    :raises DataError: there is none.
    """
    for place in (folder, folder.parent, folder.parent.parent):
        for name in TABLE_NAMES:
            if (place / name).is_file():
                return place / name
    raise DataError(
        f"{shown(folder)}: --where needs a table; put a manifest.csv with a column 'name' into the folder"
    )


def read_table(path: Path) -> tuple[list[str], dict[str, dict[str, str]]]:
    """(columns, rows by key); the key is the cell of the first column called name, file, path, ...

    :raises DataError: it cannot be read, has no such column, or names a file twice.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError:
        raise DataError(f"{shown(path)}: is not UTF-8 text; save it as UTF-8") from None
    try:
        columns, lines = read_rows(text)
    except csv.Error as error:
        raise DataError(f"{shown(path)}: is not a CSV table ({error}); correct it, or save it again") from error
    key = next((name for name in KEY_COLUMNS if name in columns), None)
    if key is None:
        raise DataError(f"{shown(path)}: has no column 'name' that says which file a row is about; add one")
    rows: dict[str, dict[str, str]] = {}
    for line in lines:
        name = _key(line[key].strip())
        if name in rows:
            raise DataError(f"{shown(path)}: names {name!r} twice; keep one row per file")
        rows[name] = line
    return columns, rows


def _key(name: str) -> str:
    """A file's name without its suffix, with forward slashes, for comparing."""
    path = Path(same_name(name).replace("\\", "/"))
    return (
        path.with_suffix("") if len(path.suffix) > 1 and not path.suffix[1:].isdigit() else path
    ).as_posix()


def row_of(rows: dict[str, dict[str, str]], name: PurePath) -> dict[str, str] | None:
    """The row of a file: by its path below the folder (without suffix), or by its name."""
    return rows.get(same_name(name.as_posix())) or rows.get(same_name(name.name))


def select(files: Sequence[InputFile], folder: Path, expression: str) -> list[InputFile]:
    """The files whose rows satisfy ``expression``; rows are found by path below the folder, or by name.

    :raises UsageError: a wrong expression. :raises DataError: no table, a file without a row, nothing left.
    """
    samples = [Sample(item.path, item.name) for item in files]
    chosen = {sample.source for sample in select_samples(Found("", samples, folder=folder), samples, expression)}
    return [item for item in files if item.path in chosen]


def select_samples(found: Found, samples: Sequence[Sample], expression: str) -> list[Sample]:
    """The ``samples`` of a data set that satisfy ``expression``.

    Columns are ``class`` and ``split`` if the layout has them, columns of the layout, and those of a table in or beside
    the folder. Raises as :func:`select` does.
    """
    own = [name for name, there in (("class", found.class_names), ("split", found.splits)) if there]
    own.extend(found.columns)
    folder = found.folder or Path()
    columns: list[str] = []
    rows: dict[str, dict[str, str]] = {}
    table: Path | None = None
    try:
        table = find_table(folder)
    except DataError:
        if not own:
            raise
    if table is not None:
        columns, rows = read_table(table)
    test = parse_where(expression, {*own, *columns})
    # If the expression does not need the table, the table may be about other files.
    needed = any(mentions(expression, name) for name in columns if name not in own) or not own
    chosen = []
    for sample in samples:
        row = row_of(rows, sample.name) or row_of(rows, folder.name / sample.name)
        if row is None and needed:
            raise DataError(f"{shown(sample.source)}: has no row in {shown(table)}; add one, or drop --where")
        given = {"class": sample.label or "", "split": sample.split or "", **sample.row}
        if test({**(row or {}), **{name: given.get(name, "") for name in own}}):
            chosen.append(sample)
    if not chosen:
        raise DataError(
            f"{shown(folder)}: none of {len(samples)} files satisfies --where {expression!r}; relax it"
        )
    return chosen
