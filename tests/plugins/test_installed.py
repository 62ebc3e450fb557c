"""Entry points found as `importlib.metadata` finds them."""

from __future__ import annotations

import importlib.metadata
import json.decoder
import sys
import zipfile
from pathlib import Path

import pytest

from anchor_hub.plugins import installed
from anchor_hub.plugins.installed import EntryPoint, entry_points
from anchor_hub.plugins.registry import Registry

GROUP = "anchor_test_group"


def by_importlib(group: str) -> list[tuple[str, str, str, str]]:
    found = importlib.metadata.entry_points(group=group)
    return [(entry.name, entry.value, entry.dist.name, entry.dist.version) for entry in found if entry.dist]


SOME = "Name: Some.Dist\nVersion: 1.2\n"


def install(folder: Path, info: str, text: str | bytes, metadata: str | None = SOME) -> Path:
    """A distribution's metadata folder `info` in `folder`, with these entry points."""
    (folder / info).mkdir(parents=True)
    (folder / info / "entry_points.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    if metadata is not None:
        (folder / info / ("PKG-INFO" if info.endswith(".egg-info") else "METADATA")).write_text(metadata)
    return folder


@pytest.mark.parametrize("group", ["anchor_hub", "console_scripts", "pytest11", "no_such_group"])
def test_this_installation(group: str) -> None:
    assert sorted(entry_points(group)) == sorted(by_importlib(group))
    assert bool(entry_points(group)) == (group != "no_such_group")


@pytest.mark.parametrize(
    "info", ["some_dist-1.2.dist-info", "some_dist-1.2-py3.11.egg-info", "Some.Dist-1.2.dist-info"]
)
def test_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: str) -> None:
    text = f"[other]\nx = y\n[{GROUP}]\n# note\n  a = m.n:o.p [extra]\n\nb=c\n[last]\nz = z\n"
    metadata = "Metadata-Version: 2.1\nName: Some.Dist\nVersion: 1.2\n\nName: of the description\nVersion: 9\n"
    monkeypatch.syspath_prepend(str(install(tmp_path, info, text, metadata)))
    assert entry_points(GROUP) == [EntryPoint(*entry) for entry in by_importlib(GROUP)]
    assert [entry[:2] for entry in entry_points(GROUP)] == [("a", "m.n:o.p [extra]"), ("b", "c")]


def test_the_first_on_the_path_is_the_one_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, info in (("second", "Some_Dist-1.1.dist-info"), ("first", "some.dist-1.2.dist-info")):
        monkeypatch.syspath_prepend(str(install(tmp_path / folder, info, f"[{GROUP}]\n{folder} = m\n")))
    assert [entry.name for entry in entry_points(GROUP)] == ["first"] == [entry[0] for entry in by_importlib(GROUP)]


def test_damage_elsewhere_hides_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "bad-1.dist-info", b"[anchor_hub]\nno equals sign\n\xff = \xff\n", metadata=None)
    install(tmp_path, "good-1.dist-info", f"[{GROUP}]\na = b\n")
    (tmp_path / "file-1.egg-info").write_text("Name: file\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "missing"))
    assert [entry.name for entry in entry_points(GROUP)] == ["a"]
    bad = [plugin for plugin in Registry().plugins if plugin.distribution == "bad"]
    assert [(plugin.version, plugin.status) for plugin in bad] == [("1", "quarantined")] * 2


def test_zip_archives_and_finders_of_other_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "files", "zipped-1.dist-info", f"[{GROUP}]\na = b\n", "Name: zipped\nVersion: 1\n")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in filter(Path.is_file, (tmp_path / "files").rglob("*")):
            archive.write(path, str(path.relative_to(tmp_path / "files")))
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path / "packed.zip"))
        assert entry_points(GROUP) == [("a", "b", "zipped", "1")]

    class Finder(importlib.metadata.DistributionFinder):
        def find_spec(self, *_: object) -> None:
            return None

        def find_distributions(self, context: object = None) -> list[importlib.metadata.Distribution]:
            return [importlib.metadata.PathDistribution(tmp_path / "files" / "zipped-1.dist-info")]

    assert entry_points(GROUP) == []
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert entry_points(GROUP) == [("a", "b", "zipped", "1")]


def test_load() -> None:
    def load(value: str) -> object:
        return EntryPoint("name", value, "dist", "1").load()

    assert load("anchor_hub.plugins.installed") is installed
    assert load("json.decoder:JSONDecoder.decode [extra]") is json.decoder.JSONDecoder.decode
    for value in ("", "no_such_module_at_all", "json:nothing", "json:NOT:VALID"):
        with pytest.raises((ImportError, AttributeError, ValueError)):
            load(value)
