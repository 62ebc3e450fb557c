"""`anchor evaluate` as a user types it, on a tiny hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from anchor_hub.bundles import tensorfile
from anchor_hub.evaluation.result import DataRecord, Metric, PairResult, RunResult, read_run
from anchor_hub.metrics.mobilenet import MobileNetV2
from anchor_hub.translation.request import Session
from tests.cli.running import anchor
from tests.tiny import tiny_home, write_sample


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_home(tmp_path, monkeypatch, domains=("face", "seg", "sketch"))
    for index in range(4):
        for domain in ("face", "seg"):
            write_sample(domain, tmp_path / "pairs" / domain / f"{index}.png", seed=index)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    return tmp_path


DISTANCE = ("evaluate", "distance", "--hub", "tiny", "--domain", "sketch")
PAIRS = ("evaluate", "--from", "seg", "--to", "face", "--data", "pairs")
#: What --metrics l1 alone says of an option that it does not use.
BENCHMARK = ("evaluate", "--report", "r", "--benchmark", "rendered-faces")
UNUSED = "has no effect on --metrics l1; only"


def test_measure_and_compare(folder: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MobileNetV2()
    (folder / "net.safetensors").write_bytes(tensorfile.write(network.state_dict(), folder))
    result = anchor(*PAIRS, "--metrics", "l1,psnr,fd", "--extractor", "net.safetensors", "--report", "one", "-q")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["TRANSLATION", "METRIC", "VALUE", "OF", "MEASURED", "BY"]
    assert "seg -> face" in lines[1] and "L1 ↓" in lines[1] and "4 pairs" in lines[1]
    assert "FD (mobilenetv2) ↓" in lines[3] and "4 real, 4 fake" in lines[3]
    assert (folder / "one" / "report.html").is_file() and "report.html" in result.stderr
    anchor(*PAIRS, "--metrics", "l1", "--styles", "1", "--report", "two")
    compared = anchor("evaluate", "compare", "one", "two")
    assert compared.exit_code == 0, compared.output
    assert [line.split()[0] for line in compared.stdout.splitlines()] == ["RUN", "one", "two"]
    found = json.loads(anchor("evaluate", "compare", "one", "two", "--json").stdout)["tables"]
    assert len(found) == 1 and [row["values"][0] for row in found[0]["rows"]] == [
        read_run(folder / name).pairs[0].metrics[0].value for name in ("one", "two")
    ]


def test_without_metrics_those_that_need_no_weights(folder: Path) -> None:
    result = anchor("evaluate", "--from", "face", "--to", "seg", "--data", "pairs", "--report", "r", "--json")
    assert result.exit_code == 0, result.output
    assert [metric["name"] for metric in json.loads(result.stdout)["pairs"][0]["metrics"]] == [
        "pixel_accuracy",
        "mean_iou",
    ]
    again = anchor("evaluate", "--from", "face", "--to", "seg", "--data", "pairs", "--report", "r")
    assert again.exit_code == 2 and "--resume" in again.stderr
    call = ("evaluate", "--from", "face", "--to", "seg", "--data", "pairs", "--report", "r", "--resume", "--json")
    resumed = anchor(*call)
    assert resumed.exit_code == 0 and resumed.stdout == result.stdout


def test_ctrl_c_says_how_to_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Session.compute

    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "compute", stopped)
    result = anchor(*PAIRS, "--report", "r")
    assert result.exit_code == 130 and result.stderr == "stopped; the same command with --resume goes on with r\n"
    monkeypatch.setattr(Session, "compute", compute)
    assert anchor(*PAIRS, "--report", "r", "--resume").exit_code == 0 and (folder / "r" / "report.html").is_file()


def test_an_extractor_that_no_metric_uses_is_refused(folder: Path) -> None:
    (folder / "net.safetensors").write_bytes(tensorfile.write(MobileNetV2().state_dict(), folder))
    for index in range(4):
        for domain in ("face", "seg"):
            place = folder / "classes" / domain / "ab"[index % 2]
            place.mkdir(parents=True, exist_ok=True)
            (folder / "pairs" / domain / f"{index}.png").rename(place / f"{index}.png")
    given = ("--extractor", "rendered-faces-r1", "--extractor", "net.safetensors")
    call = (*PAIRS[:-1], "classes", "--metrics", "rc_linear", *given, "--report", "r")
    result = anchor(*call)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and not (folder / "r").exists(), result.output
    assert "--extractor rendered-faces-r1: no metric uses it" in result.stderr


def test_outputs_alone_need_no_folder_of_the_target(folder: Path) -> None:
    shutil.rmtree(folder / "pairs" / "face")
    result = anchor(*PAIRS, "--metrics", "lpips_d", "--styles", "2", "--report", "r")
    assert result.exit_code == 1 and "at least 32 pixels" in result.stderr, result.output
    result = anchor(*PAIRS, "--metrics", "l1", "--report", "r")
    assert result.exit_code == 1 and "pairs/face: is not there" in result.stderr


def test_missing_weights_are_told_before_any_work(folder: Path) -> None:
    result = anchor(*PAIRS, "--metrics", "fid", "--report", "r")
    assert result.exit_code == 1 and result.stdout == ""
    assert "weights-inception-2015-12-05-6726825d.pth" in result.stderr
    assert str(folder / "cache" / "checkpoints") in result.stderr and "--extractor PATH" in result.stderr
    assert not (folder / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("evaluate",), 2, "--report FOLDER is missing"),
        (("evaluate", "--report", "r"), 2, "--data FOLDER"),
        (("evaluate", "--report", "r", "--data", "pairs"), 2, "--from DOMAIN"),
        (("evaluate", "--report", "r", "--data", "pairs", "--benchmark", "x"), 2, "give either --data"),
        (("evaluate", "--report", "r", "--benchmark", "rendered-facse"), 2, "no benchmark is named 'rendered-facse'"),
        ((*BENCHMARK, "--metrics", "fid"), 2, "--metrics does not apply to --benchmark"),
        (("evaluate", "--report", "r", "--benchmark", "rendered-faces", "--from", "seg"), 2, "or neither"),
        (("evaluate", "--report", "r", "--benchmark", "rendered-faces", "--truncation", "0.5"), 2, "--truncation does"),
        (("evaluate", "--report", "r", "--benchmark", "rendered-faces", "--invert", "5"), 2, "--invert does not"),
        ((*PAIRS, "--report", "r", "--stats", "seg=gone"), 1, "gone: holds no training log"),
        ((*PAIRS, "--report", "r", "--metrics", "rc"), 1, "need one folder per class"),
        ((*PAIRS, "--report", "r", "--metrics", "rc_linera"), 2, "Did you mean 'rc_linear'"),
        ((*PAIRS, "--report", "r", "--metrics", "fdi"), 2, "no metric is named 'fdi'"),
        ((*PAIRS, "--report", "r", "--metrics", "l1", "--lpips-net", "alxe"), 2, "Did you mean 'alex'"),
        ((*PAIRS, "--report", "r", "--metrics", "l1", "--fid-resize", "antialas"), 2, "Did you mean 'antialias'"),
        ((*PAIRS, "--report", "r", "--count", "0"), 2, "greater than or equal to 1"),
        ((*PAIRS, "--report", "r", "--metrics", "l1", "--real", "pairs/face"), 2, f"--real {UNUSED} fid, kid, mfid"),
        ((*PAIRS, "--report", "r", "--real", "pairs/face"), 2, "--real has no effect on --metrics psnr,l1; only fid"),
        ((*PAIRS, "--report", "r", "--real", "pairs/face"), 2, "use it. Add one of these or drop --real."),
        ((*PAIRS, "--report", "r", "--metrics", "l1", "--lpips-weights", "x"), 2, f"--lpips-weights {UNUSED} lpips"),
        ((*PAIRS, "--report", "r", "--metrics", "l1", "--lpips-net", "vgg"), 2, f"--lpips-net {UNUSED} lpips, "),
        ((*PAIRS, "--report", "r", "--metrics", "l1", "--fid-resize", "antialias"), 2, f"--fid-resize {UNUSED} fid"),
        ((*PAIRS, "--report", "r", "--stats", __file__), 1, "holds no training log"),
        ((*BENCHMARK, "--lpips-net", "vgg"), 2, "--lpips-net does not apply to --benchmark"),
        ((*BENCHMARK, "--fid-resize", "antialias"), 2, "--fid-resize does not apply to --benchmark"),
        (("evaluate", "--report", "pairs", "--benchmark", "rendered-faces"), 2, "--report pairs: is in use: give --re"),
        (("evaluate", "--report", __file__, "--benchmark", "rendered-faces"), 2, "is a file; give a folder"),
        (("evaluate", "--seed", "1", "compare", "r"), 2, "--seed before 'compare' would be ignored"),
        (("evaluate", "--count", "5", "distance", "--hub", "tiny"), 2, "See `anchor evaluate distance --help`"),
        ((*DISTANCE, "--metrics", "l1", "--lpips-weights", "x"), 2, f"--lpips-weights {UNUSED} lpips"),
        ((*DISTANCE, "--metrics", "l1", "--lpips-net", "vgg"), 2, f"--lpips-net {UNUSED} lpips"),
        ((*DISTANCE, "--metrics", "l1", "--report", "pairs"), 2, "--report pairs: is in use: choose another folder"),
        ((*DISTANCE, "--metrics", "l1", "--report", f"{__file__}/r"), 2, "is a file, not a folder"),
        (("evaluate", "--from", "seg", "--to", "face", "--data", "none", "--report", "r"), 1, "none/seg: is not there"),
        (("evaluate", "compare", "pairs"), 1, "pairs/metrics.json: cannot be read"),
        (("evaluate", "compare"), 2, "Missing argument"),
        (("evaluate", "distance", "--hub", "tiny"), 2, "--domain"),
        (("evaluate", "distance", "--hub", "tiny", "--domain", "sketch"), 1, "at least 32 pixels"),
        (("evaluate", "distance", "--hub", "tiny", "--domain", "sketch", "--metrics", ","), 2, "names no metric"),
    ],
)
def test_wrong_calls_are_one_line(folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = anchor(*arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr and result.stderr.count("\n") == 1 and not (folder / "r").exists()


def test_distance_of_models(folder: Path) -> None:
    call = ("evaluate", "distance", "--hub", "tiny", "--domain", "sketch", "--count", "5", "--metrics", "l1")
    result = anchor(*call, "--report", "d", "--json")
    assert result.exit_code == 0, result.output
    pair = json.loads(result.stdout)["pairs"][0]
    assert (pair["source"], pair["target"]) == ("hub tiny", "sketch")
    assert pair["metrics"][0]["name"] == "model_distance_l1" and pair["metrics"][0]["counts"] == {"latents": 5}
    assert read_run(folder / "d").kind == "distance"
    both = anchor("evaluate", "distance", "--hub", "tiny", "--domain", "face", "--domain", "sketch", *call[6:])
    assert both.exit_code == 0 and "face -> sketch" in both.stdout


def test_comparing_what_cannot_be_compared(folder: Path) -> None:
    for number, resize in enumerate(("bilinear", "bicubic")):
        metric = Metric(name="fid", value=1.0, higher_is_better=False, resize=resize)
        pair = PairResult(source="a", target="b", metrics=[metric])
        record = DataRecord(path="p", count=1, sha256="0" * 64)
        RunResult(kind="pairs", data=record, pairs=[pair]).write(folder / f"r{number}")
        other = record.model_copy(update={"sha256": f"{number}" * 64})
        RunResult(kind="pairs", data=other, pairs=[pair]).write(folder / f"d{number}")
    shown = anchor("evaluate", "compare", "r0", "r1")
    assert shown.exit_code == 0 and "fid ↓ [1]" in shown.stdout and "fid [2]: resize bicubic" in shown.stderr
    strict = anchor("evaluate", "compare", "r0", "r1", "--strict")
    assert strict.exit_code == 1 and "different ways" in strict.stderr and strict.stdout == ""
    tables = anchor("evaluate", "compare", "d0", "d1")
    assert tables.stdout.count("RUN") == 2 and "cannot be compared" in tables.stderr
    assert anchor("evaluate", "compare", "d0", "d1", "--strict").exit_code == 1
