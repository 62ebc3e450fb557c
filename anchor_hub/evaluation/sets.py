"""Distances between two sets of pictures, from rows of features: FID, KID and their kin, over all or by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.evaluation.result import ExtractorRecord, Metric
from anchor_hub.evaluation.rows import Rows
from anchor_hub.metrics.classifiers import SETTINGS, Blocks, FeatureClassifier
from anchor_hub.metrics.frechet import FeatureStatistics, frechet_distance
from anchor_hub.metrics.inception import INCEPTION_NAME
from anchor_hub.metrics.kernel import kernel_distance, subset_plan

#: Conventions in which kernel distances are printed: suffix -> (factor, how it is written).
CONVENTIONS = {"x1000": (1000.0, "×10³"), "x100": (100.0, "×100")}


@dataclass
class FeatureSets:
    """Features of real pictures and of outputs by one extractor; classes: of each row, where there are any."""

    extractor: Any
    real: Rows
    fake: Rows
    real_classes: Sequence[str] = ()
    fake_classes: Sequence[str] = ()
    seed: int = 0
    #: Side of the pictures in pixels, before the extractor's own resizing.
    side: int | None = None

    @property
    def _is_inception(self) -> bool:
        return self.extractor.name == INCEPTION_NAME

    def _name(self, kind: str) -> str:
        """``fid``, or ``fd_mobilenetv2``: the FID's name belongs to the FID's network alone."""
        if self._is_inception:
            return {"frechet": "fid", "kernel": "kid"}[kind]
        short = str(getattr(self.extractor, "short", self.extractor.name)).replace("-", "_").lower()
        return {"frechet": "fd", "kernel": "kd"}[kind] + f"_{short}"

    def _label(self, kind: str) -> str:
        if self._is_inception:
            return self._name(kind).upper()
        return f"{self._name(kind)[:2].upper()} ({getattr(self.extractor, 'short', self.extractor.name)})"

    def _metric(self, name: str, value: float, label: str, higher: bool = False, **more: Any) -> Metric:
        if self.side is not None:
            more["settings"] = {"side": self.side, **more.get("settings", {})}
        return Metric(
            name=name, value=value, higher_is_better=higher, label=label,
            extractor=ExtractorRecord(name=self.extractor.name, sha256=self.extractor.sha256),
            resize=getattr(self.extractor, "resize", None) or self.extractor.preprocessing,
            counts={"real": len(self.real), "fake": len(self.fake)}, **more,
        )  # fmt: skip

    # -- whole sets ----------------------------------------------------------------------------------

    def frechet(self) -> list[Metric]:
        """The Fréchet distance of both sets."""
        value = frechet_distance(statistics(self.real), statistics(self.fake))
        return [self._metric(self._name("frechet"), value, self._label("frechet"))]

    def kernel(self) -> list[Metric]:
        """The kernel distance of both sets, in both conventions."""
        subsets, size = subset_plan(len(self.real), len(self.fake))
        mean, deviation = kernel_distance(
            self.real.array(), self.fake.array(), subsets=subsets, subset_size=size, seed=self.seed
        )
        return self._kernel_metrics("", mean, {"subsets": subsets, "subset_size": size, "degree": 3}, deviation)

    def _kernel_metrics(
        self, prefix: str, mean: float, settings: dict[str, Any], deviation: float | None = None, **details: Any
    ) -> list[Metric]:
        found = []
        for suffix, (factor, written) in CONVENTIONS.items():
            scaled = {key: {name: value * factor for name, value in table.items()} for key, table in details.items()}
            if deviation is not None:
                scaled["deviation"] = deviation * factor  # type: ignore[assignment]
            found.append(
                self._metric(
                    f"{prefix}{self._name('kernel')}_{suffix}", mean * factor,
                    f"{prefix}{self._label('kernel')} {written}", unit=suffix, settings=settings, seed=self.seed,
                    details=scaled,
                )  # fmt: skip
            )
        return found

    # -- by class ------------------------------------------------------------------------------------

    def _classes(self) -> list[str]:
        real, fake = set(self.real_classes) - {""}, set(self.fake_classes) - {""}
        if not real or real != fake or "" in (*self.real_classes, *self.fake_classes):
            shown = [", ".join(sorted(names)[:8]) or "none" for names in (real, fake)]
            raise DataError(
                "metrics over classes need one folder per class, the same classes among the real files and the "
                f"outputs; real: {shown[0]}; outputs: {shown[1]}"
            )
        for name in sorted(real):
            counts = [list(labels).count(name) for labels in (self.real_classes, self.fake_classes)]
            if min(counts) < 2:
                raise DataError(f"class {name!r} has {counts[0]} real files and {counts[1]} outputs: two at least")
        return sorted(real)

    def _of(self, name: str) -> tuple[Tensor, Tensor]:
        return _mask(self.real_classes, name), _mask(self.fake_classes, name)

    def mean_frechet(self) -> list[Metric]:
        """mFID: the mean over classes of the distance within each."""
        values = {}
        for name in self._classes():
            real, fake = self._of(name)
            values[name] = frechet_distance(statistics(self.real, real), statistics(self.fake, fake))
        mean = sum(values.values()) / len(values)
        settings = {"classes": len(values)}
        label = f"m{self._label('frechet')}"
        return [self._metric(f"m{self._name('frechet')}", mean, label, settings=settings, details={"by_class": values})]

    def mean_kernel(self) -> list[Metric]:
        """mKID: the mean over classes of the kernel distance within each, in both conventions."""
        values, sizes = {}, {}
        real_rows, fake_rows = self.real.array(), self.fake.array()
        for name in self._classes():
            real, fake = self._of(name)
            subsets, size = subset_plan(int(real.sum()), int(fake.sum()))
            sizes[name] = size
            values[name], _ = kernel_distance(
                real_rows[real.numpy()], fake_rows[fake.numpy()], subsets=subsets, subset_size=size, seed=self.seed
            )
        mean = sum(values.values()) / len(values)
        settings = {"classes": len(values), "subset_size": sizes, "degree": 3}
        return self._kernel_metrics("m", mean, settings, by_class=values)

    def classifiers(self, which: Sequence[str]) -> list[Metric]:
        """RC (fitted to real pictures, asked about outputs) and FC (the other way round), DeepI2I's accuracies."""
        names = self._classes()
        real, fake = _labelled(self.real, self.real_classes, names), _labelled(self.fake, self.fake_classes, names)
        found = []
        for name, label, train, test in (("rc", "RC", real, fake), ("fc", "FC", fake, real)):
            if name in which:
                value = FeatureClassifier(len(names)).fit(train).accuracy(test)
                settings = {**SETTINGS, "classes": len(names)}
                metric = self._metric(name, value, label, higher=True, settings=settings)
                found.append(metric.model_copy(update={"chance": 1 / len(names)}))
        return found


def statistics(rows: Rows, keep: Tensor | None = None) -> FeatureStatistics:
    """Mean and covariance of rows of features, in blocks of one size: independent of how they were computed."""
    found = FeatureStatistics()
    for block in rows.blocks(keep):
        found.update(block)
    return found


def _mask(labels: Sequence[str], name: str) -> Tensor:
    return torch.tensor([label == name for label in labels], dtype=torch.bool)


def _labelled(rows: Rows, labels: Sequence[str], names: Sequence[str]) -> Blocks:
    numbers = torch.tensor([names.index(label) for label in labels])

    def blocks() -> Any:
        start = 0
        for block in rows.blocks():
            yield block, numbers[start : start + len(block)]
            start += len(block)

    return blocks
