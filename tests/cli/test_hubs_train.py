"""`anchor hubs train`: trains, resumes, stops on signals, and leaves a hub that the other commands find."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from anchor_hub.bundles.base import open_bundle
from tests.cli.running import anchor, anchor_process

TINY = [
    "--size",
    "16",
    "--channels",
    "4:8,8:8,16:8",
    "--latent-dim",
    "8",
    "--batch",
    "4",
    "--device",
    "cpu",
    "--precision",
    "fp32",
]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    pictures = torch.randint(0, 256, (8, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for index, picture in enumerate(pictures):
        Image.fromarray(picture.numpy()).save(folder / f"{index}.png")
    return folder


def test_a_hub_is_trained_listed_and_resumed(images: Path, fresh_home: Path) -> None:
    command = ["hubs", "train", "mine", "--data", str(images), *TINY, "--processes", "1"]
    result = anchor(*command, "--images", "8", "--mirror")
    assert result.exit_code == 0, result.output
    assert (fresh_home / "hubs/mine/bundle.yaml").is_file()
    assert (fresh_home / "runs/mine/stats.jsonl").is_file()
    listed = anchor("hubs", "list", "--json")
    assert "mine" in listed.stdout
    assert anchor("hubs", "verify", "mine").exit_code == 0
    refused = anchor_process(*command, "--images", "16", "--resume", ANCHOR_HOME=str(fresh_home))
    assert refused.returncode == 2 and "mirror was True, now False" in refused.stderr
    assert anchor(*command, "--images", "16", "--mirror", "--resume").exit_code == 0
    lines = (fresh_home / "runs/mine/options.json").read_text()
    assert json.loads(lines)["mirror"] is True


def test_an_existing_hub_is_replaced_only_on_request(images: Path, fresh_home: Path) -> None:
    command = ["hubs", "train", "mine", "--data", str(images), *TINY, "--processes", "1", "--images", "8"]
    bundle, run = fresh_home / "hubs" / "mine", fresh_home / "runs" / "mine"
    assert anchor(*command).exit_code == 0
    first = open_bundle(bundle).manifest.hub_fingerprint
    elsewhere = ["--run-dir", str(fresh_home / "runs" / "other")]
    for extra in ([], elsewhere, ["--resume", *elsewhere]):
        refused = anchor_process(*command, "--seed", "1", *extra, ANCHOR_HOME=str(fresh_home))
        assert refused.returncode == 2 and "hub 'mine' exists already" in refused.stderr, refused.stderr
        assert "--overwrite" in refused.stderr and "Traceback" not in refused.stderr
    assert open_bundle(bundle).manifest.hub_fingerprint == first
    (run / "notes.txt").write_text("mine")
    assert anchor(*command, "--seed", "1", "--overwrite").exit_code == 0
    assert open_bundle(bundle).manifest.hub_fingerprint != first and (run / "notes.txt").is_file()
    assert json.loads((run / "options.json").read_text())["seed"] == 1


def test_the_licences_are_the_users_or_the_rendered_data_sets(images: Path, fresh_home: Path) -> None:
    command = ["hubs", "train", "--data", str(images), *TINY, "--processes", "1", "--images", "4"]

    def shown(name: str, *more: str) -> dict[str, Any]:
        assert anchor(*command, name, *more).exit_code == 0
        return json.loads(anchor("hubs", "show", name, "--json").stdout)

    plain = shown("plain")
    assert plain["license"] == {"weights": "unknown", "data": "unknown"}
    assert plain["provenance"]["data"] == "images" and "data_set" not in plain["provenance"]
    (images.parent / "dataset.yaml").write_text("renderer: anchor_faces\nrenderer_version: 1\nseed: 5\n")
    rendered = shown("rendered", "--license", "MIT")
    assert rendered["license"] == {"weights": "MIT", "data": "Apache-2.0 (rendered, no photographs)"}
    assert rendered["provenance"]["data_set"] == {"renderer": "anchor_faces", "renderer_version": 1, "seed": 5}
    assert shown("own", "--data-license", "CC0")["license"] == {"weights": "unknown", "data": "CC0"}


def test_ctrl_c_saves_and_exits_130(images: Path, fresh_home: Path) -> None:
    run = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from anchor_cli.main import main; main()",
            "hubs",
            "train",
            "mine",
            "--data",
            str(images),
            *TINY,
            "--processes",
            "1",
            "--max-minutes",
            "5",
        ],
        env={**os.environ, "ANCHOR_HOME": str(fresh_home), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not list(fresh_home.glob("runs/mine/stats.jsonl")) and time.monotonic() < deadline:
            assert run.poll() is None, run.stderr.read() if run.stderr else ""
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130 and "saved" in said and "Traceback" not in said
    assert list((fresh_home / "runs/mine/checkpoints").glob("step-*.pt"))
    assert not (fresh_home / "hubs/mine").exists()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (["--images", "8", "--size", "48"], 2, "power of two"),
        (["--images", "8", "--channels", "4-8"], 2, "--channels"),
        (["--images", "8", "--preset", "tiny"], 2, "--preset"),
        (["--images", "8", "--device", "tpu"], 2, "device"),
        (["--images", "8", "--processes", "5"], 2, "--processes 5: this machine has "),
        ([], 2, "--max-minutes"),
    ],
)
def test_wrong_calls_are_one_line(images: Path, fresh_home: Path, changes: list[str], code: int, message: str) -> None:
    done = anchor_process("hubs", "train", "mine", "--data", str(images), *TINY, *changes, ANCHOR_HOME=str(fresh_home))
    assert done.returncode == code and message in done.stderr and "Traceback" not in done.stderr
    assert not (fresh_home / "hubs").exists()


def test_a_run_folder_that_is_a_file_is_refused_first(images: Path, fresh_home: Path) -> None:
    picture = images / "0.png"
    before = picture.read_bytes()
    done = anchor("hubs", "train", "mine", "--data", str(images), *TINY, "--images", "8", "--run-dir", str(picture))
    assert done.exit_code == 2 and "--run-dir" in done.stderr and "is a file, not a folder" in done.stderr
    assert picture.read_bytes() == before and not list(fresh_home.glob("*/mine"))


def test_missing_and_empty_folders_are_named(tmp_path: Path, fresh_home: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "absent"):
        done = anchor_process(
            "hubs",
            "train",
            "mine",
            "--data",
            str(tmp_path / folder),
            *TINY,
            "--images",
            "8",
            ANCHOR_HOME=str(fresh_home),
        )
        assert done.returncode in (1, 2) and folder in done.stderr and "Traceback" not in done.stderr
