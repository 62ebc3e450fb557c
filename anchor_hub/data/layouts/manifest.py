"""A folder with a table of its files and what they are: CSV, or a JSON object per line.

::

    file_name,class,split,mask,smile        {"file_name": "a.jpg", "points": [[x, y], ...], "size": [w, h]}
    photos/a.jpg,tabby,train,masks/a.png,0.3

A row is found by its first column called ``name``, ``file``, ``file_name``, ``path``, ``image`` ...; label maps by
``mask``, landmarks by ``landmarks`` or ``points`` (a file, or the points themselves) or by columns x0, y0, x1, y1 ...
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import partial
from pathlib import PurePath, PurePosixPath
from typing import Any

from anchor_hub.data.layouts.base import Found, Request, Sample, is_image, readable, stem
from anchor_hub.data.layouts.published_tables import csv_rows, json_rows
from anchor_hub.data.layouts.trees import Tree
from anchor_hub.errors import DataError, ImageError
from anchor_hub.images.reading import open_image
from anchor_hub.images.sources import ComposedFile, Source
from anchor_hub.system.inputs import shown
from anchor_hub.system.tables import same_name

NAME = "manifest"
SUMMARY = "files and a manifest.csv, manifest.jsonl, metadata.csv or metadata.jsonl with a row for each"
TABLES = ("manifest.csv", "manifest.jsonl", "metadata.csv", "metadata.jsonl", "landmarks.csv")
FILE_COLUMNS = ("name", "file", "filename", "file_name", "path", "image", "image_id")
CLASS_COLUMNS = ("class", "class_name", "label", "category")
SPLIT_COLUMNS = ("split", "set", "subset")
MASK_COLUMNS = ("mask", "mask_file", "segmentation", "seg", "label_map")
POINT_COLUMNS = ("landmarks", "landmark", "points")
_COORDINATE = re.compile(r"(?:lm_?|landmark_?|point_?)?([xy])_?(\d+)$", re.IGNORECASE)


def find(tree: Tree, request: Request) -> Found | None:
    """The samples that the table's rows name; None where there is no table, or it is about other files.

    :raises DataError: the table cannot be read, names a file twice, or a path outside of the folder.
    """
    table = next((name for name in TABLES if name in tree.names), None)
    if table is None:
        return None
    rows = csv_rows(tree, table) if table.endswith(".csv") else json_rows(tree, table)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    key = next((column for column in FILE_COLUMNS if column in columns), None)
    if key is None:
        return None
    names = _Names(tree, table)
    reader = _reader(tree, request, columns, names)
    if reader is None:
        return None
    found = Found(NAME, [], folder=tree.root)
    kind, split = (_first(columns, options) for options in (CLASS_COLUMNS, SPLIT_COLUMNS))
    taken: dict[str, int] = {}
    known = 0
    for number, row in enumerate(rows, start=2 if table.endswith(".csv") else 1):
        name = names.resolve(row.get(key), number)
        if name in taken:
            raise DataError(f"{shown(tree.source(table))}: rows {taken[name]} and {number} name {shown(name)!r}")
        taken[name] = number
        source = reader(row, name, number)
        known += source is not None
        if source is not None:
            cells = {column: _cell(row.get(column)) for column in columns if column not in (key, kind, split)}
            label = _cell(row.get(kind)) or None if kind is not None else None
            where = _cell(row.get(split)).lower() or None if split is not None else None
            found.samples.append(Sample(source, stem(name), label, where, cells))
    if not names.found and not any(isinstance(sample.source, ComposedFile) for sample in found.samples):
        return None  # a table of other files: --where may read it, but it lists no samples
    found.columns = tuple(column for column in columns if column not in (key, kind, split))
    _describe(found, tree, request, names, rows, known, table)
    return found


class _Names:
    """Resolves cells of the table to names of files."""

    def __init__(self, tree: Tree, table: str) -> None:
        self.tree, self.table, self.found = tree, table, 0
        self.used: set[str] = set()
        by_stem: dict[str, list[str]] = defaultdict(list)
        for name in tree.files:
            by_stem[str(stem(name))].append(name)
        self.by_same = {same_name(name): name for name in tree.files if not name.isascii()}
        self.by_stem = by_stem

    def resolve(self, cell: Any, number: int) -> str:
        """The file a cell means, with or without suffix. :raises DataError: no name, or one outside of the folder."""
        name = cell.strip().replace("\\", "/") if isinstance(cell, str) else ""
        where = f"{shown(self.tree.source(self.table))}: row {number}"
        if not name:
            raise DataError(f"{where} names no file; fill it in")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or ":" in name[:2] or "\0" in name:
            raise DataError(f"{where} names {shown(name)!r}, outside of the folder; write paths below it")
        name = path.as_posix()
        if name not in self.tree.names:
            candidates = [other for other in self.by_stem.get(same_name(name), ()) if other != self.table]
            images = [other for other in candidates if is_image(other)]
            same = self.by_same.get(same_name(name))
            name = (images or candidates or ([same] if same else [name]))[0]
        if name in self.tree.names:
            self.found += 1
            self.used.add(name)
        return name


def _first(columns: list[str], options: tuple[str, ...]) -> str | None:
    return next((option for option in options if option in columns), None)


def _cell(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return "" if value is None else str(value).strip()


def _reader(tree: Tree, request: Request, columns: list[str], names: _Names) -> Any:
    """A function (row, file, row's number) -> source for the modality; None where the table has nothing for it."""

    def of_file(row: dict[str, Any], name: str, number: int) -> Source | None:
        return tree.source(name)

    def of_column(column: str, row: dict[str, Any], name: str, number: int) -> Source | None:
        return tree.source(names.resolve(row.get(column), number)) if _cell(row.get(column)) else None

    if request.label_maps:
        column = _first(columns, MASK_COLUMNS)
        return of_file if column is None else partial(of_column, column)
    if not request.points:
        return of_file
    pairs = _coordinates(columns)
    column = _first(columns, POINT_COLUMNS)
    if not pairs and column is None:
        return of_file

    def points(row: dict[str, Any], name: str, number: int) -> Source | None:
        value = [[row.get(x), row.get(y)] for x, y in pairs] if pairs else row.get(str(column))
        if not isinstance(value, list):
            return of_column(str(column), row, name, number)
        path = tree.root / stem(name).with_suffix(".json")
        image = tree.source(name) if name in tree.names and is_image(name) else None
        size = row.get("size") or [row.get("width"), row.get("height")]
        return ComposedFile(path, partial(points_file, path, value, size, image))

    return points


def _coordinates(columns: list[str]) -> list[tuple[str, str]]:
    """(x column, y column) of every point, in the order of their numbers."""
    by_axis: dict[str, dict[int, str]] = {"x": {}, "y": {}}
    for column in columns:
        match = _COORDINATE.match(column.strip())
        if match is not None:
            by_axis[match[1].lower()][int(match[2])] = column
    if not by_axis["x"] or set(by_axis["x"]) != set(by_axis["y"]):
        return []
    return [(by_axis["x"][number], by_axis["y"][number]) for number in sorted(by_axis["x"])]


def points_file(path: PurePath, points: list[Any], size: Any, image: Source | None) -> bytes:
    """A landmark file of points in a table; the size of their image comes from the table, or from the image itself.

    :raises ImageError: a point or the size is no number.
    """
    try:
        table: dict[str, Any] = {"points": [[float(value) for value in point] for point in points]}
        if isinstance(size, list) and any(value not in (None, "") for value in size):
            table["size"] = [float(value) for value in size]
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"its points or size in the table are not numbers ({error}); correct them"
        raise ImageError(f"{shown(path)}: {reason}") from error
    if "size" not in table and image is not None:
        table["size"] = list(open_image(image).size)
    return json.dumps(table).encode()


def _describe(
    found: Found, tree: Tree, request: Request, names: _Names, rows: list[dict[str, Any]], known: int, table: str
) -> None:
    """Classes by folder where no column names them, and notes on what the table leaves out."""
    if all(sample.label is None for sample in found.samples):
        tops = {sample.name.parts[0] for sample in found.samples if len(sample.name.parts) > 1}
        if len(tops) > 1 and all(len(sample.name.parts) > 1 for sample in found.samples):
            found.samples = [Sample(s.source, s.name, s.name.parts[0], s.split, s.row) for s in found.samples]
    found.unused = [name for name in readable(tree, request) if name not in names.used and name != table]
    if found.unused:
        found.notes.append(
            f"{len(found.unused):,} files have no row in {table} and are left out, e.g. {shown(found.unused[0])}"
        )
    bare = sum(sample.label is None for sample in found.samples)
    if 0 < bare < len(found.samples):
        found.notes.append(f"{bare:,} of {len(found.samples):,} rows name no class, so classes are not used")
    if known < len(rows):
        found.notes.append(f"{len(rows) - known:,} of {len(rows):,} rows have nothing for {request.modality}")
