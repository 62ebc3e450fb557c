"""Several processes train as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anchor_hub.errors import TrainingError
from anchor_hub.training.distributed import ProcessGroup
from anchor_hub.training.engine.batches import BatchPlan
from anchor_hub.training.engine.processes import default_processes
from tests.training.tiny import final_state, same, train

ROOT = Path(__file__).parents[3]


def test_two_processes_train_and_resume_bit_for_bit(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", images=40, processes=2)
    assert (whole.steps, whole.reason) == (5, "images")
    train(tmp_path / "parts", images=24, processes=2)
    train(tmp_path / "parts", images=40, processes=2, resume=True)
    assert same(final_state(tmp_path / "whole")["recipe"], final_state(tmp_path / "parts")["recipe"])
    assert json.loads((tmp_path / "whole/options.json").read_text())["processes"] == 2


def test_torchrun_gives_the_same_weights_as_processes(tmp_path: Path) -> None:
    train(tmp_path / "processes", images=32, processes=2)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "tests.training.tiny", str(tmp_path / "torchrun"), "--images", "32"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    first, second = final_state(tmp_path / "processes"), final_state(tmp_path / "torchrun")
    assert same(first["recipe"], second["recipe"])


def test_the_number_of_processes_cannot_change_on_resume(tmp_path: Path) -> None:
    train(tmp_path, images=16)
    with pytest.raises(Exception, match="processes was 1, now 2"):
        train(tmp_path, images=32, processes=2, resume=True)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the helper through /proc")
def test_a_dead_helper_is_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.tiny", str(tmp_path), "--images", "80000", "--processes", "2"]
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "stats.jsonl").exists() or not (tmp_path / "stats.jsonl").read_text():
            assert run.poll() is None
        for child in _children(run.pid):
            os.kill(child, signal.SIGKILL)
        _, error = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 1
    assert "lost the other 1 processes" in error and "--resume" in error


@pytest.mark.skipif(sys.platform != "linux", reason="finds the helper through /proc")
def test_terminating_the_first_process_ends_all_of_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.tiny", str(tmp_path), "--images", "80000", "--processes", "2"]
    run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "stats.jsonl").exists() or not (tmp_path / "stats.jsonl").read_text():
            assert run.poll() is None
        children = _children(run.pid)
        run.terminate()
        run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 143 and children
    assert final_state(tmp_path)["step"] > 0
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def test_ranks_share_each_batch_without_overlap() -> None:
    whole = BatchPlan(21, 8, seed=3)
    parts = [BatchPlan(21, 8, seed=3, rank=rank, world=2) for rank in range(2)]
    for step in (0, 1, 2, 30):
        assert whole.indices(step) == parts[0].indices(step) + parts[1].indices(step)
    # Every epoch shows every sample once.
    seen = [index for step in range(21) for index in whole.indices(step)]
    assert all(sorted(seen[start:start + 21]) == list(range(21)) for start in range(0, 8 * 21, 21))


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(TrainingError, match="a batch of 9 cannot be divided among 2 processes"):
        BatchPlan(10, 9, seed=0, world=2)


def test_the_default_is_one_process_per_core_that_divides_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert [default_processes(cpu, batch) for batch in (32, 24, 8, 4, 5)] == [4, 6, 2, 1, 1]
    assert default_processes(torch.device("cuda"), 32) == 1


def test_a_group_of_one_leaves_gradients_alone() -> None:
    weight = torch.ones(3, requires_grad=True)
    weight.sum().backward()
    ProcessGroup().average_gradients([weight])
    assert torch.equal(weight.grad, torch.ones(3))  # type: ignore[arg-type]
    assert ProcessGroup().agree(130, torch.device("cpu")) == 130


def _children(pid: int) -> list[int]:
    """Processes that run Python code for `pid` (not multiprocessing's resource tracker)."""
    found = []
    for entry in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if "spawn_main" in Path(f"/proc/{entry}/cmdline").read_text():
            found.append(int(entry))
    return found
