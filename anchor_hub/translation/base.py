"""The contract of translators: from source images to target images.

The commands, evaluation, benchmarks and all other code above a translator use only what :class:`Translator` has.
Hubs, latents and layers are terms of the backend ``anchor`` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from anchor_hub.bundles.base import MANIFEST
from anchor_hub.errors import BundleError, ConfigError, TranslatorNotFoundError, UsageError, did_you_mean
from anchor_hub.system.config import validate
from anchor_hub.system.files import file_sha256
from anchor_hub.system.memory import memory_errors as memory_errors
from anchor_hub.system.seeds import derive_seed

if TYPE_CHECKING:
    from anchor_hub.bundles.base import Bundle
    from anchor_hub.modality import Modality

#: What a translator keeps of a batch of inputs: latents, feature maps; a tensor, or a tuple of them.
Content = TypeVar("Content")

#: The kinds of look an output can get: the backend's own (no style given), a random one, that of a reference picture.
OWN, RANDOM, REFERENCE = "own", "random", "reference"


class TranslatorOptions(BaseModel):
    """The options of one backend (``--set name=value``); a backend's subclass names them, with defaults and ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


@dataclass(frozen=True)
class Identity:
    """What a translation is made with, as results record it.

    backend: its name. weights: role -> SHA-256 of a bundle's manifest, ``{"source": ..., "target": ...}`` for two
    domains, ``{"translator": ...}`` for a trained translator. hub: name and fingerprint, where there is a hub.
    """

    backend: str
    weights: Mapping[str, str] = field(default_factory=dict)
    hub: tuple[str, str] | None = None


class Translator(ABC, Generic[Content]):
    """Source images to target images. A backend is a subclass, opened by :meth:`open`.

    ``B`` images become *content* once (:meth:`encode`) and an output for each style (:meth:`decode`). Content and
    styles are the backend's own; callers know only that dimension 0 of a style counts styles.
    """

    #: The name under which the backend is registered.
    backend: ClassVar[str] = ""
    Options: ClassVar[type[TranslatorOptions]] = TranslatorOptions
    #: The looks it can give: some of ``"own"``, ``"random"``, ``"reference"``.
    styles: ClassVar[frozenset[str]] = frozenset({OWN})

    #: Whether :meth:`encode` and :meth:`decode` may run in torch's inference mode: they compute no gradients, and keep
    #: nothing that they computed.
    inference: ClassVar[bool] = False

    #: Names of the two ends: domains, or names of the translator's own.
    source: str
    target: str
    source_modality: Modality
    target_modality: Modality
    #: Side of the square images in pixels.
    size: int
    device: torch.device

    @classmethod
    @abstractmethod
    def open(
        cls, source: str, target: str, *, bundle: Bundle | None, options: TranslatorOptions, device: str | torch.device
    ) -> Translator[Any]:
        """The translator between two names, on ``device``, ready to use.

        :param bundle: the trained translator that serves the pair; None for a backend that trains none.
        :param options: an instance of :attr:`Options`.
        :raises NotFoundError: there is no way between these names. :raises BundleError: damaged weights.
        """

    @abstractmethod
    def encode(self, images: Tensor) -> Content:
        """The content of network input ``[B, C, H, W]`` (``source_modality.to_network``), once for all styles."""

    @abstractmethod
    def decode(self, content: Content, style: Tensor | None = None) -> Tensor:
        """Raw output ``[B, C', H, W]``, what ``target_modality.from_network`` takes.

        :param style: one for all images ``[1, ...]``, one for each ``[B, ...]``, or None for the backend's own look.
        """

    def random_styles(self, n: int, *, seed: int, start: int = 0, truncation: float = 1.0) -> Tensor:
        """Random styles ``[n, ...]``, number ``start`` onwards of ``seed``: the same in any batch, process or machine.

        :param truncation: pulls them towards the mean look; 1 leaves them alone, 0 makes all of them the mean.
        :raises UsageError: this backend has no random styles.
        """
        raise UsageError(f"the backend {self.backend!r} has no random styles: leave --styles and --seed out")

    @property
    def reference_modality(self) -> Modality:
        """The modality that reads reference pictures. :raises UsageError: this backend takes none."""
        raise UsageError(f"the backend {self.backend!r} takes no reference pictures: leave --style-from out")

    def reference_styles(self, images: Tensor) -> Tensor:
        """The styles ``[n, ...]`` of reference pictures ``[n, C, H, W]`` (``reference_modality.to_network``)."""
        raise UsageError(f"the backend {self.backend!r} takes no reference pictures: leave --style-from out")

    @property
    def targets(self) -> tuple[str, ...]:
        """The names that it translates to, :attr:`target` among them: several, where one network has many classes."""
        return (self.target,)

    def towards(self, target: str) -> Translator[Any]:
        """The same translator to another of its :attr:`targets`; it shares the weights, and takes this one's content.

        :raises NotFoundError: no such target.
        """
        if target == self.target:
            return self
        raise TranslatorNotFoundError(f"{self.decoder}: translates to {self.target} alone, not to {target}")

    def settings(self) -> dict[str, Any]:
        """The options that are recorded beside results, as plain JSON: those that differ from the defaults."""
        options = getattr(self, "options", None)
        return options.model_dump(mode="json", exclude_defaults=True) if isinstance(options, TranslatorOptions) else {}

    @property
    def identity(self) -> Identity:
        """What the translation is made with; by default the backend's name alone."""
        return Identity(self.backend)

    def translate(self, images: Tensor, style: Tensor | None = None) -> Tensor:
        """Raw output ``[B, C', H, W]`` of network input ``[B, C, H, W]``; see :meth:`encode` and :meth:`decode`."""
        return self.decode(self.encode(images), style)

    def checked(self, output: Any, batch: int) -> Tensor:
        """``output`` itself, if the target's modality can read it; a plugin's network may return anything.

        :raises BundleError: another shape than ``[batch, channels, H, W]``, NaN or infinity.
        """
        expected = (batch, self.target_modality.output_channels)
        if not isinstance(output, Tensor) or output.ndim != 4 or tuple(output.shape[:2]) != expected:
            got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise BundleError(f"{self.decoder}: its decoder returned {got}, not {[*expected, 'H', 'W']}")
        if not bool(torch.isfinite(output).all()):
            raise BundleError(f"{self.decoder}: its decoder returned NaN or infinity; train it again")
        return output

    @property
    def decoder(self) -> str:
        """Text for messages: what decodes."""
        return f"backend {self.backend!r}, {self.source} -> {self.target}"


def read_options(kind: type[Translator[Any]], backend: str, table: Mapping[str, Any]) -> TranslatorOptions:
    """A backend's options from plain values (numbers may be text, as the command line gives them).

    :raises UsageError: an option that the backend does not have (the nearest is suggested), or a wrong value.
    """
    known = list(kind.Options.model_fields)
    for name in table:
        if name not in known:
            near = did_you_mean(name, known) if known else " It has no options."
            raise UsageError(f"option {name}: the backend {backend!r} has no option of that name.{near}")
    try:
        return validate(dict(table), kind.Options, f"options of the backend {backend!r}")
    except ConfigError as error:
        raise UsageError(str(error)) from None


def bundle_digest(bundle: Bundle) -> str:
    """The SHA-256 of a bundle's manifest, which names the hashes of all its files: what :class:`Identity` records."""
    return file_sha256(bundle.path / MANIFEST)


def style_generator(seed: int, number: int) -> torch.Generator:
    """A generator on the CPU for random style ``number`` of ``seed``; it draws the same in any batch and process."""
    return torch.Generator().manual_seed(derive_seed(derive_seed(seed, "style"), number))
