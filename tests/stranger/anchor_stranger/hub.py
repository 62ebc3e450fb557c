"""A family of hubs of a stranger's own: a generator that draws ramps of colour, and its hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub import Bundle, Hub
from anchor_hub.checkpoints.base import ImportedHub
from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.errors import BundleError, CheckpointError
from anchor_hub.hubs import SynthesisOutput

NAME = "ramp"
LAYOUT = "a table ramp of size and weights"
KIND = "hub"


@dataclass(frozen=True)
class RampConfig:
    size: int
    latent_dim: int = 4
    num_latents: int = 2


class Ramp(nn.Module):
    """Corner colours from two codes, interpolated."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.config = RampConfig(size)
        self.corners = nn.Linear(8, 3 * 4)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        features = self.corners(latents.flatten(1)).view(-1, 3, 2, 2)
        size = (self.config.size, self.config.size)
        return features, nn.functional.interpolate(features, size, mode="bilinear", align_corners=True).tanh()


class RampHub(Hub):
    @property
    def feature_channels(self) -> dict[int, int]:
        return {2: 3}

    def architecture(self) -> dict[str, Any]:
        return {"name": "ramp", "size": self.size}

    def map(self, z: Tensor) -> Tensor:
        return z

    def run(
        self, latents: Tensor, features: tuple[int, ...], image: bool, noise: str | Sequence[Tensor]
    ) -> SynthesisOutput:
        corners, picture = self.generator(latents)
        return SynthesisOutput(picture if image else None, {2: corners} if features else {})

    @classmethod
    def generator_types(cls) -> tuple[type[nn.Module], ...]:
        return (Ramp,)

    @classmethod
    def around(cls, generator: nn.Module, name: str, *, seed: int, samples: int, classes: Sequence[str]) -> RampHub:
        return cls(generator, torch.zeros(4), torch.eye(4), name=name)

    @classmethod
    def read(cls, bundle: Bundle, classes: Sequence[str]) -> RampHub:
        try:
            generator = Ramp(int(bundle.manifest.architecture["size"]))
        except (KeyError, TypeError, ValueError):
            raise BundleError(f"{bundle.path}: its architecture states no size; install the bundle again") from None
        generator.load_state_dict(bundle.tensors("generator", generator.state_dict()))
        return cls(generator, torch.zeros(4), torch.eye(4), name=bundle.manifest.name)


def matches(raw: RawCheckpoint) -> bool:
    return isinstance(raw.content, dict) and "ramp" in raw.content


def read(raw: RawCheckpoint, discriminator: RawCheckpoint | None = None, **settings: Any) -> ImportedHub:
    table: Any = raw.content["ramp"]
    try:
        generator = Ramp(int(table["size"]))
        generator.load_state_dict(dict(table["weights"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"its ramp cannot be used: {str(error)[:100]}") from None
    return ImportedHub(NAME, generator.eval())
