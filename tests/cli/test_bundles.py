from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from anchor_hub.plugins.registry import registry
from anchor_hub.testing import HEAVY_MODULES
from tests import tiny
from tests.bundle_makers import FINGERPRINT, tiny_domain, tiny_hub
from tests.cli.running import anchor
from tests.watching import watched_anchor


def test_list(fresh_home: Path) -> None:
    tiny_hub(fresh_home / "hubs" / "tiny")
    tiny_domain(fresh_home / "domains" / "spot")
    result = anchor("domains", "list")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert result.exit_code == 0
    assert lines["NAME"].split() == ["NAME", "STATE", "MODALITY", "HUB", "SOURCE", "SUMMARY"]
    assert lines["spot"].split() == ["spot", "ready", "rgb", "tiny", "home"]
    assert "can be added" in lines["toon"]
    rows = {row["name"]: row for row in json.loads(anchor("domains", "list", "--json").stdout)}
    assert rows["spot"]["path"] == str(fresh_home / "domains" / "spot")
    assert rows["seg"]["modality"] == "segmentation"


def test_a_damaged_bundle_is_listed_as_such(fresh_home: Path) -> None:
    (tiny_domain(fresh_home / "domains" / "spot") / "bundle.yaml").write_text("[")
    (fresh_home / "domains" / "half").mkdir()
    result = anchor("domains", "list")
    assert result.exit_code == 0
    for name in ("spot", "half"):
        assert f"note: {name}: {fresh_home / 'domains' / name}" in result.stderr
        assert (
            next(line for line in result.stdout.splitlines() if line.startswith(name)).split()[1] == "damaged"
        )
    assert anchor("domains", "verify").exit_code == 1


def test_listing_a_hundred_domains_opens_each_manifest_once(fresh_home: Path, tmp_path: Path) -> None:
    folders = [fresh_home / "domains" / f"d{index}" for index in range(100)]
    made, hub = tiny_domain(folders[0]), tiny_hub(fresh_home / "hubs" / "tiny")
    few = watched_anchor(tmp_path / "few", "domains", "list")
    for folder in folders[1:]:
        folder.mkdir()
        for item in made.iterdir():
            (folder / item.name).write_bytes(item.read_bytes())
    many = watched_anchor(tmp_path / "many", "domains", "list")
    assert many.code == 0 and sum(" ready " in line for line in many.stdout.splitlines() if line[:1] == "d") >= 100
    assert many.below(fresh_home) == sorted(folder / "bundle.yaml" for folder in [*folders, hub])
    # Ninety-nine domains more: no folder is listed more often, nothing else is opened, imported or started.
    assert Counter(many.opened) - Counter(few.opened) == Counter(folder / "bundle.yaml" for folder in folders[1:])
    assert Counter(many.listed) == Counter(few.listed)
    assert many.modules == few.modules and not many.modules & set(HEAVY_MODULES) and many.started == []


def test_show(fresh_home: Path) -> None:
    tiny_hub(fresh_home / "hubs" / "tiny")
    result = anchor("hubs", "show", "tiny")
    assert result.exit_code == 0 and f"hub_fingerprint: {FINGERPRINT}" in result.stdout
    assert result.stdout.endswith("# tiny\n")
    shown = json.loads(anchor("hubs", "show", "tiny", "--json").stdout)
    assert shown["provenance"] == {"seed": 0, "rate": 0.001} and shown["bytes"] > 100
    assert anchor("hubs", "show", str(fresh_home / "hubs" / "tiny")).stdout == result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["domains", "show", "spto"], 2, "Did you mean 'spot'?"),
        (["domains", "show", "cat"], 2, "`anchor add-domain cat` trains it"),
        (["hubs", "show", "./nowhere"], 1, "nowhere: does not exist"),
        (["hubs", "remove", "absent"], 2, "no hub named 'absent'"),
        (["domains", "remove", "toon"], 2, "belongs to the plugin faces"),
        (["domains", "remove", "../spot"], 2, "Did you mean 'spot'?"),
        (["domains", "export", "spot", "-o", "spot.tar"], 2, "end the name in .zip"),
        (["hubs", "install", "absent.zip"], 1, "absent.zip: does not exist"),
        (["hubs", "show", "spot"], 2, "no hub is named 'spot': that is a domain; use `anchor domains`"),
        (["domains", "verify", "faces-64"], 2, "no domain is named 'faces-64': that is a hub"),
        (["domains", "export", "spot", "-o", "nowhere/"], 2, "nowhere: is no folder"),
        (["domains", "export", "spot", "-o", f"{__file__}/spot.zip"], 2, "is a file, not a folder; choose another"),
        (["translators", "remove", "spot", "--force"], 2, "No such option: --force"),
    ],
)
def test_errors_name_the_fix(fresh_home: Path, arguments: list[str], code: int, message: str) -> None:
    tiny_domain(fresh_home / "domains" / "spot")
    result = anchor(*arguments)
    assert result.exit_code == code and message in result.stderr and result.stderr.count("\n") == 1


def test_a_bundle_folder_right_here_needs_no_slash(
    fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.tiny_hub().save(fresh_home / "hubs" / "tiny")
    tiny.tiny_hub().save(tmp_path / "here")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "bundle.yaml").write_text("a registered name wins over a folder")
    monkeypatch.chdir(tmp_path)
    assert anchor("hubs", "verify", "here", "tiny").stdout == "here: ok\ntiny: ok\n"
    with (tmp_path / "here" / "bundle.yaml").open("a") as file:
        file.write("extra: 1\n")
    damaged = anchor("hubs", "show", "here")
    assert damaged.exit_code == 1 and "here/bundle.yaml: unknown key 'extra'" in damaged.stderr
    assert ".." not in damaged.stderr


def test_export_install_remove(fresh_home: Path, tmp_path: Path) -> None:
    hub = tiny.tiny_hub()
    domain = tiny.tiny_domain("face", hub)
    domain.name = "spot"
    domain.save(fresh_home / "domains" / "spot")
    assert anchor("domains", "export", "spot", "-o", str(tmp_path)).exit_code == 0
    again = anchor("domains", "export", "spot", "-o", str(tmp_path))
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    assert anchor("domains", "remove", "spot").exit_code == 0
    assert not (fresh_home / "domains" / "spot").exists()
    wrong = anchor("hubs", "install", str(tmp_path / "spot.zip"))
    assert wrong.exit_code == 2 and "anchor domains install" in wrong.stderr
    installed = anchor("domains", "install", str(tmp_path / "spot.zip"), "--name", "dot")
    assert installed.exit_code == 0 and "installed domain dot" in installed.stdout
    assert "note: its hub tiny" in installed.stderr and "(anchor hubs install)" in installed.stderr
    hub.save(fresh_home / "hubs" / "tiny")
    assert anchor("domains", "verify", "dot").stdout == "dot: ok\n"


def test_verify_names_the_file(fresh_home: Path) -> None:
    folder = tiny_hub(fresh_home / "hubs" / "tiny")
    data = bytearray((folder / "generator.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "generator.safetensors").write_bytes(data)
    result = anchor("hubs", "verify", "tiny")
    assert result.exit_code == 1 and result.stdout == "tiny: 1 problem(s)\n"
    assert f"error: {folder / 'generator.safetensors'}: is damaged" in result.stderr
    found = json.loads(anchor("hubs", "verify", "tiny", "--json").stdout)
    assert len(found["tiny"]) == 1
    doctor = anchor("doctor")
    assert doctor.exit_code == 1 and "generator.safetensors: is damaged" in doctor.stdout


def test_a_hub_in_use_stays(fresh_home: Path) -> None:
    tiny_hub(fresh_home / "hubs" / "tiny")
    tiny_domain(fresh_home / "domains" / "spot")
    result = anchor("hubs", "remove", "tiny")
    assert result.exit_code == 2 and "is used by the domains spot" in result.stderr
    assert anchor("hubs", "remove", "tiny", "--force").exit_code == 0
    assert "is not on this machine" in anchor("doctor").stdout or "is not here" in anchor("doctor").stdout


def test_a_hub_that_a_plugin_brings_too_may_go(fresh_home: Path) -> None:
    assert anchor("hubs", "install", str(registry().hubs["faces-64"].bundle)).exit_code == 0
    removed = anchor("hubs", "remove", "faces-64")
    assert removed.exit_code == 0, removed.output
    assert not (fresh_home / "hubs" / "faces-64").exists() and anchor("hubs", "show", "faces-64").exit_code == 0


def test_removing_what_is_not_there_suggests_and_leaves_nothing(fresh_home: Path) -> None:
    tiny_domain(fresh_home / "domains" / "spot")
    result = anchor("domains", "remove", "spott")
    assert result.exit_code == 2 and "Did you mean 'spot'?" in result.stderr and result.stderr.count("\n") == 1
    assert not (fresh_home / "locks").exists() and (fresh_home / "domains" / "spot").is_dir()
    assert "belongs to the plugin" in anchor("domains", "remove", "seg").stderr


def test_an_archive_may_go_into_a_folder_to_be_made(fresh_home: Path, tmp_path: Path) -> None:
    tiny_hub(fresh_home / "hubs" / "small")
    archive = tmp_path / "new" / "deeper" / "small.zip"
    assert anchor("hubs", "export", "small", "-o", str(archive)).exit_code == 0
    assert archive.is_file()
