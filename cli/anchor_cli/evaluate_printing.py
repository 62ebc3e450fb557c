"""How the evaluation's commands print numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from anchor_hub.evaluation.result import RunResult


def print_result(result: RunResult, as_json: bool) -> None:
    """One row per translation and metric, or the whole as JSON."""
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    rows, notes = [], []
    for pair in result.pairs:
        for metric in pair.metrics:
            unit = f" {metric.unit}" if metric.unit and not metric.unit.startswith("x1") else ""
            by = metric.extractor.name if metric.extractor else ""
            counts = ", ".join(f"{count} {role}" for role, count in metric.counts.items())
            rows.append((pair.name, metric.title, f"{metric.shown_value()}{unit}", counts, by))
            if metric.note:
                notes.append(f"{pair.name}, {metric.label or metric.name}: {metric.note}")
    print_table(("TRANSLATION", "METRIC", "VALUE", "OF", "MEASURED BY"), rows)
    for line in notes:
        note(line)
