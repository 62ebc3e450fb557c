"""Votes last, count once, and are counted right."""

from __future__ import annotations

import csv
import io
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_hub.errors import DataError, UsageError
from anchor_hub.study.plan import MANIFEST
from anchor_hub.study.results import results, votes_csv, wilson
from anchor_hub.study.votes import Votes
from tests.study.makers import study_of


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, table I, method 3 (score): 81/263, 15/148, 0/20, 1/29.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_is_the_published_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.01, 0.999))
def test_wilson_holds_the_share(successes: int, more: int, confidence: float) -> None:
    trials = successes + more
    low, high = wilson(successes, trials, confidence)
    assert 0 <= low <= high <= 1
    if trials:
        assert low <= successes / trials <= high
        other = wilson(more, trials, confidence)
        assert (1 - other[1], 1 - other[0]) == pytest.approx((low, high), abs=1e-9)


def test_wilson_refuses_nonsense() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        wilson(1, 2, 95)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_votes_are_counted_by_run_whatever_their_position(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    votes = Votes(made.folder, made.study)
    for code in ("anna", "berta", "cleo"):
        participant = votes.enter(code)
        for task in made.study.tasks(participant.code):
            # Quality: always green; structure: anna and berta say red, cleo passes over.
            wanted = {"quality": 1, "structure": 0}[task.question.name]
            position = None if (code, task.question.name) == ("cleo", "structure") else task.order.index(wanted)
            assert votes.record(participant, task, position, 1.5)
    found = results(made.folder)
    assert (found["participants"], found["finished"], found["passed_over"]) == (3, 3, 4)
    quality, structure = found["questions"]
    assert [row["votes"] for row in quality["runs"]] == [0, 12, 0] and quality["votes"] == 12
    assert [row["votes"] for row in structure["runs"]] == [8, 0, 0] and structure["runs"][0]["share"] == 1.0
    assert structure["runs"][0]["low"] == pytest.approx(wilson(8, 8)[0])
    assert 0 < quality["first"] < 12  # green was not always at the first position
    rows = list(csv.DictReader(io.StringIO(votes_csv(made.folder))))
    assert len(rows) == 24 and {row["run"] for row in rows} == {"green", "red", ""}
    assert all(row["shown"].count('"') == 6 for row in rows)


def test_nobody_votes_twice(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    votes = Votes(made.folder, made.study)
    participant = votes.enter("anna")
    task = made.study.tasks("anna")[0]
    assert votes.record(participant, task, 0, None) and not votes.record(participant, task, 1, None)
    (vote,) = votes.all()
    assert vote["position"] == 0 and vote["run"] == made.study.runs[task.order[0]]


def test_a_crowd_votes_at_once(tmp_path: Path) -> None:
    made = study_of(tmp_path)

    def take_part(number: int) -> int:
        votes = Votes(made.folder, made.study)  # a file of its own, as another process has
        participant = votes.enter(f"p{number % 4}")
        return sum(votes.record(participant, task, 0, None) for task in made.study.tasks(participant.code))

    with ThreadPoolExecutor(8) as pool:
        counted = sum(pool.map(take_part, range(8)))
    assert counted == len(Votes(made.folder, made.study).all()) == 4 * 8
    assert results(made.folder)["participants"] == 4


def test_codes_are_the_same_in_any_spelling(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    votes = Votes(made.folder, made.study)
    anna = votes.enter("  Änna  B ")
    assert votes.enter("a\u0308nna b") == anna == votes.participant(anna.token) and anna.code == "änna b"
    first, second = votes.enter(), votes.enter("")
    assert first.code != second.code and len(first.code) == 6
    assert votes.participant("unknown") is None and votes.participant(None) is None
    for bad in ("x" * 61, "a\x00b"):
        with pytest.raises(UsageError, match="a code is one line"):
            votes.enter(bad)


def test_votes_of_another_study_are_refused(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    Votes(made.folder, made.study).enter("anna")
    manifest = made.folder / MANIFEST
    words = manifest.read_text().replace("Which is best?", "Which one is nicest?").replace("title: ", "title: The ")
    manifest.write_text(words)
    assert results(made.folder)["participants"] == 1  # words may change
    manifest.write_text(words.replace("- green", "- violet"))
    with pytest.raises(DataError, match="about other runs, sets or questions"):
        results(made.folder)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    (made.folder / "votes.sqlite").write_bytes(b"no database at all, only text " * 50)
    with pytest.raises(DataError, match=r"votes\.sqlite: the votes cannot be used"):
        results(made.folder)


def test_counting_does_not_make_a_file(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    found = results(made.folder)
    assert found["questions"][0]["runs"][0] == {"run": "red", "votes": 0, "share": None, "low": 0.0, "high": 1.0}
    assert not (made.folder / "votes.sqlite").exists() and votes_csv(made.folder).count("\n") == 1


def test_votes_are_on_the_disk_at_once(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    votes = Votes(made.folder, made.study)
    participant = votes.enter("anna")
    votes.record(participant, made.study.tasks("anna")[0], 2, 0.5)
    # Read by somebody else while `votes` still lives, as after kill -9.
    with sqlite3.connect(made.folder / "votes.sqlite") as database:
        assert database.execute("SELECT count(*) FROM votes").fetchone() == (1,)
    assert {path.name for path in made.folder.glob("votes*")} <= {f"votes.sqlite{end}" for end in ("", "-wal", "-shm")}
