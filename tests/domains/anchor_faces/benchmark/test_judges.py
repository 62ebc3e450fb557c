"""The bundled judges, and the extractor that they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from anchor_faces.benchmark.judge_errors import judge_errors
from anchor_faces.benchmark.judge_kinds import FACES
from anchor_faces.benchmark.judge_network import JudgeNetwork
from anchor_faces.benchmark.judges import Judges, load_judges, save_judges
from anchor_faces.benchmark.readers import coded, fit_reader
from anchor_faces.benchmark.renders import Renders
from anchor_faces.benchmark.samples import Samples
from anchor_hub.errors import BundleError, DataError
from anchor_hub.metrics.frechet import FeatureStatistics, frechet_distance
from anchor_hub.modality import build_modality
from anchor_hub.plugins.registry import registry

from .conftest import checked_manifest


def test_the_bundle_is_small_and_says_where_it_comes_from() -> None:
    manifest = checked_manifest(FACES, largest=10_000_000)
    assert manifest.provenance["command"] == "anchor benchmark train-judges"
    floor = manifest.metrics["held_out"]
    assert floor["samples"] == manifest.provenance["held_out"] and floor["structure"]["mean_iou"] > 0.6


def test_the_bundled_judges_read_faces_they_never_saw(renders: Renders) -> None:
    errors = judge_errors(load_judges(), renders)
    assert errors["structure"]["pixel_accuracy"] > 0.9 and errors["landmarks"]["mean_error_px"] < 1.3
    assert errors["factors"]["yaw"]["score"] > 0.9
    nothing = Renders(renders.pictures.flip(0), renders.labels, renders.points, renders.factors, renders.names)
    worse = judge_errors(load_judges(), nothing)
    assert worse["structure"]["mean_iou"] < errors["structure"]["mean_iou"] - 0.2
    assert worse["factors"]["yaw"]["score"] < 0.5


def test_slightly_blurred_or_noisy_faces_are_read_nearly_as_well(renders: Renders) -> None:
    judges = load_judges()
    clean = judge_errors(judges, renders)["structure"]["mean_iou"]
    noise = torch.randn(renders.pictures.shape, generator=torch.Generator().manual_seed(0)) * 6
    noisy = (renders.pictures + noise).round().clamp(0, 255).byte()
    blurred = F.avg_pool2d(F.pad(renders.pictures.float(), (1, 1, 1, 1), mode="replicate"), 3, 1).round().byte()
    for pictures in (noisy, blurred):
        changed = Renders(pictures, renders.labels, renders.points, renders.factors, renders.names)
        assert judge_errors(judges, changed)["structure"]["mean_iou"] > clean - 0.12


def test_readings_do_not_depend_on_the_batch(renders: Renders) -> None:
    judges = load_judges()
    one, other = judges.read(renders.pictures[:5], batch=5), judges.read(renders.pictures[:5], batch=2)
    assert torch.equal(one.labels, other.labels)
    torch.testing.assert_close(one.features, other.features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one.points, other.points, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(one.features, judges(renders.pictures[:5]), rtol=1e-4, atol=1e-4)


def test_the_extractor_is_registered_and_its_distance_grows_with_damage(renders: Renders) -> None:
    found = registry()
    extractor = found.load(found.extractors["rendered-faces-r1"].spec.target)("cpu")
    assert extractor.name == "rendered-faces-r1" and extractor.short == "rendered" and len(extractor.sha256) == 64

    def statistics(pictures: torch.Tensor) -> FeatureStatistics:
        held = FeatureStatistics()
        held.update(extractor(pictures))
        return held

    truth = statistics(renders.pictures)
    small = F.avg_pool2d(renders.pictures.float(), 4)
    blurred = F.interpolate(small, scale_factor=4, mode="bilinear").round().byte()
    shade = (renders.pictures // 2).byte()
    slight = (renders.pictures.float() * 0.95).byte()
    near, middle = (frechet_distance(statistics(item), truth) for item in (slight, shade))
    assert frechet_distance(truth, truth) < 1e-6 < near < middle
    assert frechet_distance(statistics(blurred), truth) > 10 * near
    # Pictures of another size are resized.
    assert extractor(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).shape == extractor(renders.pictures[:1]).shape


def test_other_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="uint8"):
        load_judges()(torch.zeros(1, 3, 64, 64))
    with pytest.raises(DataError, match=r"\[1, 1, 64, 64\]"):
        load_judges().read(torch.zeros(1, 1, 64, 64, dtype=torch.uint8))


def test_judges_come_back_from_a_bundle(tmp_path: Path, samples: Samples, renders: Renders) -> None:
    torch.manual_seed(0)
    network = JudgeNetwork(4)
    reader = fit_reader("seg", renders.labels[:, None], 64, renders.factors)
    folder = save_judges(network, tmp_path / "judges", readers={"seg": reader})
    again = load_judges(folder)
    features, kept = Judges(network)(renders.pictures[:3]), again(renders.pictures[:3])
    torch.testing.assert_close(kept, features, rtol=1e-2, atol=1e-2)  # weights are kept as float16
    assert torch.equal(again.readers["seg"].weight, reader.weight) and again.readers_sha256
    (folder / "network.safetensors").write_bytes(b"x" * 100)
    load_judges.__globals__["_load"].cache_clear()
    with pytest.raises(BundleError, match="damaged"):
        load_judges(folder)
    with pytest.raises(BundleError, match="judges"):
        load_judges(FACES.folder.parent / "face")


def test_readers_read_what_is_linear(samples: Samples, renders: Renders) -> None:
    """A factor that is a linear function of the points is found exactly; hidden ones do not spoil it."""
    factors = renders.factors.clone()
    factors[:, 0] = renders.points[:, 30, 0] * 3 - 7
    reader = fit_reader("landmark", renders.points, 64, factors)
    found = reader.read(renders.points, 64)
    assert found.shape == factors.shape and not bool(found.isnan().any())
    assert float((found[:, 0] - factors[:, 0]).abs().max()) < 0.35 * float(factors[:, 0].std())
    assert not bool(coded(factors).isnan().any())
    bundled = load_judges().readers
    assert set(bundled) == {"seg", "landmark", "sketch"}
    sketch = build_modality({"name": "gray"})
    pictures = torch.stack([sketch.read(samples.file("sketch", name), 64) for name in renders.names])
    for kind, values in (("seg", renders.labels[:, None]), ("landmark", renders.points), ("sketch", pictures)):
        yaw = bundled[kind].read(values, 64)[:, 0]
        assert float(torch.corrcoef(torch.stack([yaw, renders.factors[:, 0]]))[0, 1]) > 0.8, kind
