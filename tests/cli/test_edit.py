"""`anchor edit` and `anchor morph` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anchor_finetune.domain import FineTunedDomain
from anchor_hub.inversion.factor import factorise
from anchor_hub.modality import build_modality
from anchor_hub.plugins.registry import registry
from tests.cli.running import anchor
from tests.tiny import SIZE, tiny_biggan, tiny_generator, tiny_home, tiny_hub, write_sample

STEP = ("--strength", "-2..2", "--steps", 3)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    home = tiny_home(tmp_path, monkeypatch, domains=("face", "seg", "encode-only"))
    FineTunedDomain("toon-ft", build_modality({"name": "rgb"}), tiny_hub(), tiny_generator(seed=1)).save(
        home / "domains/toon-ft"
    )
    registry.cache_clear()
    for number in range(3):
        write_sample("face", tmp_path / f"{number}.png", seed=number)
        write_sample("seg", tmp_path / f"mask{number}.png", seed=number)
    return home


def run(*arguments: object, code: int = 0) -> str:
    result = anchor(*(str(argument) for argument in arguments))
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def edit(*arguments: object, code: int = 0, source: str = "face") -> str:
    return run("edit", "--from", source, "--device", "cpu", *arguments, code=code)


def morph(*arguments: object, code: int = 0, source: str = "face") -> str:
    return run("morph", "--from", source, "--device", "cpu", *arguments, code=code)


def translate(name: str, target: str, output: str, *more: object, source: str = "face") -> np.ndarray:
    run("translate", "--from", source, "--to", target, name, "-o", output, "--device", "cpu", *more)
    return pixels(output)


# -- edit


@pytest.mark.parametrize("target", ["face", "toon-ft"])
def test_strength_0_is_the_translation_itself(home: Path, target: str) -> None:
    expected = translate("0.png", target, "translated.png")
    edit("--to", target, "--direction", 1, *STEP, "0.png", "-o", "out", "--grid", "sheet.png")
    found = [pixels(f"out/0-strength{number}.png") for number in (1, 2, 3)]
    assert np.array_equal(found[1], expected)
    assert not np.array_equal(found[0], expected) and not np.array_equal(found[0], found[2])
    assert pixels("sheet.png").shape[1] >= 4 * 4 * SIZE


def test_the_source_itself_is_the_default_and_the_hub_where_it_has_no_decoder(home: Path) -> None:
    edit("--direction", 0, "--strength", 0, "0.png", "-o", "own.png")
    assert np.array_equal(pixels("own.png"), translate("0.png", "face", "translated.png"))
    edit("--direction", 0, "--strength", 1, "mask0.png", "-o", "hub.png", source="encode-only")
    expected = translate("mask0.png", "face", "face.png", source="encode-only")
    edit("--direction", 0, "--strength", 0, "mask0.png", "-o", "same.png", source="encode-only")
    assert np.array_equal(pixels("same.png"), expected) and not np.array_equal(pixels("hub.png"), expected)


def test_a_style_comes_along(home: Path) -> None:
    expected = translate("mask0.png", "face", "styled.png", "--seed", 4, source="seg")
    edit("--to", "face", "--direction", 0, "--strength", 0, "--seed", 4, "mask0.png", "-o", "e.png", source="seg")
    assert np.array_equal(pixels("e.png"), expected)


def test_layers_and_several_files(home: Path) -> None:
    edit("--direction", 0, "--strength", 2, "0.png", "1.png", "-o", "all")
    edit("--direction", 0, "--strength", 2, "--layers", "0-1", "0.png", "1.png", "-o", "some")
    edit("--direction", 0, "--strength", 2, "--layers", "0-5", "0.png", "1.png", "-o", "every")
    names = sorted(path.name for path in Path("all").iterdir())
    assert names == ["0.png", "1.png"]
    for name in names:
        assert not np.array_equal(pixels(f"all/{name}"), pixels(f"some/{name}"))
        assert np.array_equal(pixels(f"all/{name}"), pixels(f"every/{name}"))


def test_a_published_factor_file(home: Path, tmp_path: Path) -> None:
    vectors = factorise(tiny_hub()).vectors.float()
    torch.save({"ckpt": "x.pt", "eigvec": vectors}, tmp_path / "factor.pt")
    edit("--direction", 2, "--strength", 1, "0.png", "-o", "own.png")
    edit("--direction", 2, "--strength", 1, "--factor", "factor.pt", "0.png", "-o", "published.png")
    assert np.abs(pixels("own.png").astype(int) - pixels("published.png")).max() <= 1
    torch.save({"ckpt": "x.pt", "eigvec": torch.eye(3)}, tmp_path / "small.pt")
    said = edit("--direction", 2, "--strength", 1, "--factor", "small.pt", "0.png", "-o", "x.png", code=1)
    assert "directions of 3 numbers" in said
    rows = json.loads(run("edit", "--list", "--hub", "tiny", "--factor", "factor.pt", "--json"))["directions"]
    assert len(rows) == 10 and rows[0]["singular value"] == ""


def test_a_source_without_an_encoder_is_inverted(home: Path) -> None:
    assert "no encoder" in edit("--direction", 0, "0.png", "-o", "x", source="toon-ft", code=1)
    edit("--direction", 0, *STEP, "--invert", 2, "--set", "inverter=w", "0.png", "-o", "out", source="toon-ft")
    assert len(list(Path("out").iterdir())) == 3


def test_the_sheet_of_directions(home: Path) -> None:
    output = run("edit", "--list", "--hub", "tiny", "--grid", "d.png", "--count", 4, *STEP)
    assert output.splitlines()[0].split() == ["NUMBER", "DEVIATION", "SINGULAR", "VALUE"]
    assert [line.split()[0] for line in output.splitlines()[1:5]] == ["0", "1", "2", "3"]
    scale = 128 // SIZE
    height, width, _ = pixels("d.png").shape
    assert width > 3 * scale * SIZE and height > 4 * scale * SIZE
    run("edit", "--list", "--to", "toon-ft", "--grid", "toon.png", "--count", 4, *STEP)
    assert not np.array_equal(pixels("toon.png"), pixels("d.png"))
    assert "directions come from" in zoo(home)


def zoo(home: Path) -> str:
    tiny_biggan().save(home / "hubs/zoo")
    registry.cache_clear()
    return run("edit", "--list", "--hub", "zoo", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0.png", "-o", "x"), "say which direction"),
        (("--direction", 16, "0.png", "-o", "x"), "directions 0 to 15, not 16"),
        (("--direction", 0, "--strength", "a..b", "0.png", "-o", "x"), "a range such as -3..3"),
        (("--direction", 0, "--steps", 1, "0.png", "-o", "x"), "needs 2 pictures"),
        (("--direction", 0, "--layers", "9", "0.png", "-o", "x"), "--layers '9': this hub has layers 0 to 5"),
        (("--direction", 0, "0.png"), "nothing to write"),
        (("--direction", 0, "--hub", "tiny", "0.png", "-o", "x"), "--list"),
        (("--list", "0.png"), "leave the pictures out"),
        (("--direction", 0, "--invert", 2, "--set", "invert=3", "0.png", "-o", "x"), "also given as --invert"),
    ],
)
def test_wrong_calls_of_edit(home: Path, arguments: tuple[object, ...], message: str) -> None:
    assert message in edit(*arguments, code=2)
    assert not Path("x").exists()


def test_calls_without_a_source(home: Path) -> None:
    assert "--from DOMAIN" in run("edit", "0.png", "--direction", 0, "-o", "x", code=2)
    assert "--hub HUB" in run("edit", "--list", code=2)


# -- morph


def test_the_first_and_the_last_frame_are_the_translations(home: Path) -> None:
    assert "9 frames" in morph("--to", "toon-ft", "0.png", "1.png", "2.png", "--frames", 4, "-o", "frames")
    names = sorted(path.name for path in Path("frames").iterdir())
    assert names == [f"{number:04}.png" for number in range(9)]
    for frame, number in ((0, 0), (4, 1), (8, 2)):
        expected = translate(f"{number}.png", "toon-ft", "translated.png").astype(int)
        assert np.abs(pixels(f"frames/{names[frame]}") - expected).max() <= 1
    assert not np.array_equal(pixels("frames/0001.png"), pixels("frames/0000.png"))


def test_a_loop_ends_beside_its_beginning(home: Path) -> None:
    morph("0.png", "1.png", "--frames", 4, "--loop", "-o", "loop")
    assert len(list(Path("loop").iterdir())) == 8
    # There and back on one line.
    for there, back in ((1, 7), (2, 6), (3, 5)):
        difference = pixels(f"loop/{there:04}.png").astype(int) - pixels(f"loop/{back:04}.png")
        assert np.abs(difference).max() <= 1


def test_easing_is_slow_at_the_pictures(home: Path) -> None:
    from anchor_hub.editing.morph import positions

    shares = [share for _, _, share in positions(2, 8, ease=True)]
    steps = np.diff(shares)
    assert shares[0] == 0 and shares[-1] == 1 and shares[4] == 0.5
    assert steps[0] == steps.min() and steps[3] == steps.max() and np.allclose(steps, steps[::-1])


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
def test_animations(home: Path, suffix: str) -> None:
    options = ("0.png", "1.png", "--frames", 3, "--fps", 10, "--scale", 2)
    morph(*options, "-o", f"m{suffix}")
    morph(*options, "-o", f"again{suffix}")
    assert Path(f"m{suffix}").read_bytes() == Path(f"again{suffix}").read_bytes()
    with Image.open(f"m{suffix}") as picture:
        assert picture.n_frames == 4 and picture.size == (2 * SIZE, 2 * SIZE)
        assert picture.info.get("duration", 100) == 100 and picture.info.get("loop") == 0
        if suffix != ".gif":
            picture.seek(0)
            morph("0.png", "1.png", "--frames", 3, "-o", "frames")
            large = np.kron(pixels("frames/0000.png"), np.ones((2, 2, 1), np.uint8))
            assert np.array_equal(np.asarray(picture.convert("RGB")), large)


def test_label_maps_are_shown_in_their_colours(home: Path) -> None:
    morph("mask0.png", "mask1.png", "--frames", 2, "-o", "masks.png", source="seg")
    with Image.open("masks.png") as picture:
        assert picture.mode in ("RGB", "RGBA", "P") and picture.n_frames >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0.png", "-o", "m.gif"), "two files at least"),
        (("0.png", "1.png", "-o", "m.mp4"), "written as .gif"),
        (("0.png", "1.png", "-o", "."), "is in use"),
    ],
)
def test_wrong_calls_of_morph(home: Path, arguments: tuple[object, ...], message: str) -> None:
    assert message in morph(*arguments, code=2)
