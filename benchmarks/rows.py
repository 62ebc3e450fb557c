"""The rows of `make bench`. A method adds its own with a line: `add(name, work, ours, plain)`.

`ours` and `plain` build a :class:`~benchmarks.measuring.Piece`, each in a process of its own; `plain`, a formulation
without any cleverness that gives the same, may be left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import gpunit, inverting, pieces
from benchmarks.measuring import Piece

Build = Callable[[Path], Piece]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param what: the work, in a few words. :param ours: builds what users run; gets a folder that all rows share.
    :param plain: builds the plain formulation. :param tolerance: largest difference of the two sides' outputs, as a
        share of the largest value where that is above 1.
    """

    name: str
    what: str
    ours: Build
    plain: Build | None = None
    tolerance: float = 1e-4


ROWS: dict[str, Row] = {}


def add(name: str, what: str, ours: Build, plain: Build | None = None, tolerance: float = 1e-4) -> None:
    """Put a row at the end of the table. :raises ValueError: there is one of that name."""
    if name in ROWS:
        raise ValueError(f"there are two rows {name!r}")
    ROWS[name] = Row(name, what, ours, plain, tolerance)


for size, channels in ((64, "the hub faces-64"), (256, "published channels"), (1024, "published channels")):
    add(f"generator-{size}", f"picture of {size} px, {channels}", pieces.drawing(size), pieces.drawing(size, True))
add("encoder", "label map to codes, 64 px", pieces.encoding("seg"), pieces.encoding("seg", True))
add("encoder-256", "pSp, 256 px", pieces.published_encoding(), pieces.published_encoding(True))
add("seg-face", "label map to face", pieces.translating("seg", "face"), pieces.translating("seg", "face", True))
add("face-seg", "face to label map", pieces.translating("face", "seg"), pieces.translating("face", "seg", True))
add("add-domain", "training step, sketch", pieces.adding("sketch"), pieces.adding("sketch", True))
add("hub-step", "training step, 64 px", pieces.hub_step(), pieces.hub_step(True))
add("invert", "step of `factor`, 64 px", inverting.step(1), inverting.step(1, True))
add("invert-16", "step of `factor`, 16 pictures", inverting.step(16), inverting.step(16, True))
add("invert-passes", "step of `factor` / the hub's two passes", inverting.step(16), inverting.passes(16))
add("gp-unit", "translation, 256 px, published", gpunit.translating(), gpunit.translating(True), 1e-3)
add("gp-unit-step", "step of stage II, published", gpunit.step(), gpunit.step(True), 1e-3)
add("renderer", "face, seg, sketch, landmark", pieces.rendering)
add("loading", "hub of 1024 px from its bundle", pieces.loading(), pieces.loading(True))
add("checkpoint", "`anchor hubs import`, 256 px", pieces.importing)
add("start", "`anchor --help` / bare imports", pieces.commands("start"), pieces.commands("start", True))
add("listing", "`anchor domains list`, 100 / 10", pieces.commands("listing"), pieces.commands("listing", True))
add("import", "`from anchor_hub import translate` / torch", pieces.commands("import"), pieces.commands("import", True))
