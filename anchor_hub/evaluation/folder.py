"""The report folder while an evaluation runs: which run it belongs to, and whether that run may be resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from anchor_hub.errors import AnchorError, DataError, ImageError, UsageError
from anchor_hub.evaluation.result import FILE, parse_json, read_run
from anchor_hub.system.files import write_file
from anchor_hub.system.guarded import read_regular
from anchor_hub.system.inputs import shown
from anchor_hub.system.outputs import check_new

#: This folder inside the report holds rows and the run's key until `metrics.json` is written.
WORK = ".evaluation"
OUTPUTS = "outputs"
_KEY = "run.json"


class ReportFolder:
    """A folder that one evaluation fills.

    :param described: everything the outputs depend on (data, domains, styles ...); a run resumes a folder only
        where the folder was begun with an equal description.
    """

    def __init__(self, path: str | Path, described: dict[str, Any]) -> None:
        self.path, self.work, self.outputs = Path(path), Path(path) / WORK, Path(path) / OUTPUTS
        text = json.dumps(described, sort_keys=True, ensure_ascii=False)
        self._new = self._made = False
        #: Digest of ``described``.
        self.key = hashlib.sha256(text.encode()).hexdigest()

    def begin(self, *, resume: bool) -> None:
        """Make the folder, or check that the folder belongs to this run.

        :raises UsageError: the folder is in use and ``resume`` is off, or it belongs to another run.
        :raises DataError: the folder cannot be written to.
        """
        found = self._found_key()
        if found is not None and found != self.key:
            raise UsageError(
                f"--report {shown(self.path)}: already holds an evaluation of different data, domains or styles; "
                "choose another folder or delete this one"
            )
        if found is None:
            check_new(self.path, "--report", user="an evaluation")
        if found is not None and not resume:
            raise UsageError(
                f"--report {shown(self.path)}: already holds this evaluation; give --resume to continue it, or choose "
                "another folder"
            )
        self._new, self._made = found is None, not self.path.exists()
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            write_file(self.work / _KEY, (json.dumps({"key": self.key}) + "\n").encode())
        except OSError as error:
            raise DataError(f"{shown(self.path)}: cannot be written to ({error.strerror or error})") from None

    def _found_key(self) -> str | None:
        """The key of the run that the folder belongs to; None where it holds no run."""
        started, finished = self.work / _KEY, self.path / FILE
        if started.is_file():
            value = parse_json(read_regular(started).decode("utf-8", "replace"), shown(started))
            return str(value.get("key")) if isinstance(value, dict) else ""
        if finished.is_file():
            return str(read_run(finished).settings.get("key", ""))
        return None

    def give_up(self, error: AnchorError) -> None:
        """After an error of the data: remove what no run can go on with, as the mended data will be other data.

        Outputs stay, with what resuming needs, unless a file could not be read: then they are of data that must change.
        """
        useful = not isinstance(error, ImageError) and any(self.outputs.rglob("*"))
        if not self._new or useful:
            return
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(self.outputs, ignore_errors=True)
        if self._made:
            with suppress(OSError):  # not empty: something else was put there
                self.path.rmdir()

    def end(self) -> None:
        """Remove the rows and the key, which only a resumed run needs."""
        shutil.rmtree(self.work, ignore_errors=True)
