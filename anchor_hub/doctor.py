"""Checks on an installation, each one line: what was found, and what to do where it is wrong."""

from __future__ import annotations

import importlib
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One line: what was checked, its state, what was found or how to mend it."""

    check: str
    state: State
    message: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> Iterator[Finding]:
    """Run every check; a check that itself fails is a finding, not a crash."""
    for name, check in _CHECKS.items():
        try:
            yield from check()
        except Exception as error:
            yield Finding(name, "error", f"the check fails: {type(error).__name__}: {error}")


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    state: State = "ok" if sys.version_info >= (3, 10) else "error"
    yield Finding("python", state, f"{version} on {platform.system()} {platform.machine()}")


def _torch() -> Iterator[Finding]:
    try:
        torch = importlib.import_module("torch")
    except Exception as error:
        yield Finding(
            "torch", "error", f"cannot be imported ({type(error).__name__}: {error}): reinstall torch"
        )
        return
    yield Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [
            f"cuda:{index} ({torch.cuda.get_device_name(index)})"
            for index in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append("mps")
    yield Finding("devices", "ok", ", ".join(devices))


def _torchvision() -> Iterator[Finding]:
    try:
        found = importlib.import_module("torchvision")
    except Exception as error:
        yield Finding(
            "torchvision",
            "warning",
            f"cannot be imported ({type(error).__name__}: {error}): only perceptual metrics (LPIPS) need it; "
            "reinstall torch and torchvision together",
        )
        return
    yield Finding("torchvision", "ok", str(found.__version__))


def _home() -> Iterator[Finding]:
    from anchor_hub.system.home import home

    place = home()
    existing = next((path for path in (place.path, *place.path.parents) if path.exists()), place.path)
    try:
        # In the home where it exists, else where it would be made: nothing is left behind.
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = error.strerror or error
        yield Finding(
            "home",
            "error",
            f"{place}: cannot be written ({reason}): set ANCHOR_HOME to a folder you can write to",
        )
        return
    yield Finding("home", "ok", f"{place}{'' if place.path.exists() else ' (made when first needed)'}")


def _plugins() -> Iterator[Finding]:
    from anchor_hub.plugins.registry import registry

    for plugin in registry().plugins:
        if plugin.status != "ok":
            yield Finding(
                "plugin", "error" if plugin.first_party else "warning", f"{plugin.label}: {plugin.reason}"
            )
        else:
            notes = f" ({'; '.join(plugin.notes)})" if plugin.notes else ""
            yield Finding("plugin", "warning" if plugin.notes else "ok", f"{plugin.label}{notes}")


def _bundles() -> Iterator[Finding]:
    from anchor_hub import inventory
    from anchor_hub.bundles.base import INSTALLED_KINDS

    for kind in INSTALLED_KINDS:
        for name, problems in inventory.verify(kind).items():
            state: State = "error" if problems else "ok"
            yield Finding(kind, state, f"{name}: {problems[0] if problems else 'every byte verified'}")


_CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": _python,
    "torch": _torch,
    "torchvision": _torchvision,
    "home": _home,
    "plugins": _plugins,
    "bundles": _bundles,
}
