"""Line drawing: outlines where depth, direction or class change, drawn unsteadily, and hatching."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from . import labels
from .shapes import smooth_step

LUMINANCE = torch.tensor([0.3, 0.59, 0.11])[:, None, None]
SMALL = 96  # below this size, in pixels, lines are drawn bolder and hatching wider


def _is_any(label: Tensor, *classes: int) -> Tensor:
    result = label == classes[0]
    for number in classes[1:]:
        result = result | (label == number)
    return result


def edges(depth: Tensor, normal: Tensor, label: Tensor, size: int, crease: float = 0.7) -> Tensor:
    """Strength of outlines in [0, 1], ``[n, n]``; depth and label are ``[n, n]``, normal ``[3, n, n]``.

    ``n`` is the supersampled size of a picture of ``size`` pixels; ``crease`` weighs edges between surfaces
    that meet at an angle.
    """
    n = depth.shape[0]
    strength = torch.zeros(n, n)
    nose, neck, skin = label == labels.NOSE, label == labels.NECK, label == labels.SKIN
    for down, right in ((0, 1), (1, 0)):
        here, there = (slice(0, n - down), slice(0, n - right)), (slice(down, n), slice(right, n))
        step = (depth[here] - depth[there]).abs()
        bend = 1 - (normal[:, here[0], here[1]] * normal[:, there[0], there[1]]).sum(0)
        # the border between nose and face is a matter of definition, not a line that anybody would draw
        soft = nose[here] | nose[there] | (neck[here] & skin[there]) | (skin[here] & neck[there])
        border = (label[here] != label[there]) * (1 - 0.92 * soft.float())
        fold = smooth_step(0.16 if size < SMALL else 0.12, 0.5, bend * (n / 256) ** 0.5) * crease
        line = smooth_step(0.05, 0.16, step).maximum(border).maximum(fold)
        strength[here] = strength[here].maximum(line)
    return strength


def ink_outlines(rgb: Tensor, depth: Tensor, normal: Tensor, label: Tensor) -> Tensor:
    """A picture ``[3, size, size]`` with dark outlines, as cartoons have; the other arguments are supersampled."""
    size, n = rgb.shape[-1], depth.shape[0]
    line = edges(depth, normal, label, size, crease=0.35)
    line = F.max_pool2d(line[None, None], 2, 1, 1)[..., :n, :n]
    line = F.avg_pool2d(line, n // size)[0, 0]
    return rgb * (1 - 0.80 * line.clamp(0, 1))


class _Hand:
    """The draughtsman's unsteadiness: smooth random fields over the supersampled picture."""

    def __init__(self, seed: int, size: int, n: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.size, self.n = size, n

    def _field(self, channels: int, cells: int) -> Tensor:
        noise = torch.randn(1, channels, cells, cells, generator=self.generator)
        return F.interpolate(noise, (self.n, self.n), mode="bicubic", align_corners=False)

    def wobble(self, cells: int, pixels: float) -> Tensor:
        """Displacements of about ``pixels``, in units of grid_sample, ``[1, n, n, 2]``."""
        return self._field(2, cells).permute(0, 2, 3, 1) * (pixels * 2 / self.size)

    def pressure(self) -> Tensor:
        return 0.72 + 0.28 * self._field(1, 7)[0, 0]

    def grain(self) -> Tensor:
        noise = torch.rand(1, 1, self.size, self.size, generator=self.generator)
        return 1 - 0.35 * F.interpolate(noise, (self.n, self.n), mode="bilinear", align_corners=False)[0, 0]

    def paper(self) -> Tensor:
        return 0.965 + 0.018 * torch.randn(self.size, self.size, generator=self.generator)


def pencil_sketch(
    rgb: Tensor, depth: Tensor, normal: Tensor, label: Tensor, strands: Tensor, size: int, seed: int
) -> Tensor:
    """A pencil drawing ``[size, size]``, 0 black to 1 white, of a supersampled picture ``[3, n, n]``."""
    n = rgb.shape[-1]
    hand = _Hand(seed, size, n)
    centres = (torch.arange(n) + 0.5) / n * 2 - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    line = _wobbly_lines(edges(depth, normal, label, size), torch.stack([x, y], -1)[None], size, hand)
    pressure = hand.pressure()
    hatching = _hatching(rgb, label, strands, x * size / 2, y * size / 2, hand, size)
    hatching = (hatching * hand.grain() * pressure).clamp(0, 0.85)
    ink = 1 - (1 - (line * pressure * 1.05).clamp(0, 0.95)) * (1 - hatching)
    drawing = F.avg_pool2d((1 - ink * 0.88)[None, None], n // size)[0, 0]
    return (drawing * hand.paper()).clamp(0, 1)


def _wobbly_lines(edge: Tensor, grid: Tensor, size: int, hand: _Hand) -> Tensor:
    """Lines, each drawn twice: the second time fainter and less exact."""
    n = edge.shape[0]
    stroke = edge[None, None]
    if size >= SMALL:
        stroke = F.avg_pool2d(F.max_pool2d(stroke, 2, 1, 1)[..., :n, :n], 3, 1, 1)
    else:
        stroke = F.avg_pool2d(stroke, 3, 1, 1) * 1.35
    line = torch.zeros(n, n)
    for pixels, weight in ((0.35, 1.0), (0.65, 0.55)):
        moved = F.grid_sample(
            stroke, grid + hand.wobble(9, pixels), padding_mode="border", align_corners=False
        )
        line = line.maximum(moved[0, 0] * weight)
    return line


def _hatching(
    rgb: Tensor, label: Tensor, strands: Tensor, x: Tensor, y: Tensor, hand: _Hand, size: int
) -> Tensor:
    """Hatching of dark places, strands of hair, and the small dark features, as ink in [0, 1]."""
    bright = (rgb * LUMINANCE).sum(0)
    smooth = F.avg_pool2d(bright[None, None], 5, 1, 2)[0, 0]
    bend = hand.wobble(8, 1.2)[0, ..., 0] * size / 2
    pitch = 1.35 if size >= SMALL else 1.7
    first = smooth_step(0.15, 0.85, ((x + y + bend) * pitch).sin())
    second = smooth_step(0.15, 0.85, ((x - y * 0.8 + bend) * pitch).sin())
    skin = _is_any(label, labels.SKIN, labels.NOSE, labels.NECK, labels.LEFT_EAR, labels.RIGHT_EAR)
    hair = label == labels.HAIR
    # skin is drawn light whatever its tone: only its own shadows are hatched
    skin_brightness = smooth[skin].mean() if bool(skin.any()) else torch.tensor(0.6)
    dark = torch.where(skin, 1 - smooth / (skin_brightness * 1.45), 1 - smooth).clamp(0, 1) * (label > 0)
    threshold = torch.where(skin, 0.40, torch.where(hair, 0.50, 0.45))
    ink = (0.35 + 0.65 * first) * smooth_step(threshold, threshold + 0.35, dark) * 0.42
    ink = ink + second * smooth_step(0.72, 0.95, dark) * 0.30 * ~skin
    ink = ink + smooth_step(0.25, 0.9, -strands) * hair * (0.22 + 0.35 * dark)
    ink = ink + _is_any(label, labels.LEFT_BROW, labels.RIGHT_BROW) * 0.55
    ink = ink + _is_any(label, labels.LEFT_EYE, labels.RIGHT_EYE) * smooth_step(0.45, 0.9, 1 - bright) * 0.85
    ink = ink + _is_any(label, labels.UPPER_LIP, labels.LOWER_LIP) * 0.22
    ink = ink + (label == labels.MOUTH) * smooth_step(0.3, 0.9, 1 - bright) * 0.6
    return ink + skin * smooth_step(0.30, 0.62, 1 - bright / (smooth + 0.02)) * 0.7
