"""Rendered samples in memory, with everything that the renderer knows about them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from anchor_faces.benchmark.factor_groups import factor_matrix
from anchor_faces.dataset import render_dataset
from anchor_faces.rendering import RENDERER_VERSION, sample_factors
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import ConfigError, DataError
from anchor_hub.modality import build_modality
from anchor_hub.system.config import load_yaml
from anchor_hub.system.home import Home

Progress = Callable[[int, int], None]
SIZE = 64
NEEDED = ("face", "seg", "landmark")
#: The registered data set that the judges are trained on, and the seed of its samples.
DATASET, TRAINING_SEED = "face-renders", 0
_MODALITIES: dict[str, dict[str, Any]] = {
    "face": {"name": "rgb"},
    "seg": {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"},
    "landmark": {"name": "landmarks", "points": 68},
}


@dataclass(frozen=True)
class Renders:
    """Rendered samples with their truth.

    ``pictures``: uint8 ``[N, 3, 64, 64]``; ``labels``: uint8 ``[N, 64, 64]``; ``points``: float32 ``[N, 68, 2]`` in
    pixels; ``factors``: float32 ``[N, len(JUDGED)]``, NaN where the picture hides a factor; ``names``: of the files.
    """

    pictures: Tensor
    labels: Tensor
    points: Tensor
    factors: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    def part(self, first: int, last: int) -> Renders:
        """Samples ``first`` to ``last - 1``."""
        return Renders(
            self.pictures[first:last], self.labels[first:last], self.points[first:last], self.factors[first:last],
            self.names[first:last],
        )  # fmt: skip


def load_renders(folder: str | Path, count: int | None = None, *, workers: int = 2) -> Renders:
    """The first ``count`` samples of a rendered data set of 64 px with the modalities face, seg and landmark.

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
    for name in NEEDED:
        files = ImageFolder(folder / name, build_modality(dict(_MODALITIES[name])), SIZE, limit=count)
        loaded = files.load_all(workers, max_bytes=1 << 40)
        assert isinstance(loaded, Tensor)
        held.append(loaded)
        names.append([path.stem for path in files.paths])
    if not names[0] == names[1] == names[2]:
        raise DataError(f"{folder}: its folders {', '.join(NEEDED)} do not hold the same samples; render them again")
    return Renders(
        held[0], held[1][:, 0].byte(), held[2].float(), factors_of(seed, names[0]), tuple(names[0])
    )


def factors_of(seed: int, names: Sequence[str]) -> Tensor:
    """The judged factors of samples, from the renderer itself; ``names`` of files tell the samples."""
    return factor_matrix([sample_factors(seed, int(name)) for name in names])


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
    """The folder of the judges' data set: 64 px and the training seed, whatever size and seed a training asks for."""
    return rendered(home, seed=TRAINING_SEED, count=count, progress=progress)
