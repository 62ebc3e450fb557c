"""What a command does to be slow: modules imported, files opened, folders listed, processes started. No seconds."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Bytecode is read, not written: a second run would otherwise open other files than the first.
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
# The hook comes before any import; `repr`, so that watching imports no module of its own.
PROGRAM = """
import os, sys
seen = {"opened": [], "listed": [], "started": []}
kinds = {"open": "opened", "os.listdir": "listed", "os.scandir": "listed"}
kinds |= dict.fromkeys(("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"), "started")
def watch(event, given):
    if event in kinds and not isinstance(given[0] if given else None, int):
        what = given[0] if given else None
        seen[kinds[event]].append(os.path.abspath(os.fsdecode(what or ".")))
sys.addaudithook(watch)
report = sys.argv.pop(1)
try:
    exec(sys.argv.pop(1))
finally:
    done = {key: list(value) for key, value in seen.items()}
    done["modules"] = sorted(sys.modules)
    with open(report, "w", encoding="utf-8") as stream:
        stream.write(repr(done))
"""


@dataclass(frozen=True)
class Watched:
    """A command's exit status and output; absolute paths opened and listed, once per time; names of its modules."""

    code: int
    stdout: str
    stderr: str
    opened: list[Path]
    listed: list[Path]
    started: list[Path]
    modules: set[str]

    def below(self, folder: Path) -> list[Path]:
        """What was opened below `folder`, sorted, a path as often as it was opened."""
        return sorted(path for path in self.opened if folder in path.parents)


def watched(report: Path, code: str, *arguments: str, **environment: str) -> Watched:
    """Run the Python text `code` in a new process, watched; `report` is a file that is written for it."""
    merged = {**os.environ, **ENVIRONMENT, **environment}
    program = [sys.executable, "-c", PROGRAM, str(report), code, *arguments]
    done = subprocess.run(program, env=merged, capture_output=True, text=True, timeout=120)
    assert report.is_file(), done.stderr
    seen = ast.literal_eval(report.read_text(encoding="utf-8"))
    paths = [[Path(path) for path in seen[kind]] for kind in ("opened", "listed", "started")]
    return Watched(done.returncode, done.stdout, done.stderr, *paths, set(seen["modules"]))


def watched_anchor(report: Path, *arguments: str, **environment: str) -> Watched:
    """`anchor ARGUMENTS` in a new process, watched."""
    return watched(report, "from anchor_cli.__main__ import main; main()", *arguments, **environment)
