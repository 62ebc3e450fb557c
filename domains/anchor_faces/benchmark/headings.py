"""Which way cars point, read off pictures by their judges, against the truth.

A car's outline is the same from its front and from its rear. It tells how far the car is turned, and leaves two
headings that are half a turn apart: they point to opposite sides of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from anchor_faces.benchmark.factor_groups import JudgedFactor
from anchor_hub.evaluation.result import Metric

#: A car that is turned by fewer degrees points straight on: it counts on neither side.
STRAIGHT = 5.0


def headings(factors: Tensor, judged: Sequence[JudgedFactor]) -> Tensor:
    """Degrees ``[N]`` from 0 up to 360, of factors ``[N, len(judged)]``: 0 towards the viewer, 90 to the right."""
    names = [factor.name for factor in judged]
    turned, rear = factors[:, names.index("yaw")], factors[:, names.index("car_rear")]
    return (turned + 180 * (rear >= 0.5)) % 360


def away(found: Tensor, truth: Tensor) -> Tensor:
    """Degrees between headings ``[N]``, 0 to 180."""
    return ((found - truth + 180) % 360 - 180).abs()


def heading_errors(found: Tensor, truth: Tensor, judged: Sequence[JudgedFactor]) -> dict[str, float | None]:
    """Errors of the headings that factors ``[N, len(judged)]`` give, against those of the true factors.

    ``end``: share of cars that show the right end; ``side``: share of cars that point to the right side of the picture,
    among those that truly point to one (None without any); ``error``: mean degrees between found and true heading.
    """
    read, true = headings(found, judged), headings(truth, judged)
    sine, wanted = read.deg2rad().sin(), true.deg2rad().sin()
    clear = wanted.abs() >= torch.tensor(STRAIGHT).deg2rad().sin()
    right = (sine[clear] > 0) == (wanted[clear] > 0)
    rear = [factor.name for factor in judged].index("car_rear")
    return {
        "end": float(((found[:, rear] >= 0.5) == (truth[:, rear] >= 0.5)).double().mean()),
        "side": float(right.double().mean()) if len(right) else None,
        "error": float(away(read, true).double().mean()),
    }


def heading_metrics(
    found: Mapping[str, Any], floor: Mapping[str, Any], chance: Mapping[str, Any], shared: Mapping[str, Any]
) -> list[Metric]:
    """Metrics of :func:`heading_errors`. True answers all show the front, so that the end has no chance by exchange."""
    rows = (
        ("heading_end", "shows the right end", "", True, "end", False),
        ("heading_side", "points to the right side", "", True, "side", True),
        ("heading_error_deg", "heading error", "degrees", False, "error", True),
    )
    return [
        Metric(name=name, label=label, unit=unit, value=found[key], floor=floor[key],
               chance=chance[key] if exchanged else None, higher_is_better=higher, **shared)
        for name, label, unit, higher, key, exchanged in rows
    ]  # fmt: skip
