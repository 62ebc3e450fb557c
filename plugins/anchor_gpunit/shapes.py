"""Shape masks: what the shape head of stage I learns to draw (``x_s`` of equation 2).

Real pictures bring theirs as label maps. Generated pictures have none; the paper runs an instance segmentation network
on all of them. Here a class for which the home has a domain of label maps of the same hub is read off the hub's feature
maps by that domain; the others are read by a small network that learns from the real pictures first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_gpunit.pairs import Pairs
from anchor_hub.domains.base import HubOutput
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import AnchorError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality.palettes import Palette
from anchor_hub.plugins.usable import Installed

if TYPE_CHECKING:
    from anchor_hub.domains.anchored import AnchoredDomain

#: Names of the class that is not the object; without one of them it is class 0.
BACKGROUNDS = ("background", "bg", "backdrop", "void")
#: Width of the network that reads shapes.
WIDTH = 16


class Drawing:
    """Label maps as pictures ``[B, 3, H, W]`` in [-1, 1], which is how networks see shapes.

    :param palette: classes of the label maps. :param parts: draw every class in its colour, those that a mirror
        exchanges in one; else (the paper's) the object is white and everything else black.
    """

    def __init__(self, palette: Palette, parts: bool = False) -> None:
        background = next((number for number, name in enumerate(palette.names) if name in BACKGROUNDS), 0)
        colours = torch.ones(len(palette), 3)
        if parts:
            table = torch.tensor(palette.colours, dtype=torch.float32) / 127.5 - 1
            colours = table[[min(pair) for pair in enumerate(palette.mirrored())]]
        colours[background] = -1
        self.classes, self.colours = len(palette), colours

    def __call__(self, ids: Tensor) -> Tensor:
        """Pictures of ids ``[B, H, W]`` or ``[B, 1, H, W]``."""
        ids = ids[:, 0] if ids.ndim == 4 else ids
        return self.colours.to(ids.device)[ids.long()].permute(0, 3, 1, 2)


class ShapeReader(nn.Module):
    """Logits ``[B, K, H, W]`` of the classes of pictures ``[B, 3, H, W]`` in [-1, 1]; sides are multiples of 8."""

    def __init__(self, classes: int, width: int = WIDTH) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 4 * width]
        self.enter = _block(3, width)
        self.down = nn.ModuleList(_block(a, b, 2) for a, b in zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(_block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.leave = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        levels = [self.enter(images)]
        for block in self.down:
            levels.append(block(levels[-1]))
        x = levels.pop()
        for block in self.up:
            x = block(torch.cat((F.interpolate(x, scale_factor=2.0), levels.pop()), 1))
        return self.leave(x)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(4, outputs), nn.LeakyReLU(0.2, inplace=True))


class AnchoredShapes:
    """Reads the shapes of generated pictures off the hub's feature maps, by anchored domains of label maps.

    :param domains: index of the hub's class -> a domain of label maps of that class.
    :param parts: see :class:`Drawing`.
    """

    def __init__(self, domains: Mapping[int, AnchoredDomain], parts: bool = False) -> None:
        self.domains = dict(domains)
        self.drawings = {
            label: Drawing(domain.modality.palette, parts)  # type: ignore[attr-defined]  # label maps have one
            for label, domain in self.domains.items()
        }

    @classmethod
    def of_hub(cls, hub: Hub, parts: bool = False) -> AnchoredShapes:
        """The label-map domains of the hub on this machine, one for each class that has some."""
        found: dict[int, AnchoredDomain] = {}
        for name, manifest in Installed().manifests("domain"):
            modality = (manifest.modality or {}).get("name")
            if manifest.hub_fingerprint != hub.fingerprint or modality != "segmentation":
                continue
            try:
                domain: Any = load_domain(name, hub.base)
            except AnchorError:
                continue  # a damaged domain is no reason not to train; `anchor domains verify` names it
            label = domain.hub.class_index
            if label is not None and domain.can_decode and not domain.needs.image:
                found.setdefault(label, domain)
        return cls(found, parts)

    @property
    def features(self) -> tuple[int, ...]:
        """Sides of the feature maps that the domains read."""
        return tuple(sorted({side for domain in self.domains.values() for side in domain.needs.features}))

    @torch.no_grad()
    def read(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Shapes ``[2n, 3, H, W]``, and which pictures ``[2n]`` have one: those of classes that a domain reads."""
        shapes, known = torch.zeros_like(pairs.images), torch.zeros_like(pairs.labels, dtype=torch.bool)
        for label, domain in self.domains.items():
            rows = (pairs.labels == label).nonzero().flatten()
            if len(rows):
                features = {side: pairs.output.features[side][rows].float() for side in domain.needs.features}
                logits = domain.decode_from(HubOutput(pairs.output.latents[rows], features))
                shapes[rows] = self.drawings[label](logits.float().argmax(1)).to(shapes)
                known[rows] = True
        return shapes, known


class Change:
    """How each picture of a batch is mirrored (by chance) and cropped at random, drawn by torch's generator.

    The paper's code enlarges pictures by 286 / 256 and crops.

    :param count: pictures. :param jitter: how much larger they become before they are cropped; 1: not cropped.
    """

    def __init__(self, count: int, jitter: float) -> None:
        flip = (torch.rand(count) < 0.5).float() * -2 + 1
        self.jitter, self.theta = jitter, torch.zeros(count, 2, 3)
        self.theta[:, 0, 0], self.theta[:, 1, 1] = flip / jitter, 1 / jitter
        self.theta[:, :, 2] = (torch.rand(count, 2) * 2 - 1) * (1 - 1 / jitter)

    def __call__(self, images: Tensor, side: int, mode: str = "bilinear") -> Tensor:
        """Pictures ``[k count, C, H, W]`` changed, ``side`` pixels high and wide; rows ``i + j count`` change alike."""
        if self.jitter == 1 and side == images.shape[-1]:  # nothing to interpolate
            flipped = (self.theta[:, 0, 0] < 0).repeat(len(images) // len(self.theta)).to(images.device)
            return torch.where(flipped[:, None, None, None], images.flip(-1), images)
        theta = self.theta.repeat(len(images) // len(self.theta), 1, 1).to(images.device)
        grid = F.affine_grid(theta, [len(images), images.shape[1], side, side], align_corners=False)
        return F.grid_sample(images.float(), grid, mode=mode, padding_mode="border", align_corners=False)
