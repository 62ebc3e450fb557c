"""Makes bundles of published translators and priors, for `anchor translators import` and `anchor priors import`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from anchor_hub.bundles.base import open_bundle, write_bundle
from anchor_hub.checkpoints.base import ImportedParts, PartsReader
from anchor_hub.checkpoints.families import families, family_of
from anchor_hub.checkpoints.importing import UNKNOWN_LICENSE, Imported, origin, record, refuse_existing
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.errors import CheckpointError, UsageError
from anchor_hub.plugins.usable import plugins_behind
from anchor_hub.specs import check_name
from anchor_hub.system.home import home


def import_parts(
    kind: Literal["translator", "prior"],
    path: Path | str,
    name: str,
    *,
    others: Sequence[Path | str] = (),
    options: Mapping[str, Any] | None = None,
    license: str | None = None,
    data_license: str | None = None,
    output: Path | str | None = None,
    overwrite: bool = False,
) -> Imported:
    """Make published weights a translator or prior: an ordinary bundle that names the files it comes from.

    :param path: a file of a family that a registered reader of this kind knows.
    :param name: of the new bundle.
    :param others: further files that the reader needs.
    :param options: the reader's own.
    :param license: of the weights; None is recorded, and shown, as "unknown". ``data_license``: of their data.
    :param output: the bundle's folder; default: in the home, under the name.
    :raises CheckpointError: unreadable, unsupported or incomplete. :raises UsageError: a bad name, one in use, an
        option that the reader does not know, or no reader of this kind is installed.
    """
    check_name(name, f"{kind} name")
    problems: list[str] = []
    if not list(families(kind, problems)):
        broken = f" (Not usable: {'; '.join(problems)})" if problems else ""
        raise UsageError(
            f"no reader of published {kind}s is installed: a plugin brings one (anchor_register_checkpoints){broken}"
        )
    folder = Path(output) if output is not None else home().folder(kind) / name
    refuse_existing(folder, kind, overwrite, given=output is not None)
    raw, further = load_raw(path), [load_raw(other) for other in others]
    reader: PartsReader = family_of(raw, kind)
    try:
        found = reader.read(raw, further, dict(options or {}))
    except CheckpointError as error:
        paths = tuple(str(item.path) for item in (raw, *further))
        raise error if str(error).startswith(paths) else raw.error(str(error)) from error
    weights = license or UNKNOWN_LICENSE
    facts: dict[str, Any] = {"family": found.family, **origin(raw)}
    if further:
        facts["others"] = [origin(item) for item in further]
    summary = found.summary or _summary(kind, found)
    sides = [side["modality"] for side in (*([found.source] if found.source else []), *found.targets)]
    write_bundle(
        folder,
        kind=kind,
        name=name,
        tensors=found.parts,
        architecture=found.architecture,
        requires=found.requires,
        source=found.source,
        targets=found.targets,
        plugins=plugins_behind(kind, found.architecture, sides),
        provenance=record(f"{kind}s import", **facts, options=dict(options or {}), notes=found.notes),
        license={"weights": weights, "data": data_license or UNKNOWN_LICENSE},
        card=_card(kind, name, summary, facts, found.notes),
        overwrite=overwrite,
    )
    own = open_bundle(folder).manifest.identity or ""
    return Imported(name, folder, found.family, own, summary, weights, list(found.notes))


def _summary(kind: str, found: ImportedParts) -> str:
    numbers = sum(value.numel() for part in found.parts.values() for value in part.values())
    ends = ""
    if found.targets:
        source = found.source["name"] if found.source else "any"
        ends = f", {source} to {', '.join(str(target['name']) for target in found.targets)[:80]}"
    return f"a {kind} of {found.family}{ends}, {numbers / 1e6:.1f} million parameters"


def _card(kind: str, name: str, summary: str, facts: dict[str, Any], notes: Sequence[str]) -> str:
    files = [facts, *facts.get("others", ())]
    lines = [
        f"# {name}", "", f"An imported {kind}: {summary}.", "",
        *(f"- File: `{file['file']}` ({file['bytes']:,} bytes), SHA-256 `{file['sha256']}`" for file in files),
        *(f"- {note}" for note in notes),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
