"""`anchor hubs train`: trains, resumes, stops on signals, and leaves a hub that the other commands find."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

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
        ([], 2, "--max-minutes"),
    ],
)
def test_wrong_calls_are_one_line(images: Path, fresh_home: Path, changes: list[str], code: int, message: str) -> None:
    done = anchor_process("hubs", "train", "mine", "--data", str(images), *TINY, *changes, ANCHOR_HOME=str(fresh_home))
    assert done.returncode == code and message in done.stderr and "Traceback" not in done.stderr
    assert not (fresh_home / "hubs").exists()


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
