"""Distances between two sets of pictures, from rows of features: FID, KID and the like, over all or by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anchor_hub.evaluation.classes import shared_classes
from anchor_hub.evaluation.result import ExtractorRecord, Metric
from anchor_hub.evaluation.rows import ChosenRows, Rows
from anchor_hub.metrics.classifiers import SETTINGS, Blocks, FeatureClassifier
from anchor_hub.metrics.frechet import FeatureStatistics, frechet_distance
from anchor_hub.metrics.inception import INCEPTION_NAME
from anchor_hub.metrics.kernel import kernel_distance, subset_plan

#: Conventions of printing kernel distances: suffix of the name -> (factor, its label).
CONVENTIONS = {"x1000": (1000.0, "×10³"), "x100": (100.0, "×100")}


@dataclass
class FeatureSets:
    """Features of real pictures and of outputs by one extractor, and the class of each row where there are classes."""

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

    @property
    def _short(self) -> str:
        return str(getattr(self.extractor, "short", self.extractor.name))

    def _name(self, kind: str) -> str:
        """``fid`` for Inception, else e.g. ``fd_mobilenetv2``: only distances of Inception are called FID."""
        if self._is_inception:
            return {"frechet": "fid", "kernel": "kid"}[kind]
        return {"frechet": "fd", "kernel": "kd"}[kind] + f"_{_plain(self._short)}"

    def _label(self, kind: str) -> str:
        if self._is_inception:
            return self._name(kind).upper()
        return f"{self._name(kind)[:2].upper()} ({self._short})"

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
            self.real, self.fake, subsets=subsets, subset_size=size, seed=self.seed
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
        return shared_classes(self.real_classes, self.fake_classes)

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
        for name in self._classes():
            real, fake = self._of(name)
            subsets, size = subset_plan(int(real.sum()), int(fake.sum()))
            sizes[name] = size
            values[name], _ = kernel_distance(
                _chosen(self.real, real), _chosen(self.fake, fake), subsets=subsets, subset_size=size, seed=self.seed
            )
        mean = sum(values.values()) / len(values)
        settings = {"classes": len(values), "subset_size": sizes, "degree": 3}
        return self._kernel_metrics("m", mean, settings, by_class=values)

    def linear_classifiers(self, which: Sequence[str]) -> list[Metric]:
        """RC and FC with a linear classifier of features: fitted to real pictures and tested on outputs, and the other
        way round."""
        names = self._classes()
        real, fake = _labelled(self.real, self.real_classes, names), _labelled(self.fake, self.fake_classes, names)
        found = []
        for name, train, test in (("rc_linear", real, fake), ("fc_linear", fake, real)):
            if name in which:
                value = FeatureClassifier(len(names)).fit(train).accuracy(test)
                metric = self._metric(
                    f"{name}_{_plain(self._short)}", value, f"{name[:2].upper()} (linear, {self._short})", higher=True,
                    settings={**SETTINGS, "classes": len(names)},
                )  # fmt: skip
                found.append(metric.model_copy(update={"chance": 1 / len(names)}))
        return found


def statistics(rows: Rows, keep: Tensor | None = None) -> FeatureStatistics:
    """Mean and covariance of rows of features; blocks of one size make them independent of the evaluation's batches."""
    found = FeatureStatistics()
    for block in rows.blocks(keep):
        found.update(block)
    return found


def _plain(name: str) -> str:
    return name.replace("-", "_").lower()


def _mask(labels: Sequence[str], name: str) -> Tensor:
    return torch.tensor([label == name for label in labels], dtype=torch.bool)


def _chosen(rows: Rows, keep: Tensor) -> ChosenRows:
    return ChosenRows(rows, torch.nonzero(keep).flatten().numpy())


def _labelled(rows: Rows, labels: Sequence[str], names: Sequence[str]) -> Blocks:
    numbers = torch.tensor([names.index(label) for label in labels])

    def blocks() -> Any:
        start = 0
        for block in rows.blocks():
            yield block, numbers[start : start + len(block)]
            start += len(block)

    return blocks
