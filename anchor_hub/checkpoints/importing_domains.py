"""Makes bundles of released domains: the work of `anchor domains import`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.checkpoints.base import DomainReader
from anchor_hub.checkpoints.families import family_of
from anchor_hub.checkpoints.importing import UNKNOWN_LICENSE, Imported, origin, record, refuse_existing
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.errors import CheckpointError

if TYPE_CHECKING:
    from anchor_hub.hubs.base import Hub

def import_domain(
    path: Path | str,
    name: str,
    hub: Hub | str | Path,
    *,
    modality: Mapping[str, Any] | None = None,
    license: str | None = None,
    data_license: str | None = None,
    output: Path | str | None = None,
    overwrite: bool = False,
) -> Imported:
    """Make a released domain (encoder and regressor, or fine-tuned generator) a domain of an installed hub.

    :param path: a file of any family that a registered reader of domains knows.
    :param name: of the domain.
    :param hub: the hub that equals the file's frozen generator; the reader compares them if the file has it.
    :param modality: see :func:`~anchor_hub.modality.build_modality`; default: the reader's, for
        latent-space anchoring by channels (1 gray, 3 rgb, else segmentation).
    :param license: of the weights; None is recorded, and shown, as "unknown". ``data_license``: of their data.
    :param output: the bundle's folder; default: ``domains/NAME`` in the home.
    :raises CheckpointError: unreadable, not of this layout, or its parts do not fit each other.
    :raises HubMismatchError: the file's frozen generator is not the hub's.
    :raises UsageError: a bad name, one in use, or a modality of other channels.
    """
    from anchor_hub.hubs.loading import load_hub
    from anchor_hub.plugins.registry import registry
    from anchor_hub.specs import check_name
    from anchor_hub.system.home import home

    check_name(name, "domain name")
    folder = Path(output) if output is not None else home().domains / name
    refuse_existing(folder, "domain", overwrite, given=output is not None)
    if modality is not None:
        registry().modalities[str(modality.get("name"))]  # a wrong name is found before gigabytes are read
    hub = load_hub(hub, "cpu") if isinstance(hub, (str, Path)) else hub
    raw = load_raw(path)
    reader: DomainReader = family_of(raw, "domain")
    try:
        found = reader.read(raw, name, hub, modality)
    except CheckpointError as error:
        raise error if str(error).startswith(str(raw.path)) else raw.error(str(error)) from error
    notes, summary = found.notes, found.summary or f"a domain of {found.family}"
    weights = license or UNKNOWN_LICENSE
    facts: dict[str, Any] = {"family": found.family, **origin(raw)}
    terms = weights if weights != UNKNOWN_LICENSE else "unknown: find out before you share it or what it makes"
    lines = [
        f"# {name}", "", f"An imported domain of hub {hub.name}: {summary}.", "",
        f"- File: `{facts['file']}` ({facts['bytes']:,} bytes)", f"- SHA-256: `{facts['sha256']}`",
        f"- Licence of the weights: {terms}", *(f"- {note}" for note in notes),
    ]  # fmt: skip
    found.domain.save(
        folder,
        provenance=record("domains import", **facts, notes=notes),
        license={"weights": weights, "data": data_license or UNKNOWN_LICENSE},
        card="\n".join(lines) + "\n",
        overwrite=overwrite,
    )
    return Imported(name, folder, found.family, hub.fingerprint, summary, weights, notes)
