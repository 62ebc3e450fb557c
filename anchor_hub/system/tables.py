"""Tables as spreadsheets save them: commas, semicolons or tabs between cells; names compared as people see them."""

from __future__ import annotations

import csv
import io
import re
import unicodedata

_DELIMITERS = ",;\t"
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def same_name(name: str) -> str:
    """A file's name in the composed form of Unicode (NFC), for comparing: macOS and archives write umlauts as two."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def delimiter_of(text: str) -> str:
    """What stands between the cells of a table: the commonest of comma, semicolon and tab in its first line."""
    # Neither commas in quotes nor those of numbers: in 1,5;2,5 the semicolon separates.
    head = re.sub(r'"[^"]*"|(?<=\d),(?=\d)', "", next((line for line in text.splitlines() if line.strip()), ""))
    return max(_DELIMITERS, key=head.count)


def read_cells(text: str) -> list[list[str]]:
    """The rows of a table, empty lines left out; decimal commas of semicolon tables become points.

    :raises csv.Error: it is no table.
    """
    # Excel's first line of some tables names the delimiter; it is no row.
    named = re.match(rf"sep=([{_DELIMITERS}|])\r?\n", text)
    body = text[named.end() :] if named else text
    delimiter = named[1] if named else delimiter_of(body)
    rows = [row for row in csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True) if row]
    return [[_number(cell) for cell in row] for row in rows] if delimiter == ";" else rows


def _number(cell: str) -> str:
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell.strip()) else cell


def read_rows(text: str) -> tuple[list[str], list[dict[str, str]]]:
    """(columns, rows) of a table whose first line names its columns.

    :raises csv.Error: it is no table, or a row has another number of cells than there are columns.
    """
    cells = read_cells(text)
    columns = [name.strip() for name in cells[0]] if cells else []
    for number, row in enumerate(cells[1:], start=2):
        if len(row) != len(columns):
            raise csv.Error(f"row {number} does not have {len(columns)} cells")
    return columns, [dict(zip(columns, row, strict=True)) for row in cells[1:]]
