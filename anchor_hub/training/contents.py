"""What a recipe leaves behind, and how it becomes a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.bundles.base import Requirement, write_bundle
from anchor_hub.plugins.usable import plugins_behind

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Contents:
    """What a recipe's bundle holds; the run adds provenance, licences and requirements.

    :param architecture: plain values from which the networks are built again; its ``name`` is what the bundle is opened
        by: an architecture's, or (a translator) its backend's, which the run fills in where it is left out.
    :param tensors: part -> name -> tensor; each part becomes a file.
    :param card: the text of README.md, or a function of the provenance that gives it; default: a line.
    :param name: default: the plan's. :param modality: of a domain; default: its data set's.
    :param source, targets: of a translator, ``{"name": ..., "modality": {...}}``; default: the plan's names with the
        modalities of the data sets "source" and "target".
    :param hub: name and fingerprint of the hub that a domain belongs to (default: the one the recipe requires), or that
        a hub's own bundle is.
    """

    architecture: Mapping[str, Any]
    tensors: Mapping[str, Mapping[str, Tensor]]
    card: str | Callable[[Mapping[str, Any]], str] = ""
    name: str = ""
    modality: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    targets: tuple[Mapping[str, Any], ...] = ()
    hub: tuple[str, str] | None = None
    extras: Mapping[str, bytes] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


def write_contents(
    contents: Contents,
    folder: Path,
    kind: str,
    name: str,
    provenance: Mapping[str, Any],
    license: Mapping[str, Any] | None = None,
    requires: Sequence[Requirement] = (),
) -> Path:
    """Write the bundle into ``folder``, in place of the one that may be there; returns its folder.

    :param name: of the bundle, unless the contents have one.
    :param requires: the bundles it cannot do without, a domain's hub apart.
    :raises BundleError: what cannot be loaded is not written.
    """
    name = contents.name or name
    card = contents.card(provenance) if callable(contents.card) else contents.card
    hub, fingerprint = contents.hub or (None, None)
    ends = [end.get("modality") for end in (contents.source, *contents.targets) if end is not None]
    return write_bundle(
        folder,
        kind=kind,  # type: ignore[arg-type]  # checked there
        name=name,
        tensors=contents.tensors,
        architecture=contents.architecture,
        hub=hub,
        hub_fingerprint=fingerprint,
        requires=requires,
        modality=contents.modality,
        source=contents.source,
        targets=contents.targets,
        plugins=plugins_behind(kind, contents.architecture, [contents.modality, *ends]),
        provenance=provenance,
        license=license,
        metrics=contents.metrics,
        extras=contents.extras,
        card=card or f"# {name}\n",
        overwrite=True,
    )
