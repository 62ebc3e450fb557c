"""Strangers' plugins for tests: a module and an installed distribution's metadata, in a folder of their own."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path

# Modules stay imported for a process's life: each plugin gets a module name of its own.
_number = itertools.count()


def install_plugin(
    folder: Path,
    source: str,
    *,
    name: str = "stranger",
    distribution: str = "stranger-dist",
    target: str = "",
) -> Path:
    """Write a distribution with the entry point `name` into `folder`, which then goes on sys.path."""
    module = f"stranger_plugin_{next(_number)}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[anchor_hub]\n{name} = {target or module}\n")
    return folder


DOMAIN_PLUGIN = """
    from anchor_hub.hookspecs import hookimpl
    from anchor_hub.specs import DomainSpec

    @hookimpl
    def anchor_register_domains(register):
        register(DomainSpec({name!r}, hub="faces-64", modality={{"name": "rgb"}}))
"""


def hooks(**registered: str) -> str:
    """The source of a plugin module: collection -> what its hook registers, e.g. ``hubs="HubSpec('a')"``."""
    lines = ["from anchor_hub.hookspecs import hookimpl", "from anchor_hub.specs import *"]
    for collection, specs in registered.items():
        lines += ["@hookimpl", f"def anchor_register_{collection}(register):"]
        lines += [f"    for spec in [{specs}]:", "        register(spec)"]
    return "\n".join(lines) + "\n"
