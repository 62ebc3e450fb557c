"""`anchor` and `python -m anchor_cli`. Importing the app takes a moment, in which Ctrl-C may come, too."""

from __future__ import annotations

import sys
from typing import Any


def main() -> Any:
    """Run the script `anchor`."""
    try:
        from anchor_cli.main import main as run
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    return run()


if __name__ == "__main__":
    main()
