from __future__ import annotations

from typing import Any

import pytest

from anchor_hub.errors import DataError
from anchor_hub.evaluation.comparing import compare
from anchor_hub.evaluation.result import DataRecord, ExtractorRecord, Metric, PairResult, RunResult


def run(*metrics: Metric, data: str = "0") -> RunResult:
    record = DataRecord(path=f"data-{data}", count=5, sha256=data * 64)
    return RunResult(kind="pairs", data=record, pairs=[PairResult(source="a", target="b", metrics=list(metrics))])


def metric(name: str = "fid", value: float = 1.0, **changes: Any) -> Metric:
    return Metric(name=name, value=value, higher_is_better=False, **changes)


def test_one_way_of_measuring_is_one_column() -> None:
    second = run(metric(value=2.0, seed=2), metric("l1", 3.0))
    (table,) = compare([("x", run(metric(value=1.0, seed=1))), ("y", second)])
    assert [column.title for column in table.columns] == ["fid ↓", "l1 ↓"] and not table.notes
    values = [[None if found is None else found.value for found in row.values] for row in table.rows]
    assert values == [[1.0, None], [2.0, 3.0]] and [row.run for row in table.rows] == ["x", "y"]
    assert table.as_dict()["rows"][1]["values"] == [2.0, 3.0]


def test_other_preprocessing_never_shares_a_column() -> None:
    first = metric(resize="bilinear", counts={"real": 5})
    second = metric(value=2.0, resize="bicubic", counts={"real": 5})
    network = ExtractorRecord(name="n", sha256="1" * 64)
    third = metric(value=3.0, resize="bilinear", counts={"real": 5}, extractor=network)
    (table,) = compare([("x", run(first)), ("y", run(second)), ("z", run(third))])
    assert [column.title for column in table.columns] == ["fid ↓ [1]", "fid ↓ [2]", "fid ↓ [3]"]
    for number, row in enumerate(table.rows):
        assert [found is not None for found in row.values] == [number == column for column in range(3)]
    assert table.notes[0] == "fid [1]: resize bilinear" and table.notes[1] == "fid [2]: resize bicubic"
    assert "extractor n" in table.notes[2] and "weights 111111111111" in table.notes[2]


def test_other_data_never_share_a_table() -> None:
    tables = compare([("x", run(metric())), ("y", run(metric(value=2.0), data="1")), ("z", run(metric(value=3.0)))])
    assert [[row.run for row in table.rows] for table in tables] == [["x", "z"], ["y"]]
    assert [table.data.path if table.data else "" for table in tables] == ["data-0", "data-1"]


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="no number"):
        compare([("x", run())])
