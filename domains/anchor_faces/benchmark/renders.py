"""Rendered samples in memory, with everything that the renderer knows about them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_faces.benchmark.factor_groups import JUDGED, JudgedFactor, factor_matrix
from anchor_faces.benchmark.judge_kinds import FACES, JudgeKind, judge_kind, judge_kind_of
from anchor_faces.dataset import render_dataset
from anchor_faces.rendering import RENDERER_VERSION, sample_factors
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import ConfigError, DataError
from anchor_hub.modality import build_modality
from anchor_hub.system.config import load_yaml
from anchor_hub.system.home import Home

Progress = Callable[[int, int], None]
SIZE = 64
#: Picture that judges read -> modalities of its truth: the picture itself, its label map, its landmarks if it has any.
TRUTH: dict[str, tuple[str, ...]] = {
    "face": ("face", "seg", "landmark"),
    "toon": ("toon", "toon_seg", "toon_landmark"),
    "cat": ("cat", "cat_seg", "cat_landmark"),
    "car": ("car", "car_seg"),
    "car_front": ("car_front", "car_seg"),
}
NEEDED = TRUTH["face"]
#: The registered data set that the judges are trained on (its argument is a kind of judges), and its samples' seed.
DATASET, TRAINING_SEED = "face-renders", 0
_READ_AS: tuple[dict[str, Any], ...] = (
    {"name": "rgb"}, {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"},
    {"name": "landmarks", "points": 68},
)  # fmt: skip


@dataclass(frozen=True)
class Renders:
    """Rendered samples of one kind of picture with their truth.

    ``pictures``: uint8 ``[N, 3, 64, 64]``; ``labels``: uint8 ``[N, 64, 64]``; ``points``: float32 ``[N, 68, 2]`` in
    pixels (``[N, 0, 2]`` for cars); ``factors``: float32 ``[N, len(judged)]``, NaN where the picture hides a factor;
    ``names``: of the files; ``picture``: the renderer's modality; ``judged``: the factors, those that the judges of
    such pictures read.
    """

    pictures: Tensor
    labels: Tensor
    points: Tensor
    factors: Tensor
    names: tuple[str, ...]
    picture: str = "face"
    judged: tuple[JudgedFactor, ...] = JUDGED

    def __len__(self) -> int:
        return len(self.pictures)

    def part(self, first: int, last: int) -> Renders:
        """Samples ``first`` to ``last - 1``."""
        return replace(
            self, pictures=self.pictures[first:last], labels=self.labels[first:last], points=self.points[first:last],
            factors=self.factors[first:last], names=self.names[first:last],
        )  # fmt: skip


def joined(parts: Sequence[Renders]) -> Renders:
    """Samples of several kinds of pictures, which the same judges read, one kind after another."""
    return replace(
        parts[0], pictures=torch.cat([part.pictures for part in parts]),
        labels=torch.cat([part.labels for part in parts]), points=torch.cat([part.points for part in parts]),
        factors=torch.cat([part.factors for part in parts]), names=sum((part.names for part in parts), ()),
    )  # fmt: skip


def load_renders(
    folder: str | Path, count: int | None = None, *, workers: int = 2, picture: str = "face"
) -> Renders:
    """The first ``count`` samples of a rendered data set of 64 px, with the truth of one kind of picture.

    :param picture: a key of ``TRUTH``.
    :raises DataError: the folder holds another data set, or lacks files.
    """
    folder = Path(folder)
    try:
        about = load_yaml(folder / "dataset.yaml")
        seed, size, version = int(about["seed"]), int(about["size"]), int(about["renderer_version"])
    except (ConfigError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: is no rendered data set ({error}); make one: anchor data render -o {folder}"
        ) from error
    if size != SIZE or version != RENDERER_VERSION:
        raise DataError(
            f"{folder}: holds renders of {size} px by renderer {version}, not {SIZE} px by renderer "
            f"{RENDERER_VERSION}; render them again: anchor data render --size {SIZE}"
        )
    held: list[Tensor] = []
    names: list[list[str]] = []
    for name, modality in zip(TRUTH[picture], _READ_AS, strict=False):
        files = ImageFolder(folder / name, build_modality(dict(modality)), SIZE, limit=count)
        loaded = files.load_all(workers, max_bytes=1 << 40)
        assert isinstance(loaded, Tensor)
        held.append(loaded)
        names.append([path.stem for path in files.paths])
    if any(other != names[0] for other in names):
        raise DataError(
            f"{folder}: its folders {', '.join(TRUTH[picture])} do not hold the same samples; render them again"
        )
    judged = (judge_kind_of(picture) or FACES).factors
    factors = factor_matrix([sample_factors(seed, int(name)) for name in names[0]], judged, picture)
    points = held[2].float() if len(held) > 2 else torch.zeros(len(held[0]), 0, 2)
    return Renders(held[0], held[1][:, 0].byte(), points, factors, tuple(names[0]), picture, judged)


def needed(kind: JudgeKind) -> tuple[str, ...]:
    """The renderer's modalities that judges of this kind are trained on."""
    return tuple(modality for picture in kind.pictures for modality in TRUTH[picture])


def rendered(
    home: Home, *, seed: int, count: int, modalities: Sequence[str] = NEEDED, progress: Progress | None = None
) -> Path:
    """The folder of a data set with this seed in the home's cache; renders the samples that are missing."""
    folder = home.cache / f"rendered-faces-{SIZE}-seed{seed}-v{RENDERER_VERSION}"
    with home.lock(folder.name, timeout=3600.0):
        workers = max(1, min(8, os.cpu_count() or 1))
        render_dataset(
            folder, count=count, size=SIZE, seed=seed, modalities=modalities, workers=workers, progress=progress
        )
    return folder


def training_folder(argument: str, *, count: int, home: Home, progress: Progress | None = None, **_: Any) -> Path:
    """The folder of the data set of one kind of judges (``argument``; empty: faces).

    64 px and the training seed, whatever size and seed a training asks for.

    :raises UsageError: there are no such judges.
    """
    modalities = needed(judge_kind(argument or FACES.name))
    return rendered(home, seed=TRAINING_SEED, count=count, modalities=modalities, progress=progress)
