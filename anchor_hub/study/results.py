"""Shares of votes with confidence intervals."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from statistics import NormalDist
from typing import Any

from anchor_hub.errors import UsageError
from anchor_hub.study.plan import MANIFEST, VOTES, open_study
from anchor_hub.study.votes import Votes
from anchor_hub.system.inputs import shown


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, within [0, 1]; (0, 1) without trials. E. B. Wilson, 1927:

    centre ``(p + z²/2n) / (1 + z²/n)``, half width ``z sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)``.
    """
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence}: must lie between 0 and 1, e.g. 0.95")
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} votes")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, scale = successes / trials, 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return (
        0.0 if successes == 0 else max(0.0, centre - half),
        1.0 if successes == trials else min(1.0, centre + half),
    )


def results(folder: str | Path, confidence: float = 0.95) -> dict[str, Any]:
    """The votes of a study, counted: JSON-able, with ``questions``, each with ``votes`` and a row per run.

    A set that was passed over is no vote. ``first``: how often the picture at the first position was chosen; a share
    well above chance shows that people clicked the first picture blindly.
    """
    study = open_study(folder)
    votes = Votes(folder, study) if (Path(folder) / VOTES).is_file() else None
    rows = votes.all() if votes else []
    codes = votes.participants() if votes else []
    asked = len(study.questions) * study.sets_per_participant
    per_person = Counter(row["code"] for row in rows)
    questions = []
    for question in study.questions:
        own = [row for row in rows if row["question"] == question.name and row["run"] is not None]
        counts = Counter(row["run"] for row in own)
        shares = []
        for run in study.runs:
            low, high = wilson(counts[run], len(own), confidence)
            share = counts[run] / len(own) if own else None
            shares.append({"run": run, "votes": counts[run], "share": share, "low": low, "high": high})
        first = sum(row["position"] == 0 for row in own)
        questions.append(
            {"name": question.name, "text": question.text, "votes": len(own), "first": first, "runs": shares}
        )
    return {
        "title": study.title,
        "participants": len(codes),
        "finished": sum(count >= asked for count in per_person.values()),
        "passed_over": sum(row["run"] is None for row in rows),
        "confidence": confidence,
        "interval": "Wilson score",
        "chance": 1 / len(study.runs),
        "questions": questions,
    }


def check_csv(path: Path, folder: str | Path) -> None:
    """Check that a CSV at ``path`` replaces no file of the study in ``folder``.

    :raises UsageError: it does.
    """
    if path.resolve() in [(Path(folder) / name).resolve() for name in (MANIFEST, VOTES)]:
        raise UsageError(f"--csv {shown(path)}: is the study's own {path.resolve().name}; name another file")


def votes_csv(folder: str | Path) -> str:
    """Every vote as CSV text, for the statistics of other programs."""
    import csv
    import io

    study = open_study(folder)
    rows = Votes(folder, study).all() if (Path(folder) / VOTES).is_file() else []
    names = ["code", "set_name", "question", "run", "position", "shown", "seconds", "answered"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
