"""Metrics of landmarks and factors: a score beside its floor, the truth's, and its chance, of exchanged samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from anchor_faces.benchmark.factor_groups import GROUPS
from anchor_hub.evaluation.result import Metric

#: A factor whose reading on true pictures agrees less than this with the truth is shown, but counts in no mean.
READABLE = 0.4


def landmark_metrics(
    found: dict[str, Any], floor: dict[str, Any], chance: dict[str, Any], shared: dict[str, Any]
) -> list[Metric]:
    """Errors of landmarks in pixels and in distances of the eyes, from ``LandmarkErrors.as_dict``."""
    rows = (
        ("landmark_error_px", "landmark error", "px", "mean_error_px"),
        ("landmark_error_interocular", "landmark error", "of the eyes' distance", "normalised_mean_error"),
    )
    return [
        Metric(name=name, label=label, unit=unit, value=found[key], floor=floor[key], chance=chance[key],
               higher_is_better=False, **shared)
        for name, label, unit, key in rows
    ]  # fmt: skip


def factor_metric(
    found: dict[str, Any], floors: dict[str, Any], chance: dict[str, Any], kept: Sequence[str], shared: dict[str, Any]
) -> Metric:
    """The mean agreement over those kept factors that the judge itself can read; the details hold every factor."""
    rows: dict[str, Any] = {}
    for name, row in found.items():
        floor = floors[name]
        best, got = floor["agreement"], row["agreement"]
        survives = None if not best or best <= 0 or got is None else min(max(got / best, 0.0), 1.0)
        rows[name] = {
            **row, "kept": row["group"] in kept, "readable": best is not None and best >= READABLE,
            "floor": floor["score"], "floor_agreement": best,
            "chance": chance[name]["score"], "chance_agreement": chance[name]["agreement"], "survives": survives,
        }  # fmt: skip
    return Metric(
        name="factor_agreement", label="factor agreement", higher_is_better=True, **_means(rows, kept),
        settings={**shared.get("settings", {}), "kept": list(kept), "readable_from": READABLE},
        details={"factors": rows}, **{key: value for key, value in shared.items() if key != "settings"},
    )  # fmt: skip


def group_metrics(factors: Metric) -> list[Metric]:
    """The agreement of each kept group alone, such as ``pose_agreement``, from :func:`factor_metric`'s answer."""
    rows = factors.details["factors"]
    return [
        factors.model_copy(
            update={
                "name": f"{group.replace(' ', '_')}_agreement", "label": f"{group} agreement", "details": {},
                "settings": {**factors.settings, "kept": [group]}, **_means(rows, [group]),
            }
        )
        for group in GROUPS
        if group in factors.settings["kept"]
    ]  # fmt: skip


def _means(rows: dict[str, Any], groups: Sequence[str]) -> dict[str, Any]:
    wanted = [row for row in rows.values() if row["group"] in groups and row["readable"]]
    return {
        "value": mean(row["agreement"] for row in wanted),
        "floor": mean(row["floor_agreement"] for row in wanted),
        "chance": mean(row["chance_agreement"] for row in wanted),
        "note": "" if wanted else "no factor that must be kept can be read",
    }


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
