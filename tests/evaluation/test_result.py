from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from anchor_hub.errors import DataError
from anchor_hub.evaluation import result
from anchor_hub.evaluation.result import (
    DataRecord,
    ExtractorRecord,
    HubRecord,
    Metric,
    PairResult,
    RunResult,
    SampleResult,
    read_run,
    read_samples,
    write_samples,
)

SHA = "0" * 64


def metric(**changes: Any) -> Metric:
    table: dict[str, Any] = {
        "name": "fid", "value": 12.5, "higher_is_better": False, "label": "FID",
        "extractor": ExtractorRecord(name="inception-v3-compat", sha256=SHA), "resize": "bilinear to 299x299",
        "counts": {"real": 500, "fake": 400}, "settings": {"features": 2048}, "details": {"by": [1, 2.5, None]},
    }  # fmt: skip
    return Metric(**{**table, **changes})


def run(**changes: Any) -> RunResult:
    table: dict[str, Any] = {
        "kind": "pairs",
        "hub": HubRecord(name="faces-64", fingerprint=SHA),
        "data": DataRecord(path="pairs", count=3, sha256=SHA),
        "pairs": [PairResult(source="seg", target="face", metrics=[metric()], samples="seg-face.jsonl")],
        "settings": {"seed": 0},
    }
    return RunResult(**{**table, **changes})


def test_what_is_written_is_read_back_and_is_the_same_bytes(tmp_path: Path) -> None:
    path = run().write(tmp_path / "report")
    assert path == tmp_path / "report" / "metrics.json"
    assert read_run(tmp_path / "report") == read_run(path) == run()
    first = path.read_bytes()
    assert run().write(tmp_path / "report").read_bytes() == first
    found = read_run(path).pair("seg", "face")
    assert found is not None and found.name == "seg -> face"
    assert found.metric("fid") == metric() and found.metric("kid_x100") is None
    assert run().pair("face", "seg") is None


def test_numbers_of_other_protocols_differ() -> None:
    same = [metric(value=3.0), metric(seed=7), metric(label="x"), metric(details={}), metric(floor=1.0)]
    assert {item.protocol for item in same} == {metric().protocol}
    other = [
        metric(name="fid_clean"), metric(unit="x100"), metric(resize="bicubic to 299x299"),
        metric(extractor=None), metric(extractor=ExtractorRecord(name="inception-v3-compat", sha256="1" * 64)),
        metric(extractor=ExtractorRecord(name="other", sha256=SHA)),
        metric(counts={"real": 500, "fake": 401}), metric(settings={"features": 64}),
    ]  # fmt: skip
    assert len({item.protocol for item in [metric(), *other]}) == len(other) + 1
    # The order in which settings were named is no difference.
    one, two = metric(settings={"a": 1, "b": 2}), metric(settings={"b": 2, "a": 1})
    assert one.protocol == two.protocol


def test_for_people() -> None:
    assert metric().title == "FID ↓" and metric(label="", higher_is_better=True).title == "fid ↑"
    assert metric(higher_is_better=None).title == "FID"
    values = [metric(value=value).shown_value() for value in (12.34567, 0.00012344, 123456.7, None, -0.5)]
    assert values == ["12.35", "0.0001234", "123457", "-", "-0.5"]


@pytest.mark.parametrize(
    "changes",
    [
        {"value": float("nan")}, {"value": float("inf")}, {"value": "12"}, {"name": "F I D"}, {"name": ""},
        {"details": {"x": float("nan")}}, {"details": {"x": object()}}, {"details": {1: 2}},
        {"extractor": {"name": "x", "sha256": "123"}}, {"colour": "red"}, {"counts": {"real": 1.5}},
    ],
)  # fmt: skip
def test_wrong_metrics_are_refused_where_they_are_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        metric(**changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-10], "not valid JSON"),
        (lambda text: text.replace('"kind"', '"kinds"'), "unknown key 'kinds'. Did you mean 'kind'"),
        (lambda text: text.replace("12.5", "NaN"), "JSON has no number NaN"),
        (lambda text: text.replace('"value": 12.5', '"value": 12.5, "value": 1'), "twice"),
        (lambda text: text.replace('"value": 12.5', '"value": "12.5"'), "pairs.0.metrics.0.value"),
        (lambda text: text.replace('"format_version": 1', '"format_version": 2'), "upgrade"),
        (lambda text: "[]", "whole"),
        (lambda text: "[" * 100_000, "not valid JSON"),
        (lambda text: "", "not valid JSON"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, change: Any, message: str) -> None:
    path = run().write(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message) as caught:
        read_run(tmp_path)
    assert str(path) in str(caught.value)


def test_missing_and_foreign_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="--report folder"):
        read_run(tmp_path)
    (tmp_path / "metrics.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_run(tmp_path)
    monkeypatch.setattr(result, "MAX_BYTES", 2)
    with pytest.raises(DataError, match="larger than"):
        read_run(tmp_path)


def test_samples_are_lines(tmp_path: Path) -> None:
    samples = [
        SampleResult(index=i, name=f"{i:06d}", input="/a.png", outputs=["o.png"], scores={"ssim": i / 3, "psnr": None})
        for i in range(3)
    ]
    path = write_samples(tmp_path / "report" / "seg-face.jsonl", samples)
    assert list(read_samples(path)) == samples
    lines = path.read_text().splitlines()
    assert json.loads(lines[1])["scores"] == {"ssim": 1 / 3, "psnr": None}
    path.write_text(lines[0] + "\n" + lines[1][:-5] + "\n")
    with pytest.raises(DataError, match="line 2"):
        list(read_samples(path))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_samples(tmp_path / "none"))
