"""What `anchor invert` wrote, edited and morphed; and what is said of sources without an encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_finetune.domain import FineTunedDomain
from anchor_hub.editing import directions_of
from anchor_hub.inversion.latents import LatentFile, read_latents
from anchor_hub.modality import build_modality
from anchor_hub.modality.pictures import from_unit
from anchor_hub.plugins.registry import registry
from tests.cli.running import anchor
from tests.tiny import SIZE, tiny_biggan, tiny_generator, tiny_home, tiny_hub, write_sample


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    home = tiny_home(tmp_path, monkeypatch, domains=("face", "seg"))
    FineTunedDomain("toon-ft", build_modality({"name": "rgb"}), tiny_hub(), tiny_generator(seed=1)).save(
        home / "domains/toon-ft"
    )
    registry.cache_clear()
    for number in range(2):
        write_sample("face", tmp_path / f"{number}.png", seed=number)
    return home


def run(*arguments: object, code: int = 0) -> str:
    device = () if "--list" in arguments else ("--device", "cpu")
    result = anchor(*(str(argument) for argument in (*arguments, *device)))
    assert result.exit_code == code, result.output + repr(result.exception)
    return " ".join(result.output.split())


def inverted(*arguments: object) -> None:
    given = arguments or ("--hub", "tiny", "--method", "w", "--steps", 2)
    run("invert", "0.png", "1.png", "-o", "w.safetensors", *given)


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_latents_are_edited_as_often_as_wanted(home: Path) -> None:
    inverted()
    run("edit", "w.safetensors", "--direction", 1, "--strength", 0, "-o", "still")
    run("edit", "w.safetensors", "--hub", "tiny", "--direction", 1, "--strength", 2, "-o", "moved", "--grid", "s.png")
    assert sorted(path.name for path in Path("moved").iterdir()) == ["0.png", "1.png"]
    hub, latents = tiny_hub(), read_latents("w.safetensors").latents
    shifted = directions_of(hub).moved(latents, 1, 2.0)
    for folder, codes in (("still", latents), ("moved", shifted)):
        for number, picture in enumerate(from_unit(hub.image(codes))):
            expected = picture.permute(1, 2, 0).numpy().astype(int)
            assert np.abs(pixels(f"{folder}/{number}.png") - expected).max() <= 1
    # The sheet's first column is what the latents show before they move.
    assert pixels("s.png").shape[1] >= 2 * SIZE
    run("edit", "w.safetensors", "--to", "toon-ft", "--direction", 1, "--strength", 0, "-o", "toon")
    assert not np.array_equal(pixels("toon/0.png"), pixels("still/0.png"))
    run("edit", "w.safetensors", "--direction", 1, "--strength", 0, "--seed", 3, "-o", "styled")
    assert not np.array_equal(pixels("styled/0.png"), pixels("still/0.png"))


def test_latents_of_a_fine_tuned_domain_are_decoded_by_it(home: Path) -> None:
    inverted("--domain", "toon-ft", "--method", "w", "--steps", 2)
    record = read_latents("w.safetensors").record
    assert (record["hub"], record["domain"]) == ("tiny", "toon-ft")
    run("edit", "w.safetensors", "--direction", 0, "--strength", 0, "-o", "own")
    run("edit", "w.safetensors", "--to", "toon-ft", "--direction", 0, "--strength", 0, "-o", "named")
    assert np.array_equal(pixels("own/0.png"), pixels("named/0.png"))


def test_latents_are_morphed(home: Path) -> None:
    inverted()
    assert "5 frames" in run("morph", "w.safetensors", "--frames", 4, "-o", "frames", "--to", "face")
    (middle,) = from_unit(tiny_hub().image(read_latents("w.safetensors").latents.mean(0, keepdim=True)))
    assert np.abs(pixels("frames/0002.png") - middle.permute(1, 2, 0).numpy().astype(int)).max() <= 1


def test_latents_of_another_hub_are_refused_with_both_fingerprints(home: Path) -> None:
    inverted()
    other = tiny_hub(seed=5, name="other")
    other.save(home / "hubs/other")
    registry.cache_clear()
    for command in (("edit", "--direction", 0, "-o", "x"), ("morph", "-o", "x.gif")):
        said = run(*command, "w.safetensors", "--hub", "other", code=1)
        assert tiny_hub().fingerprint[:12] in said and other.fingerprint[:12] in said and "w.safetensors" in said
    Path("w.safetensors").write_bytes(b"nothing")
    assert "w.safetensors" in run("edit", "w.safetensors", "--direction", 0, "-o", "x", code=1)


def test_names_in_a_file_of_latents_stay_in_the_folder(home: Path) -> None:
    hub = tiny_hub()
    record = {"hub": "tiny", "hub_fingerprint": hub.fingerprint, "names": ["../out", "/tmp/out", "in/side"]}
    found = LatentFile(hub.expand(hub.sample(3, seed=1)), record)
    Path("w.safetensors").write_bytes(found.to_bytes())
    run("edit", "w.safetensors", "--direction", 0, "--strength", 1, "-o", "here")
    written = sorted(path.relative_to("here").as_posix() for path in Path("here").rglob("*.png"))
    assert written == ["in/side.png", "w-1.png", "w-2.png"]


def test_published_latents(home: Path) -> None:
    code = tiny_hub().sample(1, seed=3)
    torch.save({"a/photo.png": {"img": torch.zeros(1), "latent": code[0], "weight": code[0], "noise": []}}, "r.pt")
    assert "--hub NAME" in run("edit", "r.pt", "--direction", 0, "-o", "x", code=2)
    run("edit", "r.pt", "--hub", "tiny", "--direction", 0, "--strength", 0, "-o", "x.png")
    (expected,) = from_unit(tiny_hub().image(code))
    assert np.abs(pixels("x.png") - expected.permute(1, 2, 0).numpy().astype(int)).max() <= 1


def test_the_class_of_a_class_conditional_hub(home: Path) -> None:
    tiny_biggan().save(home / "hubs/zoo")
    registry.cache_clear()
    search = ("0.png", "1.png", "--hub", "zoo", "--method", "w-plus", "--steps", 2)
    assert "--class 'cat'" in run("invert", *search, "-o", "none.safetensors", code=2)
    for kind in ("dog", "hen"):
        run("invert", *search, "--class", kind, "-o", f"{kind}.safetensors")
    dog, hen = (read_latents(f"{kind}.safetensors") for kind in ("dog", "hen"))
    assert dog.record["class"] == "dog" and not torch.equal(dog.latents, hen.latents)
    run("morph", "dog.safetensors", "--frames", 1, "-o", "frames")
    expected = from_unit(tiny_biggan().of_class("dog").image(dog.latents))[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(pixels("frames/0000.png") - expected).max() <= 1
    assert "2 classes (dog, hen)" in run("morph", "dog.safetensors", "hen.safetensors", "-o", "x.gif", code=2)
    Path("nameless.safetensors").write_bytes(LatentFile(dog.latents, {**dog.record, "class": None}).to_bytes())
    assert "of which class" in run("morph", "nameless.safetensors", "-o", "x.gif", code=1)
    assert "leave" in run("invert", "0.png", "--hub", "tiny", "--class", "dog", "-o", "x.safetensors", code=2)
    said = run("invert", "0.png", "--domain", "face", "--class", "dog", "-o", "x.safetensors", code=2)
    assert "--class says" in said and not Path("x.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "face"), "--from: w.safetensors holds latents"),
        (("--invert", 3), "--invert: w.safetensors"),
        (("--set", "inverter=w"), "--set: w.safetensors"),
        (("0.png",), "give one kind"),
    ],
)
def test_wrong_calls(home: Path, arguments: tuple[object, ...], message: str) -> None:
    inverted()
    for command in (("edit", "--direction", 0, "-o", "x"), ("morph", "-o", "x.gif")):
        assert message in run(*command, "w.safetensors", *arguments, code=2)
    assert not Path("x").exists()


def test_pictures_need_a_source(home: Path) -> None:
    assert "--from DOMAIN" in run("morph", "0.png", "1.png", "-o", "x.gif", code=2)
    assert "leave it out" in run("morph", "0.png", "1.png", "--from", "face", "--hub", "tiny", "-o", "x.gif", code=2)


@pytest.mark.parametrize(
    "command",
    [
        ("translate", "0.png", "--from", "toon-ft", "--to", "face", "-o", "x.png"),
        ("edit", "0.png", "--from", "toon-ft", "--direction", 0, "-o", "x"),
        ("morph", "0.png", "1.png", "--from", "toon-ft", "-o", "x.gif"),
    ],
)
def test_a_source_without_an_encoder_says_how_it_is_inverted(home: Path, command: tuple[object, ...]) -> None:
    said = run(*command, code=1)
    assert "'toon-ft' has no encoder" in said and "--invert 200 or --set inverter=factor" in said
    run(*command, "--invert", 1)


def test_json_names_every_output(home: Path) -> None:
    inverted()
    result = anchor("edit", "w.safetensors", "--direction", "0", "--strength", "1", "-o", "out", "--json")
    rows = json.loads(result.stdout)["results"]
    assert [row["outputs"] for row in rows] == [["out/0.png"], ["out/1.png"]]
