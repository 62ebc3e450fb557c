"""What a modality is: how a domain's files become tensors and back."""

from __future__ import annotations

import copy
import inspect
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_hub.errors import AnchorError, ConfigError, UsageError, did_you_mean
from anchor_hub.images.reading import IMAGE_EXTENSIONS
from anchor_hub.modality.traits import Traits

FITS = ("stretch", "crop")
ModalityT = TypeVar("ModalityT", bound="Modality")


class _Immutable(ABCMeta):
    """Metaclass whose classes seal every object once it is made: its public attributes cannot be set any more."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        made = super().__call__(*args, **options)
        made.__dict__["_sealed"] = True
        return made

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's signature, for callers and :func:`known_options`, in place of that of ``__call__``."""
        whole = inspect.signature(cls.__init__)  # type: ignore[misc]
        return whole.replace(parameters=list(whole.parameters.values())[1:])


class Modality(metaclass=_Immutable):
    """How a domain's files become tensors and back.

    Example::

        modality = build_modality({"name": "segmentation", "classes": 19, "palette": "celebamask-hq"})
        sample = modality.read("mask.png", 64)             # uint8 [1, 64, 64]
        batch = modality.collate([sample])                 # uint8 [1, 1, 64, 64]
        images = modality.to_network(batch)                # float32 [1, 19, 64, 64]
        modality.write(modality.from_network(logits)[0], Path("out.png"))

    A *sample* is one compact tensor on the CPU; a batch of them has one dimension more. What networks
    take and give is float32 ``[B, C, H, W]``.

    A modality does not change once it is made, so threads and cached domains share it. What depends on the side of
    the images (points do, pictures do not) goes by :attr:`size`; :meth:`at` gives the modality for another side.

    :param fit: how files that are not square become square: ``stretch`` (the published way) or ``crop`` (the middle).
    """

    #: Name in the registry.
    name: ClassVar[str]
    #: Suffixes (lower case, with dot) of the files it reads.
    extensions: tuple[str, ...] = IMAGE_EXTENSIONS
    #: Suffix of the files it writes by default, and all suffixes it can write.
    output_suffix: str = ".png"
    output_suffixes: tuple[str, ...] = (".png",)
    #: Side in pixels of the images that its samples belong to; None if not declared. See :meth:`at`.
    size: int | None = None

    def __init__(self, *, fit: str = "stretch") -> None:
        if fit not in FITS:
            raise ConfigError(f"modality {self.name}: fit is {fit!r}, must be 'stretch' or 'crop'")
        self.fit = fit

    def __setattr__(self, name: str, value: Any) -> None:
        # Private names can be set: a class may keep things for itself, such as a cache.
        if not name.startswith("_") and self.__dict__.get("_sealed"):
            way = "modality.at(side) is one for another side" if name == "size" else "build another one instead"
            raise AttributeError(f"modality {self.name}: {name} cannot be set, modalities do not change; {way}")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if not name.startswith("_") and self.__dict__.get("_sealed"):
            raise AttributeError(f"modality {self.name}: {name} cannot be deleted, modalities do not change")
        super().__delattr__(name)

    def at(self: ModalityT, side: int) -> ModalityT:
        """This modality for images of ``side`` pixels: a copy with that :attr:`size`, or itself if it has it already.

        A class that derives more than :attr:`size` from the side overrides this method.

        :raises UsageError: ``side`` is no whole number of at least 1.
        """
        if isinstance(side, bool) or not isinstance(side, int) or side < 1:
            raise UsageError(f"modality {self.name}: {side!r} is no side of an image; give it in whole pixels")
        if side == self.size:
            return self
        other = copy.copy(self)
        other.__dict__["size"] = side
        return other

    @property
    def traits(self) -> Traits:
        """What the samples are: colour pictures, label maps or points; by default none of these."""
        return Traits()

    @property
    @abstractmethod
    def input_channels(self) -> int:
        """Channels of an encoder's input."""

    @property
    @abstractmethod
    def output_channels(self) -> int:
        """Channels of a regressor's output."""

    def options(self) -> dict[str, Any]:
        """JSON-able options from which :func:`build_modality` makes it again; defaults are left out."""
        return {} if self.fit == "stretch" else {"fit": self.fit}

    @abstractmethod
    def read(self, path: str | Path, size: int) -> Tensor:
        """The sample in a file, for an image of ``size`` px. :raises ImageError: naming file and fix."""

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
        """Network output as network input, differentiable: what an encoder would see if the output came from a file."""
        return output

    @abstractmethod
    def reconstruction_loss(self, output: Tensor, samples: Tensor) -> Tensor:
        """How far network output is from samples: a float32 scalar, 0 where they agree."""

    @abstractmethod
    def flip(self, samples: Tensor) -> Tensor:
        """A batch mirrored left to right; meanings of left and right, if any, are exchanged."""

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


@dataclass(frozen=True)
class ModalityOption:
    """An option of a modality. ``type``: its annotation (``"int | None"``), empty if there is none."""

    name: str
    type: str = ""
    default: Any = None
    required: bool = False


def known_options(name: str) -> dict[str, ModalityOption]:
    """The options of the modality registered under ``name``, by their names, in the order of its constructor.

    :raises ModalityNotFoundError: nobody registered the name.
    """
    return _options_of(_registered(name)[0])


def build_modality(table: Mapping[str, Any]) -> Modality:
    """The modality that ``{"name": ..., option: value, ...}`` describes, as bundles and specs hold it.

    :raises ModalityNotFoundError: nobody registered the name. :raises ConfigError: wrong options.
    """
    options = dict(table)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError("a modality needs a name, e.g. {'name': 'rgb'}")
    kind, target = _registered(name)
    known = _options_of(kind)
    for key in options:
        if key not in known:
            raise ConfigError(f"modality {name!r} has no option {key!r}.{did_you_mean(str(key), list(known))}")
    for option in known.values():
        if option.required and option.name not in options:
            raise ConfigError(f"modality {name!r} needs the option {option.name!r}: add it to {dict(table)}")
    try:
        modality = kind(**options)
    except AnchorError:
        raise
    except (TypeError, ValueError) as error:  # a value of a kind that the constructor does not expect
        raise ConfigError(f"modality {name!r}: {options} cannot be its options: {error}") from error
    if not isinstance(modality, Modality):
        raise ConfigError(f"modality {name!r}: {target} is not a Modality")
    return modality


def _registered(name: str) -> tuple[Any, str]:
    """What is registered under a modality's name, imported, and where it is."""
    from anchor_hub.plugins.registry import registry

    found = registry().modalities[name]
    return registry().load(found.spec.target), found.spec.target


def _options_of(kind: Any) -> dict[str, ModalityOption]:
    found = {}
    for key, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required, annotation = parameter.default is parameter.empty, parameter.annotation
        text = "" if annotation is parameter.empty else inspect.formatannotation(annotation).strip("'")
        found[key] = ModalityOption(key, text, None if required else parameter.default, required)
    return found
