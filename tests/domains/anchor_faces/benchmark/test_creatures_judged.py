"""The judges of toons and cats: what they read, and how pairs with toons and cats are scored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from anchor_faces.benchmark.agreement import turn
from anchor_faces.benchmark.factor_groups import CARRIED, factor_matrix, kept_groups
from anchor_faces.benchmark.judge_errors import judge_errors
from anchor_faces.benchmark.judge_kinds import CREATURES, FACES, judge_kind, judge_kind_of
from anchor_faces.benchmark.judge_network import JudgeNetwork
from anchor_faces.benchmark.judge_recipe import JudgeOptions
from anchor_faces.benchmark.judge_training import JudgeTraining, train_judges
from anchor_faces.benchmark.judges import Judges, load_judges, save_judges
from anchor_faces.benchmark.markdown import markdown
from anchor_faces.benchmark.measuring import Benchmark
from anchor_faces.benchmark.renders import Renders
from anchor_faces.benchmark.samples import Samples, render_modality
from anchor_faces.benchmark.scoring import PictureJudge
from anchor_faces.rendering import sample_factors
from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import BundleError, UsageError
from anchor_hub.evaluation.result import read_run
from anchor_hub.plugins.registry import registry
from anchor_hub.translation.anchor import AnchorTranslator
from tests.cli.running import anchor
from tests.plugin_makers import hooks, install_plugin

from .conftest import COUNT as FEW
from .conftest import PICTURES, checked_manifest, damaged, named


@pytest.fixture(params=PICTURES)
def truth(request: pytest.FixtureRequest, creatures: Samples) -> Renders:
    return creatures.truth_of(request.param)


@pytest.fixture(scope="module")
def judges() -> Judges:
    return load_judges(kind=CREATURES)


@pytest.fixture
def home(bench_home: Path, creatures: Samples, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ANCHOR_HOME", str(bench_home))
    registry.cache_clear()
    yield bench_home
    registry.cache_clear()


def test_the_bundle_is_small_and_says_where_it_comes_from() -> None:
    manifest = checked_manifest(CREATURES, largest=5_000_000)
    assert manifest.name == "rendered-creatures-r1"
    assert manifest.provenance["command"] == "anchor benchmark train-judges --kind creatures"
    assert {name: errors["samples"] for name, errors in manifest.metrics["held_out"].items()} == {
        picture: manifest.provenance["held_out"] for picture in PICTURES
    }


def test_the_bundled_judges_read_pictures_they_never_saw(judges: Judges, truth: Renders) -> None:
    errors = judge_errors(judges, truth)
    assert errors["landmarks"]["mean_error_px"] < 1.5 and errors["turn"] > 0.9
    assert errors["factors"]["yaw"]["score"] > 0.9
    assert {row["group"] for row in errors["factors"].values()} == set(CARRIED[truth.picture])
    worse = judge_errors(judges, replace(truth, pictures=truth.pictures.flip(0)))
    assert worse["landmarks"]["mean_error_px"] > 2 * errors["landmarks"]["mean_error_px"]
    assert worse["turn"] < 0.5 and worse["factors"]["yaw"]["score"] < 0.5


def test_slightly_blurred_noisy_or_tinted_pictures_are_read_nearly_as_well(judges: Judges, truth: Renders) -> None:
    clean = judge_errors(judges, truth)["landmarks"]["mean_error_px"]
    for pictures in damaged(truth.pictures):
        assert judge_errors(judges, replace(truth, pictures=pictures))["landmarks"]["mean_error_px"] < 1.3 * clean + 0.1


def test_one_trunk_reads_factors_that_its_pictures_show() -> None:
    assert judge_kind_of("toon") is judge_kind_of("cat") is CREATURES and judge_kind_of("face") is FACES
    assert judge_kind_of("seg") is None and judge_kind("creatures") is CREATURES
    with pytest.raises(UsageError, match="no judges of 'dogs'"):
        judge_kind("dogs")
    factors = CREATURES.factors
    assert {factor.group for factor in factors} == {"pose", "expression", "hair outline", "glasses"}
    rows = [sample_factors(0, index) for index in range(60)]
    matrices = {picture: factor_matrix(rows, factors, picture) for picture in PICTURES}
    for place, factor in enumerate(factors):
        hidden = {picture: matrix[:, place].isnan() for picture, matrix in matrices.items()}
        # A cat wears neither hair nor glasses, so nothing ever hides its eyes.
        assert bool(hidden["cat"].all()) == (factor.group in ("hair outline", "glasses"))
        assert bool(hidden["cat"].any()) == bool(hidden["cat"].all())
        dark = torch.tensor([bool(row["glasses"] and row["sunglasses"]) for row in rows])
        assert torch.equal(hidden["toon"], dark if factor.name.endswith("_eye_open") else dark & False)


def test_the_turn_of_the_head_is_the_nose_between_the_ends_of_the_jaw() -> None:
    points = torch.zeros(2, 68, 2)
    points[:, 0, 0], points[:, 16, 0] = 10, 50
    points[0, 30, 0], points[1, 30, 0] = 30, 37
    assert turn(points).tolist() == [0, 7]


def test_the_truth_scores_the_floor_and_strangers_score_by_chance(judges: Judges, truth: Renders) -> None:
    judge, kept = PictureJudge(judges, truth), kept_groups("face", truth.picture)
    own, other = named(judge.score(truth.pictures, kept)), named(judge.score(truth.pictures.roll(5, 0), kept))
    names = ["parser_miou", "landmark_error_px", "landmark_error_interocular", "turn_correlation", "factor_agreement"]
    names += [f"{group.replace(' ', '_')}_agreement" for group in kept]
    assert names + ["fd_creatures"] == sorted(own, key=[*names, "fd_creatures"].index)
    for name in names:
        assert own[name].value == pytest.approx(own[name].floor), name
        assert own[name].chance is not None and own[name].extractor.name == "rendered-creatures-r1", name
    assert own["fd_creatures"].value == pytest.approx(own["fd_creatures"].floor)
    assert other["landmark_error_px"].value > 2 * other["landmark_error_px"].floor
    assert other["turn_correlation"].value < 0.5 < other["turn_correlation"].floor
    assert other["factor_agreement"].value < 0.3 and other["pose_agreement"].value < 0.5
    # Toons and cats have the same judges and names of scores, but their scores never stand in one column.
    assert all(metric.settings["picture"] == truth.picture for metric in own.values())


def test_one_picture_for_all_scores_exactly_by_chance(judges: Judges, truth: Renders) -> None:
    judge = PictureJudge(judges, truth)
    found = named(judge.score(truth.pictures[:1].expand(FEW, -1, -1, -1).contiguous(), CARRIED[truth.picture]))
    for name in ("parser_miou", "landmark_error_px"):
        assert found[name].value == pytest.approx(found[name].chance), name
    for name in ("factor_agreement", "pose_agreement", "turn_correlation"):
        assert found[name].value == pytest.approx(0, abs=0.02), name
    assert found["fd_creatures"].value > 2 * found["fd_creatures"].floor


def test_the_extractor_is_registered() -> None:
    found = registry()
    extractor = found.load(found.extractors["rendered-creatures-r1"].spec.target)("cpu")
    assert (extractor.name, extractor.short, len(extractor.sha256)) == ("rendered-creatures-r1", "creatures", 64)
    assert extractor(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).shape == (1, 12 * 32)


def test_trains_on_both_kinds_and_comes_back_from_its_bundle(tmp_path: Path, creatures: Samples) -> None:
    result, bundle = train_judges(
        JudgeTraining(
            tmp_path / "run", tmp_path / "judges", CREATURES, data=creatures.folder, count=FEW, held_out=4,
            options=JudgeOptions(images=48, learning_rate=0.01), width=4, batch=8, precision="fp32", device="cpu",
            quiet=True, license="Apache-2.0", workers=1,
        )
    )  # fmt: skip
    assert result.finished and bundle is not None
    manifest = open_bundle(bundle, "judges").manifest
    assert manifest.provenance["data_images"] == 2 * (FEW - 4) and "readers" not in manifest.provenance
    assert {name: errors["samples"] for name, errors in manifest.metrics["held_out"].items()} == {"toon": 4, "cat": 4}
    again = load_judges(bundle)
    assert again.kind is CREATURES and again.network.judged == CREATURES.factors
    assert again.read(creatures.truth_of("cat").pictures[:2]).factors.shape == (2, len(CREATURES.factors))


def test_bundles_that_read_something_unknown_are_refused(tmp_path: Path) -> None:
    network = JudgeNetwork(4, CREATURES.factors)
    folder = save_judges(network, tmp_path / "judges", kind=CREATURES)
    manifest = (folder / "bundle.yaml").read_text()
    for old, new in (("reads: creatures", "reads: dogs"), ("- yaw", "- wag")):
        assert old in manifest
        (folder / "bundle.yaml").write_text(manifest.replace(old, new))
        load_judges.__globals__["_load"].cache_clear()
        with pytest.raises(BundleError, match="bad architecture"):
            load_judges(folder)


def test_outputs_of_untrained_domains_are_scored(home: Path, creatures: Samples, tmp_path: Path) -> None:
    """The truth as somebody's outputs: nothing is trained, and the scores are the floor. As a user types it."""
    for source, target in (("face", "toon"), ("toon", "cat")):
        shutil.copytree(creatures.folder / target, tmp_path / "true" / f"{source}-to-{target}")
    call = ("benchmark", "run", "-q", "--count", str(FEW), "--pair", "face:toon", "--pair", "toon:cat")
    done = anchor(*call, "--also", f"truth={tmp_path / 'true'}", "--only-also", "-o", str(tmp_path / "b.json"))
    assert done.exit_code == 0, done.output
    result = read_run(tmp_path / "b.json")
    assert [pair.name for pair in result.pairs] == ["face -> toon (truth)", "toon -> cat (truth)"]
    for pair, kept in zip(result.pairs, (CARRIED["toon"], CARRIED["cat"]), strict=True):
        agreement, plain = pair.metric("factor_agreement"), pair.metric("l1")
        assert agreement is not None and agreement.settings["kept"] == list(kept)
        assert agreement.value == pytest.approx(agreement.floor, abs=1e-6)
        assert plain is not None and plain.value == 0
    assert set(result.settings["creature_judges_floor"]) == {"toon", "cat"}
    text = markdown(result)
    assert "### Into toons" in text and "### Into cats" in text and "### Into faces" not in text
    # Without --only-also the domains themselves are measured, too, so they must be trained.
    done = anchor(*call, "--also", f"truth={tmp_path / 'true'}")
    assert done.exit_code == 2 and "anchor add-domain toon" in done.output
    done = anchor(*call, "--only-also")
    assert done.exit_code == 2 and "give --also" in done.output


def test_a_domain_of_any_name_is_judged_by_the_data_it_shows(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A domain is registered with the data set `rendered-faces:toon`; a random encoder scores by chance into it."""
    target = load_domain("face", device="cpu")
    good = load_domain("seg", target.hub, "cpu")
    drawn = AnchoredDomain.build("drawings", target.modality, target.hub, regressor="hub").eval()
    folder = drawn.save(tmp_path / "drawings")
    mine = drawn.save(home / "domains" / "my-cats", provenance={
        "data": "cat", "data_set": {"renderer": "anchor_faces", "seed": 0},
    })  # fmt: skip
    drawn.save(home / "domains" / "swapped", provenance={
        "data": "rendered-faces:toon", "data_set": {"renderer": "anchor_faces", "seed": 0},
    })  # fmt: skip
    spec = (
        "DomainSpec('drawings', hub='faces-64', modality={'name': 'rgb'}, dataset='rendered-faces:toon', "
        f"bundle={str(folder)!r})"
    )
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path / "site", hooks(domains=spec))))
    registry.cache_clear()
    try:
        assert render_modality("drawings") == "toon" and render_modality("my-cats") == "cat"
        assert [render_modality(name) for name in ("toon-ft", "cat-ft", "swapped")] == ["toon", "cat", "toon"]
        torch.manual_seed(0)
        bad = AnchoredDomain.build(
            "seg", good.modality, target.hub, encoder=dict(good._architecture)["encoder"],
            structure_layers=good.structure_layers,
        ).eval()  # fmt: skip
        with torch.no_grad():
            bad.encoder.weight.mul_(20)  # type: ignore[union-attr]
        bench = Benchmark.open(["seg", "drawings"], count=FEW)
        noise = bench.pair(AnchorTranslator(bad, drawn))
        for name in ("landmark_error_px", "parser_miou"):
            found = noise.metric(name)
            assert found is not None and abs(found.value - found.chance) < 0.2 * abs(found.floor - found.chance), name
        agreement, styles = noise.metric("factor_agreement"), noise.metric("diversity_creatures")
        assert agreement is not None and abs(agreement.value) < 0.15
        assert styles is not None and styles.value > 0
        done = anchor("evaluate", "--from", "seg", "--to", "drawings", "--benchmark", "rendered-faces", "--count", "4",
                      "--report", str(tmp_path / "report"), "--device", "cpu")  # fmt: skip
        assert done.exit_code == 0, done.output
        (pair,) = read_run(tmp_path / "report").pairs
        assert pair.target == "drawings" and pair.metric("fd_creatures") is not None
    finally:
        shutil.rmtree(mine)


def test_pictures_of_another_size_are_read(judges: Judges, creatures: Samples) -> None:
    pictures = creatures.truth_of("cat").pictures[:2]
    large = F.interpolate(pictures.float(), scale_factor=2, mode="nearest").byte()
    assert float((judges.read(large).points - judges.read(pictures).points).norm(dim=2).mean()) < 1.5
