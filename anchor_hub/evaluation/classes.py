"""RC and FC (DeepI2I): accuracy on outputs of a classifier trained on real pictures, and accuracy on real pictures of a
classifier trained on outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError
from anchor_hub.evaluation.measures import Loaded, Measure, Setting
from anchor_hub.evaluation.result import Metric
from anchor_hub.evaluation.rows import Rows
from anchor_hub.metrics.trained_classifier import RESIZE, SETTINGS, SIDE, PictureClassifier, reduced


def shared_classes(real: Sequence[str], fake: Sequence[str]) -> list[str]:
    """The names of the classes that real pictures and outputs share, sorted.

    :raises DataError: a picture has no class, the two sets differ in their classes, or a class has a single picture.
    """
    counts = Counter(real), Counter(fake)
    names = sorted({*counts[0], *counts[1]} - {""})
    if not names or "" in counts[0] or "" in counts[1] or counts[0].keys() != counts[1].keys():
        shown = [", ".join(sorted({*count} - {""})[:8]) or "none" for count in counts]
        raise DataError(
            "metrics over classes need one folder per class, with the same classes among real files and outputs; "
            f"real: {shown[0]}; outputs: {shown[1]}"
        )
    for name in names:
        if min(count[name] for count in counts) < 2:
            raise DataError(
                f"class {name!r} has {counts[0][name]} real files and {counts[1][name]} outputs; it needs two of each"
            )
    return names


class PicturesMeasure(Measure):
    """Every picture as the classifier sees it (``reduced``), kept in its row of bytes."""

    needs = ("output_pictures",)
    width = 3 * SIDE * SIDE
    dtype = torch.uint8
    scored = False

    def __init__(self, role: str) -> None:
        self.key = f"pictures-{role}"

    def rows(self, batch: Loaded) -> Tensor:
        assert batch.output_pictures is not None
        return reduced(batch.output_pictures).flatten(1)

    def metrics(self, rows: Rows, setting: Setting) -> list[Metric]:
        return []


def trained_classifiers(
    which: Sequence[str],
    real: tuple[Rows, Sequence[str]],
    fake: tuple[Rows, Sequence[str]],
    *,
    seed: int,
    side: int,
    device: Any = "cpu",
    progress: Callable[[int], None] = lambda done: None,
) -> list[Metric]:
    """RC and FC: ``rc`` trains on real pictures and tests on outputs, ``fc`` the other way round.

    :param which: ``rc``, ``fc`` or both.
    :param real: rows of :class:`PicturesMeasure` and the class of each row; ``fake``: the same of the outputs.
    :param side: side in pixels of the pictures before ``reduced``.
    """
    names = shared_classes(real[1], fake[1])
    found = []
    for name, train, test in (("rc", real, fake), ("fc", fake, real)):
        if name not in which:
            continue
        numbers = [torch.tensor([names.index(label) for label in labels]) for _, labels in (train, test)]
        classifier = PictureClassifier(len(names), seed, device)
        classifier.fit(_pictures(train[0]), numbers[0], progress=progress)
        right = classifier.right(_pictures(test[0]), numbers[1]).double()
        own = classifier.right(_pictures(train[0]), numbers[0]).double()
        settings = {"side": side, **SETTINGS, "steps": classifier.steps, "classes": len(names)}
        by_class = {label: float(right[numbers[1] == number].mean()) for number, label in enumerate(names)}
        found.append(
            Metric(
                name=name, value=float(right.mean()), label=name.upper(), higher_is_better=True, resize=RESIZE,
                settings=settings, seed=seed, chance=1 / len(names),
                counts={"real": len(real[0]), "fake": len(fake[0])},
                details={"by_class": by_class, "on_its_own_training_pictures": float(own.mean())},
            )
        )  # fmt: skip
    return found


def _pictures(rows: Rows) -> Callable[[Tensor], Tensor]:
    return lambda numbers: torch.from_numpy(rows[numbers.numpy()]).reshape(-1, 3, SIDE, SIDE)
