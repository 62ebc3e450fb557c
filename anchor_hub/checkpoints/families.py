"""The published layouts that become hubs, and what a reader of one gives back.

A family is a module with ``NAME`` (what users see), ``LAYOUT`` (one line: what such a file holds),
``matches(raw)`` and ``read(raw, discriminator)``. A module whose ``SETTINGS`` name settings that users may give
(``norm_epsilon``) takes them as keyword arguments of ``read``. To add a family, write such a module and name it in
:data:`MODULES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from torch import Tensor, nn

from anchor_hub.checkpoints.raw import RawCheckpoint, Record, walk

#: Modules of the families in the order in which they are asked.
MODULES = (
    "anchor_hub.checkpoints.stylegan2_pt",
    "anchor_hub.checkpoints.stylegan2_ada",
    "anchor_hub.checkpoints.lsa_hub",
    "anchor_hub.checkpoints.biggan_deep_hf",
    "anchor_hub.checkpoints.biggan_brock",
)


@dataclass
class ImportedHub:
    """What a family's reader makes of a file.

    Attributes:
        family: name of the family, e.g. ``stylegan2-ada``.
        generator: the network with the file's weights, in eval mode.
        discriminator: its discriminator, where the file (or the second file) has one.
        mean_latent: ``[D]`` as published; None has it computed.
        notes: sentences for the card: what was chosen (``g_ema``), what was left out.
        classes: names of the classes, where the file or the family knows them; indices otherwise.
    """

    family: str
    generator: nn.Module
    discriminator: nn.Module | None = None
    mean_latent: Tensor | None = None
    notes: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ()


class Family(Protocol):
    """The module of one family."""

    NAME: str
    LAYOUT: str

    def matches(self, raw: RawCheckpoint) -> bool:
        """Whether this is a file of the family, judged by its entries' names; never raises."""
        ...

    def read(
        self, raw: RawCheckpoint, discriminator: RawCheckpoint | None = None, **settings: Any
    ) -> ImportedHub:
        """Build the networks. ``discriminator`` is a second file that holds it; ``settings`` are of its SETTINGS.

        :raises CheckpointError: entries missing, unknown or of wrong shapes. Need not name the file.
        """
        ...


def families() -> Iterator[Family]:
    """All families, in the order in which they are asked; each module is imported when its turn comes."""
    for name in MODULES:
        yield cast(Family, importlib.import_module(name))


def family_of(raw: RawCheckpoint) -> Family:
    """The family of a file. :raises CheckpointError: none; says what was found and what is supported."""
    known = []
    for family in families():
        if family.matches(raw):
            return family
        known.append(f"{family.NAME}: {family.LAYOUT}")
    raise raw.error(f"is of no supported layout: {describe(raw.content)}. Supported: {'; '.join(known)}")


def describe(content: Any, limit: int = 6) -> str:
    """What was found, in a line: its entries' names, or its kind."""
    if isinstance(content, Record):
        return f"it is an object of class {ascii(content.class_name)[:60]}"
    if not isinstance(content, dict):
        return f"it holds a {type(content).__name__}"
    names = [ascii(str(name))[1:-1][:60] for name in content]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    tensors = sum(isinstance(value, Tensor) for _, value in walk(content))
    return f"it holds {', '.join(names[:limit]) or 'nothing'}{more} ({tensors} tensors in all)"
