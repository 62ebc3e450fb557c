"""Real pictures of stage I: their classes beside the hub's, and their masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor

from anchor_gpunit.shapes import Drawing
from anchor_hub.errors import DataError, NotFoundError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Modality
from anchor_hub.modality.palettes import Palette, numbered_palette
from anchor_hub.modality.pictures import to_unit
from anchor_hub.system.inputs import shown
from anchor_hub.training.base import Batch, Samples

#: Names of the data sets: real pictures, and label maps (or black-and-white pictures) of the same names.
REAL, MASKS = "real", "masks"
#: Grey values from here on are the object, in masks that are pictures.
OBJECT_FROM = 128


@dataclass(frozen=True)
class Joined:
    """Real pictures with their masks, ready for batches.

    :param samples: rows ``[N, 3, H, W]``, or ``[N, 4, H, W]`` with ids of the masks; None without real pictures.
    :param classes: the hub's classes, and after them those that only the real pictures have.
    :param numbers: of each class of the samples its number among ``classes``, ``[K]``.
    """

    samples: Samples | None
    classes: tuple[str, ...]
    numbers: Tensor
    masks: bool
    drawing: Drawing

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures ``[B, 3, H, W]`` in [-1, 1], and ids ``[B, 1, H, W]`` as float (``[B, 0, H, W]`` without masks)."""
        return to_unit(rows[:, :3]), rows[:, 3:].float()

    def own_labels(self, batch: Batch) -> Tensor:
        """Numbers among ``classes`` of a batch's labels, ``[B]``."""
        labels = torch.zeros(len(batch), dtype=torch.long, device=batch.images.device)
        return self.numbers.to(labels.device)[labels if batch.labels is None else batch.labels]


class RealPictures:
    """What the real pictures are, before and after they are read.

    :param pictures, masks: modalities. :param parts: draw all classes of the masks, see :class:`Drawing`.
    :raises UsageError: real pictures that are none, or masks that are neither label maps nor pictures.
    """

    def __init__(self, pictures: Modality, masks: Modality, parts: bool = False) -> None:
        if not pictures.traits.picture:
            raise UsageError(f"recipe distill: the real pictures must be colour pictures, not {pictures.name}")
        if not (masks.traits.classes or masks.traits.picture or masks.name == "gray"):
            raise UsageError(
                f"recipe distill: masks must be label maps or black-and-white pictures, not {masks.name}: "
                "--modality masks=segmentation"
            )
        self._modalities = {REAL: pictures, MASKS: masks}
        palette: Palette = getattr(masks, "palette", None) or numbered_palette(("background", "object"))
        self.drawing = Drawing(palette, parts)
        self._files: dict[str, Any] = {}
        self._roots: dict[str, Path] = {}

    def modality(self, data: str) -> Modality:
        return self._modalities[data]

    def labels(self, data: str, folder: Any, files: Any) -> tuple[tuple[str, ...], Tensor] | None:
        """Class folders are classes; and remember the files, by whose names masks find their pictures."""
        self._files[data], self._roots[data] = files, Path(folder)
        if data != REAL or not files.labels:
            return None
        return tuple(files.class_names), torch.tensor(files.labels, dtype=torch.long)

    def joined(self, data: Mapping[str, Samples], hub: Hub) -> Joined:
        """Pictures and masks in one. :raises DataError: a picture without a mask."""
        pictures, masks = data.get(REAL), data.get(MASKS)
        self._files, files = {}, self._files
        if pictures is None:
            return Joined(None, hub.classes, torch.zeros(1, dtype=torch.long), False, self.drawing)
        rows = pictures.rows
        if masks is not None:
            rows = self._beside(pictures, masks, files)
        classes, numbers = _classes(hub, pictures.classes or (REAL,))
        samples = Samples(rows, pictures.modality, pictures.labels, pictures.classes)
        return Joined(samples, classes, numbers, masks is not None, self.drawing)

    def _beside(self, pictures: Samples, masks: Samples, files: Mapping[str, Any]) -> Tensor:
        """Rows of picture and ids."""
        order: Sequence[int] = range(len(pictures))
        if files:
            places = {_name(path, self._roots[MASKS]): place for place, path in enumerate(files[MASKS].paths)}
            names = [_name(path, self._roots[REAL]) for path in files[REAL].paths]
            missing = [name for name in names if name not in places]
            if missing:
                raise DataError(
                    f"{shown(self._roots[MASKS])}: has no mask of {missing[0]} ({len(missing)} of {len(names)} are "
                    "missing); a mask has the name of its picture"
                )
            order = [places[name] for name in names]
        if not isinstance(pictures.rows, Tensor) or not isinstance(masks.rows, Tensor):
            raise DataError("the real pictures and their masks do not fit into memory; take fewer: --limit 100000")
        chosen = masks.rows[torch.tensor(list(order))]
        ids = chosen if self._modalities[MASKS].traits.classes else self._ids(chosen)
        if int(ids.max()) >= self.drawing.classes or int(ids.max()) > 255:
            raise DataError(f"masks hold class {int(ids.max())}, their modality has {self.drawing.classes} classes")
        return torch.cat((pictures.rows, ids.to(torch.uint8)), 1)

    @staticmethod
    def _ids(pictures: Tensor) -> Tensor:
        return (pictures.float().mean(1, keepdim=True) >= OBJECT_FROM).to(torch.uint8)


def _name(path: Path, root: Path) -> str:
    inner = path.relative_to(root) if path.is_relative_to(root) else PurePath(path.name)
    return inner.with_suffix("").as_posix()


def _classes(hub: Hub, names: tuple[str, ...]) -> tuple[tuple[str, ...], Tensor]:
    """The hub's classes and those that it lacks, and the number of each of ``names`` among them."""
    classes, numbers = list(hub.classes), []
    for name in names:
        try:
            numbers.append(hub.class_number(name))
        except (NotFoundError, UsageError):
            if name not in classes[len(hub.classes) :]:
                classes.append(name)
            numbers.append(len(hub.classes) + classes[len(hub.classes) :].index(name))
    return tuple(classes), torch.tensor(numbers, dtype=torch.long)
