"""Scripts that start processes: each process imports the script once more, and must not run it."""

from __future__ import annotations

import sys

from anchor_hub.errors import UsageError


def refuse_unguarded_script(what: str) -> None:
    """Raise UsageError in a process that is being started and runs the script of the one that starts it.

    It would wait for what its own starter holds, in silence and for as long as that waits for the new process.

    :param what: the work, for the message.
    """
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and getattr(processes.current_process(), "_inheriting", False):
        raise UsageError(
            f"{what}: the script runs again in each process that it starts; put what it does below the line "
            "if __name__ == \"__main__\":"
        )
