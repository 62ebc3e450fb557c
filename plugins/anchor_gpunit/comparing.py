"""What compares pictures by features in both stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.errors import MissingPartError, UsageError
from anchor_hub.inversion.perceptual import PerceptualNetwork, perceptual_network
from anchor_hub.metrics.extractors import load_extractor
from anchor_hub.metrics.features import Extractor


def compared_rows(count: int, compared: int) -> slice:
    """About ``compared`` of ``count`` pictures, evenly spread, so that every kind of them counts; 0: all."""
    return slice(None, None, max(1, count // compared) if compared else 1)


@dataclass(frozen=True)
class _NoHub:
    """What a perceptual network asks of a hub, where there is none: the size of pictures, and a device."""

    size: int
    device: torch.device
    name: str = "none"

    @property
    def base(self) -> _NoHub:
        return self

    def discriminator(self) -> nn.Module:
        raise MissingPartError("there is no hub here whose discriminator compares; take perceptual=none")


def network_without_hub(name: str, size: int, device: torch.device) -> PerceptualNetwork | None:
    """:func:`perceptual_network` for pictures that no hub makes; "auto" then ends with none."""
    place: Any = _NoHub(size, device)
    return perceptual_network(name, hub=place)


class Identity:
    """The identity loss: 1 minus the cosine of an extractor's features of translation and style.

    :param name: of a registered extractor, or a weight file, as `anchor evaluate --extractor` takes it.
    :raises UsageError: an extractor whose features have no gradient.
    """

    def __init__(self, name: str) -> None:
        self.extractor: Any = load_extractor(name)
        if not isinstance(self.extractor, Extractor):
            raise UsageError(f"identity={name}: this extractor has no gradients; name one that derives from Extractor")

    def __call__(self, images: Tensor, wanted: Tensor) -> Tensor:
        """``[]``, of pictures ``[B, 3, H, W]`` in [-1, 1]; ``wanted`` gets no gradient."""
        with torch.no_grad():
            goal = self._features(wanted)
        return (1 - F.cosine_similarity(self._features(images), goal)).mean()

    def _features(self, images: Tensor) -> Tensor:
        return self.extractor.features((images.float() + 1) * 127.5).float()
