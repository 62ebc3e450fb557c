"""What every translator is: a way from source images to target images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from anchor_hub.errors import DeviceError

if TYPE_CHECKING:
    from anchor_hub.modality import Modality


class Translator(ABC):
    """A way from source images to target images; translator backends subclass it.

    ``source_modality`` and ``target_modality`` say how files become tensors and back; ``size`` is the side of
    the square images in pixels; ``styles`` names the kinds of style the translator takes (``"latent"``,
    ``"exemplar"``).
    """

    source_modality: Modality
    target_modality: Modality
    size: int
    styles: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def translate(self, images: Tensor, *, style: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Network input ``[B, C, H, W]`` of the source to raw output ``[B, C', H, W]`` of the target.

        :param images: what the source modality's ``to_network`` returns.
        :param style: a style as this backend makes them; None leaves the appearance to the backend.
        :param seed: draws a random style; ignored where ``style`` is given.
        :returns: what the target modality's ``from_network`` takes.
        """


class memory_errors:
    """Turns running out of memory into a DeviceError that names the knobs."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        allocator = isinstance(error, RuntimeError) and "allocate memory" in str(error)
        if allocator or isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
            raise DeviceError("out of memory: take a smaller --batch, or --device cpu") from error
