"""Label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anchor_hub.errors import ConfigError, DataError
from anchor_hub.images.reading import resize_nearest
from anchor_hub.images.writing import encode_image, write_bytes, write_image
from anchor_hub.modality.base import Modality, resized
from anchor_hub.modality.label_files import read_ids
from anchor_hub.modality.merging import merge_lookup
from anchor_hub.modality.palettes import PALETTES, Palette, resolve_palette
from anchor_hub.modality.traits import Traits

MAX_CLASSES = 1024
UNLABELLED = (128, 128, 128)


class Segmentation(Modality):
    """Label maps of k classes. Samples are ids ``[1, H, W]``, uint8 (int16 above 256 classes).

    Networks take one-hot maps and give logits, float32 ``[B, k, H, W]``. Files are PNGs of ids (8 or 16
    bits), PNGs with a palette, or pictures in just the palette's colours, of any size (resized to nearest).

    :param classes: number of classes in the files; may be left out where the palette says it.
    :param palette: names and colours, see ``resolve_palette``: ``celebamask-hq``, a file, a list, or None.
    :param merge: ``{new class: [old class names or ids]}``; files hold the old classes, samples the new ones.
        Files that this modality wrote are read as they are, by their colours.
    :param ignore: an id in files, of no class, that marks unlabelled pixels (255 in many data sets). In samples they
        are :attr:`classes`; networks see no class there, no loss and no metric counts them.
    """

    name = "segmentation"
    output_suffixes = (".png",)

    def __init__(
        self,
        classes: int | None = None,
        palette: Any = None,
        merge: Mapping[str, Sequence[str | int]] | None = None,
        ignore: int | None = None,
        *,
        fit: str = "stretch",
    ) -> None:
        super().__init__(fit=fit)
        if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int)):
            raise ConfigError(f"modality segmentation: classes is {classes!r}, must be a whole number")
        #: Classes of the files; :attr:`palette` describes those of the samples.
        self.file_palette = resolve_palette(palette, classes)
        if not 2 <= len(self.file_palette) <= MAX_CLASSES:
            raise ConfigError(
                f"modality segmentation: {len(self.file_palette)} classes; must be 2 to {MAX_CLASSES}"
            )
        if ignore is not None and (isinstance(ignore, bool) or not isinstance(ignore, int) or not 0 <= ignore < 65536):
            raise ConfigError(f"modality segmentation: ignore is {ignore!r}, must be a whole number from 0 to 65535")
        if ignore is not None and ignore < len(self.file_palette):
            last = len(self.file_palette) - 1
            raise ConfigError(f"modality segmentation: ignore {ignore} is the id of a class; they are 0 to {last}")
        self.ignore = ignore
        self.merge = None if merge is None else {str(new): list(old) for new, old in merge.items()}
        self.palette = self.file_palette
        self._lookup: np.ndarray[Any, Any] | None = None
        if self.merge is not None:
            table = merge_lookup(self.merge, self.file_palette.names)
            if len(self.merge) < 2:
                raise ConfigError("modality segmentation: merging leaves one class; keep at least two")
            # What is ignored is the id after the last, before and after merging.
            self._lookup = np.array([*table, len(self.merge)])
            # Each new class in the colour of its first old one, so that its files can be told apart.
            self.palette = Palette(
                tuple(self.merge), tuple(self.file_palette.colours[_first(old, self.file_palette, table, new)]
                                         for new, old in enumerate(self.merge.values()))
            )  # fmt: skip
        self._mirrored = torch.tensor([*self.palette.mirrored(), len(self.palette)])
        self._is_mirrored = self.palette.mirrored() != list(range(len(self.palette)))

    @property
    def classes(self) -> int:
        """Number of classes of the samples, after merging."""
        return len(self.palette)

    @property
    def traits(self) -> Traits:
        """The classes' names, after merging; ``"0"``, ``"1"``, ... where they have none."""
        return Traits(classes=self.palette.names, ignored=self.ignore is not None)

    @property
    def input_channels(self) -> int:
        return self.classes

    @property
    def output_channels(self) -> int:
        return self.classes

    def options(self) -> dict[str, Any]:
        """``classes``, and ``palette`` and ``merge`` where there are any; a palette file is written out."""
        table: dict[str, Any] = {"classes": len(self.file_palette)}
        named = next((name for name, known in PALETTES.items() if known == self.file_palette), None)
        if named is not None:
            table["palette"] = named
        elif self.file_palette != resolve_palette(None, len(self.file_palette)):
            pairs = zip(self.file_palette.names, self.file_palette.colours, strict=True)
            table["palette"] = [{"name": name, "colour": list(colour)} for name, colour in pairs]
        if self.merge is not None:
            table["merge"] = self.merge
        if self.ignore is not None:
            table["ignore"] = self.ignore
        return {**table, **super().options()}

    def read(self, path: str | Path, size: int) -> Tensor:
        """Ids ``[1, size, size]``. :raises ImageError: see ``read_ids``."""
        ids = resize_nearest(read_ids(path, self.file_palette.colours, self.ignore), size, self.fit)
        if self._lookup is not None:
            ids = self._lookup[ids]
        return torch.from_numpy(ids.astype(np.uint8 if self._highest < 256 else np.int16))[None]

    @property
    def _highest(self) -> int:
        """The largest id in samples."""
        return self.classes - (self.ignore is None)

    def to_network(self, samples: Tensor) -> Tensor:
        """One-hot float32 ``[B, k, H, W]`` of ids ``[B, 1, H, W]``; zeros where pixels are unlabelled."""
        batch, _, height, width = samples.shape
        empty = torch.zeros(batch, self._highest + 1, height, width, device=samples.device)
        return empty.scatter_(1, samples.long(), 1.0)[:, : self.classes]

    def from_network(self, output: Tensor) -> Tensor:
        """The likeliest class of each pixel: ids ``[B, 1, H, W]`` of logits."""
        ids = output.detach().argmax(dim=1, keepdim=True)
        return ids.to(torch.uint8 if self.classes <= 256 else torch.int16)

    def as_input(self, output: Tensor) -> Tensor:
        """Logits as one-hot maps, with the gradient of their softmax (straight through), so that a critic cannot
        tell them from files by their softness."""
        soft = output.float().softmax(dim=1)
        hard = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
        return hard + soft - soft.detach()

    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        """Mean cross-entropy per labelled pixel, in nats."""
        ids = samples[:, 0].long().to(output.device)
        if self.ignore is None:
            return F.cross_entropy(output.float(), ids)
        total = F.cross_entropy(output.float(), ids, ignore_index=self.classes, reduction="sum")
        return total / (ids != self.classes).sum().clamp(min=1)

    def flip(self, samples: Tensor) -> Tensor:
        """Mirrored; ``l_eye`` becomes ``r_eye`` and so on (by the classes' names)."""
        flipped = samples.flip(-1)
        if not self._is_mirrored:
            return flipped
        return self._mirrored.to(samples.device)[flipped.long()].to(samples.dtype)

    def write(self, sample: Tensor, path: str | Path) -> None:
        """A palette PNG whose indices are the ids (16-bit gray above 256 classes)."""
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise DataError(f"{path}: label maps are written as PNG; give it a name ending in .png")
        ids = sample[0].cpu().numpy()
        if self.ignore is not None:  # back to what stands in files, if it is no merged class now
            ids = np.where(ids == self.classes, max(self.ignore, self.classes), ids.astype(np.int64))
        if self.classes > 256 or int(ids.max()) > 255:
            write_image(Image.fromarray(ids.astype(np.uint16)), path)
            return
        image = Image.fromarray(ids.astype(np.uint8)).convert("L")
        # PNG keeps as many bits as the palette has colours: it must reach the unlabelled id.
        spare = (UNLABELLED,) * (max(int(ids.max()) + 1 - self.classes, 0))
        image.putpalette(bytes(part for colour in (*self.palette.colours, *spare) for part in colour))
        write_bytes(path, encode_image(image))

    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        """In the classes' colours; unlabelled pixels are gray."""
        colours = torch.tensor([*self.palette.colours, UNLABELLED], dtype=torch.uint8)
        return resized(colours[sample[0].cpu().long()].permute(2, 0, 1), size, smooth=False).contiguous()


def _first(old: Sequence[str | int], palette: Palette, table: Sequence[int], new: int) -> int:
    """The old class that gives a new one its colour: the first listed, or the first of the rest ("*")."""
    for member in old:
        if member != "*":
            return palette.names.index(member) if isinstance(member, str) else int(member)
    return list(table).index(new) if new in table else 0
