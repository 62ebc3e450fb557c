"""``segmentation``: label maps of k classes, read back with the cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.errors import ConfigError, ImageError
from anchor_hub.modality.base import Modality, resized_preview
from anchor_hub.modality.merging import merge_lookup
from anchor_hub.modality.palettes import PALETTES, Palette, palette_for

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MAX_CLASSES = 1024


class Segmentation(Modality):
    """Label maps. Samples are class ids ``[1, H, W]``, uint8 (int16 from 256 classes on).

    Read are PNGs whose pixels are class ids (8 or 16 bits), PNGs with a palette (their indices are the ids), and RGB
    pictures in exactly the palette's colours. Resizing takes the nearest pixel. Networks see one-hot maps and give
    logits.

    :param classes: classes of the files, ids 0 to ``classes - 1``; a named palette knows its own number.
    :param palette: ``celebamask-hq``, or ``None`` for numbered classes.
    :param merge: ``{new class: [old classes or ids]}``; the modality then has the new classes, and reads files of the
        old ones (or its own output again, which it knows by its palette).
    """

    name = "segmentation"
    extensions = (".png", ".bmp", ".tif", ".tiff", ".ppm", ".gif", ".webp", ".jpg", ".jpeg")

    def __init__(
        self,
        classes: int | None = None,
        palette: str | None = None,
        merge: Mapping[str, Sequence[str | int]] | None = None,
    ) -> None:
        if classes is None:
            if palette is None or palette not in PALETTES:
                raise ConfigError("a segmentation modality needs its number of classes, or a known palette")
            classes = len(PALETTES[palette].names)
        if not 2 <= int(classes) <= MAX_CLASSES:
            raise ConfigError(f"a segmentation modality takes 2 to {MAX_CLASSES} classes, not {classes}")
        self.file_classes, self.palette_name = int(classes), palette
        self.file_palette = palette_for(palette, self.file_classes)
        self.merge = None if merge is None else {str(group): list(members) for group, members in merge.items()}
        self.lookup = None if self.merge is None else merge_lookup(self.merge, self.file_palette.names)
        self.palette = self.file_palette if self.lookup is None else _merged(self.file_palette, self.merge, self.lookup)
        self.classes = len(self.palette.names)
        self.input_channels = self.output_channels = self.classes

    def options(self) -> dict[str, Any]:
        table = {"name": self.name, "classes": self.file_classes, "palette": self.palette_name, "merge": self.merge}
        return {key: value for key, value in table.items() if value is not None}

    # ------------------------------------------------------------------ files

    def read(self, path: Path | str, size: int) -> Tensor:
        import numpy as np

        from anchor_hub.data.reading import open_image

        ids, merged_already = self._ids(open_image(path), Path(path))
        highest, limit = int(ids.max()), self.classes if merged_already else self.file_classes
        if highest >= limit or int(ids.min()) < 0:
            wrong = highest if highest >= limit else int(ids.min())
            raise ImageError(
                f"{path}: holds class id {wrong}, but this domain has {limit} classes (0 to {limit - 1}); "
                "check that the file is a label map of this domain"
            )
        # The nearest pixel's centre, the same on both axes whatever the file's size.
        rows = ((np.arange(size) + 0.5) * ids.shape[0] / size).astype(int)
        columns = ((np.arange(size) + 0.5) * ids.shape[1] / size).astype(int)
        ids = ids[rows][:, columns]
        if self.lookup is not None and not merged_already:
            ids = np.asarray(self.lookup)[ids]
        return torch.from_numpy(np.ascontiguousarray(ids)).to(self._dtype)[None]

    @property
    def _dtype(self) -> torch.dtype:
        return torch.uint8 if self.classes <= 256 else torch.int16

    def _ids(self, image: Image, path: Path) -> tuple[np.ndarray, bool]:
        """Class ids ``[H, W]``, and whether they are this modality's merged classes already."""
        import numpy as np

        if image.mode == "P":
            return np.asarray(image), self.merge is not None and self._is_own_palette(image)
        if image.mode in ("L", "1", "I;16", "I;16B", "I;16L", "I"):
            return np.asarray(image).astype(np.int64), False
        if image.mode in ("RGB", "RGBA"):
            colours = np.asarray(image.convert("RGB")).astype(np.int64)
            ids, unknown = _lookup_colours(colours, self.file_palette.colours)
            if not unknown:
                return ids, False
            if self.merge is not None:
                own, foreign = _lookup_colours(colours, self.palette.colours)
                if not foreign:
                    return own, True
            if (colours.max(axis=2) == colours.min(axis=2)).all() and colours.max() < self.file_classes:
                return colours[..., 0], False  # ids written as gray RGB
            hint = "JPEG changes colours: save label maps as PNG" if image.format == "JPEG" else "use a PNG of class ids"
            raise ImageError(
                f"{path}: {unknown} of its colours are not in the palette "
                f"{self.palette_name or 'of numbered classes'}; {hint}"
            )
        raise ImageError(f"{path}: a label map cannot be read from mode {image.mode}; use an 8-bit PNG of class ids")

    def _is_own_palette(self, image: Image) -> bool:
        colours = image.getpalette() or []
        return colours[: 3 * self.classes] == [value for colour in self.palette.colours for value in colour]

    def write(self, sample: Tensor, path: Path | str) -> Path:
        import numpy as np
        from PIL import Image

        from anchor_hub.data.grid import save_png

        ids = sample[0].cpu().numpy()
        if self.classes > 256:
            return save_png(Image.fromarray(ids.astype(np.uint16)), path)
        image = Image.fromarray(ids.astype(np.uint8), mode="P")
        image.putpalette([value for colour in self.palette.colours for value in colour])
        return save_png(image, path)

    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        colours = torch.tensor(self.palette.colours, dtype=torch.uint8)
        return resized_preview(colours[sample[0].cpu().long()].permute(2, 0, 1), size)

    # ------------------------------------------------------------------ networks

    def to_network(self, samples: Tensor) -> Tensor:
        ids = samples[:, 0].long()
        empty = torch.zeros(ids.shape[0], self.classes, *ids.shape[1:], device=ids.device)
        return empty.scatter_(1, ids[:, None], 1.0)

    def from_network(self, output: Tensor) -> Tensor:
        return output.argmax(dim=1, keepdim=True).to(self._dtype)

    def as_input(self, output: Tensor) -> Tensor:
        """Hard one-hot forwards, soft probabilities backwards: critics may not tell maps by their softness."""
        soft = output.float().softmax(dim=1)
        hard = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
        return hard + soft - soft.detach()

    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        return F.cross_entropy(output, samples[:, 0].long().to(output.device))

    def flip(self, samples: Tensor) -> Tensor:
        flipped = samples.flip(-1)
        if not self.palette.mirrored:
            return flipped
        exchange = torch.arange(self.classes)
        for left, right in self.palette.mirrored:
            exchange[left], exchange[right] = right, left
        return exchange.to(samples.device)[flipped.long()].to(samples.dtype)


def _merged(palette: Palette, groups: Mapping[str, Any] | None, lookup: Sequence[int]) -> Palette:
    """The palette of merged classes: each in the colour of its largest part, which is its first member."""
    names = tuple(groups or ())
    first = [lookup.index(new) if new in lookup else 0 for new in range(len(names))]
    pairs = {tuple(sorted((lookup[a], lookup[b]))) for a, b in palette.mirrored if lookup[a] != lookup[b]}
    return Palette(names, tuple(palette.colours[old] for old in first), tuple(sorted(pairs)))  # type: ignore[arg-type]


def _lookup_colours(colours: np.ndarray, palette: Sequence[tuple[int, int, int]]) -> tuple[np.ndarray, int]:
    """Ids ``[H, W]`` of RGB pixels, and how many distinct colours are not in the palette."""
    import numpy as np

    packed = (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]
    known = {(r << 16) | (g << 8) | b: index for index, (r, g, b) in reversed(list(enumerate(palette)))}
    values, inverse = np.unique(packed, return_inverse=True)
    table = np.array([known.get(int(value), -1) for value in values])
    return table[inverse].reshape(packed.shape), int((table < 0).sum())
