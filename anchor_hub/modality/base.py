"""What a modality is: how a domain's files become tensors and back."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_hub.errors import ConfigError, did_you_mean
from anchor_hub.images.reading import IMAGE_EXTENSIONS

FITS = ("stretch", "crop")


class Modality(ABC):
    """How a domain's files become tensors and back.

    Example::

        modality = build_modality({"name": "segmentation", "classes": 19, "palette": "celebamask-hq"})
        sample = modality.read("mask.png", 64)             # uint8 [1, 64, 64]
        batch = modality.collate([sample])                 # uint8 [1, 1, 64, 64]
        images = modality.to_network(batch)                # float32 [1, 19, 64, 64]
        modality.write(modality.from_network(logits)[0], Path("out.png"))

    A *sample* is one compact tensor on the CPU; a batch of them has one dimension more. What networks
    take and give is float32 ``[B, C, H, W]``. All methods are safe in threads.

    :param fit: how files that are not square become square: ``stretch`` (the published way) or ``crop`` (the middle).
    """

    #: Its name in the registry.
    name: ClassVar[str]
    #: Suffixes (lower case, with dot) of the files it reads.
    extensions: tuple[str, ...] = IMAGE_EXTENSIONS
    #: Suffix of the files it writes unless asked otherwise, and all it can write.
    output_suffix: str = ".png"
    output_suffixes: tuple[str, ...] = (".png",)

    def __init__(self, *, fit: str = "stretch") -> None:
        if fit not in FITS:
            raise ConfigError(f"modality {self.name}: fit is {fit!r}, must be 'stretch' or 'crop'")
        self.fit = fit
        #: Side in pixels of the images its samples belong to, where known; points need it, pictures do not.
        self.size: int | None = None

    @property
    @abstractmethod
    def input_channels(self) -> int:
        """Channels of what an encoder takes."""

    @property
    @abstractmethod
    def output_channels(self) -> int:
        """Channels of what a regressor gives."""

    def options(self) -> dict[str, Any]:
        """JSON-able options from which :func:`build_modality` makes it again; defaults are left out."""
        return {} if self.fit == "stretch" else {"fit": self.fit}

    @abstractmethod
    def read(self, path: str | Path, size: int) -> Tensor:
        """The sample in a file, as of a ``size`` px image. :raises ImageError: naming file and fix."""

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        """A batch of samples ``[B, ...]``."""
        return torch.stack(list(samples))

    @abstractmethod
    def to_network(self, samples: Tensor) -> Tensor:
        """Network input, float32 ``[B, input_channels, H, W]``, of a batch of samples on any device."""

    @abstractmethod
    def from_network(self, output: Tensor) -> Tensor:
        """A batch of samples of network output ``[B, output_channels, H, W]``."""

    def as_input(self, output: Tensor) -> Tensor:
        """Network output as network input, differentiable: what an encoder would be fed if it were a file."""
        return output

    @abstractmethod
    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        """How far network output is from samples: a float32 scalar, 0 where they agree."""

    @abstractmethod
    def flip(self, samples: Tensor) -> Tensor:
        """A batch mirrored left to right, with left and right meanings exchanged where there are any."""

    @abstractmethod
    def write(self, sample: Tensor, path: str | Path) -> None:
        """Write a sample to a file in one step. :raises DataError: it cannot be written."""

    @abstractmethod
    def preview(self, sample: Tensor, size: int | None = None) -> Tensor:
        """A picture for people, uint8 ``[3, H, W]``, resized to ``size`` where given."""


def resized(picture: Tensor, size: int | None, *, smooth: bool = True) -> Tensor:
    """uint8 ``[C, H, W]`` at ``size`` px (nearest when enlarging by a whole number: pixels stay sharp)."""
    if size is None or tuple(picture.shape[-2:]) == (size, size):
        return picture
    height, width = picture.shape[-2:]
    if not smooth or (size % height == 0 and size % width == 0):
        return F.interpolate(picture[None], size=(size, size), mode="nearest-exact")[0]
    values = F.interpolate(
        picture[None].float(), size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return values[0].round().clamp(0, 255).to(torch.uint8)


def build_modality(table: Mapping[str, Any]) -> Modality:
    """The modality that ``{"name": ..., option: value, ...}`` describes, as bundles and specs hold it.

    :raises ModalityNotFoundError: nobody registered the name. :raises ConfigError: wrong options.
    """
    from anchor_hub.plugins.registry import registry

    options = dict(table)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError("a modality needs a name, e.g. {'name': 'rgb'}")
    found = registry().modalities[name]
    kind = registry().load(found.spec.target)
    known = [key for key in inspect.signature(kind).parameters if key != "self"]
    for key in options:
        if key not in known:
            raise ConfigError(f"modality {name!r} has no option {key!r}.{did_you_mean(str(key), known)}")
    modality = kind(**options)
    if not isinstance(modality, Modality):
        raise ConfigError(f"modality {name!r}: {found.spec.target} is not a Modality")
    return modality
