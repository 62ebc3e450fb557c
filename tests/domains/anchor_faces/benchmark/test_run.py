"""The benchmark as a whole, on the bundled domains: good ones beat chance, a random encoder does not."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from anchor_faces.benchmark import run as benchmark
from anchor_faces.benchmark.markdown import markdown
from anchor_faces.benchmark.run import Benchmark
from anchor_faces.benchmark.samples import (
    COUNT,
    SEED,
    VERSION,
    Samples,
    benchmark_samples,
    render_modality,
)
from anchor_faces.rendering import sample_factors
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation.result import Metric, PairResult, read_run, read_samples
from anchor_hub.plugins.registry import registry
from anchor_hub.system.home import Home
from anchor_hub.translation.anchor import AnchorTranslator

from .conftest import COUNT as FEW


@pytest.fixture(scope="module")
def home(bench_home: Path) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setenv("ANCHOR_HOME", str(bench_home))
    registry.cache_clear()
    yield bench_home
    patch.undo()
    registry.cache_clear()


def metric(pair: PairResult, name: str) -> Metric:
    found = pair.metric(name)
    assert found is not None and found.value is not None, name
    return found


def test_the_samples_are_fixed_and_no_trainings() -> None:
    """Other factors would be another benchmark: raise VERSION, then this hash."""
    from anchor_faces.benchmark.judge_training import TRAINING_SEED

    assert (VERSION, SEED, COUNT) == ("1", 4000, 2000)
    digest = hashlib.sha256()
    for index in range(100):
        drawn = sample_factors(SEED, index)
        known = list(drawn)[: list(drawn).index("car_rear")]  # cars came later, behind all others
        factors = {key: round(drawn[key], 6) if isinstance(drawn[key], float) else drawn[key] for key in known}
        digest.update(json.dumps(factors, sort_keys=True).encode())
    assert digest.hexdigest() == "450938c454f0b5a5c8e9971eabe94a74c73b548b6132046a6a64e8f932baefbd"
    assert SEED not in (TRAINING_SEED, 0, 1000)  # training of hub, domains and judges; held-out renders of results.md


def test_wrong_calls_are_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for count in (1, 2001):
        with pytest.raises(UsageError, match="2 to 2,000"):
            benchmark_samples(home, ["face"], count)
    with pytest.raises(UsageError, match="not one of rendered faces"):
        render_modality("dog")
    with pytest.raises(UsageError, match="two different"):
        benchmark.run(["face"], count=4)
    with pytest.raises(UsageError, match="both --from and --to"):
        benchmark.evaluate("face", None, report=tmp_path)
    assert not list(tmp_path.iterdir())


def test_all_ordered_pairs_beat_chance_and_make_the_tables(home: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = benchmark.run(["face", "seg", "landmark"], count=FEW, device="cpu", said=lines.append)
    assert len(result.pairs) == len(lines) == 6
    assert result.kind == "benchmark" and result.data is not None
    assert (result.data.benchmark, result.data.version, result.data.count) == ("rendered-faces", "1", FEW)
    for pair in result.pairs:
        name = {"face": "parser_miou", "seg": "mean_iou", "landmark": "landmark_error_px"}[pair.target]
        found = metric(pair, name)
        assert found.chance is not None and found.floor is not None
        better = found.value > found.chance if found.higher_is_better else found.value < found.chance
        assert better, (pair.name, found.value, found.chance)
        assert "kept" in metric(pair, "factor_agreement").settings
    into_face = result.pair("seg", "face")
    assert into_face is not None and into_face.settings["styles"] == 5
    assert 0 < metric(into_face, "diversity_rendered").value < 2
    rows = metric(into_face, "factor_agreement").details["factors"]
    assert rows["yaw"]["kept"] and not rows["skin_tone"]["kept"] and 0 <= rows["yaw"]["survives"] <= 1

    path = tmp_path / "benchmark.json"
    path.write_bytes(benchmark.dumped(result))
    again = read_run(path)
    text = markdown(again)
    assert "| seg → face | ours |" in text and "*the truth itself*" in text and "`yaw`" in text
    assert all(heading in text for heading in ("### Into faces", "### Into label maps", "### Into landmarks"))
    assert str(home) not in path.read_text()  # nothing of this machine
    # Neither the batch nor the other pairs change a number.
    alone = benchmark.run(["face", "seg"], pairs=[("face", "seg")], count=FEW, batch=7, device="cpu").pairs[0]
    together = result.pair("face", "seg")
    assert together is not None
    assert metric(alone, "mean_iou").value == pytest.approx(metric(together, "mean_iou").value, abs=2e-3)


def test_a_random_encoder_scores_by_chance(home: Path, samples: Samples) -> None:
    """A bad run is seen to be bad: what the encoder says of its input is noise, so the scores fall to chance."""
    target = load_domain("face", device="cpu")
    good = load_domain("seg", target.hub, "cpu")
    table = dict(good._architecture)
    torch.manual_seed(0)
    bad = AnchoredDomain.build(
        "seg", good.modality, target.hub, encoder=table["encoder"], structure_layers=good.structure_layers
    ).eval()
    with torch.no_grad():  # a fresh encoder says the mean latent, whatever it sees; this one varies
        bad.encoder.weight.mul_(20)  # type: ignore[union-attr]
    bench = Benchmark.open(["seg", "face"], count=FEW)
    trained, random = (bench.pair(AnchorTranslator(source, target)) for source in (good, bad))
    for name in ("parser_miou", "landmark_error_px"):
        ours, noise = metric(trained, name), metric(random, name)
        assert abs(noise.value - noise.chance) < 0.2 * abs(noise.floor - noise.chance), name
        assert abs(ours.value - ours.floor) < abs(noise.value - noise.floor), name
    assert abs(metric(random, "factor_agreement").value) < 0.12
    assert metric(trained, "factor_agreement").value > metric(random, "factor_agreement").value + 0.1


def test_outputs_of_others_stand_beside_ours(home: Path, samples: Samples, tmp_path: Path) -> None:
    """The truth itself, handed in as somebody's outputs, is perfect; a missing output is an error."""
    others = tmp_path / "oracle"
    shutil.copytree(samples.folder / "seg", others / "face-to-seg")
    options = {"pairs": [("face", "seg")], "count": FEW, "device": "cpu"}
    result = benchmark.run(["face", "seg"], others={"oracle": others}, **options)
    assert [pair.backend for pair in result.pairs] == ["anchor", "oracle"]
    assert metric(result.pairs[1], "mean_iou").value == 1
    assert metric(result.pairs[1], "factor_agreement").value == pytest.approx(
        metric(result.pairs[1], "factor_agreement").floor
    )
    assert "| face → seg | oracle | 1.000" in markdown(result)
    (others / "face-to-seg" / f"{samples.truth.names[3]}.png").unlink()
    with pytest.raises(DataError, match=samples.truth.names[3]):
        benchmark.run(["face", "seg"], others={"oracle": others}, **options)
    with pytest.raises(DataError, match="no outputs"):
        benchmark.run(["face", "seg"], others={"oracle": tmp_path}, **options)
    again = benchmark.run(["face", "seg"], earlier=result, **options)
    assert [pair.model_dump() for pair in again.pairs] == [pair.model_dump() for pair in result.pairs]
    assert result.data is not None
    rounded = result.model_copy(update={"data": result.data.model_copy(update={"sha256": "0" * 64})})
    (known,) = benchmark.run(["face", "seg"], earlier=rounded, **options).pairs[1:]
    assert known.metrics == result.pairs[1].metrics and known.settings["samples_sha256"] == "0" * 64
    stranger = result.model_copy(update={"settings": {**result.settings, "seed": 5}})
    with pytest.raises(DataError, match="another seed"):
        benchmark.run(["face", "seg"], earlier=stranger, **options)


def test_evaluate_writes_a_report_folder(home: Path, tmp_path: Path) -> None:
    result = benchmark.evaluate("face", "landmark", report=tmp_path / "report", count=4, device="cpu")
    result.write(tmp_path / "report")
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["kind"] == "benchmark"
    (pair,) = result.pairs
    rows = list(read_samples(tmp_path / "report" / str(pair.samples)))
    assert len(rows) == 4
    for row in rows:
        assert (tmp_path / "report" / row.outputs[0]).is_file() and Path(row.input).is_file()
        assert row.truth is not None and Path(row.truth).is_file() and row.scores["landmark_error_px"] is not None
