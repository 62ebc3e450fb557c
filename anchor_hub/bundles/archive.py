"""Bundles as one file: export to a zip archive, install from one (or from a folder), remove from the home.

An archive may come from a stranger: the names, sizes and kinds of its members are checked before a byte is unpacked,
and the unpacked bundle is verified whole before it appears in the home.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from anchor_hub.bundles.base import (
    MANIFEST,
    MAX_FILES,
    Bundle,
    Kind,
    check_file_name,
    open_bundle,
    parse_manifest,
)
from anchor_hub.errors import AnchorError, BundleError, UsageError
from anchor_hub.specs import check_name
from anchor_hub.system.config import dump_yaml
from anchor_hub.system.files import new_folder, remove_folder, write_file
from anchor_hub.system.guarded import open_regular, read_regular
from anchor_hub.system.home import Home, home
from anchor_hub.system.outputs import check_file

SUFFIX = ".zip"
# Bytes after unpacking: enough for any published generator, too few to fill a disk.
MAX_UNPACKED = 4 << 30
# Bytes of an archive beside its members.
MAX_DIRECTORY = 1 << 20
# Weights hardly compress; only a bomb reaches this.
MAX_RATIO = 200
_EPOCH = (1980, 1, 1, 0, 0, 0)


def export_bundle(folder: Path | str, archive: Path | str, *, overwrite: bool = False) -> Path:
    """Write the bundle in `folder`, verified, to a zip file; the same bundle gives the same bytes.

    archive: the file's path, or a folder to put `<name>.zip` into. Raises BundleError where the bundle is
    damaged, UsageError where the file exists and `overwrite` is false.
    """
    bundle = open_bundle(folder)
    archive = Path(archive)
    if archive.is_dir():
        archive = archive / f"{bundle.manifest.name}{SUFFIX}"
    if archive.suffix.lower() != SUFFIX:
        raise UsageError(f"-o {archive}: is no folder, and archives are zip files: end the name in {SUFFIX}")
    check_file(archive, "-o")
    if archive.exists() and not overwrite:
        raise UsageError(f"{archive}: exists already; choose another name or pass --overwrite")
    problems = bundle.verify()
    if problems:
        raise BundleError(problems[0])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for name in (MANIFEST, *sorted(bundle.manifest.files)):
            data = read_regular(bundle.path / name) if name == MANIFEST else bundle.read(name)
            member = zipfile.ZipInfo(name, date_time=_EPOCH)
            # Weights do not compress; storing them makes export and install as fast as copying.
            stored = name.endswith((".safetensors", ".png"))
            member.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            target.writestr(member, data)
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        return write_file(archive, stream.getvalue())
    except OSError as error:
        raise BundleError(f"{archive}: cannot be written ({error.strerror or error}); choose another place") from error


def install_bundle(
    source: Path | str,
    target: Home | None = None,
    *,
    kind: Kind | None = None,
    name: str | None = None,
    overwrite: bool = False,
    check: Callable[[Bundle], Iterable[str]] = lambda bundle: (),
) -> Path:
    """Install an archive or a bundle's folder into the home (default: the user's); returns the new folder.

    kind: refuse any other kind. name: install under this name instead of the bundle's own. check: finds more
    problems of the verified bundle, before it appears in the home (`anchor_hub.inventory` builds the networks).
    Everything is checked before anything changes; two processes installing at once do not disturb each other. Raises
    BundleError (unsafe, damaged or incomplete), UsageError (a bundle of that name exists).
    """
    source, target = Path(source), target or home()
    contents = _read_folder(source) if source.is_dir() else _read_archive(source)
    manifest = parse_manifest(contents[MANIFEST].decode("utf-8", "replace"), f"{source}: {MANIFEST}")
    if manifest.kind == "judges":
        raise UsageError(f"{source}: judges are not installed; give the folder to their benchmark with --judges FOLDER")
    if kind is not None and manifest.kind != kind:
        raise UsageError(f"{source}: is a {manifest.kind}: install it with `anchor {manifest.kind}s install`")
    missing = sorted(set(manifest.files) - set(contents))
    added = sorted(set(contents) - set(manifest.files) - {MANIFEST})
    if missing or added:
        what = f"lacks {missing[0]}" if missing else f"holds {added[0]}, which {MANIFEST} does not list"
        raise BundleError(
            f"{source}: {what}: it is incomplete or was changed; get it again from where it came"
        )
    if name is not None and name != manifest.name:
        check_name(name)
        renamed = manifest.model_copy(update={"name": name})
        contents[MANIFEST] = dump_yaml(renamed.as_table()).encode("utf-8")
    final = name or manifest.name
    folder = target.folder(manifest.kind) / final
    if folder.exists() and not overwrite:
        raise _exists(manifest.kind, final, folder)
    with target.lock(f"{manifest.kind}-{final}"[:64].rstrip("._-")):
        try:
            with new_folder(folder, overwrite=overwrite) as temporary:
                for item, data in contents.items():
                    (temporary / item).write_bytes(data)
                unpacked = Bundle(temporary, manifest)
                problems = unpacked.verify() or list(check(unpacked))
                if problems:
                    raise BundleError(problems[0].replace(str(temporary), str(source)))
        except FileExistsError as error:
            raise _exists(manifest.kind, final, folder) from error
        except OSError as error:
            if isinstance(error, AnchorError):
                raise
            raise BundleError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return folder


def _exists(kind: str, name: str, folder: Path) -> UsageError:
    return UsageError(
        f"a {kind} named {name!r} is installed already ({folder}): pass --overwrite, or another "
        "name with --name"
    )


def remove_bundle(kind: Kind, name: str, target: Home | None = None) -> Path:
    """Remove a hub, domain or translator from the home; returns its former folder. UsageError if it is not there."""
    target = target or home()
    folder = target.folder(kind) / check_name(name)
    missing = UsageError(f"no {kind} named {name!r} is installed in {folder.parent}: see `anchor {kind}s list`")
    if not folder.is_dir():
        # Checked before the lock is taken, so that a misspelt name leaves no lock file behind.
        raise missing
    with target.lock(f"{kind}-{name}"[:64].rstrip("._-")):
        if not folder.is_dir():
            raise missing
        try:
            remove_folder(folder)
        except OSError as error:
            raise BundleError(f"{folder}: cannot be removed ({error.strerror or error})") from error
    return folder


def _read_folder(folder: Path) -> dict[str, bytes]:
    bundle = open_bundle(folder)
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    present = {item.name for item in folder.iterdir()} - {MANIFEST, *contents}
    if present:
        raise BundleError(f"{folder / min(present)}: is not listed in {MANIFEST}: remove it")
    return {**contents, MANIFEST: read_regular(folder / MANIFEST)}


def _read_archive(path: Path) -> dict[str, bytes]:
    """Name -> bytes of a zip file's members; checks their names, kinds and sizes first."""
    try:
        with open_regular(path, MAX_UNPACKED + MAX_DIRECTORY)[0] as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(path, members)
            contents = {}
            for member in members:
                with archive.open(member) as stream:
                    data = stream.read(member.file_size + 1)
                if len(data) != member.file_size:
                    raise BundleError(
                        f"{path}: {member.filename} is not of the size the archive states: it is damaged"
                    )
                contents[member.filename] = data
    except FileNotFoundError as error:
        raise BundleError(
            f"{path}: does not exist; name an archive ({SUFFIX}) or a bundle's folder"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        if isinstance(error, AnchorError):
            raise
        raise BundleError(
            f"{path}: is not a readable zip archive ({str(error)[:100]}); download it again"
        ) from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    if MANIFEST not in contents:
        raise BundleError(f"{path}: holds no {MANIFEST}, so it is no bundle")
    return contents


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        raise BundleError(f"{path}: holds {len(members)} files, a bundle has at most {MAX_FILES}")
    seen: Mapping[str, str] | dict[str, str] = {}
    total = 0
    for member in members:
        # orig_filename: the name in the archive, before zipfile cuts it at NUL or changes separators.
        name = member.orig_filename
        if name != MANIFEST:
            check_file_name(name, path)
        if name != member.filename or name.lower() in seen:
            raise BundleError(f"{path}: holds {ascii(name)[:100]} twice, or under a disguised name: refused")
        seen = {**seen, name.lower(): name}
        mode = member.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise BundleError(f"{path}: {name} is a link or a device, not a file: refused")
        if member.flag_bits & 0x1:
            raise BundleError(f"{path}: {name} is encrypted: bundles are not")
        total += member.file_size
        if total > MAX_UNPACKED or member.file_size > MAX_RATIO * max(member.compress_size, 1000):
            raise BundleError(
                f"{path}: {name} would unpack to {member.file_size:,} bytes: refused as too large"
            )
