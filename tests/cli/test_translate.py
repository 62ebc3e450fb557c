"""`anchor translate` as a user types it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anchor_cli.main import app
from tests.tiny import SIZE, tiny_domain, tiny_home, tiny_hub, write_sample


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny_home(tmp_path, monkeypatch)


@pytest.fixture
def masks(tmp_path):
    folder = tmp_path / "masks"
    for index in range(3):
        write_sample("seg", folder / f"{index}.png", seed=index, size=SIZE * (index + 1))
    return folder


def anchor(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def translate(*arguments: object, code: int = 0, source: str = "seg", target: str = "face") -> str:
    return anchor("translate", "--from", source, "--to", target, "--device", "cpu", *arguments, code=code)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_folder_becomes_a_folder_of_the_same_names(home, masks, tmp_path):
    output = translate(masks, "-o", "out")
    assert "3 files written to out" in output
    assert sorted(files(tmp_path / "out")) == ["0.png", "1.png", "2.png"]
    with Image.open(tmp_path / "out" / "0.png") as picture:
        assert picture.size == (SIZE, SIZE) and picture.mode == "RGB"


def test_the_same_command_twice_writes_the_same_bytes(home, masks, tmp_path):
    arguments = (masks, "--styles", 2, "--seed", 7, "--truncation", 0.8)
    translate(*arguments, "-o", "one", "--grid", "one.png")
    translate(*arguments, "-o", "two", "--grid", "two.png")
    assert files(tmp_path / "one") == files(tmp_path / "two") and len(files(tmp_path / "one")) == 6
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    translate(masks, "--styles", 2, "--seed", 8, "-o", "three")
    assert files(tmp_path / "one").keys() == files(tmp_path / "three").keys()
    assert files(tmp_path / "one") != files(tmp_path / "three")


def test_corrections_are_an_option_of_the_anchor_backend(home, masks, tmp_path):
    """In place of the bundle's, which are 0 here."""
    for count in (0, 3):
        translate(masks, "-o", f"out{count}", "--set", f"corrections={count}")
    translate(masks, "-o", "plain")
    assert files(tmp_path / "plain") == files(tmp_path / "out0") != files(tmp_path / "out3")
    assert "corrections" in translate(masks, "-o", "bad", "--set", "corrections=-1", code=2)
    assert "corrections" in anchor("backends", "anchor")


def test_one_file_to_one_file_and_to_styles(home, masks, tmp_path):
    translate(masks / "0.png", "-o", "face.png")
    assert "3 files written to .\n" in translate(masks / "0.png", "-o", "face.png", "--styles", 3)
    assert sorted(path.name for path in tmp_path.glob("face*")) == [
        "face-style1.png",
        "face-style2.png",
        "face-style3.png",
        "face.png",
    ]
    assert len(set(files(tmp_path)[f"face-style{i}.png"] for i in (1, 2, 3))) == 3


def test_grid_alone(home, masks, tmp_path):
    before = set(tmp_path.iterdir())
    translate(masks, "--grid", "sheets/grid.png")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "sheets"}
    with Image.open(tmp_path / "sheets" / "grid.png") as sheet:
        assert sheet.width >= 6 * 4 * SIZE and sheet.height >= 4 * SIZE


def test_json_names_inputs_and_outputs(home, masks):
    data = json.loads(translate(masks / "1.png", masks / "0.png", "-o", "out", "--json"))
    assert [Path(item["input"]).name for item in data["results"]] == ["1.png", "0.png"]
    assert [item["outputs"] for item in data["results"]] == [["out/1.png"], ["out/0.png"]]
    assert all(item["error"] is None for item in data["results"])


def test_a_seed_alone_means_one_random_style(home, masks, tmp_path):
    translate(masks, "-o", "plain")
    translate(masks, "-o", "seeded", "--seed", 1)
    assert files(tmp_path / "plain") != files(tmp_path / "seeded")
    assert len(files(tmp_path / "seeded")) == 3


def test_vary_gives_every_input_its_own_style(home, masks, tmp_path):
    for index in range(3):
        (masks / f"{index}.png").write_bytes((masks / "0.png").read_bytes())
    translate(masks, "-o", "same", "--styles", 1)
    translate(masks, "-o", "own", "--styles", 1, "--vary")
    assert len(set(files(tmp_path / "same").values())) == 1
    assert len(set(files(tmp_path / "own").values())) == 3


def test_style_of_an_exemplar(home, masks, tmp_path):
    exemplar = write_sample("face", tmp_path / "style.png", seed=4)
    translate(masks, "-o", "plain")
    translate(masks, "-o", "styled", "--style-from", exemplar)
    translate(
        masks, "-o", "named", "--style-from", exemplar, "--style-domain", "face", "--style-layers", "4-5"
    )
    assert files(tmp_path / "styled") != files(tmp_path / "plain")
    # Named layers are all that a style takes then; by default it brings its appearance into the structure, too.
    assert files(tmp_path / "named") not in (files(tmp_path / "plain"), files(tmp_path / "styled"))
    output = translate(masks, "-o", "x", "--style-from", exemplar, "--style-domain", "seg", code=2)
    assert "has no style for layers 4 to 5" in output


def test_a_grid_shows_the_exemplars_on_top(home, masks, tmp_path):
    exemplars = [write_sample("face", tmp_path / f"style{index}.png", seed=index) for index in range(2)]
    translate(masks, "--grid", "g.png", *(word for path in exemplars for word in ("--style-from", path)))
    tile = 256 + 4
    with Image.open(tmp_path / "g.png") as sheet:
        assert sheet.width == 3 * tile + 4 and 4 * tile <= sheet.height < 4 * tile + 64
        top = sheet.height - 4 * tile
        assert sheet.getpixel((tile // 2, top + 30)) == (255, 255, 255)
        corner = Image.open(exemplars[1]).getpixel((0, 0))
        assert sheet.getpixel((2 * tile + 8, top + 3)) == corner


def test_exemplar_with_a_target_that_is_not_rgb_uses_the_hubs_rgb_domain(home, masks, tmp_path):
    exemplar = write_sample("face", tmp_path / "style.png", seed=4)
    translate(masks, "-o", "out", "--style-from", exemplar, target="seg")
    assert len(files(tmp_path / "out")) == 3


def test_only_the_two_domains_asked_for_are_opened(home, masks, tmp_path):
    for name in ("sketch", "decode-only", "encode-only"):
        for weights in (home / "domains" / name).glob("*.safetensors"):
            weights.unlink()
    translate(masks, "-o", "out")
    assert len(files(tmp_path / "out")) == 3


def test_a_bad_input_writes_nothing_at_all(home, masks, tmp_path):
    (masks / "1.png").write_text("<html>not an image</html>")
    before = files(tmp_path)
    output = translate(masks, "-o", "out", "--grid", "g.png", code=1)
    assert "1.png" in output and len(output.strip().splitlines()) == 1
    assert files(tmp_path) == before and not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".anchor*"))


def test_skip_bad_names_it_and_goes_on(home, masks, tmp_path):
    (masks / "1.png").write_text("<html>not an image</html>")
    output = translate(masks, "missing.png", "-o", "out", "--skip-bad")
    assert "skipped: " in output and "1.png" in output and "missing.png" in output
    assert sorted(files(tmp_path / "out")) == ["0.png", "2.png"]
    data = json.loads(
        translate(masks / "0.png", masks / "1.png", "-o", "out", "--skip-bad", "--json").split("\nskip")[0]
    )
    assert data["results"][1]["outputs"] == [] and "1.png" in data["results"][1]["error"]
    assert "none of the 1 inputs" in translate(masks / "1.png", "-o", "none", "--skip-bad", code=1)
    assert not (tmp_path / "none").exists()


def test_file_names_of_every_kind(home, masks, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in ("new\nline.png", "smile \U0001f600.png", os.fsdecode(b"bytes-\xff.png")):
        shutil.copy(masks / "0.png", odd / name)
    data = json.loads(translate(odd, "-o", "out", "--json"))
    assert len(data["results"]) == 3
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == sorted(os.listdir(os.fsencode(odd)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to write"),
        (("-o", "x.gif"), "3 inputs: give a folder"),
        (("--grid", "g.jpg"), "a PNG"),
        (("-o", "o", "--vary"), "give --styles"),
        (("-o", "o", "--truncation", 0.5), "give --styles"),
        (("-o", "o", "--styles", 1, "--truncation", "nan"), "truncation"),
        (("-o", "o", "--style-layers", "4"), "give --styles N or --style-from"),
        (("-o", "o", "--style-domain", "face"), "give --style-from"),
        (("-o", "o", "--styles", 2, "--style-from", "a.png"), "use one of them"),
        (("-o", "o", "--styles", 1, "--style-layers", "3-9"), "layers 0 to 5"),
        (("-o", "o", "--device", "warp"), "unknown device"),
        (("-o", "o", "--invert", 3), "must be rgb"),
        (("-o", "masks"), "would be overwritten"),
    ],
)
def test_wrong_calls_are_one_line_and_exit_2(home, masks, arguments, message):
    before = files(masks)
    output = translate("masks", *arguments, code=2)
    assert message in output and len(output.strip().splitlines()) == 1
    assert files(masks) == before


def test_a_sheet_does_not_take_the_place_of_an_output(home, masks, tmp_path):
    for given, output, grid in ((masks / "0.png", "o.png", "o.png"), (masks, "out", tmp_path / "out" / "1.png")):
        said = translate(given, "-o", output, "--grid", grid, code=2)
        assert "--grid" in said and "is one of the outputs" in said
        assert not (tmp_path / output).exists()


def test_outputs_on_another_disk_than_the_staging_folder(home, masks, tmp_path, monkeypatch):
    replace = os.replace

    def across(source, target):
        if ".anchor-" in str(source) and ".anchor-" not in str(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, target)

    monkeypatch.setattr("os.replace", across)
    translate(masks, "-o", "out")
    assert len(files(tmp_path / "out")) == 3 and not list(tmp_path.rglob("*.tmp"))


def test_an_output_folder_that_cannot_be_made(home, masks, tmp_path):
    (tmp_path / "file").write_text("in the way")
    output = translate(masks, "-o", "file/out", code=1)
    assert "file" in output and len(output.strip().splitlines()) == 1
    assert not list(tmp_path.glob(".anchor-*"))


def test_out_of_memory_names_the_knob(home, masks, monkeypatch):
    def starved(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr("anchor_hub.networks.stylegan2.Synthesis.forward", starved)
    assert "smaller --batch" in translate(masks, "-o", "out", code=2)


def test_a_hundred_domains_cost_nothing(home, masks, tmp_path, monkeypatch):
    from anchor_hub.bundles.base import Bundle

    for index in range(100):
        shutil.copytree(home / "domains" / "sketch", home / "domains" / f"sketch-{index}")
    opened = []
    for way in ("read", "tensors"):
        read = getattr(Bundle, way)

        def counting(self, name, *more, read=read):
            opened.append(self.path.name)
            return read(self, name, *more)

        monkeypatch.setattr(Bundle, way, counting)
    translate(masks, "-o", "out")
    assert set(opened) == {"tiny", "seg", "face"}


def test_wrong_domains(home, masks):
    assert "Did you mean 'sketch'" in translate(masks, "-o", "o", target="sketsh", code=2)
    assert "has no decoder" in translate(masks, "-o", "o", target="encode-only", code=1)
    assert "has no encoder" in translate(masks, "-o", "o", source="decode-only", code=1)


def test_domains_of_two_hubs(home, masks):
    tiny_domain("mine", tiny_hub(seed=3, name="other"), modality={"name": "rgb"}, regressor="hub").save(
        home / "domains" / "mine"
    )
    output = translate(masks, "-o", "o", target="mine", code=1)
    assert "hub 'tiny'" in output and "hub 'other'" in output


def test_merging_classes_on_reading(home, masks, tmp_path):
    fine = tmp_path / "fine"
    for index in range(2):
        ids = np.array(Image.open(write_sample("seg", tmp_path / "coarse" / f"{index}.png", seed=index)))
        fine.mkdir(exist_ok=True)
        # Two ids of the finer map for every class.
        checkered = (np.indices(ids.shape).sum(axis=0) % 2).astype(np.uint8)
        Image.fromarray(ids * 2 + checkered).save(fine / f"{index}.png")
    table = tmp_path / "merge.yaml"
    table.write_text("".join(f"c{new}: [{2 * new}, {2 * new + 1}]\n" for new in range(5)))
    translate(tmp_path / "coarse", "-o", "expected")
    translate(fine, "-o", "out", "--merge-classes", table)
    assert files(tmp_path / "out") == files(tmp_path / "expected")
    assert "class id 9" in translate(fine, "-o", "none", code=1)
    table.write_text("one: [0, 1]\ntwo: ['*']\n")
    assert "merges into 2 classes" in translate(fine, "-o", "none", "--merge-classes", table, code=2)
    output = translate(fine, "-o", "none", "--merge-classes", table, source="sketch", code=2)
    assert "'sketch' is gray" in output
    assert "no.yaml" in translate(fine, "-o", "none", "--merge-classes", tmp_path / "no.yaml", code=2)


def test_label_maps_of_every_kind_and_size(home, tmp_path):
    ids = np.array(Image.open(write_sample("seg", tmp_path / "ids.png", size=48)))
    Image.fromarray(ids.astype(np.uint16)).save(tmp_path / "sixteen.png")
    palette = Image.fromarray(ids, mode="P")
    palette.putpalette([value for index in range(256) for value in (index * 7 % 256, index, 255 - index)])
    palette.save(tmp_path / "palette.png")
    for name in ("ids", "sixteen", "palette"):
        translate(tmp_path / f"{name}.png", "-o", f"out-{name}.png")
    written = files(tmp_path)
    assert written["out-ids.png"] == written["out-sixteen.png"] == written["out-palette.png"]


def test_landmarks_as_target_and_as_source(home, masks, tmp_path):
    translate(masks, "-o", "points", "--grid", "points.png", target="points")
    written = sorted(path.name for path in (tmp_path / "points").iterdir())
    assert [Path(name).stem for name in written] == ["0", "1", "2"]
    translate("points", "-o", "faces", source="points")
    assert sorted(files(tmp_path / "faces")) == ["0.png", "1.png", "2.png"]


def test_coarse_to_fine_label_maps_feed_each_other(home, masks, tmp_path):
    translate(masks, "-o", "maps", target="seg")
    translate(tmp_path / "maps", "-o", "faces")
    assert len(files(tmp_path / "faces")) == 3


def test_refinement_of_an_rgb_source(home, tmp_path):
    picture = write_sample("face", tmp_path / "face.png")
    translate(picture, "-o", "plain.png", source="face", target="face")
    translate(picture, "-o", "refined.png", "--invert", 20, source="face", target="face")

    def error(path: str) -> float:
        difference = np.array(Image.open(path), float) - np.array(Image.open(picture), float)
        return float(np.square(difference).mean())

    assert error("refined.png") < error("plain.png")


def test_translating_changes_no_bundle(home, masks):
    before = files(home)
    translate(masks, "-o", "out", "--styles", 2)
    assert files(home) == before


def script(*arguments: object, **options) -> subprocess.Popen[str]:
    # A shell's background job hands on an ignored SIGINT; a user's terminal does not.
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", start + "from anchor_cli.main import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_as_a_process(home, masks, tmp_path):
    process = script("translate", "--from", "seg", "--to", "sketch", masks, "-o", tmp_path / "out")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, ""), err
    assert len(files(tmp_path / "out")) == 3


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_leave_no_partial_file(home, tmp_path, sent, code):
    many = tmp_path / "many"
    for index in range(60):
        write_sample("face", many / f"{index}.png", seed=index)
    process = script(
        "translate",
        "--from",
        "face",
        "--to",
        "face",
        many,
        "-o",
        tmp_path / "out",
        "--batch",
        1,
        "--invert",
        2000,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".anchor-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(sent)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".anchor-*"))


def test_the_backend_can_be_named(home, masks, tmp_path):
    translate(masks, "-o", tmp_path / "plain")
    translate(masks, "-o", tmp_path / "named", "--backend", "anchor")
    assert files(tmp_path / "plain") == files(tmp_path / "named")
    refused = translate(masks, "-o", tmp_path / "x", "--backend", "gp", code=2)
    assert "no backend is named 'gp'. Known: anchor" in refused
    assert not (tmp_path / "x").exists()
