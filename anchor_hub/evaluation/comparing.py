"""Runs side by side: numbers share a column only where they were measured in the same way, and a table only where they
were measured on the same files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from anchor_hub.errors import DataError
from anchor_hub.evaluation.result import DataRecord, Metric, PairResult, RunResult


@dataclass(frozen=True)
class Column:
    """One metric measured by one protocol. ``number``: 1, 2, ... of its note where the metric has several protocols,
    else 0."""

    metric: Metric
    number: int = 0

    @property
    def title(self) -> str:
        return f"{self.metric.title} [{self.number}]" if self.number else self.metric.title


@dataclass(frozen=True)
class Row:
    """A translation of one run; ``values``: one for each column, None where the run did not measure that column."""

    run: str
    pair: PairResult
    values: tuple[Metric | None, ...]


@dataclass
class Table:
    """Runs on the same data. ``notes``: how the protocols of the numbered columns differ."""

    data: DataRecord | None
    columns: list[Column] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "data": None if self.data is None else self.data.model_dump(mode="json"),
            "columns": [
                {"title": column.title, **column.metric.model_dump(mode="json", exclude={"value", "details", "seed"})}
                for column in self.columns
            ],
            "rows": [
                {
                    "run": row.run, "source": row.pair.source, "target": row.pair.target, "backend": row.pair.backend,
                    "settings": row.pair.settings,
                    "values": [None if metric is None else metric.value for metric in row.values],
                }
                for row in self.rows
            ],
            "notes": self.notes,
        }  # fmt: skip


def compare(runs: Sequence[tuple[str, RunResult]]) -> list[Table]:
    """One table for each set of data, over all runs.

    :param runs: each run with the name that the table shows for it.
    :raises DataError: there is no run, or no run has a number.
    """
    groups: dict[str, list[tuple[str, RunResult]]] = {}
    for name, run in runs:
        groups.setdefault("" if run.data is None else run.data.sha256, []).append((name, run))
    tables = [_table(members) for members in groups.values()]
    if not any(table.columns for table in tables):
        raise DataError("there is no number to compare: give the --report folders of evaluations")
    return tables


def _table(members: Sequence[tuple[str, RunResult]]) -> Table:
    table = Table(members[0][1].data)
    pairs = [(name, pair) for name, run in members for pair in run.pairs]
    protocols: dict[str, dict[str, Metric]] = {}
    for _, pair in pairs:
        for metric in pair.metrics:
            protocols.setdefault(metric.name, {}).setdefault(metric.protocol, metric)
    for kinds in protocols.values():
        numbered = len(kinds) > 1
        for number, metric in enumerate(kinds.values(), start=1):
            table.columns.append(Column(metric, number if numbered else 0))
        if numbered:
            table.notes += _differences(list(kinds.values()))
    for name, pair in pairs:
        by_protocol = {metric.protocol: metric for metric in pair.metrics}
        values = tuple(by_protocol.get(column.metric.protocol) for column in table.columns)
        table.rows.append(Row(name, pair, values))
    return table


def _differences(metrics: Sequence[Metric]) -> list[str]:
    """One line for each protocol of a metric that has several: the settings in which they differ."""
    tables = [_flat(metric) for metric in metrics]
    keys = [key for key in dict.fromkeys(key for table in tables for key in table)]
    differing = [key for key in keys if len({json.dumps(table.get(key), sort_keys=True) for table in tables}) > 1]
    return [
        f"{metric.label or metric.name} [{number}]: "
        + ", ".join(f"{key} {table[key]}" for key in differing if table.get(key) is not None)
        for number, (metric, table) in enumerate(zip(metrics, tables, strict=True), start=1)
    ]


def _flat(metric: Metric) -> dict[str, Any]:
    table: dict[str, Any] = {"unit": metric.unit or None, "resize": metric.resize}
    if metric.extractor is not None:
        table["extractor"], table["weights"] = metric.extractor.name, metric.extractor.sha256[:12]
    table.update(metric.settings)
    table.update({f"{role} count": count for role, count in metric.counts.items()})
    return table
