"""What `bundle.yaml` says: a bundle's kind and name, what it is, what it needs, the hash of every file. No torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anchor_hub.errors import BundleError, ConfigError, UsageError
from anchor_hub.specs import check_name
from anchor_hub.system.config import dump_yaml, load_yaml

#: The newest format version that is read. A bundle is written in the oldest version that can hold its manifest.
FORMAT_VERSION = 3
MANIFEST = "bundle.yaml"
CARD = "README.md"
Kind = Literal["hub", "domain", "translator", "prior", "judges"]
KINDS: tuple[Kind, ...] = ("hub", "domain", "translator", "prior", "judges")
#: The kinds that are installed in a home and found by name, in the order in which one may need the ones before it.
INSTALLED_KINDS: tuple[Kind, ...] = ("hub", "prior", "domain", "translator")
# What a bundle may hold. Nothing in it is ever executed, so nothing executable is let in.
SUFFIXES = (".safetensors", ".md", ".txt", ".yaml", ".json", ".jsonl", ".csv", ".png")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\.[A-Za-z0-9_-]{1,20})+")
_SHA256 = r"^[0-9a-f]{64}$"
MAX_FILES = 200
# Fields new in version 2. Bundles without them are written as version 1, which an older Anchor Hub reads.
_FIELDS_OF_2 = ("fingerprint", "requires", "source", "targets", "plugins")
# Kinds that version 2 cannot require; a bundle that requires one is written as version 3.
_REQUIRED_OF_3 = ("domain",)


class Requirement(BaseModel):
    """Another bundle that a bundle needs. `fingerprint` identifies it; `name` is for messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["hub", "prior", "domain"]
    name: str
    fingerprint: str = Field(pattern=_SHA256)


class BundleManifest(BaseModel):
    """What `bundle.yaml` says.

    name, kind: which bundle it is. architecture: `name` (for a translator: its backend's) and options. hub: the hub's
    name, for messages. hub_fingerprint: a hub's own fingerprint; for a domain, its hub's. fingerprint: a prior's own.
    requires: the other bundles that this one needs; `requirements()` adds a domain's hub. modality: a domain's. source,
    targets: a translator's ends, each `{"name": ..., "modality": {...}}`. plugins: `{distribution: version}` of the
    plugins that bring the architecture, modalities or backend. files: name -> SHA-256.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format_version: int = Field(default=1, ge=1)
    kind: Kind
    name: str
    hub: str | None = None
    hub_fingerprint: str | None = Field(default=None, pattern=_SHA256)
    fingerprint: str | None = Field(default=None, pattern=_SHA256)
    requires: tuple[Requirement, ...] = Field(default=(), strict=False)
    architecture: dict[str, Any]
    modality: dict[str, Any] | None = None
    source: dict[str, Any] | None = None
    targets: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    plugins: dict[str, str] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)
    license: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str]

    @property
    def identity(self) -> str | None:
        """The fingerprint by which other bundles require this one; None for a kind that nobody requires."""
        if self.kind == "domain":
            return _domain_identity(self)
        return {"hub": self.hub_fingerprint, "prior": self.fingerprint}.get(self.kind)

    def requirements(self) -> tuple[Requirement, ...]:
        """Every bundle that this one needs: a domain's hub, then those in `requires`."""
        if self.kind != "domain" or self.hub_fingerprint is None:
            return self.requires
        name = self.hub or str(self.architecture.get("hub") or "unknown")
        return (Requirement(kind="hub", name=name, fingerprint=self.hub_fingerprint), *self.requires)

    def modalities(self) -> tuple[str, ...]:
        """The names of the modalities that the bundle reads or writes, each once."""
        sides = [self.modality, self.source and self.source["modality"], *(side["modality"] for side in self.targets)]
        return tuple(dict.fromkeys(str(table["name"]) for table in sides if table and "name" in table))

    def as_table(self) -> dict[str, Any]:
        """The manifest as plain dicts and lists without unset fields, as `bundle.yaml` holds it."""
        table = self.model_dump(exclude_none=True)
        for field in _FIELDS_OF_2:
            if not table.get(field):
                table.pop(field, None)
            elif isinstance(table[field], tuple):
                table[field] = list(table[field])
        return table


def version_for(table: Mapping[str, Any]) -> int:
    """The oldest format version that can hold a manifest's table."""
    if any(needed["kind"] in _REQUIRED_OF_3 for needed in table.get("requires", ())):
        return 3
    return 2 if table["kind"] == "prior" or any(table.get(field) for field in _FIELDS_OF_2) else 1


def _domain_identity(manifest: BundleManifest) -> str:
    """SHA-256 over all that a domain computes with: its hub, architecture, modality, the hashes of its weights, and
    the bundles that it requires. Its name, card, licences and provenance do not count, and no weight is read.
    """
    table = {
        "hub": manifest.hub_fingerprint,
        "architecture": manifest.architecture,
        "modality": manifest.modality,
        "weights": {name: digest for name, digest in manifest.files.items() if name.endswith(".safetensors")},
        "requires": sorted((needed.kind, needed.fingerprint) for needed in manifest.requires),
    }
    text = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_file_name(name: str, where: object) -> str:
    """`name`, if a bundle may hold a file of that name; BundleError naming `where` otherwise."""
    shown = ascii(name)[:100]
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        raise BundleError(
            f"{where}: the file name {shown} is not allowed in a bundle (plain names only, no folders)"
        )
    if not name.endswith(SUFFIXES):
        raise BundleError(f"{where}: {shown} is not data: a bundle holds only {', '.join(SUFFIXES)}")
    return name


def parse_manifest(text: str, where: str) -> BundleManifest:
    """The manifest in `text`; BundleError naming `where` and the fix."""
    try:
        data = load_yaml(text, where=where)
        version = data.get("format_version", 1)
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise BundleError(
                f"{where}: has format version {version}, this Anchor Hub reads up to {FORMAT_VERSION}: "
                "upgrade Anchor Hub"
            )
        manifest = load_yaml(text, BundleManifest, where=where)
        check_name(manifest.name, "the bundle's name")
    except (ConfigError, UsageError) as error:
        message = str(error) if str(error).startswith(where) else f"{where}: {error}"
        raise BundleError(f"{message.rstrip('.')}. Install the bundle again from where it came") from error
    if len(manifest.files) > MAX_FILES:
        raise BundleError(f"{where}: lists {len(manifest.files)} files, the limit is {MAX_FILES}")
    seen: dict[str, str] = {}
    for name, digest in manifest.files.items():
        check_file_name(name, where)
        if name.lower() in (MANIFEST, *seen):
            raise BundleError(
                f"{where}: lists {name} twice (upper and lower case are the same on some systems)"
            )
        seen[name.lower()] = name
        if not re.fullmatch(_SHA256, digest):
            raise BundleError(f"{where}: the SHA-256 of {name} is not 64 hexadecimal digits")
    if manifest.kind == "domain" and not manifest.hub_fingerprint:
        raise BundleError(f"{where}: is a domain but names no hub_fingerprint")
    if manifest.kind == "prior" and not manifest.fingerprint:
        raise BundleError(f"{where}: is a prior but names no fingerprint")
    if manifest.kind == "translator" and manifest.format_version > 1:
        _check_translator(manifest, where)
    return manifest


def _check_translator(manifest: BundleManifest, where: str) -> None:
    if not isinstance(manifest.architecture.get("name"), str):
        raise BundleError(f"{where}: is a translator but its architecture names no backend")
    if not manifest.targets:
        raise BundleError(f"{where}: is a translator but names no targets")
    for side in (*manifest.targets, *([manifest.source] if manifest.source else ())):
        modality = side.get("modality")
        if set(side) != {"name", "modality"} or not isinstance(side["name"], str) or not isinstance(modality, dict):
            raise BundleError(f"{where}: each of source and targets has exactly a name and a modality (a table)")
        if not isinstance(modality.get("name"), str):
            raise BundleError(f"{where}: the modality of {ascii(side['name'])[:80]} needs a name")
    if len({side["name"] for side in manifest.targets}) < len(manifest.targets):
        raise BundleError(f"{where}: names a target twice")


def manifest_text(data: Mapping[str, Any], where: str) -> str:
    """The text of `bundle.yaml`; BundleError naming `where` where it could not be read again."""
    try:
        text = dump_yaml(dict(data))
    except ConfigError as error:
        raise BundleError(f"{where}: the manifest cannot be written: {error}") from error
    parse_manifest(text, where)
    return text
