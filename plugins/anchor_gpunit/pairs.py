"""Pairs of pictures that a class-conditional hub makes of one latent: the generative prior (section 3.1 of the paper).

The paper renders its pairs once and filters them; here every step draws fresh ones, so that no pair is seen twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anchor_hub.domains.base import HubOutput
from anchor_hub.errors import MissingPartError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.classes import with_classes

#: Pictures of each class by which the discriminator's scores of different classes are made comparable.
JUDGED, JUDGED_IN_ALL = 32, 4096


@dataclass(frozen=True)
class Pairs:
    """``n`` pairs: rows ``i`` and ``n + i`` are two classes' pictures of one latent.

    :param images: ``[2n, 3, H, W]`` in [-1, 1]. :param labels: ``[2n]``, indices of the hub's classes.
    :param output: latents and feature maps behind the pictures, where asked for.
    """

    images: Tensor
    labels: Tensor
    output: HubOutput

    def __len__(self) -> int:
        return len(self.images) // 2


class PairSource:
    """Draws pairs from a class-conditional hub.

    :param truncation: of the latents, 1 for none. :param kept: share of the drawn pairs to keep, those whose worse
        picture the hub's discriminator likes best among the pictures of its class; 1 keeps all.
    :raises UsageError: a hub of one class or none. :raises MissingPartError: ``kept`` below 1, and the hub's bundle
        keeps no discriminator.
    """

    def __init__(self, hub: Hub, *, truncation: float = 1.0, kept: float = 1.0) -> None:
        if len(hub.classes) < 2:
            raise UsageError(
                f"hub {hub.name!r} has no classes, so one latent gives no pair of pictures; take a class-conditional "
                "hub: anchor hubs list"
            )
        self.hub, self.truncation, self.kept = hub.base, truncation, kept
        self.critic: Any = _critic(hub) if kept < 1 else None
        self._scale: Tensor | None = None

    def draw(self, count: int, features: tuple[int, ...] = ()) -> Pairs:
        """``count`` pairs of two different random classes each, drawn by torch's generator.

        :param features: sides of the hub's feature maps that :attr:`Pairs.output` holds.
        """
        drawn = count if self.critic is None else math.ceil(count / self.kept)
        pairs = self._drawn(drawn, features)
        if self.critic is None:
            return pairs
        return _rows(pairs, self._worse(pairs).topk(count).indices.sort().values)

    @torch.no_grad()
    def _drawn(self, count: int, features: tuple[int, ...]) -> Pairs:
        classes = len(self.hub.classes)
        first = torch.randint(classes, (count,))
        second = (first + torch.randint(1, classes, (count,))) % classes
        labels, seed = torch.cat((first, second)), int(torch.randint(2**31, ()))
        # One seed: the same latents in both, also where the mapping network knows the class.
        latents = torch.cat([
            self.hub.expand(with_classes(self.hub, part).sample(count, seed=seed, truncation=self.truncation))
            for part in (first, second)
        ])  # fmt: skip
        return self.pictures(latents, labels, features)

    @torch.no_grad()
    def pictures(self, latents: Tensor, labels: Tensor, features: tuple[int, ...] = ()) -> Pairs:
        """The pictures of latents ``[B, L, D]`` in classes ``[B]``, in [-1, 1]."""
        output = with_classes(self.hub, labels).synthesize(latents, features=features)
        assert output.image is not None
        images = output.image.float().clamp(-1, 1)
        return Pairs(images, labels.to(images.device), HubOutput(latents, output.features, images))

    # -- quality -------------------------------------------------------------------------------------------------------

    def _worse(self, pairs: Pairs) -> Tensor:
        """``[n]``: the score of the worse picture of each pair, in standard deviations of its class's scores."""
        mean, deviation = self._scales()
        scores = (self._scores(pairs) - mean[pairs.labels]) / deviation[pairs.labels]
        return scores.view(2, -1).min(0).values

    @torch.no_grad()
    def _scores(self, pairs: Pairs) -> Tensor:
        return self.critic(pairs.images, pairs.labels).float().flatten()

    def _scales(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation ``[classes]`` of the scores of each class; of one seed, whatever was drawn before."""
        if self._scale is None:
            classes = len(self.hub.classes)
            each = max(2, min(JUDGED, JUDGED_IN_ALL // classes))
            scores = []
            for label in torch.arange(classes):
                labels = label.repeat(each)
                latents = with_classes(self.hub, labels).sample(each, seed=0, truncation=self.truncation)
                scores.append(self._scores(self.pictures(self.hub.expand(latents), labels)))
            found = torch.stack(scores)
            self._scale = torch.stack((found.mean(1), found.std(1).clamp(min=1e-6)))
        return self._scale[0], self._scale[1]


def _critic(hub: Hub) -> Any:
    try:
        return hub.base.discriminator().eval().requires_grad_(False)
    except MissingPartError as error:
        raise MissingPartError(f"{error}, or keep all pairs: --set kept=1") from None


def _rows(pairs: Pairs, chosen: Tensor) -> Pairs:
    """The chosen pairs, by their number."""
    rows = torch.cat((chosen, chosen + len(pairs)))
    output = pairs.output
    held = HubOutput(
        output.latents[rows], {side: found[rows] for side, found in output.features.items()}, pairs.images[rows]
    )
    return Pairs(pairs.images[rows], pairs.labels[rows], held)
