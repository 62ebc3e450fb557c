"""A recipe's contents as a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.bundles.base import Requirement, write_bundle
from anchor_hub.plugins.usable import plugins_behind

if TYPE_CHECKING:
    from anchor_hub.training.base import Contents


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
    ends = [end for end in (contents.source, *contents.targets) if end is not None]
    modalities = [contents.modality, *(end.get("modality") for end in ends)]
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
        plugins=plugins_behind(kind, contents.architecture, modalities),
        source=contents.source,
        targets=contents.targets,
        provenance=provenance,
        license=license,
        metrics=contents.metrics,
        extras=contents.extras,
        card=card or f"# {name}\n",
        overwrite=True,
    )
