"""The judges' own errors on true renders, which are the floor of every number that the judges measure."""

from __future__ import annotations

from typing import Any

from anchor_faces.benchmark.agreement import correlation, factor_scores, turn
from anchor_faces.benchmark.factor_groups import CARRIED
from anchor_faces.benchmark.judges import Judges, Reading
from anchor_faces.benchmark.renders import Renders
from anchor_faces.rendering import CLASS_NAMES
from anchor_hub.metrics.landmarks import LandmarkErrors
from anchor_hub.metrics.segmentation import ConfusionMatrix


def reading_errors(reading: Reading, truth: Renders) -> dict[str, Any]:
    """Errors of a reading against the truth, by ``structure``, ``landmarks``, ``turn`` and ``factors``."""
    matrix = ConfusionMatrix(len(CLASS_NAMES))
    matrix.update(reading.labels, truth.labels[:, None])
    errors = LandmarkErrors()
    errors.update(reading.points, truth.points)
    return {
        "structure": matrix.as_dict(CLASS_NAMES),
        "landmarks": errors.as_dict(),
        "turn": correlation(turn(reading.points), turn(truth.points)),
        "factors": factor_scores(reading.factors, truth.factors, truth.judged, CARRIED[truth.picture]),
    }


def judge_errors(judges: Judges, truth: Renders) -> dict[str, Any]:
    """The judges' errors on true pictures that they were not trained on."""
    return {"samples": len(truth), **reading_errors(judges.read(truth.pictures), truth)}
