"""Whole evaluations on a tiny hub, with a tiny extractor in place of a network."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_hub.errors import DataError, ImageError, UsageError
from anchor_hub.evaluation import passes, plan, running
from anchor_hub.evaluation.commands import PairsRequest, evaluate_pairs
from anchor_hub.evaluation.plan import Networks
from anchor_hub.evaluation.result import RunResult, read_run, read_samples
from anchor_hub.evaluation.running import Options
from anchor_hub.metrics import trained_classifier
from anchor_hub.translation.request import Session
from tests.tiny import CLASSES, tiny_home, write_sample

COUNT = 7


class Colours:
    """An extractor: mean and deviation of every colour."""

    name, short, sha256, resize, preprocessing = "colours-1", "colours", "c" * 64, "none", "mean and deviation"

    def __call__(self, pictures: Tensor) -> Tensor:
        values = pictures.float().flatten(2)
        return torch.cat([values.mean(2), values.std(2)], dim=1)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_home(tmp_path, monkeypatch, domains=("face", "seg", "points"))
    monkeypatch.setattr(plan, "load_extractor", lambda given, device, resize: Colours())
    for index in range(COUNT):
        name = f"{'ab'[index % 2]}/{index}.png"
        for domain in ("face", "seg"):
            write_sample(domain, tmp_path / "pairs" / domain / name, seed=index)
    return tmp_path / "pairs"


def measure(pairs: Path, report: str, metrics: str | None, **changes: Any) -> RunResult:
    table = {"source": "seg", "target": "face", **changes}
    options = {key: table.pop(key) for key in ("batch", "workers", "resume", "seed") if key in table}
    extractors = ("colours",) if metrics and any(name in metrics for name in ("fd", "kd", "linear")) else ()
    request = PairsRequest(data=pairs, metrics=metrics, device="cpu", **table)
    return evaluate_pairs(request, pairs.parent / report, Networks(extractors), Options(**options))


def values(result: RunResult) -> dict[str, float | None]:
    return {metric.name: metric.value for pair in result.pairs for metric in pair.metrics}


def test_pictures_against_their_truths(pairs: Path) -> None:
    result = measure(pairs, "report", "l1,l2,psnr,fd,mfd", seed=5)
    report = pairs.parent / "report"
    assert read_run(report) == result and not (report / ".evaluation").exists()
    assert [path.name for path in sorted(report.iterdir())] == ["metrics.json", "outputs", "seg-face.jsonl"]
    samples = list(read_samples(report / "seg-face.jsonl"))
    assert [sample.name for sample in samples] == sorted(f"{'ab'[i % 2]}/{i}" for i in range(COUNT))
    for sample in samples:
        assert Path(sample.input).is_file() and Path(str(sample.truth)).is_file()
        assert [(report / path).is_file() for path in sample.outputs] == [True]
    means = {name: sum(float(str(sample.scores[name])) for sample in samples) / COUNT for name in ("l1", "l2", "psnr")}
    found = values(result)
    assert {name: found[name] for name in means} == pytest.approx(means, rel=1e-12)
    metric = result.pairs[0].metric("fd_colours")
    assert metric is not None and metric.extractor is not None and metric.extractor.sha256 == "c" * 64
    assert metric.counts == {"real": COUNT, "fake": COUNT} and metric.value is not None and metric.value > 0
    within = result.pairs[0].metric("mfd_colours")
    assert within is not None and set(within.details["by_class"]) == {"a", "b"}
    assert within.value == pytest.approx(sum(within.details["by_class"].values()) / 2)
    assert str(pairs.parent) not in json.dumps([metric.model_dump() for metric in result.pairs[0].metrics])


def test_nothing_depends_on_batches_and_workers(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained_classifier, "STEPS", 3)
    texts = set()
    for number, (batch, workers) in enumerate([(16, 2), (1, 1), (3, 4)]):
        measure(pairs, f"r{number}", "l1,psnr,fd,rc,fc,rc_linear", batch=batch, workers=workers)
        folder = pairs.parent / f"r{number}"
        outputs = [path.read_bytes() for path in sorted((folder / "outputs").rglob("*.png"))]
        texts.add(((folder / "metrics.json").read_text(), (folder / "seg-face.jsonl").read_text(), *outputs))
    assert len(texts) == 1


def test_resume_skips_what_is_done(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "COMPUTE", 2)
    wanted = measure(pairs, "whole", "l1,fd", batch=2)
    computed: list[int] = []
    stopped: list[bool] = []
    compute, extract = Session.compute, Colours.__call__

    def stopping(self: Session, samples: Any, indices: Any) -> Any:
        if 4 in indices and not stopped:
            stopped.append(True)
            wait = time.monotonic() + 60
            while len(list((pairs.parent / "report" / "outputs").rglob("[0-9].png"))) < 4 and time.monotonic() < wait:
                time.sleep(0.01)  # what was computed is being written by another thread
            raise KeyboardInterrupt
        computed.extend(indices)
        return compute(self, samples, indices)

    monkeypatch.setattr(Session, "compute", stopping)
    with pytest.raises(KeyboardInterrupt):
        measure(pairs, "report", "l1,fd", batch=2)
    assert not (pairs.parent / "report" / "metrics.json").exists()
    with pytest.raises(UsageError, match="give --resume"):
        measure(pairs, "report", "l1,fd", batch=2)
    with pytest.raises(UsageError, match="different data, domains or styles"):
        measure(pairs, "report", "l1,fd", batch=2, resume=True, styles=1)

    seen: list[int] = []

    def failing(self: Colours, pictures: Tensor) -> Tensor:
        seen.append(len(pictures))
        if sum(seen) > 6 and -1 not in seen:
            seen.append(-1)
            raise RuntimeError("killed")
        return extract(self, pictures)

    monkeypatch.setattr(Colours, "__call__", failing)
    with pytest.raises(RuntimeError, match="killed"):
        measure(pairs, "report", "l1,fd", batch=2, resume=True)
    assert sorted(computed) == list(range(COUNT))  # the first four were not computed again
    seen[:] = [-1]
    result = measure(pairs, "report", "l1,fd", batch=2, resume=True)
    assert sum(seen) < 2 * COUNT  # of 14 pictures, those before the stop were not looked at again
    assert result == wanted
    # A finished run is given back as it is; further metrics use its outputs.
    monkeypatch.setattr(Session, "compute", None)
    assert measure(pairs, "report", "l1,fd", resume=True) == wanted
    assert values(measure(pairs, "report", "l2", resume=True))["l2"] is not None


def test_the_same_command_writes_the_same_bytes(pairs: Path) -> None:
    pytest.importorskip("torchmetrics", exc_type=Exception)
    for name in ("one", "two"):
        measure(pairs, name, "l1,kd", styles=2, seed=3)
    one, two = (pairs.parent / name for name in ("one", "two"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 2 * COUNT + 2
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    samples = list(read_samples(one / "seg-face.jsonl"))
    assert samples[0].outputs == ["outputs/a/0-style1.png", "outputs/a/0-style2.png"]


def test_label_maps_and_points(pairs: Path, tmp_path: Path) -> None:
    result = measure(pairs, "labels", None, source="face", target="seg")
    found = values(result)
    assert list(found) == ["pixel_accuracy", "mean_iou"]
    # By hand: what the outputs and truths hold, pixel by pixel.
    import numpy as np
    from PIL import Image

    from anchor_hub.modality import build_modality

    seg = build_modality({"name": "segmentation", "classes": CLASSES})
    right = total = 0
    for sample in read_samples(pairs.parent / "labels" / "face-seg.jsonl"):
        output = seg.read(pairs.parent / "labels" / sample.outputs[0], 16)[0].numpy()
        truth = np.asarray(Image.open(str(sample.truth)))
        right, total = right + int((output == truth).sum()), total + truth.size
        assert sample.scores["pixel_accuracy"] == pytest.approx((output == truth).mean())
    assert found["pixel_accuracy"] == pytest.approx(right / total, rel=1e-12)
    assert list(values(measure(pairs, "one", "mean_iou", source="face", target="seg"))) == ["mean_iou"]


def test_points_against_themselves(pairs: Path) -> None:
    (pairs / "points").mkdir()
    for index in range(COUNT):
        path = pairs / "points" / "ab"[index % 2] / f"{index}.json"
        path.parent.mkdir(exist_ok=True)
        points = [[8 + 6 * ((i * 7) % 13 - 6) / 6, 8 + 6 * ((i * 5) % 11 - 5) / 5] for i in range(68)]
        path.write_text(json.dumps({"size": [16, 16], "points": points}))
    result = measure(pairs, "points", None, target="points")
    found = values(result)
    assert list(found) == ["landmark_error_px", "landmark_error_interocular"]
    samples = list(read_samples(pairs.parent / "points" / "seg-points.jsonl"))
    mean = sum(float(str(sample.scores["landmark_error_px"])) for sample in samples) / COUNT
    assert found["landmark_error_px"] == pytest.approx(mean, rel=1e-12) and mean > 0.1


def test_infinite_numbers_are_said_to_be_so(pairs: Path) -> None:
    """Outputs that equal their truths have no finite PSNR."""
    measure(pairs, "report", "l1")
    outputs = pairs.parent / "report" / "outputs"
    for path in outputs.rglob("*.png"):
        (pairs / "face" / path.relative_to(outputs)).write_bytes(path.read_bytes())
    result = measure(pairs, "again", "l1,psnr")
    assert values(result) == {"l1": 0.0, "psnr": None}
    metric = result.pairs[0].metric("psnr")
    assert metric is not None and metric.note == f"infinite: {COUNT} of {COUNT} pairs are equal pictures"
    assert next(read_samples(pairs.parent / "again" / "seg-face.jsonl")).scores == {"l1": 0.0, "psnr": None}


@pytest.mark.parametrize(
    ("metrics", "changes", "message"),
    [
        ("fdi", {}, "no metric is named 'fdi'"),
        ("l1 psnr", {}, "named 'l1 psnr'. Put commas between names"),
        (",", {}, "names none"),
        ("mean_iou", {}, "measures label maps, but the target is rgb"),
        ("landmark_error", {}, "measures points, but the target is rgb"),
        ("lpips", {}, "at least 32 pixels"),
        ("fd", {"count": 1}, "fd: needs at least two pictures in each set; there are 1 real files and 1 inputs"),
        ("rc", {"count": 2}, "rc: needs two classes or more, but there is only 'a'"),
        ("mfd", {"count": 5}, "class 'b' has 1 real files and 1 outputs; it needs two of each"),
        ("lpips_diversity", {"styles": 1}, "give --styles 2 or more"),
        ("l1", {"source": "nothing"}, "no domain is named"),
        ("l1", {"truncation": 0.5}, "acts on random styles"),
    ],
)
def test_wrong_calls(pairs: Path, metrics: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, DataError, KeyError), match=message):
        measure(pairs, "report", metrics, **changes)
    assert not (pairs.parent / "report").exists()


def test_classes_are_asked_for_before_any_work(pairs: Path) -> None:
    (pairs / "face" / "a").rename(pairs / "face" / "c")
    (pairs / "seg" / "a").rename(pairs / "seg" / "c")
    other = pairs.parent / "real"
    write_sample("face", other / "x.png")
    write_sample("face", other / "y.png", seed=1)
    with pytest.raises(DataError, match="one folder per class.*real: none; outputs: b, c"):
        measure(pairs, "report", "rc", real=other)
    for domain in ("face", "seg"):
        shutil.rmtree(pairs / domain / "b")
    with pytest.raises(DataError, match="fc: needs two classes or more, but there is only 'c'"):
        measure(pairs, "report", "mfd,fc")
    assert not (pairs.parent / "report").exists()


def test_trained_classifiers_stop_and_go_on(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained_classifier, "STEPS", 2)
    wanted = measure(pairs, "whole", "rc,fc", seed=4)
    assert [(metric.name, metric.seed) for metric in wanted.pairs[0].metrics] == [("rc", 4), ("fc", 4)]
    fit = trained_classifier.PictureClassifier.fit

    def stopped(*given: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(trained_classifier.PictureClassifier, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        measure(pairs, "report", "rc,fc", seed=4)
    monkeypatch.setattr(trained_classifier.PictureClassifier, "fit", fit)
    monkeypatch.setattr(Session, "compute", None)  # nothing is translated again
    assert measure(pairs, "report", "rc,fc", seed=4, resume=True) == wanted
    assert not (pairs.parent / "report" / ".evaluation").exists()


def test_folders_in_use_are_left_alone(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="in use, and not by an evaluation"):
        measure(pairs, "mine", "l1")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_unpaired_sets_have_distances_only(pairs: Path) -> None:
    for index, path in enumerate(sorted((pairs / "face").rglob("*.png"))):
        path.rename(path.with_name(f"other{index}.png"))
    assert set(values(measure(pairs, "report", "fd"))) == {"fd_colours"}
    with pytest.raises(DataError, match="needs pairs"):
        measure(pairs, "other", "l1")
    with pytest.raises(UsageError, match="not pairs"):
        measure(pairs, "other", None)


def test_pairs_of_outputs_are_drawn_once_each(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Few:
        data = type("Data", (), {"items": range(50)})
        options = Options(seed=3)

    drawn = running._Evaluation._random_pairs(Few())  # type: ignore[arg-type]
    assert len(drawn) == len(set(drawn)) == 1000 and all(0 <= i < j < 50 for i, j in drawn)
    assert drawn == running._Evaluation._random_pairs(Few())  # type: ignore[arg-type]
    Few.data.items = range(4)  # type: ignore[attr-defined]
    assert len(running._Evaluation._random_pairs(Few())) == 6  # type: ignore[arg-type]


def test_a_data_error_leaves_a_folder_for_the_mended_data(pairs: Path) -> None:
    damaged = pairs / "seg" / "a" / "4.png"
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[: len(sound) // 2])
    for _ in range(2):
        with pytest.raises(ImageError, match=r"4\.png"):
            measure(pairs, "report", "l1", batch=1)
        assert not (pairs.parent / "report").exists()
    damaged.write_bytes(sound)
    assert measure(pairs, "report", "l1").pairs
