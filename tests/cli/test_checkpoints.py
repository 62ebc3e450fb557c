"""`anchor hubs import`, `anchor domains import`, `anchor checkpoints inspect` as a user runs them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from anchor_hub.checkpoints.exporting import export_checkpoint
from anchor_hub.checkpoints.stylegan2_rosinality import to_theirs
from anchor_hub.errors import UsageError
from anchor_hub.hubs.loading import load_hub
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.checkpoints.makers import Calls
from tests.cli.running import anchor, anchor_process
from tests.parity import GOLDEN
from tests.tiny import tiny_generator

PICKLE = GOLDEN / "stylegan2_ada_pkl" / "network.pkl"
MANIFEST = json.loads((PICKLE.parent / "manifest.json").read_text("utf-8"))
PIXELS = MANIFEST["config"]["common"]["img_resolution"]


def small(path: Path) -> Path:
    """A rosinality file of 16 px."""
    generator = tiny_generator()
    torch.save({"g_ema": to_theirs(generator.state_dict(), generator.config)}, path)
    return path


def test_import_lists_and_shows(fresh_home):
    result = anchor("hubs", "import", str(PICKLE), "--name", "ada", "--license", "CC-BY-NC-4.0")
    assert result.exit_code == 0, result.output
    assert f"imported hub ada in {fresh_home / 'hubs' / 'ada'}" in result.stdout
    assert f"stylegan2-ada, {PIXELS} px" in result.stdout and "licence: CC-BY-NC-4.0" in result.stdout
    assert "unknown" not in result.output
    assert result.stdout.splitlines()[-2:] == [
        "look at it: anchor hubs sample ada --grid ada.png",
        "add a domain: anchor add-domain NAME --hub ada --data FOLDER --modality rgb",
    ]
    assert "ada" in anchor("hubs", "list").stdout
    shown = json.loads(anchor("hubs", "show", "ada", "--json").stdout)
    assert shown["license"] == {"weights": "CC-BY-NC-4.0", "data": "unknown"}
    assert shown["provenance"]["file"] == "network.pkl" and len(shown["provenance"]["sha256"]) == 64
    assert str(PICKLE.parent) not in json.dumps(shown["provenance"]), "paths of this machine are nobody's business"
    assert "CC-BY-NC-4.0" in shown["card"]
    assert anchor("hubs", "verify", "ada").exit_code == 0


def test_an_unknown_licence_is_shown(fresh_home, tmp_path):
    result = anchor("hubs", "import", str(small(tmp_path / "a.pt")), "--name", "small", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and found["license"] == "unknown" and found["family"] == "stylegan2"
    assert any("mean latent" in note for note in found["notes"])
    shown = anchor("hubs", "show", "small").stdout
    assert "Licence of the weights: unknown: find out before you share it" in shown
    again = anchor("hubs", "import", str(tmp_path / "a.pt"), "--name", "small", "--overwrite")
    assert again.exit_code == 0 and "again with --license TEXT --overwrite to state it" in again.stderr


def test_refusals_change_nothing(fresh_home, tmp_path):
    path = small(tmp_path / "a.pt")
    evil = tmp_path / "evil.pt"
    torch.save({"g_ema": Calls(os.system, f"touch {tmp_path / 'ran'}")}, evil)
    text = tmp_path / "page.pt"
    text.write_text("<!DOCTYPE html>")
    assert anchor("hubs", "import", str(path), "--name", "taken").exit_code == 0
    before = sorted(item for item in fresh_home.rglob("*"))
    for arguments, code, words in (
        ([str(evil), "--name", "x"], 1, "asks to run"),
        ([str(text), "--name", "x"], 1, "web page"),
        ([str(tmp_path / "none"), "--name", "x"], 1, "no such file"),
        ([str(path), "--name", "../x"], 2, "name"),
        ([str(path), "--name", "taken"], 2, "exists already; choose another --name"),
        ([str(path), "--name", "x", "-o", str(fresh_home)], 2, "exists and is no bundle"),
        ([str(path), "--name", "x", "-o", str(fresh_home), "--overwrite"], 2, "is not replaced"),
        ([str(path), "--name", "x", "-o", str(text), "--overwrite"], 2, "is a file"),
        ([str(path), "--name", "x", "-o", str(text / "x")], 2, "is a file, not a folder"),
        ([str(path), "--name", "x", "-o", str(fresh_home / "hubs" / "taken")], 2, "choose another folder or pass"),
        ([str(path)], 2, "--name"),
        ([str(path), "--name", "x", "--discriminator", str(path)], 1, "holds no StyleGAN2 discriminator"),
        ([str(path), "--name", "x", "--discriminator", str(evil)], 1, "asks to run"),
    ):
        result = anchor("hubs", "import", *arguments)
        assert result.exit_code == code, (arguments, result.output)
        assert words in result.stderr and "Traceback" not in result.output
        assert result.stderr.count("error:") <= 1
    assert sorted(item for item in fresh_home.rglob("*")) == before and not (tmp_path / "ran").exists()


def test_inspect(tmp_path):
    result = anchor("checkpoints", "inspect", str(PICKLE))
    assert result.exit_code == 0, result.output
    for words in ("a pickle of NVIDIA's kind", f"family stylegan2-ada: a generator of {PIXELS} px", "G_ema.mapping"):
        assert words in result.stdout
    lines = anchor("checkpoints", "inspect", "--all", str(PICKLE)).stdout.splitlines()
    assert any(line.split()[:2] == ["G_ema.synthesis.b8.conv0.weight", "float32"] for line in lines)
    found = json.loads(anchor("checkpoints", "inspect", "--json", str(PICKLE)).stdout)
    assert found["family"] == "stylegan2-ada" and found["problems"] == []
    assert len(found["entries"]) > len(MANIFEST["params"])


def test_inspect_says_why_not(tmp_path):
    path = tmp_path / "odd.pt"
    torch.save({"model": {"a": torch.zeros(2, 3)}, "epoch": 4}, path)
    result = anchor("checkpoints", "inspect", str(path))
    assert result.exit_code == 1 and "none that is supported" in result.stdout and "[2, 3]" in result.stdout
    assert "it holds model (of a ...), epoch" in result.stderr
    torch.save({"model": {"a": torch.zeros(2, 3)}, "x": Calls(os.system, f"touch {tmp_path / 'ran'}")}, path)
    result = anchor("checkpoints", "inspect", str(path))
    assert result.exit_code == 1 and "asks to run" in result.stderr and "model.a" in result.stdout
    assert not (tmp_path / "ran").exists()
    (tmp_path / "a.txt").write_text("hello")
    result = anchor("checkpoints", "inspect", str(tmp_path / "a.txt"))
    assert result.exit_code == 1 and result.stderr.strip().endswith("a folder with config.json")


@pytest.mark.parametrize(
    "command", [["hubs", "import"], ["domains", "import"], ["checkpoints"], ["checkpoints", "inspect"]]
)
def test_help_is_light(command):
    done = anchor_process(*command, "--help", code="assert 'torch' not in sys.modules, 'torch'")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and sys.executable


def test_domains_import_needs_its_own_hub(fresh_home, tmp_path):
    generator = tiny_generator()
    state = to_theirs(generator.state_dict(), generator.config)
    release = tmp_path / "seg.pt"
    decoder = {f"decoder.{name}": value for name, value in state.items()}
    torch.save({"translator": decoder, "opts": {}, "latent_avg": None}, release)
    assert anchor("hubs", "import", str(release), "--name", "small").exit_code == 0
    result = anchor("domains", "import", str(release), "--name", "seg", "--hub", "small")
    assert result.exit_code == 1 and "neither encoder nor regressor" in result.stderr
    result = anchor("domains", "import", str(release), "--name", "seg", "--hub", "faces-64")
    assert result.exit_code == 1 and "is not hub 'faces-64'" in result.stderr
    result = anchor("domains", "import", str(release), "--name", "seg", "--hub", "none")
    assert result.exit_code == 2 and "no hub is named 'none'" in result.stderr
    missing = ("domains", "import", str(tmp_path / "none.pt"), "--name", "seg")
    result = anchor(*missing, "--hub", "smal")
    assert result.exit_code == 2 and "no hub is named 'smal'" in result.stderr
    result = anchor(*missing, "--hub", "small", "--modality", "rgbb")
    assert result.exit_code == 2 and "no modality is named 'rgbb'" in result.stderr
    small = str(fresh_home / "hubs" / "small")
    result = anchor(*missing, "--hub", "small", "-o", small, "--overwrite")
    assert result.exit_code == 2 and "is a hub, which a domain does not replace" in result.stderr
    result = anchor("domains", "import", str(PICKLE), "--name", "seg", "--hub", "small")
    assert result.exit_code == 1 and "of no supported layout" in result.stderr
    assert "Supported: latent-space-anchoring-domain: a release of latent-space anchoring, a dict with" in result.stderr


@pytest.mark.parametrize("layout", ["rosinality", "state-dict"])
def test_an_exported_hub_comes_back_with_its_fingerprint(fresh_home, tmp_path, layout):
    file = tmp_path / "g.pt"
    result = anchor("hubs", "export-checkpoint", "faces-64", "-o", str(file), "--layout", layout)
    assert result.exit_code == 0, result.output
    assert ("g_ema, latent_avg, d" if layout == "rosinality" else "the generator") in result.stdout
    assert anchor("hubs", "import", str(file), "--name", "again", "--license", "Apache-2.0").exit_code == 0
    first, second = load_hub("faces-64", "cpu"), load_hub("again", "cpu")
    assert first.fingerprint == second.fingerprint
    latents = first.sample(2, seed=1)
    assert torch.equal(first.image(latents), second.image(latents))
    if layout == "rosinality":
        critics = first.discriminator().state_dict(), second.discriminator().state_dict()
        assert critics[0].keys() == critics[1].keys()
        assert all(torch.equal(value, critics[1][name]) for name, value in critics[0].items())
    again = anchor("hubs", "export-checkpoint", "faces-64", "-o", str(file))
    assert again.exit_code == 2 and "exists already" in again.output


def test_what_no_checkpoint_holds_is_refused(fresh_home, tmp_path):
    for arguments, said in (
        (["hands-64"], "is a biggan that rosinality's layout cannot hold"),
        (["faces-64", "--layout", "nvidia"], "there is no 'nvidia'"),
    ):
        result = anchor("hubs", "export-checkpoint", *arguments, "-o", str(tmp_path / "x.pt"))
        assert result.exit_code == 2 and said in " ".join(result.output.split())
        assert not (tmp_path / "x.pt").exists()


@pytest.mark.parametrize("options", [{"classes": 3}, {"z_dim": 8}])
def test_generators_with_classes_or_another_z_are_refused_alike(options, monkeypatch, tmp_path):
    config = StyleGAN2Config(16, latent_dim=32, **options)
    hub = SimpleNamespace(name="odd", config=config, generator=Generator(config), architecture=lambda: {"name": "odd"})
    monkeypatch.setattr("anchor_hub.checkpoints.exporting.load_hub", lambda name, device: hub)
    with pytest.raises(UsageError, match="anchor hubs export odd writes it as a bundle"):
        export_checkpoint("odd", tmp_path / "x.pt")
