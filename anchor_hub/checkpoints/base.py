"""The contract of readers of published checkpoints, and what they return.

A reader is a module, or an object in one, that a `CheckpointSpec` names. It gets files as plain data (see
`anchor_hub.checkpoints.raw`), so that no code of a file ever runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from anchor_hub.bundles.base import Requirement
from anchor_hub.checkpoints.raw import RawCheckpoint

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub

#: What a reader may make. For each kind, :class:`HubReader` and its siblings say what ``read`` takes and returns.
READER_KINDS = ("hub", "domain", "translator", "prior")


@dataclass
class ImportedHub:
    """What a reader of hubs makes of a file.

    Attributes:
        family: name of the family, e.g. ``stylegan2-ada``.
        generator: the network with the file's weights, in eval mode; a registered architecture makes a hub of it.
        discriminator: its discriminator, where the file (or the second file) has one.
        mean_latent: ``[D]`` as published; None: the import computes it.
        notes: sentences for the card: what was chosen (``g_ema``), what was left out.
        classes: names of the classes, if the file or the family knows them; else indices.
    """

    family: str
    generator: nn.Module
    discriminator: nn.Module | None = None
    mean_latent: Tensor | None = None
    notes: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ()


@dataclass
class ImportedDomain:
    """What a reader of domains makes of a file.

    Attributes:
        family: name of the family.
        domain: an instance of a registered architecture, ready to be saved.
        summary: what it is, in a line.
        notes: sentences for the card.
    """

    family: str
    domain: Domain
    summary: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class ImportedParts:
    """What a reader of translators or priors makes of files: what their bundle says and holds.

    Attributes:
        family: name of the family.
        architecture: ``{"name": ..., options}``; the name is that of the backend (translator) or architecture (prior).
        parts: part -> name -> tensor, as in ``write_bundle``.
        source, targets: a translator's ends, each ``{"name": ..., "modality": {...}}``.
        requires: the hubs and priors that it cannot do without.
        summary: what it is, in a line.
        notes: sentences for the card.
    """

    family: str
    architecture: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Tensor]]
    source: Mapping[str, Any] | None = None
    targets: Sequence[Mapping[str, Any]] = ()
    requires: Sequence[Requirement] = ()
    summary: str = ""
    notes: list[str] = field(default_factory=list)


class CheckpointReader(Protocol):
    """What every reader has, apart from ``read``, which depends on its KIND.

    Attributes:
        NAME: of the family, as users see it.
        LAYOUT: one line: what such a file holds.
        KIND: one of :data:`READER_KINDS`: what it makes.
    """

    NAME: str
    LAYOUT: str
    KIND: str

    def matches(self, raw: RawCheckpoint) -> bool:
        """Whether this is a file of the family, judging by the names of its entries; never raises."""
        ...


class HubReader(CheckpointReader, Protocol):
    """A reader of KIND "hub".

    ``SETTINGS``, if the reader has it, names settings that users may give (``norm_epsilon``); ``read`` takes them as
    keyword arguments.
    """

    def read(self, raw: RawCheckpoint, discriminator: RawCheckpoint | None = None, **settings: Any) -> ImportedHub:
        """Build the networks. ``discriminator`` is a second file that holds it; ``settings`` are of its SETTINGS.

        :raises CheckpointError: entries missing, unknown or of wrong shapes. Need not name the file.
        """
        ...


class DomainReader(CheckpointReader, Protocol):
    """A reader of KIND "domain"."""

    def read(self, raw: RawCheckpoint, name: str, hub: Hub, modality: Mapping[str, Any] | None) -> ImportedDomain:
        """Build the domain ``name`` of ``hub``. ``modality``: its table where the user gives one, else the reader's.

        :raises CheckpointError: entries missing, unknown or of wrong shapes. Need not name the file.
        :raises HubMismatchError: the file belongs to another hub.
        :raises UsageError: the modality does not fit.
        """
        ...


class PartsReader(CheckpointReader, Protocol):
    """A reader of KIND "translator" or "prior"."""

    def read(
        self, raw: RawCheckpoint, others: Sequence[RawCheckpoint], options: Mapping[str, Any]
    ) -> ImportedParts:
        """Read the weights. ``others`` are further files (``--content``), ``options`` what ``--set`` says: YAML values.

        :raises CheckpointError: entries missing, unknown or of wrong shapes, or a file too few or too many.
        :raises UsageError: an unknown option, or a value that does not fit.
        """
        ...
