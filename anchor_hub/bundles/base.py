"""Bundles on disk: `bundle.yaml` + `<part>.safetensors` + a `README.md` card. Data only, no code.

`bundle.yaml` (`anchor_hub.bundles.manifest`) holds the SHA-256 of every other file; a file is hashed when it is read,
so one flipped byte is found. Opening a bundle reads only the manifest; weights are read part by part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.bundles import tensorfile
from anchor_hub.bundles.manifest import CARD as CARD
from anchor_hub.bundles.manifest import INSTALLED_KINDS as INSTALLED_KINDS
from anchor_hub.bundles.manifest import KINDS as KINDS
from anchor_hub.bundles.manifest import MANIFEST as MANIFEST
from anchor_hub.bundles.manifest import MAX_FILES as MAX_FILES
from anchor_hub.bundles.manifest import BundleManifest as BundleManifest
from anchor_hub.bundles.manifest import Kind as Kind
from anchor_hub.bundles.manifest import Requirement as Requirement
from anchor_hub.bundles.manifest import check_file_name as check_file_name
from anchor_hub.bundles.manifest import manifest_text, version_for
from anchor_hub.bundles.manifest import parse_manifest as parse_manifest
from anchor_hub.errors import AnchorError, BundleError, UsageError
from anchor_hub.system.files import file_sha256, new_folder, recover_folder
from anchor_hub.system.guarded import MAX_FILE, open_regular, read_regular

if TYPE_CHECKING:
    from torch import Tensor


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
        path = self._listed(name)
        try:
            data = read_regular(path)
        except OSError as error:
            raise self._unreadable(path, error) from error
        self._check_digest(name, hashlib.sha256(data).hexdigest())
        return data

    def _listed(self, name: str) -> Path:
        if name not in self.manifest.files:
            held = ", ".join(sorted(self.manifest.files)) or "nothing"
            raise BundleError(f"{self.path}: holds no {name} (it holds {held}); install the bundle again")
        return self.path / name

    def _check_digest(self, name: str, digest: str) -> None:
        if digest != self.manifest.files[name]:
            raise BundleError(
                f"{self.path / name}: is damaged or was changed (its SHA-256 is not the one in {MANIFEST}); install "
                "the bundle again"
            )

    @staticmethod
    def _unreadable(path: Path, error: OSError) -> BundleError:
        return BundleError(f"{path}: cannot be read ({error.strerror or error}); install the bundle again")

    def tensors(self, part: str, expected: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """The tensors of `<part>.safetensors` on the CPU, floating ones as float32.

        expected: name -> tensor, or shape, or (shape, dtype): names and shapes must be exactly these (for a
        module: its `state_dict()`). Checks hash, names, shapes, dtypes, finiteness; BundleError names the
        first difference. The file is read tensor by tensor, so that its weights are held once.
        """
        name = f"{part}.safetensors"
        path = self._listed(name)
        digest = hashlib.sha256()
        try:
            stream, size = open_regular(path, MAX_FILE)
            with stream:
                try:
                    weights = tensorfile.read_stream(stream, size, path, expected, digest.update)
                except BundleError:
                    # Whatever is odd about a damaged file, that it is damaged says more.
                    self._check_digest(name, file_sha256(path))
                    raise
        except OSError as error:
            raise self._unreadable(path, error) from error
        self._check_digest(name, digest.hexdigest())
        return weights

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
        if self.manifest.kind == "prior" and not problems:
            held = {part: self.tensors(part) for part in self.parts}
            if prior_fingerprint(held, self.manifest.architecture) != self.manifest.fingerprint:
                problems.append(f"{self.path}: its fingerprint is not that of its weights; install the prior again")
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
        text = read_regular(path, 1_000_000).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: is not UTF-8 text; install the bundle again") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    manifest = parse_manifest(text, str(path))
    if kind is not None and manifest.kind != kind:
        raise BundleError(f"{folder}: is a {manifest.kind} bundle, a {kind} is needed here")
    return Bundle(folder, manifest)


def _with_requirements(card: str, requires: Iterable[Requirement]) -> str:
    """The card plus a section on the other bundles that this one requires; a domain's hub is in a field of its own."""
    lines = [f"- the {item.kind} {item.name} (fingerprint `{item.fingerprint[:12]}`)\n" for item in requires]
    return f"{card.rstrip()}\n\n## Requires\n\n{''.join(lines)}" if lines else card


def _with_licences(card: str, license: Mapping[str, Any]) -> str:
    """The card plus a last section on the licences of the weights and the data."""
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
    requires: Iterable[Requirement] = (),
    modality: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    targets: Iterable[Mapping[str, Any]] = (),
    plugins: Mapping[str, str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    license: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    extras: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a bundle whole or not at all; returns its folder.

    tensors: part -> name -> tensor; each part becomes `<part>.safetensors` (empty parts are left out). card:
    the text of README.md; sections on requirements and licences (with the credit that they ask for) are added. hub: the
    name of the hub with `hub_fingerprint`. requires: the other bundles that this one needs, see `requirement_of`.
    source, targets: a translator's ends, each `{"name": ..., "modality": {...}}`. plugins: `{distribution: version}` of
    the plugins that bring the architecture, modalities or backend (`anchor_hub.plugins.usable.plugins_behind`). extras:
    more data files, e.g. a preview PNG. A prior's fingerprint is computed here. The same arguments write
    the same bytes. Raises BundleError (what cannot be loaded is not written, NaN included), UsageError where
    `folder` exists and `overwrite` is false.
    """
    folder = Path(folder)
    contents: dict[str, Iterable[bytes]] = {}
    requires = tuple(requires)
    contents[CARD] = [_with_licences(_with_requirements(card, requires), license or {}).encode("utf-8")]
    contents |= {name: [bytes(value)] for name, value in (extras or {}).items()}
    for part, values in tensors.items():
        if values:
            part_name = check_file_name(f"{part}.safetensors", folder)
            contents[part_name] = tensorfile.pieces(values, f"{folder.name}/{part_name}")
    for file_name in contents:
        check_file_name(file_name, folder)
    data: dict[str, Any] = {"format_version": 1, "kind": kind, "name": name}
    own = prior_fingerprint(tensors, architecture) if kind == "prior" else None
    optional = {"hub": hub, "hub_fingerprint": hub_fingerprint, "fingerprint": own}
    data.update({key: value for key, value in optional.items() if value is not None})
    if needed := [item.model_dump() for item in requires]:
        data["requires"] = needed
    data["architecture"] = dict(architecture)
    ends = {"modality": modality, "source": source}
    data.update({key: dict(value) for key, value in ends.items() if value is not None})
    if ways := [dict(target) for target in targets]:
        data["targets"] = ways
    if plugins:
        data["plugins"] = dict(sorted(plugins.items()))
    data["format_version"] = version_for(data)
    for key, table in (("provenance", provenance), ("license", license), ("metrics", metrics)):
        data[key] = dict(table or {})
    # An error in the manifest is raised before anything is written; the hashes are added when the files exist.
    where = str(folder / MANIFEST)
    manifest_text(data | {"files": {item: "0" * 64 for item in sorted(contents)}}, where)
    try:
        with new_folder(folder, overwrite=overwrite) as temporary:
            hashes = {item: _write_pieces(temporary / item, contents[item]) for item in contents}
            text = manifest_text(data | {"files": dict(sorted(hashes.items()))}, where)
            (temporary / MANIFEST).write_bytes(text.encode("utf-8"))
    except FileExistsError as error:
        raise UsageError(f"{folder}: exists already; choose another name or allow overwriting") from error
    except OSError as error:
        if isinstance(error, AnchorError):
            raise
        raise BundleError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return folder


def _write_pieces(path: Path, pieces: Iterable[bytes]) -> str:
    """Write a file piece by piece and return its SHA-256; large weights are never held as a whole."""
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


def prior_fingerprint(parts: Mapping[str, Mapping[str, Tensor]], architecture: Mapping[str, Any]) -> str:
    """A prior's identity: the `fingerprint` of all parts' tensors, named `part/tensor`, as reading returns them."""
    tensors = {f"{part}/{name}": tensor for part, held in parts.items() for name, tensor in held.items()}
    read = {name: tensor.float() if tensor.dtype.is_floating_point else tensor for name, tensor in tensors.items()}
    return fingerprint(read, architecture)


def requirement_of(bundle: Bundle) -> Requirement:
    """The entry for this hub, prior or domain in another bundle's `requires`; BundleError for other kinds."""
    kind, own = bundle.manifest.kind, bundle.manifest.identity
    if own is None or (kind != "hub" and kind != "prior" and kind != "domain"):
        raise BundleError(
            f"{bundle.path}: is a {kind} without a fingerprint: only hubs, priors and domains can be required"
        )
    return Requirement(kind=kind, name=bundle.manifest.name, fingerprint=own)
