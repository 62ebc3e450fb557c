"""A recipe's contents as a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anchor_hub.bundles.base import write_bundle
from anchor_hub.training.base import Contents


def write_contents(
    contents: Contents,
    folder: Path,
    kind: str,
    name: str,
    provenance: Mapping[str, Any],
    license: Mapping[str, Any] | None = None,
    requires: Sequence[Mapping[str, str]] = (),
) -> Path:
    """Write the bundle into ``folder``, in place of the one that may be there; returns its folder.

    :param name: of the bundle, unless the contents have one.
    :param requires: the bundles it cannot do without, ``{"kind", "name", "fingerprint"}`` each.
    :raises BundleError: what cannot be loaded is not written.
    """
    name = contents.name or name
    card = contents.card(provenance) if callable(contents.card) else contents.card
    hub, fingerprint = contents.hub or (None, None)
    linked: dict[str, Any] = {
        "source": contents.source and dict(contents.source),
        "targets": tuple(dict(target) for target in contents.targets),
        "requires": tuple(dict(requirement) for requirement in requires),
    }
    return write_bundle(
        folder,
        kind=kind,  # type: ignore[arg-type]  # checked there
        name=name,
        tensors=contents.tensors,
        architecture=contents.architecture,
        hub=hub,
        hub_fingerprint=fingerprint,
        modality=contents.modality,
        provenance=provenance,
        license=license,
        metrics=contents.metrics,
        extras=contents.extras,
        card=card or f"# {name}\n",
        overwrite=True,
        **{key: value for key, value in linked.items() if value},
    )
