"""Running `anchor` as a user does: in a process of its own, or (faster) in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from typer.testing import CliRunner, Result

from anchor_cli import main as cli


def anchor(*arguments: str, **options: Any) -> Result:
    """`anchor ARGUMENTS` in this process."""
    cli.all_commands.cache_clear()
    return CliRunner().invoke(cli.app, list(arguments), prog_name="anchor", **options)


def anchor_process(
    *arguments: str, code: str = "", **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """`anchor ARGUMENTS` in a new process; `code` runs after the command's end."""
    merged = {key: value for key, value in {**os.environ, **environment}.items() if value is not None}
    program = (
        "import sys\nfrom anchor_cli.main import main\ntry: main()\nfinally:\n"
        f" sys.stdout.flush()\n {code or 'pass'}\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], env=merged, capture_output=True, text=True, timeout=120
    )
