"""Measures: each turns batches of samples into rows of numbers, and the rows of all samples into metrics."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.evaluation.passes import in_parts
from anchor_hub.evaluation.result import ExtractorRecord, Metric
from anchor_hub.evaluation.rows import Rows
from anchor_hub.inversion.perceptual import EfficientNetDistance
from anchor_hub.metrics import image, structural
from anchor_hub.metrics.landmarks import OUTER_EYE_CORNERS, point_distances, true_eye_distance
from anchor_hub.metrics.perceptual import MIN_SIDE, Perceptual
from anchor_hub.metrics.segmentation import ConfusionMatrix


@dataclass
class Loaded:
    """A batch of samples, as read from their files; only the fields that a measure needs are filled.

    ``output`` (of the first style) and ``truth`` are the samples themselves. Pictures are previews of samples, uint8
    ``[B, 3, H, W]``; ``styles`` has the pictures of all styles, ``[B, S, 3, H, W]``.
    """

    output: Tensor | None = None
    truth: Tensor | None = None
    output_pictures: Tensor | None = None
    truth_pictures: Tensor | None = None
    input_pictures: Tensor | None = None
    styles: Tensor | None = None


@dataclass(frozen=True)
class Setting:
    """What a measure must know to describe itself. ``side``: of the pictures, in pixels; ``seed``: of random draws."""

    side: int
    pairs: int
    styles: int = 1
    seed: int = 0
    class_names: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


class Measure(ABC):
    """One row of numbers for each sample, and the metrics of all rows.

    ``key`` names the file of rows, ``width`` is the length of a row, ``needs`` names the fields of :class:`Loaded` that
    :meth:`rows` reads.
    """

    key: str
    width = 1
    needs: tuple[str, ...] = ()
    dtype = torch.float64
    #: Whether a single sample has scores of its own, see :meth:`scores`.
    scored = True

    @abstractmethod
    def rows(self, batch: Loaded) -> Tensor:
        """The rows of a batch, ``[B, width]``."""

    @abstractmethod
    def metrics(self, rows: Rows, setting: Setting) -> list[Metric]:
        """The metrics of all rows together."""

    def scores(self, row: Tensor) -> dict[str, float | None]:
        """One sample's score by metric, for the metrics that are means over samples."""
        return {}


class PictureMeasure(Measure):
    """A number of two pictures, averaged over samples: SSIM, L1, L2 and PSNR against ``against``."""

    _KNOWN: dict[str, tuple[Any, bool, str, str]] = {
        "ssim": (structural.ssim, True, "", "SSIM"),
        "l1": (image.l1, False, "", "L1"),
        "l2": (image.l2, False, "", "L2 (squared)"),
        "psnr": (image.psnr, True, "dB", "PSNR"),
    }

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the metrics that this class measures."""
        return tuple(cls._KNOWN)

    def __init__(self, name: str) -> None:
        self.key = name
        self.needs = ("output_pictures", "truth_pictures")
        self.function, self.higher, self.unit, self.label = self._KNOWN[name]
        if name == "ssim":
            structural.load_ssim()

    def rows(self, batch: Loaded) -> Tensor:
        assert batch.output_pictures is not None and batch.truth_pictures is not None
        return self.function(batch.output_pictures, batch.truth_pictures)[:, None]

    def metrics(self, rows: Rows, setting: Setting) -> list[Metric]:
        settings: dict[str, Any] = {"side": setting.side, "range": "0 to 1"}
        if self.key == "ssim":
            settings = {"side": setting.side, **structural.SETTINGS}
        return [mean_metric(self.key, rows, setting, self.higher, self.unit, self.label, settings=settings)]

    def scores(self, row: Tensor) -> dict[str, float | None]:
        return {self.key: _finite(row[0])}


class EfficientNetPairs:
    """The distance of EfficientNet-Lite0's maps, in LPIPS' place. :raises DataError: its weights are not there."""

    net = "lite0"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.network = EfficientNetDistance(device)
        self.sha256 = self.network.sha256

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance of each pair ``[B]`` of pictures uint8 ``[B, 3, H, W]``: 0 to 1, 1 minus a mean cosine."""
        return self.network.between(first, second)


class PerceptualMeasure(Measure):
    """LPIPS, or a stand-in, of the output to the truth (``lpips``), to the input (``lpips_s``), between two outputs
    (``lpips_d``), or among an input's outputs (``lpips_diversity``: the mean over all their pairs).

    :param name: the family, ``lpips`` or ``efficientnet``, and what is compared.
    """

    _NEEDS = {
        "": ("output_pictures", "truth_pictures"),
        "s": ("output_pictures", "input_pictures"),
        "diversity": ("styles",),
        "d": ("output_pictures", "truth_pictures"),
    }
    _LABELS = {"": "", "s": "_s (to the input)", "diversity": " diversity", "d": "_d (between outputs)"}
    #: Family -> its label, the extractor's name, and facts that decide the number.
    _FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
        "lpips": ("LPIPS", "lpips-", {"version": "0.1", "linear_layers": "trained"}),
        "efficientnet": ("EfficientNet-Lite0", "efficientnet-", {"distance": "1 - cosine"}),
    }

    def __init__(self, name: str, model: Perceptual | EfficientNetPairs) -> None:
        self.name, self.model = name, model
        self.key = f"{name}_{model.net}"
        self.family, _, self.compared = name.partition("_")
        self.needs = self._NEEDS[self.compared]

    def rows(self, batch: Loaded) -> Tensor:
        if self.compared == "diversity":
            assert batch.styles is not None
            return self._diversity(batch.styles)[:, None]
        other = batch.input_pictures if self.compared == "s" else batch.truth_pictures
        assert batch.output_pictures is not None and other is not None
        return self._distance(batch.output_pictures, other)[:, None]

    def _distance(self, first: Tensor, second: Tensor) -> Tensor:
        with torch.no_grad():
            return in_parts(self.model, first, second).cpu().double()

    def _diversity(self, styles: Tensor) -> Tensor:
        count = styles.shape[1]
        pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
        total = torch.zeros(len(styles), dtype=torch.float64)
        for first, second in pairs:
            total += self._distance(styles[:, first], styles[:, second])
        return total / len(pairs)

    def metrics(self, rows: Rows, setting: Setting) -> list[Metric]:
        label, network, facts = self._FAMILIES[self.family]
        settings: dict[str, Any] = {"side": setting.side, **facts}
        if self.compared == "diversity":
            settings["outputs"] = setting.styles
        higher = self.compared in ("diversity", "d")
        record = ExtractorRecord(name=f"{network}{self.model.net}", sha256=self.model.sha256)
        seed = setting.seed if higher else None
        return [
            mean_metric(self.key, rows, setting, higher, "", label + self._LABELS[self.compared], settings=settings,
                        extractor=record, seed=seed)
        ]  # fmt: skip

    def scores(self, row: Tensor) -> dict[str, float | None]:
        return {self.key: _finite(row[0])}


class LabelMeasure(Measure):
    """Pixel accuracy and mean IoU of label maps; a row is a sample's confusion matrix.

    :param ignored: truths mark unlabelled pixels by the id after the last class; they are not counted.
    """

    key = "labels"
    needs = ("output", "truth")

    def __init__(self, classes: int, *, ignored: bool = False) -> None:
        self.classes, self.width = classes, classes * classes
        self.ignore = classes if ignored else None

    def rows(self, batch: Loaded) -> Tensor:
        assert batch.output is not None and batch.truth is not None
        rows = []
        for found, true in zip(batch.output, batch.truth, strict=True):
            matrix = ConfusionMatrix(self.classes, ignore=self.ignore)
            matrix.update(found, true)
            rows.append(matrix.matrix.flatten())
        return torch.stack(rows).double()

    def _matrix(self, row: Tensor) -> ConfusionMatrix:
        matrix = ConfusionMatrix(self.classes)
        matrix.matrix = row.round().long().reshape(self.classes, self.classes)
        return matrix

    def metrics(self, rows: Rows, setting: Setting) -> list[Metric]:
        matrix = self._matrix(rows.sum())
        names = setting.class_names or tuple(str(index) for index in range(self.classes))
        table = matrix.as_dict(names)
        common: dict[str, Any] = {
            "higher_is_better": True, "counts": {"pairs": len(rows)},
            "settings": {"side": setting.side, "classes": list(names)},
        }  # fmt: skip
        over = "classes that truth or output holds"
        return [
            Metric(name="pixel_accuracy", value=table["pixel_accuracy"], label="pixel accuracy",
                   details={"pixels": matrix.pixels}, **common),
            Metric(name="mean_iou", value=table["mean_iou"], label="mean IoU",
                   details={"iou": table["iou"], "mean_over": over}, **common),
        ]  # fmt: skip

    def scores(self, row: Tensor) -> dict[str, float | None]:
        matrix = self._matrix(row)
        return {"pixel_accuracy": _finite(matrix.pixel_accuracy()), "mean_iou": _finite(matrix.mean_iou())}


class LandmarkMeasure(Measure):
    """Landmark error in pixels, and as a multiple of the distance between the outer eye corners.

    A row holds the distance of each point to its truth, and the true distance between the eyes (0 where the points are
    not dlib's 68).
    """

    key = "landmarks"
    needs = ("output", "truth")

    def __init__(self, points: int) -> None:
        self.points, self.width = points, points + 1

    def rows(self, batch: Loaded) -> Tensor:
        assert batch.output is not None and batch.truth is not None
        if batch.truth.ndim != 3 or batch.truth.shape[-1] != 2:
            raise DataError("landmark_error needs files of points; these files are drawings")
        distances = point_distances(batch.output, batch.truth)
        eyes = torch.zeros(len(distances), dtype=torch.float64)
        if self.points == 68:
            eyes = true_eye_distance(batch.truth)
        return torch.cat([distances, eyes[:, None]], dim=1)

    def metrics(self, rows: Rows, setting: Setting) -> list[Metric]:
        count = len(rows)
        pixels, normalised = 0.0, 0.0
        for block in rows.blocks():
            means = block[:, :-1].mean(1)
            pixels += float(means.sum())
            normalised += float((means / block[:, -1]).sum()) if self.points == 68 else 0.0
        common: dict[str, Any] = {
            "higher_is_better": False, "counts": {"pairs": count},
            "settings": {"side": setting.side, "points": self.points},
        }  # fmt: skip
        by_point = (rows.sum()[:-1] / count).tolist()
        found = [
            Metric(name="landmark_error_px", value=pixels / count, unit="px", label="landmark error",
                   details={"by_point": by_point}, **common)
        ]  # fmt: skip
        if self.points == 68:
            norm = f"distance of points {OUTER_EYE_CORNERS[0]} and {OUTER_EYE_CORNERS[1]}"
            common["settings"] = {**common["settings"], "divided_by": norm}
            label = "landmark error / eyes"
            found.append(Metric(name="landmark_error_interocular", value=normalised / count, label=label, **common))
        return found

    def scores(self, row: Tensor) -> dict[str, float | None]:
        mean = float(row[:-1].mean())
        table: dict[str, float | None] = {"landmark_error_px": mean}
        if self.points == 68:
            table["landmark_error_interocular"] = mean / float(row[-1])
        return table


class FeatureMeasure(Measure):
    """Feature vectors of pictures, for distances between sets; ``of`` names the field of :class:`Loaded` to read."""

    dtype = torch.float32
    scored = False

    def __init__(self, extractor: Any, key: str, of: str = "output_pictures") -> None:
        self.extractor, self.key, self.needs, self.of = extractor, key, (of,), of
        self.width = extractor.dimensions if hasattr(extractor, "dimensions") else _dimensions(extractor)

    def rows(self, batch: Loaded) -> Tensor:
        pictures = getattr(batch, self.of)
        found = in_parts(self.extractor, pictures)
        if found.shape != (len(pictures), self.width) or not bool(torch.isfinite(found).all()):
            raise DataError(
                f"extractor {self.extractor.name!r} is damaged: its features are {list(found.shape)}, or not finite"
            )
        return found

    def metrics(self, rows: Rows, setting: Setting) -> list[Metric]:
        return []


def _dimensions(extractor: Any) -> int:
    return int(extractor(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape[1])


def check_perceptual_side(side: int) -> None:
    """Check that pictures are large enough for LPIPS.

    :raises DataError: they are too small.
    """
    if side < MIN_SIDE:
        raise DataError(f"LPIPS needs pictures of at least {MIN_SIDE} pixels a side; this hub's have {side}")


def mean_metric(
    name: str,
    rows: Rows,
    setting: Setting,
    higher: bool | None,
    unit: str = "",
    label: str = "",
    *,
    settings: dict[str, Any] | None = None,
    extractor: ExtractorRecord | None = None,
    seed: int | None = None,
) -> Metric:
    """The mean of the first column, with its deviation over samples."""
    mean, deviation = rows.mean_and_deviation()
    note, details = "", {"deviation": _finite(deviation)}
    if not math.isfinite(mean):
        infinite = sum(int((~block[:, 0].isfinite()).sum()) for block in rows.blocks())
        note = f"infinite: {infinite} of {len(rows)} pairs are equal pictures"
        details = {}
    return Metric(
        name=name, value=_finite(mean), higher_is_better=higher, unit=unit, label=label, settings=settings or {},
        counts={"pairs": len(rows)}, extractor=extractor, seed=seed, details=details, note=note,
    )  # fmt: skip


def _finite(value: Tensor | float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
