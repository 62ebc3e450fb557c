from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchor_hub.bundles import archive
from anchor_hub.bundles.archive import export_bundle, install_bundle, remove_bundle
from anchor_hub.bundles.base import MANIFEST, open_bundle
from anchor_hub.errors import AnchorError, BundleError, UsageError
from anchor_hub.system.home import Home
from tests.bundle_makers import tiny_domain, tiny_hub


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return export_bundle(tiny_hub(tmp_path / "made"), tmp_path / "tiny.zip")


@pytest.fixture
def target(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def installed(target: Home) -> list[str]:
    """Every file of the home's bundles; hidden leftovers, too."""
    return sorted(
        str(item.relative_to(target.path)) for item in target.path.rglob("*") if "locks" not in item.parts
    )


def test_round_trip(tmp_path: Path, exported: Path, target: Home) -> None:
    folder = install_bundle(exported, target)
    assert folder == target.hubs / "tiny"
    for item in (tmp_path / "made").iterdir():
        assert (folder / item.name).read_bytes() == item.read_bytes()
    again = export_bundle(folder, tmp_path / "again.zip")
    assert again.read_bytes() == exported.read_bytes()


def test_export_into_a_folder_names_the_file(tmp_path: Path) -> None:
    assert export_bundle(tiny_hub(tmp_path / "made", "other"), tmp_path) == tmp_path / "other.zip"
    with pytest.raises(UsageError, match="exists already"):
        export_bundle(tmp_path / "made", tmp_path)
    export_bundle(tmp_path / "made", tmp_path, overwrite=True)
    with pytest.raises(UsageError, match=r"end the name in .zip"):
        export_bundle(tmp_path / "made", tmp_path / "x.tar")


def test_a_damaged_bundle_is_not_exported(tmp_path: Path) -> None:
    folder = tiny_hub(tmp_path / "made")
    (folder / "README.md").write_text("changed")
    with pytest.raises(BundleError, match=r"README.md: is damaged"):
        export_bundle(folder, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_install_from_a_folder_under_another_name(tmp_path: Path, target: Home) -> None:
    folder = install_bundle(tiny_domain(tmp_path / "made"), target, name="dot")
    assert folder == target.domains / "dot"
    bundle = open_bundle(folder)
    assert bundle.manifest.name == "dot" and bundle.verify() == []


def test_names_taken(exported: Path, target: Home) -> None:
    install_bundle(exported, target)
    with pytest.raises(UsageError, match="--overwrite, or another name with --name"):
        install_bundle(exported, target)
    install_bundle(exported, target, overwrite=True)
    install_bundle(exported, target, name="two")
    with pytest.raises(UsageError, match="not usable"):
        install_bundle(exported, target, name="../two")
    assert sorted(item.name for item in target.hubs.iterdir()) == ["tiny", "two"]


def test_another_kind(exported: Path, target: Home) -> None:
    with pytest.raises(UsageError, match="is a hub: install it with `anchor hubs install`"):
        install_bundle(exported, target, kind="domain")
    assert installed(target) == []


def test_remove(exported: Path, target: Home) -> None:
    install_bundle(exported, target)
    remove_bundle("hub", "tiny", target)
    assert installed(target) == ["hubs"]
    with pytest.raises(UsageError, match="no hub named 'tiny'"):
        remove_bundle("hub", "tiny", target)


def rebuilt(
    source: Path, *, drop: Iterable[str] = (), add: Iterable[tuple[zipfile.ZipInfo | str, bytes]] = ()
) -> Path:
    """The archive without some members and with others: what an attacker or a broken tool would write."""
    with zipfile.ZipFile(source) as old:
        members = [(item, old.read(item)) for item in old.infolist() if item.filename not in set(drop)]
    with zipfile.ZipFile(source, "w") as new:
        for member, data in [*members, *add]:
            new.writestr(member, data)
    return source


def linked(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (mode | 0o777) << 16
    return member


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("member", "part"),
    [
        ("../evil.md", "not allowed"),
        ("/etc/evil.md", "not allowed"),
        ("sub/evil.md", "not allowed"),
        ("..\\evil.md", "not allowed"),
        ("C:\\evil.md", "not allowed"),
        ("evil.py", "is not data"),
        ("evil.pkl", "is not data"),
        ("evil", "not allowed"),
        (".hidden.md", "not allowed"),
        ("README.md", "twice"),
        ("readme.MD", "is not data"),
        ("Readme.md", "twice"),
        ("BUNDLE.yaml", "twice"),
        ("extra.md", "does not list"),
        ("folder/", "not allowed"),
        (linked("link.md", stat.S_IFLNK), "a link or a device"),
        (linked("pipe.md", stat.S_IFIFO), "a link or a device"),
        (linked("dev.md", stat.S_IFCHR), "a link or a device"),
        (linked("dir.md", stat.S_IFDIR), "a link or a device"),
    ],
)
def test_archives_refused(exported: Path, target: Home, member: zipfile.ZipInfo | str, part: str) -> None:
    rebuilt(exported, add=[(member, b"x")])
    with pytest.raises(BundleError) as caught:
        install_bundle(exported, target)
    assert part in str(caught.value) and str(exported) in str(caught.value)
    assert installed(target) == []


def test_nul_in_a_name(exported: Path, target: Home) -> None:
    rebuilt(exported, add=[("evil.md0hidden", b"x")])
    exported.write_bytes(exported.read_bytes().replace(b"evil.md0hidden", b"evil.md\0hidden"))
    with pytest.raises(BundleError, match="not allowed"):
        install_bundle(exported, target)


def test_missing_members(exported: Path, target: Home) -> None:
    rebuilt(exported, drop=["generator.safetensors"])
    with pytest.raises(BundleError, match=r"lacks generator.safetensors"):
        install_bundle(exported, target)
    rebuilt(exported, drop=[MANIFEST])
    with pytest.raises(BundleError, match=r"holds no bundle.yaml"):
        install_bundle(exported, target)


def test_a_changed_member(exported: Path, target: Home) -> None:
    rebuilt(exported, drop=["README.md"], add=[("README.md", b"# changed\n")])
    with pytest.raises(BundleError, match=r"README.md: is damaged") as caught:
        install_bundle(exported, target)
    assert str(exported) in str(caught.value) and ".tmp" not in str(caught.value)
    assert installed(target) in ([], ["hubs"])


def test_bombs(exported: Path, target: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr(MANIFEST, b"\0" * 30_000_000)
    exported.write_bytes(stream.getvalue())
    with pytest.raises(BundleError, match="would unpack to 30,000,000 bytes"):
        install_bundle(exported, target)
    with zipfile.ZipFile(exported, "w") as many:
        for index in range(300):
            many.writestr(f"f{index}.md", b"")
    with pytest.raises(BundleError, match="holds 300 files"):
        install_bundle(exported, target)
    monkeypatch.setattr(archive, "MAX_UNPACKED", 100)
    with zipfile.ZipFile(exported, "w") as large:
        large.writestr("a.md", b"x" * 101)
    with pytest.raises(BundleError, match="refused as too large"):
        install_bundle(exported, target)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"<html>quota</html>", b"\x1f\x8b" + b"0" * 50])
def test_no_zip(exported: Path, target: Home, data: bytes) -> None:
    exported.write_bytes(data)
    with pytest.raises(BundleError, match="not a readable zip"):
        install_bundle(exported, target)


def test_not_there(tmp_path: Path, target: Home) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        install_bundle(tmp_path / "absent.zip", target)
    loop = tmp_path / "loop.zip"
    loop.symlink_to(loop)
    with pytest.raises(BundleError, match="cannot be read"):
        install_bundle(loop, target)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_installs_whole_or_not_at_all(exported: Path, target: Home, data: st.DataObject) -> None:
    original = exported.read_bytes()
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(changed) - 1))
        changed[position : position + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    exported.write_bytes(changed)
    try:
        folder = install_bundle(exported, target, overwrite=True)
        assert open_bundle(folder).verify() == []
    except AnchorError as error:
        assert "\n" not in str(error)
    finally:
        exported.write_bytes(original)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home(exported: Path, target: Home) -> None:
    target.path.mkdir()
    target.path.chmod(0o500)
    with pytest.raises(AnchorError, match="ANCHOR_HOME"):
        install_bundle(exported, target)
