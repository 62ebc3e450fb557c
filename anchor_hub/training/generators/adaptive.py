"""Adaptive discriminator augmentation (Karras et al. 2020, arXiv:2006.06676): as much augmentation as a critic needs.

A critic that learns its few real images by heart is sure of them. How sure it is, ``r_t = E[sign(D(real))]``, steers
the probability p of every transformation: above a target p rises, below it p falls. The critic sees augmented images
alone, real and generated; while p stays below about 0.8 the transformations do not leak into what the generator makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.training.distributed import ProcessGroup
from anchor_hub.training.generators.augment import hole, layout_of, parse_augment
from anchor_hub.training.generators.augment_colour import palettes, recolour
from anchor_hub.training.generators.augment_geometry import coins, placements, resample

#: Name of adaptive augmentation among the augmentations.
ADAPTIVE = "ada"
#: Kinds of transformations; those of the geometry (all but colour and cutout) become one resampling.
KINDS = ("flip", "turn", "shift", "geometry", "colour", "cutout")
#: What the paper found to help, without what turns pictures over or mirrors them.
DEFAULT_KINDS = ("geometry", "colour")
#: The paper's target of r_t, images over which p could rise from 0 to 1, and steps between adjustments.
TARGET, IMAGES, EVERY = 0.6, 500_000, 4


def parse_augmentation(text: str) -> tuple[str, ...]:
    """What ``--augment`` asks for: ``("ada", kinds in order of application)`` of ``"ada"`` or
    ``"ada:geometry,colour,flip"``, else what :func:`parse_augment` reads.

    :raises UsageError: an unknown kind or name.
    """
    if text.strip().partition(":")[0] != ADAPTIVE:
        return parse_augment(text)
    names = [name.strip() for name in text.partition(":")[2].split(",") if name.strip()] or list(DEFAULT_KINDS)
    for name in names:
        if name not in KINDS:
            raise UsageError(f"--augment: ada has no kind {name!r}.{did_you_mean(name, KINDS)}")
    return (ADAPTIVE, *(kind for kind in KINDS if kind in names))


class AdaptiveAugment:
    """Augments images with a probability that follows a critic's logits of real images.

    :param kinds: of ``KINDS``. "geometry" scales, stretches, shifts and rotates by up to 15 degrees, twice: heads stay
        on top. With "turn" it rotates by any angle.
    :param target: of r_t. :param images: over which the probability could move from 0 to 1. :param every: steps between
        adjustments. :param group: the processes of the run, which share one probability.
    """

    def __init__(
        self,
        kinds: Sequence[str] = DEFAULT_KINDS,
        *,
        target: float = TARGET,
        images: int = IMAGES,
        every: int = EVERY,
        group: ProcessGroup | None = None,
    ) -> None:
        self.kinds, self.target, self.images, self.every = tuple(kinds), target, images, every
        self.group = group or ProcessGroup()
        self.probability = 0.0
        self._signs: Tensor | float = 0.0  # of the steps since the last adjustment, averaged over the processes
        self._steps = self._seen = 0

    def __call__(self, images: Tensor) -> Tensor:
        """Square images ``[B, 3, S, S]`` in [-1, 1], augmented, differentiable twice; at probability 0 unchanged.

        float64 stays, all else becomes float32. Random numbers come from torch's default generator on the CPU.
        """
        p = self.probability
        if p <= 0:
            return images
        changed = images if images.dtype == torch.float64 else images.float()
        count, _, height, width = images.shape
        matrices = placements(count, width, p, self.kinds)
        if matrices is not None:
            changed = resample(changed, matrices)
        matrices = palettes(count, p) if "colour" in self.kinds else None
        if matrices is not None:
            changed = recolour(changed, matrices)
        if "cutout" in self.kinds:
            kept = torch.maximum(hole(count, height, width), (~coins(count, p)).float()[:, None, None, None])
            changed = changed * kept.to(changed)
        return changed.contiguous(memory_format=layout_of(images))

    def watch(self, real_logits: Tensor) -> None:
        """Take note of a critic's logits ``[B, ...]`` of a step's real images; every few steps adjust the probability.

        Every process of the run must call it equally often.
        """
        signs = real_logits.detach().float().sign().mean()
        self._signs = self._signs + self.group.average(signs)
        self._steps += 1
        self._seen += len(real_logits) * self.group.world
        if self._steps < self.every:
            return
        sure = float(self._signs) / self._steps
        step = self._seen / self.images
        moved = self.probability + (step if sure > self.target else -step if sure < self.target else 0.0)
        self.probability = min(1.0, max(0.0, moved))
        self._signs, self._steps, self._seen = 0.0, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on in the same way: plain numbers."""
        return {
            "probability": self.probability, "signs": float(self._signs), "steps": self._steps, "seen": self._seen,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that :meth:`state_dict` gave."""
        self.probability, self._signs = float(state["probability"]), float(state["signs"])
        self._steps, self._seen = int(state["steps"]), int(state["seen"])
