"""The one trainer: exact resume, fallbacks, signals, budgets, messages."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch

from anchor_hub.errors import CheckpointError, TrainingError, UsageError
from anchor_hub.system.files import write_file
from anchor_hub.training.engine import checkpoint as checkpoint_module
from tests.training.tiny import final_state, pictures, same, train

PROGRAM = [sys.executable, "-m", "tests.training.tiny"]
ROOT = Path(__file__).parents[3]


def run_program(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


def test_a_run_leaves_options_stats_samples_and_checkpoints(tmp_path: Path) -> None:
    result = train(tmp_path)
    assert (result.steps, result.images, result.reason, result.exit_code) == (10, 80, "images", 0)
    assert json.loads((tmp_path / "options.json").read_text())["batch"] == 8
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10]
    assert {"discriminator", "generator", "r1", "path_length"} <= set(lines[0]["losses"]) | set(lines[1]["losses"])
    assert all(line["images_per_second"] > 0 and line["peak_memory_mib"] > 0 for line in lines)
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == ["00000040-hub.png", "00000080-hub.png"]
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.pt"))
    assert kept == ["step-00000009.pt", "step-00000010.pt"]


def test_training_changes_the_weights_and_keeps_the_callers_random_state(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train(tmp_path / "short", images=8)
    assert torch.equal(before, torch.get_rng_state())
    train(tmp_path / "long", images=16)
    first, second = final_state(tmp_path / "short"), final_state(tmp_path / "long")
    assert not same(first["recipe"]["generator"], second["recipe"]["generator"])
    assert not same(first["recipe"]["average"], second["recipe"]["average"])


@pytest.mark.parametrize("step", [4, 6])
def test_kill_9_and_resume_give_the_uninterrupted_runs_bytes(tmp_path: Path, step: int) -> None:
    assert train(tmp_path / "whole").steps == 10
    killed = run_program(tmp_path / "killed", "--at", step, "--event", "SIGKILL")
    assert killed.returncode == -9
    resumed = run_program(tmp_path / "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    whole, again = final_state(tmp_path / "whole"), final_state(tmp_path / "killed")
    assert same(whole["recipe"], again["recipe"])
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed/stats.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6, 8, 10]


def test_stopping_and_resuming_at_any_step_changes_nothing(tmp_path: Path) -> None:
    train(tmp_path / "whole", images=40)
    for images in (8, 16, 24, 32, 40):
        train(tmp_path / "parts", images=images, resume=True)
    assert same(final_state(tmp_path / "whole")["recipe"], final_state(tmp_path / "parts")["recipe"])


@pytest.mark.parametrize(("event", "code", "reason"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_signals_finish_the_step_save_and_set_the_exit_code(tmp_path: Path, event: str, code: int, reason: str) -> None:
    assert run_program(tmp_path / "program", "--at", 4, "--event", event).returncode == code
    assert final_state(tmp_path / "program")["step"] == 5
    result = train(tmp_path / "here", at=4, event=event)
    assert (result.steps, result.reason, result.exit_code, result.finished) == (5, reason, code, False)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "no hash"])
def test_a_corrupt_newest_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: str,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "whole", images=56)
    train(tmp_path / "harmed", images=48)
    newest = tmp_path / "harmed/checkpoints/step-00000006.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "no hash":
        newest.with_name(newest.name + ".sha256").unlink()
    else:
        newest.write_bytes({"flip": bytes(content), "truncate": bytes(content[:999]), "empty": b""}[damage])
    result = train(tmp_path / "harmed", images=56, resume=True, quiet=False)
    assert result.steps == 7
    assert "step-00000006.pt" in (said := capsys.readouterr().err) and "going back to step-00000003.pt" in said
    assert same(final_state(tmp_path / "whole")["recipe"], final_state(tmp_path / "harmed")["recipe"])


def test_only_corrupt_checkpoints_are_an_error_that_changes_nothing(tmp_path: Path) -> None:
    train(tmp_path, images=48)
    for path in (tmp_path / "checkpoints").glob("*.pt"):
        path.write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="no usable checkpoint.*damaged"):
        train(tmp_path, images=56, resume=True)
    assert len(list((tmp_path / "checkpoints").glob("*.pt"))) == 2


def test_nan_stops_with_the_last_good_checkpoint_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"generator became NaN.*step-00000006\.pt"):
        train(tmp_path, at=7, event="nan")
    assert final_state(tmp_path)["step"] == 6
    assert "NaN" not in (tmp_path / "stats.jsonl").read_text()


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    checkpoint_module.save_checkpoint(tmp_path, 1, {"step": 1, "w": torch.ones(3)})
    with pytest.raises(TrainingError, match=r"model\.w holds NaN.*step-00000001"):
        checkpoint_module.save_checkpoint(tmp_path, 2, {"step": 2, "model": {"w": torch.tensor([1.0, float("nan")])}})
    assert [path.name for path in tmp_path.glob("*.pt")] == ["step-00000001.pt"]


def test_changed_options_are_named_on_resume(tmp_path: Path) -> None:
    train(tmp_path, images=24)
    with pytest.raises(UsageError, match="learning_rate was 0.002, now 0.01; seed was 0, now 5"):
        train(tmp_path, images=48, resume=True, learning_rate=0.01, seed=5)
    with pytest.raises(UsageError, match="samples was 40, now 39"):
        train(tmp_path, images=48, resume=True, data=pictures(39))


def test_a_used_run_folder_needs_resume(tmp_path: Path) -> None:
    train(tmp_path, images=8)
    with pytest.raises(UsageError, match="already holds a run.*--resume"):
        train(tmp_path, images=16)


def test_two_processes_cannot_share_a_run_folder(tmp_path: Path) -> None:
    with filelock.FileLock(tmp_path / ".lock"):
        with pytest.raises(TrainingError, match="another process is training"):
            train(tmp_path)
    assert train(tmp_path, images=8).finished


def test_a_run_needs_an_end_and_samples(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--images or --max-minutes"):
        train(tmp_path, images=None)
    with pytest.raises(TrainingError, match="nothing to train on"):
        train(tmp_path, data=pictures(0))


def test_max_minutes_stops_cleanly_with_a_checkpoint(tmp_path: Path) -> None:
    result = train(tmp_path, images=None, max_minutes=0.02)
    assert result.reason == "minutes" and result.finished and 0 < result.minutes < 0.2
    assert final_state(tmp_path)["step"] == result.steps > 0


def test_a_full_disk_keeps_the_checkpoint_before_and_says_what_to_do(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, images=24)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(path: Path, data: bytes) -> Path:  # the disk is full once the first checkpoint is due
        monkeypatch.setattr(os, "fsync", full)
        return write_file(path, data)

    monkeypatch.setattr(checkpoint_module, "write_file", write)
    with pytest.raises(TrainingError, match=r"No space left.*--resume.*step-00000003\.pt"):
        train(tmp_path, images=48, resume=True)
    monkeypatch.undo()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000003.pt",
                                                                                "step-00000003.pt.sha256"]
    assert train(tmp_path, images=48, resume=True).steps == 6


def test_a_run_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot use .*file/run as run folder"):
        train(tmp_path / "file/run")


def test_samples_read_from_files_give_the_same_run_as_samples_in_memory(tmp_path: Path) -> None:
    train(tmp_path / "memory", images=40)
    train(tmp_path / "files", images=40, data=list(pictures()))
    assert same(final_state(tmp_path / "memory")["recipe"], final_state(tmp_path / "files")["recipe"])


def test_bf16_stays_close_to_fp32_and_resumes_exactly(tmp_path: Path) -> None:
    train(tmp_path / "whole", images=32, precision="bf16")
    train(tmp_path / "parts", images=16, precision="bf16")
    train(tmp_path / "parts", images=32, precision="bf16", resume=True)
    train(tmp_path / "fp32", images=32)
    whole = final_state(tmp_path / "whole")["recipe"]
    assert same(whole, final_state(tmp_path / "parts")["recipe"])
    exact = final_state(tmp_path / "fp32")["recipe"]["discriminator"]["from_rgb.weight"]
    assert not torch.equal(whole["discriminator"]["from_rgb.weight"], exact)
    assert torch.allclose(whole["discriminator"]["from_rgb.weight"], exact, atol=0.05)
