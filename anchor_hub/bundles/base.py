"""Hubs, domains and translators on disk: `bundle.yaml` + `<part>.safetensors` + a `README.md` card. Data only, no code.

`bundle.yaml` holds the SHA-256 of every other file; a file is hashed when it is read, so one flipped byte is
found. Opening a bundle reads only the manifest; weights are read part by part.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anchor_hub.bundles import tensorfile
from anchor_hub.errors import AnchorError, BundleError, ConfigError, UsageError
from anchor_hub.specs import check_name
from anchor_hub.system.config import dump_yaml, load_yaml
from anchor_hub.system.files import new_folder, recover_folder

if TYPE_CHECKING:
    from torch import Tensor

FORMAT_VERSION = 1
MANIFEST = "bundle.yaml"
CARD = "README.md"
Kind = Literal["hub", "domain", "translator", "judges"]
KINDS: tuple[Kind, ...] = ("hub", "domain", "translator", "judges")
# What a bundle may hold. Nothing in it is ever executed, so nothing executable is let in.
SUFFIXES = (".safetensors", ".md", ".txt", ".yaml", ".json", ".jsonl", ".csv", ".png")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\.[A-Za-z0-9_-]{1,20})+")
_SHA256 = r"^[0-9a-f]{64}$"
MAX_FILES = 200


class BundleManifest(BaseModel):
    """What `bundle.yaml` says. `files` maps each file's name to its SHA-256; `hub` is the hub's name, for messages.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format_version: int = Field(default=FORMAT_VERSION, ge=1)
    kind: Kind
    name: str
    hub: str | None = None
    hub_fingerprint: str | None = Field(default=None, pattern=_SHA256)
    architecture: dict[str, Any]
    modality: dict[str, Any] | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    license: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str]


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
        version = data.get("format_version", FORMAT_VERSION)
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
    return manifest


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and manifest. Weights are read by `tensors`."""

    path: Path
    manifest: BundleManifest

    @property
    def parts(self) -> list[str]:
        """Names of the weight files, without suffix."""
        return sorted(
            name[: -len(".safetensors")] for name in self.manifest.files if name.endswith(".safetensors")
        )

    def read(self, name: str) -> bytes:
        """The bytes of one of the bundle's files, its hash checked; BundleError otherwise."""
        if name not in self.manifest.files:
            held = ", ".join(sorted(self.manifest.files)) or "nothing"
            raise BundleError(f"{self.path}: holds no {name} (it holds {held}); install the bundle again")
        path = self.path / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(
                f"{path}: cannot be read ({error.strerror or error}); install the bundle again"
            ) from error
        if hashlib.sha256(data).hexdigest() != self.manifest.files[name]:
            raise BundleError(
                f"{path}: is damaged or was changed (its SHA-256 is not the one in {MANIFEST}); install "
                "the bundle again"
            )
        return data

    def tensors(self, part: str, expected: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The tensors of `<part>.safetensors` on the CPU, floating ones as float32.

        expected: name -> tensor, or shape, or (shape, dtype): names and shapes must be exactly these (for a
        module: its `state_dict()`). Checks hash, names, shapes, dtypes, finiteness; BundleError names the
        first difference.
        """
        name = f"{part}.safetensors"
        return tensorfile.read(self.read(name), self.path / name, expected)

    def card(self) -> str:
        """The text of the card, or '' where the bundle has none."""
        return self.read(CARD).decode("utf-8", "replace") if CARD in self.manifest.files else ""

    def verify(self) -> list[str]:
        """Everything wrong with the files, one sentence each; empty where all is well. Reads every byte."""
        problems = []
        for name in sorted(self.manifest.files):
            try:
                data = self.read(name)
                if name.endswith(".safetensors"):
                    tensorfile.read(data, self.path / name)
            except AnchorError as error:
                problems.append(str(error))
        try:
            present = sorted(item.name for item in self.path.iterdir())
        except OSError as error:
            return [f"{self.path}: cannot be listed ({error.strerror or error})"]
        for name in present:
            if name != MANIFEST and name not in self.manifest.files:
                problems.append(f"{self.path / name}: is not listed in {MANIFEST}: remove it")
        return problems


def open_bundle(folder: Path | str, kind: Kind | None = None) -> Bundle:
    """Open the bundle in `folder`, reading its manifest only. kind: refuse a bundle of another kind."""
    folder = Path(folder)
    recover_folder(folder)
    path = folder / MANIFEST
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise BundleError(f"{folder}: {what}; a bundle is a folder holding {MANIFEST}")
    if not path.is_file():
        raise BundleError(
            f"{folder}: holds no {MANIFEST}, so it is no bundle (or an incomplete one): install it again"
        )
    try:
        text = path.read_bytes()[:1_000_001].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: is not UTF-8 text; install the bundle again") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    manifest = parse_manifest(text, str(path))
    if kind is not None and manifest.kind != kind:
        raise BundleError(f"{folder}: is a {manifest.kind} bundle, a {kind} is needed here")
    return Bundle(folder, manifest)


def _with_licences(card: str, license: Mapping[str, Any]) -> str:
    """The card with a last section that says whose the weights and the data are."""
    if not license:
        return card
    return f"{card.rstrip()}\n\n## Licences\n\n" + "".join(f"- {what}: {whose}\n" for what, whose in license.items())


def write_bundle(
    folder: Path | str,
    *,
    kind: Kind,
    name: str,
    tensors: Mapping[str, Mapping[str, Tensor]],
    architecture: Mapping[str, Any],
    card: str,
    hub: str | None = None,
    hub_fingerprint: str | None = None,
    modality: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    license: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    extras: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a bundle whole or not at all; returns its folder.

    tensors: part -> name -> tensor; each part becomes `<part>.safetensors` (empty parts are left out). card:
    the text of README.md, to which the licences are added, and with them the credit that they ask for. hub: the
    name of the hub `hub_fingerprint` belongs to. extras: further data files, e.g. a preview PNG. The same arguments
    write the same bytes. Raises BundleError (what cannot be loaded is not written, NaN included), UsageError where
    `folder` exists and `overwrite` is false.
    """
    folder = Path(folder)
    contents: dict[str, Iterable[bytes]] = {CARD: [_with_licences(card, license or {}).encode("utf-8")]}
    contents |= {name: [bytes(value)] for name, value in (extras or {}).items()}
    for part, values in tensors.items():
        if values:
            part_name = check_file_name(f"{part}.safetensors", folder)
            contents[part_name] = tensorfile.pieces(values, f"{folder.name}/{part_name}")
    for file_name in contents:
        check_file_name(file_name, folder)
    data: dict[str, Any] = {"format_version": FORMAT_VERSION, "kind": kind, "name": name}
    optional = {"hub": hub, "hub_fingerprint": hub_fingerprint}
    data.update({key: value for key, value in optional.items() if value is not None})
    data["architecture"] = dict(architecture)
    if modality is not None:
        data["modality"] = dict(modality)
    for key, table in (("provenance", provenance), ("license", license), ("metrics", metrics)):
        data[key] = dict(table or {})
    # Whatever is wrong with the manifest shows before anything is written; the hashes come when the files are there.
    _manifest_text(data | {"files": {item: "0" * 64 for item in sorted(contents)}}, folder)
    try:
        with new_folder(folder, overwrite=overwrite) as temporary:
            hashes = {item: _write_pieces(temporary / item, contents[item]) for item in contents}
            text = _manifest_text(data | {"files": dict(sorted(hashes.items()))}, folder)
            (temporary / MANIFEST).write_bytes(text.encode("utf-8"))
    except FileExistsError as error:
        raise UsageError(f"{folder}: exists already; choose another name or allow overwriting") from error
    except OSError as error:
        if isinstance(error, AnchorError):
            raise
        raise BundleError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return folder


def _manifest_text(data: Mapping[str, Any], folder: Path) -> str:
    try:
        text = dump_yaml(dict(data))
    except ConfigError as error:
        raise BundleError(f"{folder}: the manifest cannot be written: {error}") from error
    parse_manifest(text, str(folder / MANIFEST))
    return text


def _write_pieces(path: Path, pieces: Iterable[bytes]) -> str:
    """Write a file piece by piece and return its SHA-256: large weights are never held as a whole."""
    digest = hashlib.sha256()
    with open(path, "wb") as stream:
        for piece in pieces:
            digest.update(piece)
            stream.write(piece)
    return digest.hexdigest()


def fingerprint(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> str:
    """SHA-256 over the configuration (canonical JSON) and each tensor's name, dtype, shape and bytes, by name.

    The same weights and configuration give the same fingerprint on every device and system (bytes little-endian).
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("utf-8"))
    for name in sorted(tensors):
        tensor = tensors[name].detach().to("cpu").contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"\0{name}\0{dtype}\0{','.join(map(str, tensor.shape))}\0".encode())
        digest.update(tensorfile.raw_bytes(tensor))
    return digest.hexdigest()
