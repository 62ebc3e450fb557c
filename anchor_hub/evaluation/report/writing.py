"""Writing the report beside its `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anchor_hub.errors import DataError
from anchor_hub.evaluation.report.contents import read_contents
from anchor_hub.evaluation.report.page import render
from anchor_hub.files import write_file
from anchor_hub.inputs import shown

#: Name of the page in a report folder.
REPORT_NAME = "report.html"


def write_report(folder: str | Path, stats: Mapping[str, str | Path] | None = None) -> Path:
    """Write `report.html` into a report folder from its `metrics.json`, samples and pictures; returns its path.

    The page holds everything it needs and opens from a file. It is written whole or not at all, and the same folder
    gives the same bytes. A picture that is missing is said to be missing.

    :param stats: training logs to plot, by name (``{"seg": run folder or stats.jsonl}``), beside those that the run
        names among its files (roles ``stats`` or ``stats:NAME``).
    :raises DataError: no usable ``metrics.json``, a given log is not there, or the folder cannot be written to.
    """
    path = Path(folder) / REPORT_NAME
    page = render(read_contents(folder, stats))
    try:
        return write_file(path, page.encode("utf-8"))
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be written ({error.strerror or error})") from None
