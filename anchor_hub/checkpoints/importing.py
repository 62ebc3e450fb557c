"""Makes bundles of published checkpoints: the work of `anchor hubs import`."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anchor_hub.bundles.base import MANIFEST, Kind, open_bundle
from anchor_hub.checkpoints.families import ImportedHub, family_of
from anchor_hub.checkpoints.raw import RawCheckpoint, load_raw
from anchor_hub.errors import BundleError, CheckpointError, UsageError
from anchor_hub.system.outputs import check_folder, check_place

UNKNOWN_LICENSE = "unknown"


@dataclass
class Imported:
    """What was imported.

    Attributes:
        name, folder: of the new bundle.
        family: of the checkpoint, e.g. ``stylegan2-ada``.
        fingerprint: of the hub.
        summary: size, classes and parts in a line.
        license: of the weights, or ``unknown``.
        notes: what was chosen, computed or left out, one sentence each.
    """

    name: str
    folder: Path
    family: str
    fingerprint: str
    summary: str
    license: str
    notes: list[str] = field(default_factory=list)


def read_hub(
    path: Path | str, discriminator: Path | str | None = None, *, norm_epsilon: float | None = None
) -> ImportedHub:
    """The networks in a published checkpoint of any supported family; nothing is written.

    :param path: a file, or a folder with ``config.json`` and weights.
    :param discriminator: a second file that holds the discriminator.
    :param norm_epsilon: epsilon of a BigGAN's batch norms, which its weights do not show; None: that of a configuration
        beside them, else the published one.
    :raises CheckpointError: unreadable, unsupported or incomplete; the message begins with the path.
    :raises UsageError: an impossible ``norm_epsilon``, or one for a family without such a setting.
    """
    check_norm_epsilon(norm_epsilon)
    return _read(*_open(path, discriminator), norm_epsilon)


def check_norm_epsilon(value: float | None) -> None:
    """Raise UsageError unless the value is None or a number above 0 and below 1."""
    if value is not None and not 0 < value < 1:
        raise UsageError(f"--bn-eps must lie above 0 and below 1, not {value:g}: 1e-5 and 1e-4 are common")


def _open(path: Path | str, discriminator: Path | str | None) -> tuple[RawCheckpoint, RawCheckpoint | None]:
    return load_raw(path), None if discriminator is None else load_raw(discriminator)


def _read(raw: RawCheckpoint, critic: RawCheckpoint | None, norm_epsilon: float | None = None) -> ImportedHub:
    family = family_of(raw)
    settings: dict[str, Any] = {} if norm_epsilon is None else {"norm_epsilon": norm_epsilon}
    if not set(settings) <= set(getattr(family, "SETTINGS", ())):
        raise UsageError(f"--bn-eps applies to BigGANs only, and {raw.path} is of family {family.NAME}: leave it out")
    try:
        found: ImportedHub = family.read(raw, critic, **settings)
        channels = getattr(found.generator.config, "image_channels", 3)
        if channels != 3:
            raise CheckpointError(
                f"its pictures have {channels} channel{'' if channels == 1 else 's'}: only hubs of colour pictures "
                "(3 channels) are supported"
            )
        return found
    except CheckpointError as error:
        paths = (str(raw.path), str(critic.path) if critic is not None else str(raw.path))
        raise error if str(error).startswith(paths) else raw.error(str(error)) from error


def import_hub(
    path: Path | str,
    name: str,
    *,
    discriminator: Path | str | None = None,
    license: str | None = None,
    data_license: str | None = None,
    seed: int = 0,
    norm_epsilon: float | None = None,
    output: Path | str | None = None,
    overwrite: bool = False,
) -> Imported:
    """Make a published generator a hub: an ordinary bundle that names the file it comes from.

    :param path: a file, or a folder with ``config.json`` and weights.
    :param name: of the hub.
    :param discriminator: a second file that holds the discriminator; by default the one in ``path``, if any.
        It is kept in the bundle exactly as published.
    :param license: of the weights; None is recorded, and shown, as "unknown". ``data_license``: of their data.
    :param seed: of the 10,000 samples from which the statistics are computed; a published mean latent is kept.
    :param norm_epsilon: of a BigGAN's batch norms, see :func:`read_hub`.
    :param output: the bundle's folder; default: ``hubs/NAME`` in the home.
    :raises CheckpointError: unreadable, unsupported or incomplete. :raises UsageError: a bad name, or one in use.
    """
    from anchor_hub.hubs.base import Hub
    from anchor_hub.specs import check_name
    from anchor_hub.system.home import home

    check_name(name, "hub name")
    check_norm_epsilon(norm_epsilon)
    folder = Path(output) if output is not None else home().hubs / name
    refuse_existing(folder, "hub", overwrite, given=output is not None)
    raw, critic = _open(path, discriminator)
    found = _read(raw, critic, norm_epsilon)
    hub = Hub.from_generator(found.generator, name, seed=seed, classes=found.classes)
    notes = list(found.notes)
    facts: dict[str, Any] = {"family": found.family, **origin(raw)}
    if found.mean_latent is not None:
        hub.mean_latent = found.mean_latent.to(hub.mean_latent)
        facts["mean_latent"] = "as published"
    elif hub.latent_name != "z":
        facts.update(mean_latent="computed", seed=seed)
        notes.append(f"The file has no mean latent: it was computed from 10,000 samples, seed {seed}.")
    if critic is not None:
        facts["discriminator"] = origin(critic)
    weights = license or UNKNOWN_LICENSE
    summary = _summary(hub, found)
    hub.save(
        folder,
        provenance=record("hubs import", **facts, notes=notes),
        license={"weights": weights, "data": data_license or UNKNOWN_LICENSE},
        card=hub_card(name, summary, facts, weights, notes),
        discriminator=found.discriminator,
        exact_discriminator=True,
        overwrite=overwrite,
    )
    return Imported(name, folder, found.family, hub.fingerprint, summary, weights, notes)


def refuse_existing(folder: Path, kind: Kind, overwrite: bool, *, given: bool) -> None:
    """Check that a bundle may be written to ``folder``, before anything is read.

    :param given: the folder was given explicitly, not derived from the bundle's name.
    :raises UsageError: it exists and may not be replaced, or holds something other than a bundle of this kind.
    """
    if not given and (folder / MANIFEST).is_file() and not overwrite:
        raise UsageError(f"{folder}: exists already; choose another --name, or pass --overwrite")
    check_folder(folder, MANIFEST, "bundle", overwrite=overwrite, option="-o" if given else "--name:")
    found = kind
    with contextlib.suppress(BundleError):  # a damaged one may be replaced
        found = open_bundle(folder).manifest.kind if folder.exists() else kind
    if found != kind:
        raise UsageError(f"{folder}: is a {found}, which a {kind} does not replace; choose another folder")
    if given:
        check_place(folder, "-o")


def origin(raw: RawCheckpoint) -> dict[str, Any]:
    """The origin of weights: the file's name (never its folder), its SHA-256 and size."""
    name = raw.path.name
    if raw.config is not None:
        name = f"{raw.path.resolve().parent.name}/{name}"
    return {"file": name, "sha256": raw.sha256, "bytes": raw.size}


def record(command: str, **facts: Any) -> dict[str, Any]:
    """The provenance of a bundle: the command, the facts and the versions."""
    import torch

    from anchor_hub import __version__

    known = {key: value for key, value in facts.items() if value not in (None, [], "")}
    versions = {"anchor_hub": __version__, "torch": torch.__version__, "python": platform.python_version()}
    return {"command": command, **known, **versions}


def _summary(hub: Any, found: ImportedHub) -> str:
    classes = f", {len(hub.classes)} classes" if hub.classes else ""
    parameters = sum(value.numel() for value in hub.generator.parameters())
    kept = ", with discriminator" if found.discriminator is not None else ""
    return (
        f"{found.family}, {hub.size} px, {hub.num_latents} x {hub.latent_dim} latents{classes}, "
        f"{parameters / 1e6:.1f} million parameters{kept}"
    )


def hub_card(name: str, summary: str, facts: dict[str, Any], license: str, notes: list[str]) -> str:
    """The card of an imported hub."""
    known = license != UNKNOWN_LICENSE
    terms = license if known else "unknown: find out before you share it or what it makes"
    lines = [
        f"# {name}",
        "",
        f"An imported hub: {summary}.",
        "",
        f"- File: `{facts['file']}` ({facts['bytes']:,} bytes)",
        f"- SHA-256: `{facts['sha256']}`",
        f"- Licence of the weights: {terms}",
        *(f"- {note}" for note in notes),
    ]
    return "\n".join(lines) + "\n"
