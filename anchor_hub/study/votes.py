"""The votes, in SQLite: a vote is on the disk before it is confirmed, and nobody votes twice."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from anchor_hub.errors import DataError, UsageError
from anchor_hub.study.plan import VOTES, Study, Task
from anchor_hub.system.inputs import shown

VERSION = 1
LONGEST_CODE = 60
#: Seconds to wait for another process that writes.
BUSY = 60
_SCHEMA = """
CREATE TABLE study (fingerprint TEXT NOT NULL);
CREATE TABLE participants (token TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, started TEXT NOT NULL);
CREATE TABLE votes (
    code TEXT NOT NULL REFERENCES participants (code),
    set_name TEXT NOT NULL,
    question TEXT NOT NULL,
    run TEXT,                -- NULL: the set was passed over, its pictures could not be shown
    position INTEGER,        -- of the chosen picture on the page, from 0
    shown TEXT NOT NULL,     -- the runs in the order in which they were shown, as JSON
    seconds REAL,            -- from showing to answer, as the page measured it
    answered TEXT NOT NULL,
    PRIMARY KEY (code, set_name, question)
) WITHOUT ROWID;
"""


def _reason(error: sqlite3.Error) -> str:
    """What SQLite says, and what to do where that is not the votes' fault."""
    if "full" in str(error):
        return "the disk is full: free some space"
    return f"{error}: another program has held it for {BUSY} s; close that" if "locked" in str(error) else str(error)


@dataclass(frozen=True)
class Participant:
    """Somebody who takes part: ``code`` is the word they gave or were given, ``token`` the cookie of their browser."""

    token: str
    code: str


class Votes:
    """The votes of one study. Several threads and processes may call all methods at once."""

    def __init__(self, folder: str | Path, study: Study) -> None:
        """Open or make the file.

        :raises DataError: the file belongs to another study, is damaged, or cannot be written.
        """
        self.path = Path(folder) / VOTES
        self.study = study
        # Threads of one process queue here, in the order in which they came; SQLite's own waiting is a lottery.
        self._turn = threading.Lock()
        self._keep_a_log()
        with self._transaction() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                # execute, not executescript, which would end the transaction first.
                for statement in _SCHEMA.split(";\n"):
                    if statement.strip():
                        database.execute(statement)
                database.execute("INSERT INTO study VALUES (?)", (study.fingerprint,))
                database.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise DataError(f"{shown(self.path)}: another version of this library wrote it; upgrade anchor-hub")
            elif database.execute("SELECT fingerprint FROM study").fetchone() != (study.fingerprint,):
                raise DataError(
                    f"{shown(self.path)}: its votes are about other runs, sets or questions than study.yaml names; "
                    "undo the change of study.yaml, or move the votes away"
                )

    def _keep_a_log(self) -> None:
        """Let readers and a writer work side by side (WAL), where the file system can."""
        with suppress(sqlite3.Error), closing(sqlite3.connect(self.path, timeout=BUSY)) as database:
            database.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def _transaction(self, *, reads: bool = False) -> Iterator[sqlite3.Connection]:
        turn = nullcontext() if reads else self._turn
        try:
            with turn, closing(sqlite3.connect(self.path, timeout=BUSY, isolation_level=None)) as database:
                database.execute("PRAGMA synchronous = FULL")  # a vote is on the disk before it is confirmed
                database.execute("BEGIN" if reads else "BEGIN IMMEDIATE")
                try:
                    yield database
                    database.execute("COMMIT")
                except BaseException:
                    if database.in_transaction:
                        database.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise DataError(f"{shown(self.path)}: the votes cannot be used ({_reason(error)})") from error

    def enter(self, code: str = "") -> Participant:
        """The participant with this code, who goes on where they stopped; a new one where the code is new or empty.

        :raises UsageError: the code is too long, or has characters that cannot be printed.
        """
        code = " ".join(unicodedata.normalize("NFC", code).split()).casefold()
        if len(code) > LONGEST_CODE or not code.isprintable():
            raise UsageError(f"a code is one line of at most {LONGEST_CODE} characters")
        code = code or secrets.token_hex(3)
        with self._transaction() as database:
            found = database.execute("SELECT token FROM participants WHERE code = ?", (code,)).fetchone()
            token = found[0] if found else secrets.token_hex(16)
            if not found:
                database.execute("INSERT INTO participants VALUES (?, ?, ?)", (token, code, _now()))
        return Participant(token, code)

    def participant(self, token: str | None) -> Participant | None:
        """The participant whose browser holds this token; None where there is none."""
        if not token:
            return None
        with self._transaction(reads=True) as database:
            found = database.execute("SELECT code FROM participants WHERE token = ?", (token,)).fetchone()
        return Participant(token, found[0]) if found else None

    def answered(self, participant: Participant) -> dict[tuple[str, str], bool]:
        """``(set, question)`` of each task that is done -> True for a vote, False where the set was passed over."""
        with self._transaction(reads=True) as database:
            rows = database.execute(
                "SELECT set_name, question, run IS NOT NULL FROM votes WHERE code = ?", (participant.code,)
            )
            return {(row[0], row[1]): bool(row[2]) for row in rows}

    def record(self, participant: Participant, task: Task, position: int | None, seconds: float | None) -> bool:
        """Write a vote for the picture at ``position`` (None: passed over); returns whether it was written.

        An earlier vote on the same task stays as it is.
        """
        shown_runs = [self.study.runs[run] for run in task.order]
        run = None if position is None else shown_runs[position]
        row: tuple[Any, ...] = (participant.code, task.set_name, task.question.name, run, position)
        with self._transaction() as database:
            cursor = database.execute(
                "INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*row, json.dumps(shown_runs), seconds, _now()),
            )
            return cursor.rowcount == 1

    def all(self) -> list[dict[str, Any]]:
        """Every vote as a dict, in the order of participants' codes, sets and questions."""
        with self._transaction(reads=True) as database:
            cursor = database.execute(
                "SELECT code, set_name, question, run, position, shown, seconds, answered FROM votes "
                "ORDER BY code, set_name, question"
            )
            names = [item[0] for item in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def participants(self) -> list[str]:
        """The codes of all participants, in order."""
        with self._transaction() as database:
            return [row[0] for row in database.execute("SELECT code FROM participants ORDER BY code")]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
