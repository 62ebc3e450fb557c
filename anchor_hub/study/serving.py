"""Serves a study to browsers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchor_hub.errors import UsageError
from anchor_hub.study.plan import incomplete, open_study

EXTRA = "`anchor study serve` needs {name}, which is not installed: pip install 'anchor-hub[web]'"


def load_web() -> tuple[Any, Any]:
    """``create_app`` and the module uvicorn. :raises UsageError: the extra ``[web]`` is not installed."""
    try:
        import uvicorn

        from anchor_hub.study.web import create_app
    except ImportError as error:
        if error.name and error.name.split(".")[0].startswith("anchor"):
            raise
        raise UsageError(EXTRA.format(name=(error.name or "a web server").split(".")[0])) from None
    return create_app, uvicorn


def serve_study(
    folder: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8737,
    announce: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve a study until Ctrl-C. A vote is on the disk before the browser is told so.

    :param port: 0 takes any free port.
    :param announce: called with the page's address once the page can be opened.
    :raises UsageError: the extra ``[web]`` is missing, or the address is taken.
    :raises DataError: the folder holds no study, no set has all its pictures, or the votes cannot be used.
    """
    incomplete(folder, open_study(folder))
    create_app, uvicorn = load_web()
    app = create_app(folder, host)
    listener = _listen(host, port)
    with listener:
        name, taken = listener.getsockname()[:2]
        announce(f"http://{f'[{name}]' if ':' in name else name}:{taken}/")
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise UsageError(f"--host {host}: is no address of this machine ({error})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)  # as many as come in at once wait in line
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{host}:{port} cannot be used ({error.strerror or error}); "
            "give another --port, or --port 0 for any free one"
        ) from None
    return listener
