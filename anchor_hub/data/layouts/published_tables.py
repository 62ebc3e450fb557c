"""Tables that come with published data sets: attribute lists, CSV and JSON lines."""

from __future__ import annotations

import csv
import json
from typing import Any

from anchor_hub.data.layouts.trees import Tree
from anchor_hub.errors import DataError
from anchor_hub.system.inputs import shown
from anchor_hub.system.tables import read_rows


def attribute_table(tree: Tree, name: str) -> tuple[list[str], dict[str, dict[str, str]]]:
    """(columns, rows by file name without suffix) of CelebA's text tables: a count, a line of names, a line per image.

    -1 and 1, which these tables write for no and yes, become 0 and 1.

    :raises DataError: another number of cells than columns, or no such table.
    """
    lines = [line.split() for line in tree.text(name).splitlines() if line.strip()]
    if lines and len(lines[0]) == 1 and lines[0][0].isdigit():
        lines = lines[1:]
    if not lines:
        raise DataError(f"{shown(tree.source(name))}: holds no table; download it again")
    columns, body = lines[0], lines[1:]
    yes_and_no = all(cell in ("1", "-1") for line in body for cell in line[1:])
    rows: dict[str, dict[str, str]] = {}
    for number, line in enumerate(body, start=1):
        if len(line) != len(columns) + 1:
            raise DataError(
                f"{shown(tree.source(name))}: image {number} has {len(line) - 1} values, not {len(columns)}; "
                "download it again"
            )
        cells = ["0" if yes_and_no and cell == "-1" else cell for cell in line[1:]]
        rows[line[0].rsplit(".", 1)[0]] = dict(zip(columns, cells, strict=True))
    return columns, rows


def csv_rows(tree: Tree, name: str) -> list[dict[str, Any]]:
    """The rows of a CSV table (commas, semicolons or tabs).

    :raises DataError: no CSV, or a row with another number of cells than the first.
    """
    where = shown(tree.source(name))
    try:
        return [dict(row) for row in read_rows(tree.text(name))[1]]
    except csv.Error as error:
        raise DataError(f"{where}: is not a CSV table ({error}); correct it, or save it again") from error


def json_rows(tree: Tree, name: str) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines. :raises DataError: a line that is no JSON object."""
    where = shown(tree.source(name))
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(tree.text(name).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: line {number} is no JSON ({error}); write one object per line") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: line {number} is no JSON object; write one object per line")
        rows.append(row)
    return rows


def load_json(tree: Tree, name: str) -> Any:
    """A JSON file's content. :raises DataError: it is no JSON."""
    try:
        return json.loads(tree.text(name))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown(tree.source(name))}: is no JSON ({error}); download it again") from error
