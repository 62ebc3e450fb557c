"""Hundreds of participants at once, and requests that are long or hold what JSON lacks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anchor_hub.study.votes import Votes, _reason
from tests.study.makers import study_of
from tests.study.test_web import client, needs_web

MANY = 500


def test_five_hundred_participants_enter_and_vote_at_once(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    votes = Votes(made.folder, made.study)

    def take_part(number: int) -> bool:
        participant = votes.enter(f"p{number}")
        assert votes.participant(participant.token) == participant
        return votes.record(participant, made.study.tasks(participant.code)[0], 0, 1.0)

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(take_part, range(MANY)))
    assert len(Votes(made.folder, made.study).all()) == MANY


@needs_web
def test_two_processes_do_not_lock_each_other_out(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    one, other = Votes(made.folder, made.study), Votes(made.folder, made.study)
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda n: (one if n % 2 else other).enter(f"p{n}").code, range(60)))
    assert len(set(codes)) == 60


@needs_web
@pytest.mark.parametrize("chunked", [False, True])
def test_long_bodies_are_refused_before_they_are_read(chunked: bool, tmp_path: Path) -> None:
    web = client(study_of(tmp_path).folder)
    sent = 0

    def body() -> object:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b"x" * 10_000

    answer = web.post("/api/enter", content=body() if chunked else b"x" * 20_000)
    assert answer.status_code == 413 and answer.json() == {"error": "a request holds at most 16,384 bytes"}
    assert web.post("/api/enter", json={"code": "anna"}).status_code == 200


@needs_web
@pytest.mark.parametrize("body", ['{"task": 1e400}', '{"task": NaN}', "{", "[]", '{"task": "x", "position": []}', ""])
def test_what_was_sent_is_not_sent_back(body: str, tmp_path: Path) -> None:
    web = client(study_of(tmp_path).folder)
    web.post("/api/enter", json={"code": "anna"})
    answer = web.post("/api/vote", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and answer.json()["error"].startswith("the request is wrong in ")


@needs_web
def test_the_cause_of_a_failure_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = study_of(tmp_path)
    web = client(made.folder)
    for item in made.folder.glob("votes*"):
        item.write_bytes(b"no database at all" * 100)
    assert web.post("/api/enter", json={"code": "anna"}).status_code == 500
    assert "POST /api/enter" in caplog.text and "the votes cannot be used" in caplog.text


def test_a_full_disk_is_not_the_votes_fault() -> None:
    import sqlite3

    assert _reason(sqlite3.OperationalError("database or disk is full")) == "the disk is full: free some space"
