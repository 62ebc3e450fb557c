"""`anchor study`: a study from folders of results to counted votes, as a user does it."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from anchor_hub.study.plan import open_study
from anchor_hub.study.votes import Votes
from tests.cli.running import anchor
from tests.study.makers import runs_of

needs_web = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")),
    reason="fastapi and uvicorn are not installed (the extra [test] has them)",
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study of three runs, made by the command."""
    runs = ",".join(str(folder) for folder in runs_of(tmp_path).values())
    made = anchor(
        "study", "new", "--runs", runs, "--questions", "quality,structure", "--question", "fur=Whose fur?",
        "--inputs", str(tmp_path / "input"), "--sets", "2", "-o", str(tmp_path / "study"),
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "4 sets of 3 runs" in made.stdout and "sees 2 sets and answers 6 questions" in made.stdout
    return tmp_path / "study"


def test_results_are_a_table_json_and_csv(study: Path) -> None:
    manifest = open_study(study)
    votes = Votes(study, manifest)
    participant = votes.enter("anna")
    for task in manifest.tasks("anna"):
        votes.record(participant, task, task.order.index(2), 1.0)
    shown = anchor("study", "results", str(study), "--csv", str(study / "votes.csv"))
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[0][:4] == ["QUESTION", "RUN", "VOTES", "SHARE"]
    assert rows[3] == ["quality", "blue", "2", "100.0", "%", "34.2", "to", "100.0", "%"]
    assert rows[1][:5] == ["quality", "red", "0", "0.0", "%"] and len(rows) == 1 + 9
    assert "1 participant, 1 finished; by chance each run gets 33.3 %" in shown.stderr
    assert len(list(csv.DictReader((study / "votes.csv").open()))) == 6
    found = json.loads(anchor("study", "results", str(study), "--json", "--confidence", "0.5").stdout)
    assert found["questions"][2]["name"] == "fur" and found["confidence"] == 0.5


def test_errors_are_one_line(tmp_path: Path, study: Path) -> None:
    empty = tmp_path / "empty"
    shutil.copytree(study, empty, ignore=shutil.ignore_patterns("*.png"))
    runs = ("--runs", f"{tmp_path / 'red'},{tmp_path / 'blue'}")
    before = sorted(path for path in tmp_path.rglob("*"))
    for arguments, message in (
        (("serve", str(empty)), "no set of this study has all its pictures"),
        (("results", str(tmp_path)), "holds no study"),
        (("serve", str(tmp_path)), "holds no study"),
        (("new", "--runs", str(tmp_path / "red")), "at least two"),
        (("new", "--runs", "no,where", "-o", str(tmp_path / "x")), "no: is no folder"),
        (("new", "--runs", "a,b", "--questions", "qualitty"), "Did you mean 'quality'"),
        (("results", str(study), "--confidence", "95"), "between 0 and 1"),
        (("results", str(study), "--csv", str(tmp_path)), f"--csv {tmp_path}: is a folder"),
        (("results", str(study), "--csv", str(study / "study.yaml")), "is the study's own study.yaml"),
        (("results", str(study), "--csv", f"{__file__}/v.csv"), "is a file, not a folder"),
        (("new", *runs, "--title", "x" * 201, "-o", "x"), "--title: has 201 letters; give 1 to 200"),
        (("new", *runs, "--from", "face", "-o", "x"), "--from face: says how to draw inputs, but there are none"),
        (("new", *runs, "--overwrite", "-o", __file__), "is a file; give a folder"),
        (("new", *runs, "--overwrite", "-o", str(tmp_path / "input")), "is no study (it holds no study.yaml)"),
        (("new", *runs, "--overwrite", "-o", str(tmp_path / "red")), "is no study (it holds no study.yaml)"),
        (("new", "--runs", f"{study},{empty}", "--overwrite", "-o", str(study)), "a folder of --runs or --inputs"),
        (("new", *runs, "-o", str(tmp_path / "red" / "study")), "a later study would take this study"),
    ):
        found = anchor("study", *arguments)
        assert found.exit_code in (1, 2) and message in found.stderr and found.stderr.count("\n") == 1, found.stderr
        assert sorted(path for path in tmp_path.rglob("*")) == before, arguments


def test_a_question_of_ones_own_beside_a_known_one(tmp_path: Path) -> None:
    runs = ("--runs", ",".join(map(str, runs_of(tmp_path).values())), "--question", "fur=Whose fur?")
    for number, (given, names) in enumerate((((), ["fur"]), (("--questions", "quality"), ["quality", "fur"]))):
        folder = tmp_path / f"study{number}"
        assert anchor("study", "new", *runs, *given, "-o", str(folder)).exit_code == 0
        assert [question.name for question in open_study(folder).questions] == names


def test_votes_go_into_a_folder_to_be_made_and_a_study_is_replaced(study: Path) -> None:
    assert anchor("study", "results", str(study), "--csv", str(study / "new" / "votes.csv")).exit_code == 0
    assert (study / "new" / "votes.csv").is_file()
    runs = ",".join(str(study.parent / name) for name in ("red", "blue"))
    again = anchor("study", "new", "--runs", runs, "-o", str(study))
    assert again.exit_code == 2 and "exists already; choose another folder or pass --overwrite" in again.stderr
    again = anchor("study", "new", "--runs", runs, "-o", str(study), "--overwrite", "--pool", "1")
    assert again.exit_code == 0 and "1 set of 2 runs" in again.stdout, again.output


def start(study: Path) -> tuple[subprocess.Popen[str], str]:
    """The command in a process of its own, and the address it prints."""
    program = "from anchor_cli.main import main; main()"
    arguments = [sys.executable, "-c", program, "study", "serve", str(study), "--port", "0"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@needs_web
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_server_ends_on_a_signal_and_keeps_votes(study: Path, number: signal.Signals, code: int) -> None:
    lost = next(place for place in range(4) if place not in {task.place for task in open_study(study).tasks("anna")})
    (study / "pictures" / f"{lost:05d}" / "2.png").unlink()
    process, address = start(study)
    try:
        assert address.startswith("http://127.0.0.1:")

        def post(path: str, body: object, cookie: str = "") -> tuple[dict[str, object], str]:
            request = urllib.request.Request(
                address + path, json.dumps(body).encode(), {"Content-Type": "application/json", "Cookie": cookie}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer), str(answer.headers.get("Set-Cookie"))

        state, cookie = post("api/enter", {"code": "anna"})
        assert state["total"] == 6
        post("api/vote", {"task": 0, "position": 1}, cookie.split(";")[0])
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert number != signal.SIGINT or "stopped with 1 vote;" in stderr
    assert f"1 of 4 sets lack pictures and are not asked about, the first: {open_study(study).sets[lost]} (" in stderr
    assert len(Votes(study, open_study(study)).all()) == 1


def test_a_result_that_vanished_is_left_out_of_a_new_study(tmp_path: Path) -> None:
    runs = runs_of(tmp_path)
    (runs["green"] / "b.png").write_bytes(b"")
    (runs["blue"] / "c.png").unlink()
    made = anchor("study", "new", "--runs", ",".join(map(str, runs.values())), "-o", str(tmp_path / "study"))
    assert made.exit_code == 0 and "2 sets of 3 runs" in made.stdout
    assert "left out b: " in made.stderr and "1 of 4 results of red are left out" in made.stderr
