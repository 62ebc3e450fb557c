"""The judges' own errors on true renders, which are the floor of every number that the judges measure."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from anchor_faces.benchmark.agreement import correlation, factor_scores, turn
from anchor_faces.benchmark.factor_groups import CARRIED
from anchor_faces.benchmark.headings import heading_errors
from anchor_faces.benchmark.judge_kinds import FACES, judge_kind_of
from anchor_faces.benchmark.judges import Judges, Reading
from anchor_faces.benchmark.renders import Renders
from anchor_hub.metrics.landmarks import LandmarkErrors
from anchor_hub.metrics.segmentation import ConfusionMatrix


def reading_errors(reading: Reading, truth: Renders) -> dict[str, Any]:
    """Errors of a reading against the truth, by ``structure``, ``landmarks``, ``turn`` and ``factors``.

    Cars have no landmarks; they have errors of the ``heading`` instead.
    """
    kind = judge_kind_of(truth.picture) or FACES
    matrix = ConfusionMatrix(len(kind.classes))
    matrix.update(reading.labels, truth.labels[:, None])
    found: dict[str, Any] = {"structure": matrix.as_dict(kind.classes)}
    if kind.points:
        errors = LandmarkErrors()
        errors.update(reading.points, truth.points)
        found["landmarks"] = errors.as_dict()
        found["turn"] = correlation(turn(reading.points), turn(truth.points))
    else:
        found["heading"] = heading_errors(reading.factors, truth.factors, truth.judged)
        found["turn"] = correlation(_yaw(reading.factors, truth), _yaw(truth.factors, truth))
    factors = factor_scores(reading.factors, truth.factors, truth.judged, CARRIED[truth.picture])
    return {**found, "factors": factors}


def _yaw(factors: Tensor, truth: Renders) -> Tensor:
    return factors[:, [factor.name for factor in truth.judged].index("yaw")]


def judge_errors(judges: Judges, truth: Renders) -> dict[str, Any]:
    """The judges' errors on true pictures that they were not trained on."""
    return {"samples": len(truth), **reading_errors(judges.read(truth.pictures), truth)}
