"""Layer swap: a fine-tuned generator takes its coarse layers from the generator that it was made of.

Equation 3 of the paper, ``G_t = S(F(G_s, D_t), l)``: the more layers are swapped, the closer the pictures stay to the
source's. ``l`` counts resolutions from 8 px up: 1 is 8 px, 2 is 8 and 16 px, 3 is 8 to 32 px; 0 swaps nothing.

Two ways. ``features``, as published: the source's activations behind the last swapped resolution take the place of the
target's own, while all its ToRGB layers and its own coarse picture stay. ``weights``, as the cited literature on layer
swapping has it: the target's layers up to that resolution get the source's weights, ToRGB included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.networks.stylegan2 import Generator

WAYS = ("features", "weights")


@dataclass(frozen=True)
class LayerSwap:
    """How many resolutions of the source a transformed generator keeps, and how.

    :param layers: l; 0 swaps nothing. :param way: "features" or "weights".
    :param blend: of weights: over how many finer resolutions the share of the source falls to nothing; 0 is a hard cut.
    """

    layers: int = 0
    way: str = "features"
    blend: int = 0

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise UsageError(f"layer swap: the way is one of {', '.join(WAYS)}, not {self.way!r}")
        for name, value in (("layer swap", self.layers), ("layer swap: blend", self.blend)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise UsageError(f"{name} must be a whole number from 0 on, not {value!r}")
        if self.blend and self.way != "weights":
            raise UsageError("layer swap: only weights can be blended; add the way weights, or leave blend out")

    @property
    def resolution(self) -> int:
        """Side of the finest swapped layer in pixels: 8, 16, 32 ...; 0 where nothing is swapped."""
        return 4 << self.layers if self.layers else 0

    def check(self, size: int) -> None:
        """:raises UsageError: a generator of ``size`` pixels has no such layer."""
        if self.resolution > size:
            most = (size // 4).bit_length() - 1
            raise UsageError(
                f"layer swap {self.layers} reaches {self.resolution} px; a hub of {size} px has layers 0 to {most}"
            )

    def share(self, resolution: int) -> float:
        """The share of the source in the weights of one resolution, 1 (all) to 0."""
        if self.way != "weights" or not self.layers:
            return 0.0
        beyond = (resolution // max(self.resolution, 1)).bit_length() - 1 if resolution > self.resolution else 0
        return max(0.0, 1 - beyond / (self.blend + 1))

    @torch.no_grad()
    def apply(self, generator: Generator, source: Generator) -> dict[str, Tensor]:
        """Give the generator its share of the source's weights, in place; ``features`` needs none.

        Returns the weights as they were, by name, of those that changed.
        """
        before: dict[str, Tensor] = {}
        theirs = source.synthesis.state_dict()
        for name, value in generator.synthesis.state_dict().items():
            share = self.share(int(name.split(".")[1]) if name.startswith("blocks.") else 4)
            if share:
                before[f"synthesis.{name}"] = value.clone()
                value.lerp_(theirs[name].to(value), share)
        return before

    def to_table(self) -> dict[str, Any]:
        """What a bundle's architecture says; empty where nothing is swapped."""
        if not self.layers:
            return {}
        table: dict[str, Any] = {"layers": self.layers, "way": self.way}
        return {**table, "blend": self.blend} if self.blend else table

    @classmethod
    def from_table(cls, table: Mapping[str, Any] | None) -> LayerSwap:
        """:raises UsageError, TypeError: another table than :meth:`to_table` gives."""
        return cls(**dict(table or {}))
