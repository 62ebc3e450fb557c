"""`anchor synthesize` as a user types it."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from anchor_hub.domains.decoding import decode_all, load_domains
from anchor_hub.hubs.loading import load_hub
from anchor_hub.system.config import load_yaml
from anchor_hub.translation.request import Session, TranslationRequest
from tests.cli.test_translate import anchor, files
from tests.hubs.test_base import counted_layers
from tests.tiny import SIZE, tiny_home


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny_home(tmp_path, monkeypatch)


def synthesize(*arguments: object, code: int = 0, domains: str = "face,seg,sketch") -> str:
    return anchor("synthesize", "--domains", domains, "--device", "cpu", *arguments, code=code)


def test_every_domain_has_the_same_files(home, tmp_path):
    synthesize("-n", 5, "-o", "set", "--batch", 2, "--grid", "grid.png")
    names = [f"{index:06d}.png" for index in range(5)]
    for domain in ("face", "seg", "sketch"):
        assert sorted(path.name for path in (tmp_path / "set" / domain).iterdir()) == names
    table = load_yaml(tmp_path / "set" / "dataset.yaml")
    assert (table["hub"], table["count"], table["seed"], table["size"]) == ("tiny", 5, 0, SIZE)
    assert table["domains"]["seg"]["modality"]["classes"] == 5
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.height >= 5 * 4 * SIZE and sheet.width >= 3 * 4 * SIZE


def test_pictures_are_those_of_the_stored_latents(home, tmp_path):
    synthesize("-n", 3, "-o", "set", "--seed", 4, "--truncation", 0.5)
    latents = load_file(tmp_path / "set" / "latents.safetensors")["w"]
    assert latents.shape == (3, 16)
    face = load_domains(["face"], "cpu")[0]
    (samples,) = decode_all([face], latents)
    stored = torch.stack(
        [face.modality.read(tmp_path / "set" / "face" / f"{i:06d}.png", SIZE) for i in range(3)]
    )
    assert torch.equal(samples, stored)
    spread = (latents - load_hub("tiny", "cpu").mean_latent).norm()
    synthesize("-n", 3, "-o", "wide", "--seed", 4)
    wide = load_file(tmp_path / "wide" / "latents.safetensors")["w"]
    assert torch.allclose(2 * spread, (wide - load_hub("tiny", "cpu").mean_latent).norm(), rtol=1e-4)


def test_the_same_bytes_whatever_the_number(home, tmp_path):
    synthesize("-n", 4, "-o", "one", "--seed", 2, "--batch", 4)
    synthesize("-n", 4, "-o", "two", "--seed", 2, "--batch", 4)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    synthesize("-n", 6, "-o", "more", "--seed", 2, "--batch", 4)
    few, more = (load_file(tmp_path / name / "latents.safetensors")["w"] for name in ("one", "more"))
    assert torch.allclose(few, more[:4], atol=1e-6)


def test_the_hub_runs_once_and_no_further_than_needed(home):
    sketch, seg = load_domains(["sketch", "decode-only"], "cpu")
    ran = counted_layers(sketch.hub)
    decode_all([sketch, seg], sketch.hub.sample(2, seed=0))
    assert ran == [4, 8, 8]


def test_synthesized_files_can_be_translated(home, tmp_path):
    synthesize("-n", 2, "-o", "set", domains="seg")
    anchor("translate", "--from", "seg", "--to", "face", "set/seg", "-o", "faces", "--device", "cpu")
    assert sorted(files(tmp_path / "faces")) == ["000000.png", "000001.png"]


def test_json(home):
    data = json.loads(synthesize("-n", 2, "-o", "set", "--json"))
    assert data["folder"] == "set" and data["hub"] == "tiny"


def test_wrong_calls(home, tmp_path):
    assert "has no decoder" in synthesize("-o", "set", domains="face,encode-only", code=1)
    assert "Did you mean 'face'" in synthesize("-o", "set", domains="fase", code=2)
    assert "named twice" in synthesize("-o", "set", domains="face,face", code=2)
    assert "at least one" in synthesize("-o", "set", domains=" , ", code=2)
    assert "ending in .png" in synthesize("-o", "set", "--grid", "g.jpg", code=2)
    assert not (tmp_path / "set").exists()


def test_a_folder_in_use_is_not_replaced(home, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("precious")
    assert "is not empty" in synthesize("-n", 1, "-o", "set", code=2)
    assert "no data set of this command" in synthesize("-n", 1, "-o", "set", "--overwrite", code=2)
    assert files(tmp_path / "set") == {"mine.txt": b"precious"}
    (tmp_path / "new").mkdir()
    synthesize("-n", 2, "-o", "new")
    assert "pass --overwrite" in synthesize("-n", 1, "-o", "new", code=2)
    synthesize("-n", 1, "-o", "new", "--overwrite")
    assert len(list((tmp_path / "new" / "face").iterdir())) == 1


def test_a_run_reads_what_synthesis_wrote(home, tmp_path):
    from anchor_hub.translation.anchor import translator

    synthesize("-n", 1, "-o", "set")
    run = Session(translator("seg", "face", device="cpu"), TranslationRequest(source="seg", target="face"))
    sample = run.read(tmp_path / "set" / "seg" / "000000.png")
    assert sample.shape == (1, SIZE, SIZE)
    assert run.compute([sample], [0])[0][0].shape == (3, SIZE, SIZE)


def test_one_is_no_plural(home, tmp_path):
    assert "1 latent in 1 domain written to" in synthesize("-n", 1, "-o", "one", domains="face")
