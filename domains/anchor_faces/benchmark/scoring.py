"""Scores of a translation's outputs against the truth, beside the scores of the truth itself and of shuffled outputs.

Every function takes the outputs of all samples. The chance level of a score is the same score with the outputs
exchanged among the samples: outputs that ignore their input score exactly at chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anchor_faces.benchmark.agreement import factor_scores
from anchor_faces.benchmark.factor_groups import CARRIED, VALUE
from anchor_faces.benchmark.factor_metrics import factor_metric, group_metrics, landmark_metrics, mean
from anchor_faces.benchmark.headings import away, heading_metrics, headings
from anchor_faces.benchmark.judge_errors import reading_errors
from anchor_faces.benchmark.judges import Judges, Reading
from anchor_faces.benchmark.renders import Renders
from anchor_hub.evaluation.result import ExtractorRecord, Metric
from anchor_hub.metrics.frechet import FeatureStatistics, frechet_distance
from anchor_hub.metrics.image import l1, psnr
from anchor_hub.metrics.landmarks import LandmarkErrors, interocular_distance, point_distances
from anchor_hub.metrics.segmentation import ConfusionMatrix


@dataclass(frozen=True)
class Scores:
    """``metrics`` over all samples; ``by_sample``: metric name -> one number per sample."""

    metrics: list[Metric]
    by_sample: dict[str, list[float | None]]


def shuffled(values: Tensor) -> Tensor:
    """Values ``[N, ...]`` with every sample in the place of another."""
    return values.roll(max(1, len(values) // 2), 0)


class PictureJudge:
    """Scores pictures of one kind (faces, toons, cats, cars) by their judges; measures the scores of the truth once.

    :param truth: the true pictures, of a kind that the judges read.
    """

    def __init__(self, judges: Judges, truth: Renders) -> None:
        self.judges, self.truth = judges, truth
        # Scores of toons and of cats have the same names and judges, but must not stand in one column.
        self.settings = {} if truth.picture == "face" else {"picture": truth.picture}
        self.record = ExtractorRecord(name=judges.name, sha256=judges.sha256)
        self.true_reading = judges.read(truth.pictures)
        self.floor = reading_errors(self.true_reading, truth)

    def score(self, outputs: Tensor, kept: Sequence[str]) -> Scores:
        """Structure, landmarks, factors and realism of uint8 ``[N, 3, H, W]``.

        :param kept: groups of factors that the translation must keep; the others may vary.
        """
        reading = self.judges.read(outputs)
        found = reading_errors(reading, self.truth)
        chance = reading_errors(_shuffled_reading(reading), self.truth)
        counts = {"pairs": len(outputs)}
        shared = self._shared(counts)
        factors = factor_metric(found["factors"], self.floor["factors"], chance["factors"], kept, shared)
        metrics = [
            Metric(
                name="parser_miou", label="parser mIoU", value=found["structure"]["mean_iou"], higher_is_better=True,
                floor=self.floor["structure"]["mean_iou"], chance=chance["structure"]["mean_iou"],
                details={"iou": found["structure"]["iou"], "pixel_accuracy": found["structure"]["pixel_accuracy"],
                         "floor_iou": self.floor["structure"]["iou"]}, **shared,
            ),
            *self._placed(found, chance, shared),
            factors,
            self.realism(reading.features),
            Metric(
                name="turn_correlation", label="correlation of the head's turn", value=found["turn"],
                higher_is_better=True, floor=self.floor["turn"], chance=chance["turn"], **shared,
            ),
            *group_metrics(factors),
        ]  # fmt: skip
        by_sample = {"parser_miou": _sample_ious(reading.labels, self.truth.labels[:, None])}
        if "heading" in self.floor:
            read, true = (headings(factors, self.truth.judged) for factors in (reading.factors, self.truth.factors))
            by_sample["heading_error_deg"] = away(read, true).tolist()
        else:
            by_sample["landmark_error_px"] = point_distances(reading.points, self.truth.points).mean(1).tolist()
        return Scores([metric for metric in metrics if metric is not None], by_sample)

    def _placed(self, found: dict[str, Any], chance: dict[str, Any], shared: dict[str, Any]) -> list[Metric]:
        """Metrics of the landmarks; of the heading, where pictures have none."""
        what, metrics = ("heading", heading_metrics) if "heading" in found else ("landmarks", landmark_metrics)
        return metrics(found[what], self.floor[what], chance[what], shared)

    def _shared(self, counts: dict[str, int]) -> dict[str, Any]:
        return {
            "extractor": self.record, "resize": self.judges.resize, "counts": counts, "settings": dict(self.settings),
        }  # fmt: skip

    def read_factors(
        self, kind: str, outputs: Tensor, truth: Tensor, size: int, kept: Sequence[str]
    ) -> Metric | None:
        """Agreement of factors read off label maps, landmarks or sketches of faces; None where no reader reads them.

        :param kind: modality of the renderer.
        :param outputs: samples ``[N, ...]`` of that modality at ``size`` pixels; ``truth``: the true samples.
        """
        reader = self.judges.readers.get(kind)
        if reader is None or outputs.shape[1:] != truth.shape[1:]:
            return None
        factors = self.truth.factors
        read = reader.read(outputs, size)
        found, chance = factor_scores(read, factors), factor_scores(shuffled(read), factors)
        shared = {
            "extractor": ExtractorRecord(name=f"{self.judges.name}-readers", sha256=self.judges.readers_sha256),
            "counts": {"pairs": len(outputs)},
        }  # fmt: skip
        return factor_metric(found, factor_scores(reader.read(truth, size), factors), chance, kept, shared)

    def realism(self, features: Tensor) -> Metric | None:
        """``fd_rendered`` and its like: distance of outputs of half of the samples to true pictures of the others.

        The halves share no face, so that looking like its own truth gives a translation no advantage. The floor is the
        distance between the halves of the true pictures.
        """
        half = len(features) // 2
        if half < 2:
            return None
        first, second = _statistics(self.true_reading.features[:half]), _statistics(self.true_reading.features[half:])
        return Metric(
            name=f"fd_{self.judges.short}", value=frechet_distance(_statistics(features[:half]), second),
            higher_is_better=False, floor=frechet_distance(first, second),
            **self._shared({"fake": half, "real": len(features) - half}),
        )  # fmt: skip

    def diversity(self, outputs: Sequence[Tensor], kept: Sequence[str], seed: int | None = None) -> list[Metric]:
        """Metrics of how far random styles change the outputs, and of the structure that must stay.

        :param outputs: one uint8 ``[M, 3, H, W]`` per style, of the first M samples.
        :param seed: seed of the styles.
        """
        readings = [self.judges.read(output) for output in outputs]
        count = len(outputs[0])
        truth = self.truth.part(0, count)
        scale = self.true_reading.features.std(0).clamp_min(1e-6)
        features = torch.stack([reading.features for reading in readings]) / scale
        real = self.true_reading.features / scale
        between = _mean_distance(features)
        unrelated = (real - shuffled(real)).norm(dim=1).mean()
        shared: dict[str, Any] = {
            **self._shared({"inputs": count, "styles": len(outputs)}), "seed": seed,
        }  # fmt: skip
        values = torch.stack([reading.factors for reading in readings])
        spread = self.true_reading.factors.std(0).clamp_min(1e-6)
        varied = {
            factor.name: float((values[:, :, place].std(0) / spread[place]).mean())
            for place, factor in enumerate(truth.judged)
            if factor.group not in kept and factor.group in CARRIED[truth.picture] and factor.kind == VALUE
        }
        matrices = [reading_errors(reading, truth)["structure"]["mean_iou"] for reading in readings]
        return [
            Metric(
                name=f"diversity_{self.judges.short}", label="diversity of styles", value=float(between / unrelated),
                higher_is_better=True,
                unit=f"of unrelated {truth.picture}s", details={"deviation_of_free_factors": varied}, **shared,
            ),
            Metric(
                name="parser_miou_styled", label="parser mIoU, random styles", value=mean(matrices),
                higher_is_better=True, floor=self.floor["structure"]["mean_iou"], **shared,
            ),
        ]  # fmt: skip


def label_scores(outputs: Tensor, truth: Tensor, names: Sequence[str]) -> Scores:
    """Mean IoU and pixel accuracy of label maps ``[N, 1, H, W]`` against the true ones."""

    def measured(found: Tensor) -> dict[str, Any]:
        matrix = ConfusionMatrix(len(names))
        matrix.update(found, truth)
        return matrix.as_dict(names)

    found, chance = measured(outputs), measured(shuffled(outputs))
    shared: dict[str, Any] = {"higher_is_better": True, "counts": {"pairs": len(outputs)}, "floor": 1.0}
    metrics = [
        Metric(name="mean_iou", label="mIoU", value=found["mean_iou"], chance=chance["mean_iou"],
               details={"iou": found["iou"], "chance_iou": chance["iou"]}, **shared),
        Metric(name="pixel_accuracy", label="pixel accuracy", value=found["pixel_accuracy"],
               chance=chance["pixel_accuracy"], **shared),
    ]  # fmt: skip
    return Scores(metrics, {"mean_iou": _sample_ious(outputs, truth)})


def landmark_scores(outputs: Tensor, truth: Tensor) -> Scores:
    """Errors of points ``[N, 68, 2]`` against the true ones, in pixels and as shares of the eyes' distance."""

    def measured(found: Tensor) -> dict[str, Any]:
        errors = LandmarkErrors()
        errors.update(found, truth)
        return errors.as_dict()

    floor = {"mean_error_px": 0.0, "normalised_mean_error": 0.0}
    metrics = landmark_metrics(
        measured(outputs), floor, measured(shuffled(outputs)), {"counts": {"pairs": len(outputs)}}
    )
    by_sample = point_distances(outputs, truth).mean(1)
    normalised = by_sample / interocular_distance(truth)
    return Scores(
        metrics, {"landmark_error_px": by_sample.tolist(), "landmark_error_interocular": normalised.tolist()}
    )


def picture_scores(outputs: Tensor, truth: Tensor) -> Scores:
    """Mean absolute difference and PSNR of pictures uint8 ``[N, C, H, W]`` against the true ones."""
    shared: dict[str, Any] = {"counts": {"pairs": len(outputs)}}
    other = shuffled(outputs)
    difference, ratio = l1(outputs, truth), psnr(outputs, truth).clamp_max(100)
    metrics = [
        Metric(name="l1", label="mean absolute difference", value=float(difference.mean()), higher_is_better=False,
               floor=0.0, chance=float(l1(other, truth).mean()), **shared),
        Metric(name="psnr", label="PSNR", unit="dB", value=float(ratio.mean()), higher_is_better=True,
               chance=float(psnr(other, truth).clamp_max(100).mean()), **shared),
    ]  # fmt: skip
    return Scores(metrics, {"l1": difference.tolist(), "psnr": ratio.tolist()})


def _sample_ious(found: Tensor, truth: Tensor) -> list[float | None]:
    ious = []
    for one, other in zip(found, truth, strict=True):
        matrix = ConfusionMatrix(256)
        matrix.update(one, other)
        ious.append(matrix.mean_iou())
    return list(ious)


def _shuffled_reading(reading: Reading) -> Reading:
    return Reading(*(shuffled(item) for item in (reading.labels, reading.points, reading.factors, reading.features)))


def _statistics(features: Tensor) -> FeatureStatistics:
    statistics = FeatureStatistics()
    statistics.update(features)
    return statistics


def _mean_distance(features: Tensor) -> Tensor:
    """Mean distance between the styles of an input, over features ``[K, M, D]``."""
    styles = len(features)
    pairs = [(a, b) for a in range(styles) for b in range(a)]
    return torch.stack([(features[a] - features[b]).norm(dim=1).mean() for a, b in pairs]).mean()
