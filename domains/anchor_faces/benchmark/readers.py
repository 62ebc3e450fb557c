"""Readers: linear regressions that read factors off label maps, landmarks and sketches, for targets that are no faces.

The judges see faces only. A ridge regression from a label map, a set of points or a sketch (averaged down) finds the
factors that it still shows. As everywhere, the regression's own error on true renders is the floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.factor_groups import FACTOR_WIDTH, FLAG, JUDGED, STYLE
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.modality import build_modality

SIZE, CLASSES, POINTS = 64, 19, 68
#: Kind of sample that can be read -> modality that loads its files.
READABLE: dict[str, dict[str, object]] = {
    "seg": {"name": "segmentation", "classes": CLASSES, "palette": "celebamask-hq"},
    "landmark": {"name": "landmarks", "points": POINTS},
    "sketch": {"name": "gray"},
}
#: Weight of the ridge, as a share of the inputs' mean variance.
RIDGE = 1e-2
BATCH = 500


def inputs_of(kind: str, samples: Tensor, size: int) -> Tensor:
    """The inputs of a reader for samples at ``size`` pixels, float32 ``[N, D]``.

    Label maps and sketches are averaged down to 8 x 8 and 16 x 16 positions, points are divided by the size.
    """
    parts = []
    for part in samples.split(BATCH):
        if kind == "landmark":
            parts.append(part.float().flatten(1) / size)
        elif kind == "seg":
            hot = F.one_hot(part[:, 0].long().clamp_max(CLASSES - 1), CLASSES).permute(0, 3, 1, 2).float()
            parts.append(F.adaptive_avg_pool2d(hot, 8).flatten(1))
        else:
            parts.append(F.adaptive_avg_pool2d(part.float() / 255, 16).flatten(1))
    return torch.cat(parts)


class Reader:
    """One linear map ``[D + 1, FACTOR_WIDTH]``; the last row is the constant."""

    def __init__(self, kind: str, weight: Tensor) -> None:
        self.kind, self.weight = kind, weight

    def read(self, samples: Tensor, size: int) -> Tensor:
        """Factors float32 ``[N, len(JUDGED)]`` of samples ``[N, ...]``, coded as the judges code them."""
        inputs = inputs_of(self.kind, samples, size).double()
        found = inputs @ self.weight[:-1].double() + self.weight[-1].double()
        columns = []
        for factor, output in zip(JUDGED, found.split([factor.width for factor in JUDGED], 1), strict=True):
            column = output.argmax(1) if factor.kind == STYLE else output[:, 0]
            columns.append(column.clamp(0, 1) if factor.kind == FLAG else column)
        return torch.stack([column.float() for column in columns], 1)


def fit_reader(kind: str, samples: Tensor, size: int, factors: Tensor) -> Reader:
    """The ridge regression from samples ``[N, ...]`` to factors ``[N, len(JUDGED)]``; hidden ones count as the mean."""
    inputs, targets = inputs_of(kind, samples, size).double(), coded(factors).double()
    mean, average = inputs.mean(0), targets.mean(0)
    centred = inputs - mean
    gram = centred.T @ centred
    gram.diagonal().add_(RIDGE * float(gram.diagonal().mean()) + 1e-9)
    weight = torch.linalg.solve(gram, centred.T @ (targets - average))
    return Reader(kind, torch.cat([weight, (average - mean @ weight)[None]]).float())


def coded(factors: Tensor) -> Tensor:
    """Factors ``[N, len(JUDGED)]`` as targets ``[N, FACTOR_WIDTH]``: styles one-hot, hidden factors as the mean."""
    columns = []
    for place, factor in enumerate(JUDGED):
        column = factors[:, place]
        if factor.kind == STYLE:
            columns.append(F.one_hot(column.long(), factor.width).float())
        else:
            columns.append(torch.where(column.isnan(), column.nanmean(), column).nan_to_num()[:, None])
    targets = torch.cat(columns, 1)
    assert targets.shape[1] == FACTOR_WIDTH
    return targets


def fit_readers(folder: str | Path, factors: Tensor, count: int, *, workers: int = 1) -> dict[str, Reader]:
    """A reader for each readable modality of a rendered data set, from its first ``count`` samples."""
    found = {}
    for kind, options in READABLE.items():
        if (Path(folder) / kind).is_dir():
            files = ImageFolder(Path(folder) / kind, build_modality(dict(options)), SIZE, limit=count)
            samples = files.load_all(workers, max_bytes=1 << 40)
            assert isinstance(samples, Tensor)
            found[kind] = fit_reader(kind, samples, SIZE, factors[: len(samples)])
    return found


def reader_tensors(readers: Mapping[str, Reader]) -> dict[str, Tensor]:
    """The readers' weights for a bundle, kind -> weight."""
    return {kind: reader.weight for kind, reader in readers.items()}
