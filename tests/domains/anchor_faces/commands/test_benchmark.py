"""`anchor benchmark`: calls, and what they refuse."""

from __future__ import annotations

from pathlib import Path

from anchor_faces.benchmark.run import dumped
from anchor_hub.evaluation.result import Metric, PairResult, RunResult, read_run
from tests.cli.running import anchor


def measured() -> RunResult:
    metric = Metric(name="mean_iou", value=0.25, chance=0.125, floor=1.0, higher_is_better=True)
    return RunResult(kind="benchmark", pairs=[PairResult(source="face", target="seg", metrics=[metric])])


def test_table_prints_markdown(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(dumped(measured()))
    assert read_run(tmp_path / "b.json") == measured()
    found = anchor("benchmark", "table", str(tmp_path / "b.json"))
    assert found.exit_code == 0, found.output
    assert "| face → seg | ours | 0.250 (0.125) |" in found.stdout


def test_runs_a_pair_and_writes_json(tmp_path: Path) -> None:
    output = tmp_path / "new" / "b.json"
    found = anchor(
        "benchmark", "run", "--domains", "seg,landmark", "--count", "2", "-q", "-o", str(output), "--device", "cpu"
    )
    assert found.exit_code == 0, found.output
    assert [pair.name for pair in read_run(output).pairs] == ["seg -> landmark", "landmark -> seg"]


def test_wrong_calls_say_what_to_do(tmp_path: Path) -> None:
    for arguments, words in (
        (["--also", "nearest"], "NAME=FOLDER"),
        (["--also", "anchor=x"], "NAME=FOLDER"),
        (["--domains", "face"], "two different"),
        (["--domains", "face,zebra"], "zebra"),
        (["--count", "1"], "--count"),
        (["--count", "2001"], "2 to 2,000"),
        (["--report", str(Path(__file__).parent)], "is in use: choose another folder"),
        (["--output", str(tmp_path)], "is a folder; give the name of a file"),
        (["--output", f"{__file__}/b.json"], "is a file, not a folder"),
        (["--judges", str(tmp_path / "none")], "none: does not exist"),
        (["--also", f"nearest={tmp_path / 'none'}"], "holds no outputs of nearest"),
    ):
        found = anchor("benchmark", "run", "-q", *arguments)
        assert found.exit_code in (1, 2) and words in found.output, (arguments, found.output)
        assert not list(tmp_path.rglob("*.png")), arguments  # nothing was rendered first
    found = anchor("benchmark", "table", str(tmp_path / "none.json"))
    assert found.exit_code == 1 and "none.json" in found.output
    pairs = measured().model_copy(update={"kind": "pairs"})
    pairs.write(tmp_path / "report")
    found = anchor("benchmark", "table", str(tmp_path / "report"))
    assert found.exit_code == 1 and not found.stdout
    assert "report: is an evaluation of kind 'pairs', not a benchmark" in found.stderr
    for option, value, words in (
        ("--precision", "bf61", "--precision 'bf61' is not known"),
        ("--learning-rate", "0", "--learning-rate 0.0: must be above 0"),
        ("--width", "513", "'--width'"),
    ):
        found = anchor("benchmark", "train-judges", "-o", str(tmp_path / "j"), option, value)
        assert found.exit_code == 2 and words in found.stderr and not (tmp_path / "home" / "cache").exists()
    found = anchor("benchmark", "train-judges", "-o", str(tmp_path / "j"), "--count", "4", "--held-out", "4")
    assert found.exit_code == 2 and "--held-out" in found.output
