"""How alike two pictures look to the hub's own discriminator: a perceptual distance that needs no other weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anchor_hub.errors import MissingPartError
from anchor_hub.hub import Hub
from anchor_hub.networks.stylegan2_discriminator import Discriminator

COARSEST = 8  # px: what is coarser says how real the whole picture is rather than what it shows


class DiscriminatorDistance:
    """Mean over a discriminator's blocks of ``|D_k(x) - D_k(y)|^2 / |D_k(y)|^2``; y is the picture aimed at.

    The blocks have learned to see whatever tells the hub's pictures from true ones: eyes, mouths, outlines of hair,
    where a pixel's difference sees a few pixels of a slightly wrong colour.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        self.discriminator = discriminator.eval().requires_grad_(False)

    @classmethod
    def of(cls, hub: Hub) -> DiscriminatorDistance | None:
        """The distance of the hub's discriminator; None where the hub keeps none, or another kind."""
        try:
            discriminator: nn.Module = hub.discriminator()
        except MissingPartError:
            return None
        return cls(discriminator) if isinstance(discriminator, Discriminator) else None

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Pictures ``[B, 3, size, size]`` in [-1, 1] to a scalar: 0 for the same pictures, about 1 for unrelated."""
        total = torch.zeros((), device=output.device)
        pairs = list(zip(self._maps(output), self._maps(target), strict=True))
        for found, wanted in pairs:
            scale = wanted.float().square().mean().clamp(min=1e-8)
            total = total + (found.float() - wanted.float()).square().mean() / scale
        return total / len(pairs)

    def _maps(self, images: Tensor) -> list[Tensor]:
        return self.discriminator.features(images, COARSEST)
