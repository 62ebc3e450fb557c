"""`anchor invert` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from anchor_hub.inversion import read_latents
from tests.cli.running import anchor
from tests.tiny import SIZE, tiny_home, tiny_hub, write_sample


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny_home(tmp_path, monkeypatch)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for index in range(3):
        write_sample("face", folder / f"{index}.png", seed=index, size=SIZE * (index + 1))
    return folder


def invert(*arguments: object, code: int = 0) -> str:
    result = anchor("invert", "--device", "cpu", *map(str, arguments))
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def test_latents_and_sheet_are_written(home: Path, photos: Path) -> None:
    told = invert(
        photos, "--hub", "tiny", "--method", "factor", "--steps", 3, "--perceptual", "none", "--batch", 2,
        "-o", "w.safetensors", "--grid", "sheets/compare.png",
    )  # fmt: skip
    assert "2.png" in told and "mean" in told and "compared by: none" in told and "latents: w.safetensors" in told
    hub = tiny_hub()
    found = read_latents("w.safetensors", hub)
    assert found.latents.shape == (3, hub.num_latents, hub.latent_dim)
    assert found.record["names"] == ["0", "1", "2"] and found.record["method"] == "factor"
    assert found.record["options"]["steps"] == 3 and found.record["hub_fingerprint"] == hub.fingerprint
    assert found.record["perceptual"] == "none" and found.values["mse"].shape == (3,) and not found.noise
    with Image.open("sheets/compare.png") as sheet:
        assert sheet.width >= 3 * 256 and sheet.height >= 3 * 256


def test_the_same_command_writes_the_same_bytes_and_batches_change_rounding(home: Path, photos: Path) -> None:
    for name, extra in (("a", ()), ("b", ()), ("c", ("--batch", 1)), ("d", ("--seed", 5))):
        invert(photos, "--hub", "tiny", "--method", "projection", "--steps", 3, "--perceptual", "none",
               "-o", f"{name}.safetensors", *extra)  # fmt: skip
    first, again, split, other = (Path(f"{name}.safetensors").read_bytes() for name in "abcd")
    assert first == again and first != other
    assert torch.allclose(read_latents("a.safetensors").latents, read_latents("c.safetensors").latents, atol=1e-3)


def test_a_domains_encoder_is_a_method_and_a_start(home: Path, photos: Path) -> None:
    rows = {}
    for method in ("encoder", "encoder+w+", "encoder-w-plus"):
        steps = () if method == "encoder" else ("--steps", 5)
        told = json.loads(invert(photos / "0.png", "--domain", "face", "--method", method, *steps, "-o",
                                 "w.safetensors", "--json"))  # fmt: skip
        rows[method] = told["pictures"][0]["errors"]
        assert told["domain"] == "face"
    assert rows["encoder+w+"] == rows["encoder-w-plus"] < rows["encoder"] + 1


def test_noise_maps_are_kept_on_request(home: Path, photos: Path) -> None:
    invert(photos, "--hub", "tiny", "--method", "projection+", "--steps", 2, "--perceptual", "none", "--keep-noise",
           "-o", "w.safetensors")  # fmt: skip
    noise = read_latents("w.safetensors").noise
    assert [tuple(one.shape) for one in noise][:2] == [(3, 1, 4, 4), (3, 1, 8, 8)]
    assert noise[0].mean().abs() < 1e-5


def test_bad_files_are_named(home: Path, photos: Path) -> None:
    (photos / "1.png").write_bytes(b"no picture")
    assert "1.png" in invert(photos, "--hub", "tiny", "--steps", 1, "-o", "w.safetensors", code=1)
    assert not Path("w.safetensors").exists()
    told = invert(photos, "--hub", "tiny", "--steps", 1, "-o", "w.safetensors", "--skip-bad")
    assert "skipped:" in told and read_latents("w.safetensors").record["names"] == ["0", "2"]
    Path("empty").mkdir()
    assert "holds no readable file" in invert("empty", "--hub", "tiny", "-o", "w.safetensors", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--hub", "tiny"), "nothing to write"),
        (("-o", "w.safetensors"), "--hub NAME, or --domain NAME"),
        (("--hub", "tiny", "-o", "w.pt"), ".safetensors"),
        (("--hub", "tiny", "--grid", "sheet.jpg"), ".png"),
        (("--hub", "tiny", "-o", "w.safetensors", "--method", "factr"), "Did you mean 'factor'"),
        (("--hub", "tiny", "-o", "w.safetensors", "--method", "encoder"), "--domain NAME"),
        (("--domain", "seg", "-o", "w.safetensors"), "only colour pictures"),
        (("--hub", "tiny", "-o", "w.safetensors", "--set", "lrr=1"), "Did you mean 'lr'"),
        (("--hub", "tiny", "-o", "w.safetensors", "--steps", "3", "--set", "steps=4"), "--steps"),
        (("--hub", "tiny", "-o", "w.safetensors", "--method", "factor", "--perceptual", "vgg"), "lpips-vgg"),
        (("--hub", "tinny", "-o", "w.safetensors"), "Did you mean 'tiny'"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(home: Path, photos: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in invert(photos, *arguments, code=2)
    assert not Path("w.safetensors").exists()


def test_no_steps_give_the_mean_latent(home: Path, photos: Path) -> None:
    for method in ("w+", "factor", "projection"):
        invert(photos, "--hub", "tiny", "--method", method, "--steps", 0, "-o", "w.safetensors")
        hub = tiny_hub()
        assert torch.allclose(read_latents("w.safetensors", hub).latents, hub.mean_latent.expand(3, 6, -1), atol=1e-5)


def test_a_source_without_encoder_says_how_to_invert_it(home: Path, photos: Path) -> None:
    from tests.tiny import tiny_domain

    tiny_domain("face", tiny_hub(), encoder=None).save(home / "domains" / "bare")
    command = ("translate", photos, "--from", str(home / "domains" / "bare"), "--to", "seg", "-o", "out")
    refused = anchor(*map(str, command), "--device", "cpu")
    assert refused.exit_code == 1 and "--set inverter=factor" in refused.output
    done = anchor(*map(str, command), "--device", "cpu", "--set", "inverter={name: factor, steps: 2, perceptual: none}")
    assert done.exit_code == 0, done.output
    assert len(list(Path("out").glob("*.png"))) == 3
