"""`anchor add-domain` as a user types it."""

from __future__ import annotations

import hashlib
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
import torch
from PIL import Image
from safetensors.torch import load_file

from anchor_hub.bundles.base import open_bundle
from anchor_hub.training.anchoring.recipe import AnchorRecipe
from anchor_hub.training.engine.trainer import Trainer
from tests.cli.running import anchor
from tests.tiny import SIZE, tiny_home, write_sample
from tests.watching import watched_anchor

FAST = ("--images", "16", "--batch", "8", "--device", "cpu", "--precision", "fp32", "--processes", "1", "--quiet")


def one_thread() -> dict[str, str]:
    """The environment: two threads wait for each other very long where other programs use the cores."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny_home(tmp_path, monkeypatch, domains=("seg",))


def folder_of(domain: str, count: int = 10) -> Path:
    folder = Path(f"{domain}-files")
    for index in range(count):
        write_sample(domain, folder / f"{index}.png", seed=index)
    return folder


@pytest.fixture
def grays(home):
    return folder_of("sketch")


def add(*arguments: object, code: int = 0) -> str:
    result = anchor("add-domain", *(str(argument) for argument in arguments))
    assert result.exit_code == code, result.output + repr(result.exception)
    if code:
        assert "Traceback" not in result.output
        assert len([line for line in result.output.splitlines() if line.startswith("error: ")]) <= 1
    return result.output


def add_gray(*arguments: object, name: str = "mine", data: object = "sketch-files", code: int = 0) -> str:
    return add(name, "--data", data, "--modality", "gray", "--hub", "tiny", *FAST, *arguments, code=code)


def fingerprints(folder: Path, *but: str) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not any(part in but for part in path.relative_to(folder).parts)
    }


def test_a_new_domain_from_a_folder_is_listed_and_translates(home, grays):
    masks = folder_of("seg", 2)
    before = fingerprints(home)
    output = add_gray("--images", 64)
    assert "mine: 64 images" in output and f"registered at {home / 'domains' / 'mine'}" in output
    # Nothing but the domain's bundle and its own run is new, and no other byte changed.
    assert fingerprints(home, "mine", "domain-mine") == before
    listed = {entry["name"]: entry for entry in json.loads(anchor("domains", "list", "--json").stdout)}
    assert listed["mine"]["hub"] == "tiny" and listed["mine"]["modality"] == "gray"
    for source, target, files in (("mine", "seg", grays), ("seg", "mine", masks)):
        arguments = ("--from", source, "--to", target, str(files), "-o", f"{source}-{target}", "--device", "cpu")
        translated = anchor("translate", *arguments)
        assert translated.exit_code == 0, translated.output
        assert len(list(Path(f"{source}-{target}").glob("*.png"))) == len(list(files.iterdir()))
    assert open_bundle(home / "domains" / "mine").manifest.license == {"weights": "unknown", "data": "unknown"}
    record = open_bundle(home / "domains" / "mine").manifest.provenance
    assert record["command"] == "anchor add-domain" and record["data"] == "sketch-files"
    assert (record["images_seen"], record["samples"], record["seed"], record["batch"]) == (64, 10, 0, 8)
    assert record["options"]["objective"] == "aligned" and "count" not in record
    run = home / "runs" / "domain-mine"
    assert json.loads((run / "options.json").read_text())["modality"] == {"name": "gray"}


def test_the_seed_decides_everything(home, grays):
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        add_gray("--seed", seed, "--images", 8, name=name)
    one, again, other = (fingerprints(home / "domains" / name, "bundle.yaml", "README.md") for name in
                         ("one", "again", "other"))  # fmt: skip
    assert one == again and one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)


def test_label_maps_with_classes_and_with_merged_classes(home):
    masks = folder_of("seg")
    common = ("--data", masks, "--modality", "segmentation", "--hub", "tiny", *FAST)
    add("five", *common, "--classes", 5)
    assert open_bundle(home / "domains" / "five").manifest.modality == {"name": "segmentation", "classes": 5}
    Path("merge.yaml").write_text("dark: [0, 1, 2]\nbright: ['*']\n")
    add("two", *common, "--classes", 5, "--merge-classes", "merge.yaml")
    modality = open_bundle(home / "domains" / "two").manifest.modality
    assert modality == {"name": "segmentation", "classes": 5, "merge": {"dark": [0, 1, 2], "bright": ["*"]}}
    translated = anchor("translate", "--from", "two", "--to", "five", str(masks), "-o", "out", "--device", "cpu")
    assert translated.exit_code == 0, translated.output
    output = add("three", *common, "--classes", 3, code=1)
    assert "0.png" in output and "class" in output
    assert "no.yaml" in add("four", *common, "--classes", 5, "--merge-classes", "no.yaml", code=2)
    assert "for label maps, not for modality 'gray'" in add_gray("--classes", 5, data=masks, code=2)


def test_landmarks_as_points_and_as_drawings(home):
    generator = np.random.default_rng(0)
    for index in range(4):
        points = (generator.random((68, 2)) * SIZE).tolist()
        Path("points").mkdir(exist_ok=True)
        Path(f"points/{index}.json").write_text(json.dumps({"size": [SIZE, SIZE], "points": points}))
    add("dots", "--data", "points", "--modality", "landmarks", "--hub", "tiny", *FAST)
    assert "drawn" not in open_bundle(home / "domains" / "dots").manifest.modality
    translated = anchor("translate", "--from", "dots", "--to", "dots", "points", "-o", "out", "--device", "cpu")
    assert translated.exit_code == 0 and len(list(Path("out").glob("*.json"))) == 4, translated.output
    folder_of("sketch", 4)
    add("drawings", "--data", "sketch-files", "--modality", "landmarks", "--hub", "tiny", *FAST)
    assert open_bundle(home / "domains" / "drawings").manifest.modality["drawn"] is True
    add("paper", "--data", "points", "--modality", "landmarks", "--hub", "tiny", "--objective", "published", *FAST)
    assert open_bundle(home / "domains" / "paper").manifest.modality["drawn"] is True


def test_where_chooses_by_the_manifest(home, grays):
    rows = "".join(f"{index}.png,{index / 10}\n" for index in range(10))
    (grays / "manifest.csv").write_text("file,smile\n" + rows)
    add_gray("--where", "smile>=0.7")
    assert open_bundle(home / "domains" / "mine").manifest.provenance["samples"] == 3
    assert "smyle" in add_gray("--where", "smyle>0.5", name="other", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("new",), "no registered domain is called 'new'"),
        (("sketsh",), "Did you mean 'sketch'"),
        (("new", "--data", "sketch-files"), "--modality"),
        (("new", "--data", "sketch-files", "--classes", "5"), "say what its images are"),
        (("Bad Name", "--data", "sketch-files", "--modality", "gray"), "not usable"),
        (("seg", "--hub", "tiny", "--overwrite"), "--data FOLDER"),
    ],
)
def test_names_that_say_too_little(home, grays, arguments, message):
    assert message in add(*arguments, *FAST, code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weight", "edges"), "--weight 'edges' must read TERM=NUMBER"),
        (("--weight", "edgs=1"), "no term 'edgs'. Did you mean 'edges'"),
        (("--weight", "edges=-1"), "at least 0"),
        (("--weight", "edges=nan"), "at least 0"),
        (("--layers", "8,x"), "--layers '8,x' is not a list of resolutions"),
        (("--layers", "8,32"), "no feature map of resolution [32] in this hub; it has 4, 8, 16"),
        (("--structure-layers", "9"), "hub 'tiny' has 6 layers"),
        (("--objective", "publshed"), "Did you mean 'published'"),
        (("--encoder", "compactt"), "no encoder 'compactt'. Known: compact, none, psp"),
        (("--regressor", "residul"), "no regressor 'residul'. Known: attention, compact,"),
        (("--regressor", "hub"), "RGB"),
        (("--learning-rate", "-1"), "learning_rate"),
        (("--max-minutes", "0"), "--max-minutes 0 leaves no time to train"),
        (("--hub", "tinny"), "Did you mean 'tiny'"),
        (("--device", "gpu"), "use auto, cpu"),
        (("--precision", "fp8"), "auto, fp32 or bf16"),
    ],
)
def test_wrong_options_end_before_any_image_is_read(home, grays, monkeypatch, arguments, message):
    for file in grays.iterdir():
        file.write_text("would be an error if it were read")
    before = fingerprints(home)
    assert message in add_gray(*arguments, code=2)
    assert fingerprints(home) == before


def test_bad_data_is_named(home, grays):
    assert "nowhere" in add_gray(data="nowhere", code=1)
    Path("empty").mkdir()
    assert "empty: holds no readable file" in add_gray(data="empty", code=1)
    (grays / "4.png").write_text("<html>")
    assert "4.png" in add_gray(code=1)
    assert not (home / "domains" / "mine").exists()
    output = add_gray("--skip-bad")
    assert "skipped " in output and "4.png" in output and "registered at" in output
    assert open_bundle(home / "domains" / "mine").manifest.provenance["samples"] == 9


def test_an_existing_domain_is_replaced_only_on_request(home, grays):
    add_gray()
    first = fingerprints(home)
    for extra in ((), ("--resume",)):
        output = add_gray(*extra, code=2)
        assert "domain 'mine' exists already" in output and "--overwrite" in output and "another name" in output
    assert fingerprints(home) == first
    (home / "runs" / "domain-mine" / "notes.txt").write_text("mine")
    add_gray("--seed", 1, "--overwrite")
    second = fingerprints(home)
    assert second["domains/mine/encoder.safetensors"] != first["domains/mine/encoder.safetensors"]
    assert second["domains/seg/bundle.yaml"] == first["domains/seg/bundle.yaml"]
    assert "runs/domain-mine/notes.txt" in second
    shutil.rmtree(home / "domains" / "mine")
    output = add_gray(code=2)  # the run is still there
    assert "--resume" in output and "--overwrite" in output


def test_a_failing_retraining_keeps_the_old_domain(home, grays):
    add_gray()
    before = fingerprints(home / "domains")
    (grays / "4.png").write_text("<html>")
    add_gray("--overwrite", code=1)
    assert fingerprints(home / "domains") == before


def test_a_folder_of_something_else_is_never_replaced(home, grays):
    for extra in ((), ("--overwrite",)):
        assert "is no bundle" in add_gray("--output", grays, *extra, code=2)
    assert len(list(grays.iterdir())) == 10
    output = add_gray("--output", "elsewhere/mine")
    assert "written to elsewhere/mine" in output and not (home / "domains" / "mine").exists()
    assert open_bundle("elsewhere/mine").manifest.name == "mine"


def test_an_interrupted_run_says_how_to_go_on(home, grays, monkeypatch):
    step, stop = AnchorRecipe.step, [1]

    def interrupted(self, batch, index):
        if index in stop:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, index)

    monkeypatch.setattr(AnchorRecipe, "step", interrupted)
    output = add_gray("--images", 32, code=130)
    assert "interrupted after 16 images" in output and "the same command with --resume" in output
    assert not (home / "domains" / "mine").exists()
    stop.clear()
    assert "adding --resume" in add_gray("--images", 32, code=2)
    assert "total_images was 32, now 48" in add_gray("--images", 48, "--resume", code=2)
    assert "mine: 32 images" in add_gray("--images", 32, "--resume")
    add_gray("--images", 32, name="whole")
    resumed, whole = (fingerprints(home / "domains" / name, "bundle.yaml", "README.md") for name in ("mine", "whole"))
    assert resumed == whole


def test_a_run_that_another_process_trains_is_left_alone(home, grays):
    import filelock

    add_gray()
    with filelock.FileLock(home / "runs" / "domain-mine" / ".lock"):
        before = fingerprints(home, ".lock")
        assert "another process is training" in add_gray("--overwrite", code=1)
        assert fingerprints(home, ".lock") == before


def test_a_registered_domain_is_trained_from_its_data_set(home, monkeypatch):
    """Twice: after the first time the record is the home's, but its data set is still known."""
    made: list[tuple[str, int]] = []

    def render(argument, *, size, count, seed, home, progress):
        made.append((argument, size))
        folder = Path("rendered") / argument
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "dataset.yaml").write_text("renderer: anchor_faces\nseed: 0\n")
        for index in range(count):
            points = (np.random.default_rng(index).random((68, 2)) * size).tolist()
            (folder / f"{index}.json").write_text(json.dumps({"size": [size, size], "points": points}))
            progress(index + 1, count)
        return folder

    from anchor_hub.plugins.registry import Registry

    monkeypatch.setattr(Registry, "load", lambda self, target, what="", load=Registry.load: render
                        if target == "anchor_faces.dataset:training_folder" else load(self, target, what))  # fmt: skip
    add("landmark", "--hub", "tiny", "--count", 3, *FAST)
    add("landmark", "--hub", "tiny", "--count", 3, *FAST, "--overwrite", "--license", "CC0")
    assert made == [("landmark", SIZE)] * 2
    manifest = open_bundle(home / "domains" / "landmark").manifest
    assert manifest.provenance["data"] == "rendered-faces:landmark"
    assert manifest.provenance["data_set"] == {"renderer": "anchor_faces", "seed": 0}
    assert manifest.license == {"weights": "CC0", "data": "Apache-2.0 (rendered, no photographs)"}


AUDITED = """
import json, os, sys
opened = set()
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        opened.add(os.path.abspath(os.fsdecode(arguments[0])))
sys.addaudithook(watch)
from typer.main import get_command
from anchor_cli.main import app
try:
    get_command(app).main(sys.argv[2:])
finally:
    with open(sys.argv[1], "w") as file:
        json.dump(sorted(opened), file)
"""


def test_adding_opens_no_file_of_another_domain(home, grays, tmp_path):
    masks = folder_of("seg", 2)
    before = fingerprints(home)
    command = ["add-domain", "mine", "--data", str(grays), "--modality", "gray", "--hub", "tiny", *FAST]
    program = [sys.executable, "-c", AUDITED, "opened.json", *command]
    done = subprocess.run(program, env=one_thread(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    opened = {Path(name) for name in json.loads(Path("opened.json").read_text())}
    here = {path for path in opened if tmp_path in path.parents}
    assert {tmp_path / grays / f"{index}.png" for index in range(10)} <= here, "the hook sees what is read"
    assert not [path for path in here if home / "domains" / "seg" in path.parents and path.name != "bundle.yaml"]
    assert not [path for path in here if tmp_path / masks in path.parents]
    package = Path(__file__).parents[2] / "domains" / "anchor_faces"
    assert not [path for path in opened if package / "samples" in path.parents or package / "bundles" in path.parents]
    assert fingerprints(home, "mine", "domain-mine") == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_sigterm_saves_and_exits_143(home, grays):
    command = ["add-domain", "mine", "--data", str(grays), "--modality", "gray", "--hub", "tiny", *FAST]
    command[command.index("16")] = "800000"
    program = "from anchor_cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command], env=one_thread(), stderr=subprocess.PIPE, text=True
    )
    begun = home / "runs" / "domain-mine" / "options.json"
    try:
        deadline = time.monotonic() + 100
        while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        process.terminate()
        _, error = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 143, error
    assert "interrupted after" in error and "--resume" in error and "Traceback" not in error
    assert list((home / "runs" / "domain-mine" / "checkpoints").glob("step-*.pt"))


def test_a_hundred_domains_make_neither_listing_nor_adding_dearer(home, grays, monkeypatch, tmp_path):
    from anchor_hub.bundles.base import Bundle

    for index in range(100):
        shutil.copytree(home / "domains" / "seg", home / "domains" / f"seg-{index}")
    listed = watched_anchor(tmp_path / "listed", "domains", "list")
    assert listed.code == 0 and "seg-99" in listed.stdout
    # A listing says whether each domain's hub is here, so it reads the hubs' manifests, too.
    manifests = sorted([*home.glob("domains/*/bundle.yaml"), *home.glob("hubs/*/bundle.yaml")])
    assert len(manifests) > 100 and listed.below(home) == manifests, "each manifest once, and nothing else"
    opened = []
    tensors = Bundle.tensors
    monkeypatch.setattr(
        Bundle, "tensors", lambda self, *given: (opened.append(self.path.name), tensors(self, *given))[1]
    )
    add_gray()
    assert set(opened) == {"tiny"}, "weights of the hub alone are read"


def test_progress_of_the_data_ends_before_the_trainings_begins(home, grays, monkeypatch):
    from contextlib import contextmanager

    events = []

    @contextmanager
    def bar(what, *, quiet=False):
        events.append("open")
        yield lambda done, total: events.append("update")
        events.append("close")

    run = Trainer.run
    monkeypatch.setattr("anchor_cli.output.step_progress", bar)
    monkeypatch.setattr(Trainer, "run", lambda self, resume: (events.append("train"), run(self, resume))[1])
    add_gray()
    assert events[0] == "open" and events[-2:] == ["close", "train"] and "update" in events
    assert Image.open(next(grays.iterdir())).size == (SIZE, SIZE)


@pytest.mark.parametrize(("option", "known"), [("--regressor", "compact, deep"), ("--encoder", "compact, none, psp")])
def test_a_network_nobody_knows_is_refused_with_the_choices(home, option, known):
    result = anchor("add-domain", "mine", "--data", str(folder_of("seg")), "--modality", "gray", option, "typo", *FAST)
    assert result.exit_code == 2 and f"there is no {option[2:]} 'typo'. Known: " in result.stderr
    assert known in result.stderr.replace("attention, ", "") and ("hub, " in result.stderr) == (option == "--regressor")


def test_a_training_may_start_from_another_domain_of_the_same_networks(home, grays):
    add_gray("--images", 64)
    before = fingerprints(home / "domains" / "mine")
    still = ("--start-from", "mine", "--learning-rate", "1e-12")
    add_gray(*still, name="copy")
    manifest = open_bundle(home / "domains" / "copy").manifest
    assert manifest.provenance["start"] == {
        "name": "mine", **{part: before[f"{part}.safetensors"] for part in ("encoder", "regressor")}
    }  # fmt: skip
    for part in ("encoder", "regressor"):
        first, second = (load_file(home / "domains" / name / f"{part}.safetensors") for name in ("mine", "copy"))
        floats = [name for name, value in first.items() if value.is_floating_point()]
        assert floats and all(torch.allclose(first[name], second[name], atol=1e-6) for name in floats)
    assert fingerprints(home / "domains" / "mine") == before
    assert "its encoder is" in add_gray("--start-from", "seg", name="other", code=2)
    assert "no domain" in add_gray("--start-from", "min", name="other", code=2)


def test_half_precision_is_half_the_size_and_any_finished_run_can_be_stored_so(home, grays):
    add_gray()
    bundle = home / "domains" / "mine"
    whole = load_file(bundle / "encoder.safetensors")
    size = (bundle / "encoder.safetensors").stat().st_size
    add_gray("--resume", "--overwrite", "--half")
    half = load_file(bundle / "encoder.safetensors")
    assert (bundle / "encoder.safetensors").stat().st_size < 0.6 * size
    rounded = {name: value.half() if value.is_floating_point() else value for name, value in whole.items()}
    assert all(torch.equal(half[name], value) for name, value in rounded.items())
    result = anchor("translate", "--from", "mine", "--to", "seg", "sketch-files/0.png", "-o", "out.png")
    assert result.exit_code == 0, result.output
