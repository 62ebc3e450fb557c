"""The contract of domains: a kind of image of one hub, encoded into the hub's latents or decoded from them, or both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.bundles.base import Bundle, Requirement, open_bundle, write_bundle
from anchor_hub.bundles.tensorfile import halved
from anchor_hub.errors import BundleError, MissingPartError, UsageError
from anchor_hub.plugins.usable import plugins_behind

if TYPE_CHECKING:
    from anchor_hub.hubs.base import Hub
    from anchor_hub.modality import Modality


@dataclass(frozen=True)
class Needs:
    """What a domain needs of a hub's pass to decode. If both fields are empty, the latents suffice and no hub runs."""

    #: Sides of the hub's feature maps in pixels.
    features: tuple[int, ...] = ()
    #: The hub's own picture.
    image: bool = False

    def __or__(self, other: Needs) -> Needs:
        """What two domains need together."""
        return Needs(tuple(sorted({*self.features, *other.features})), self.image or other.image)

    def __bool__(self) -> bool:
        return bool(self.features) or self.image


@dataclass(frozen=True)
class HubOutput:
    """One pass of a hub, shared by all domains that decode from it."""

    #: ``[B, L, D]``
    latents: Tensor
    #: side in pixels -> feature map ``[B, C, side, side]``
    features: Mapping[int, Tensor] = field(default_factory=dict)
    #: ``[B, 3, H, W]``, nominally in [-1, 1]
    image: Tensor | None = None
    #: StyleGAN2's noise of this pass, for domains that run a generator of their own
    noise: str | Sequence[Tensor] = "const"


def hub_pass(hub: Hub, latents: Tensor, needs: Needs, *, noise: str | Sequence[Tensor] = "const") -> HubOutput:
    """One pass of the hub for latents ``[B, D]`` or ``[B, L, D]`` with what ``needs`` names; if nothing, no hub runs.

    :raises ValueError: a feature map that the hub lacks.
    """
    codes = hub.expand(latents)
    if not needs:
        return HubOutput(codes, noise=noise)
    output = hub.synthesize(codes, features=needs.features, image=needs.image, noise=noise)
    return HubOutput(codes, output.features, output.image, noise)


class Domain(ABC):
    """A kind of image, tied to one hub. Subclasses encode, decode, or both; a subclass for each architecture.

    ``name`` is the domain's name, ``modality`` turns files into samples and back, ``hub`` is the frozen
    generator that ``hub_fingerprint`` identifies, ``structure_layers`` is the number of leading W+ layers
    that :meth:`encode` sets; the finer ones are the mean latent unless a style is put there.
    """

    name: str
    modality: Modality
    hub: Hub
    structure_layers: int

    @property
    def hub_fingerprint(self) -> str:
        """Fingerprint of the hub; domains translate into each other only where it is the same."""
        return self.hub.fingerprint

    @property
    @abstractmethod
    def can_encode(self) -> bool:
        """Whether images of this domain can be a translation's source."""

    @property
    @abstractmethod
    def can_decode(self) -> bool:
        """Whether this domain can be a translation's target."""

    @property
    def decodes_to_hub_image(self) -> bool:
        """Whether this domain's images are the hub's own."""
        return False

    @property
    def image_hub(self) -> Hub | None:
        """The hub, or a view of it with another generator, whose own pictures are this domain's images.

        Inverters search in it. None where a network of the domain makes the images of feature maps (the default).
        """
        return self.hub if self.decodes_to_hub_image else None

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """W+ latents ``[B, L, D]`` of network input ``[B, C, H, W]`` (``modality.to_network``, at hub size).

        :raises MissingPartError: the domain has no encoder.
        """

    def corrected(self, corrections: int) -> Domain:
        """This domain, whose :meth:`encode` refines its codes in so many steps; it shares the networks.

        :raises UsageError: the domain's architecture has no such steps (the default), and some are asked for.
        """
        if corrections:
            raise UsageError(f"domain {self.name!r} does not correct its codes; leave the option corrections out")
        return self

    @property
    def needs(self) -> Needs:
        """What :meth:`decode_from` reads of the hub's pass; default: the latents alone."""
        return Needs()

    @abstractmethod
    def decode_from(self, output: HubOutput) -> Tensor:
        """What ``modality.from_network`` takes, ``[B, C, H, W]``, from a pass of the hub that computed :attr:`needs`.

        :raises MissingPartError: the domain has no decoder.
        """

    def decode(self, latents: Tensor, *, noise: str | Sequence[Tensor] = "const") -> Tensor:
        """What ``modality.from_network`` takes, ``[B, C, H, W]``, from latents ``[B, D]`` or ``[B, L, D]``.

        :raises MissingPartError: the domain has no decoder.
        """
        if not self.can_decode:
            raise self.no_decoder()
        return self.decode_from(hub_pass(self.hub, latents, self.needs, noise=noise))

    @property
    def separates_structure(self) -> bool:
        """Whether :meth:`decode_styled` looks at ``structure`` beside ``styled``; by default it does not."""
        return False

    def decode_styled(self, structure: Tensor, styled: Tensor) -> Tensor:
        """As :meth:`decode` of ``styled``: latents of a source, with a style in some of their layers.

        :param structure: the source's latents ``[B, L, D]`` as they are, for domains that look at both.
        """
        return self.decode(styled)

    def appearance(self, styles: Tensor) -> Tensor:
        """The part of latents ``[B, D]`` or ``[B, L, D]`` that this domain's images cannot show, such as colours.

        An offset ``[B, L, D]`` to add to encoded latents: ``w - E(R(f(w)))`` in the layers that the encoder sets, zero
        in the finer layers. Zero everywhere for domains that cannot tell (the default).
        """
        return torch.zeros_like(self.hub.expand(styles))

    def with_style(self, structure: Tensor, style: Tensor) -> Tensor:
        """Latents ``[B, L, D]`` with the structure of codes of :meth:`encode` and the look of ``style``.

        Both are ``[B, D]`` or ``[B, L, D]``. The finer layers are the style's; the layers that the encoder sets get
        the style's :meth:`appearance`.
        """
        style = self.hub.expand(style)
        styled = self.hub.expand(structure) + self.appearance(style)
        return self.hub.merge(styled, style, range(self.structure_layers, self.hub.num_latents))

    def no_encoder(self) -> MissingPartError:
        """The error for asking this domain to encode; a domain that can be inverted says how."""
        if self.image_hub is not None and self.modality.traits.picture:
            return MissingPartError(
                f"domain {self.name!r} has no encoder: as a source (--from) it needs inversion, --invert 200 or "
                "--set inverter=factor"
            )
        return MissingPartError(
            f"domain {self.name!r} has no encoder: it can be a target (--to), not a source (--from)"
        )

    def no_decoder(self) -> MissingPartError:
        """The error for asking this domain to decode."""
        return MissingPartError(
            f"domain {self.name!r} has no decoder: it can be a source (--from), not a target (--to)"
        )

    # -- on disk -------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def load(cls, bundle: Bundle | str | Path, hub: Hub) -> Domain:
        """The domain of a bundle on its hub (or a view of the hub's class), in eval mode.

        :raises HubMismatchError: it was trained on another hub, see :func:`open_domain`.
        :raises BundleError: a damaged bundle, or one of another kind.
        """

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """The table ``architecture`` of the bundle, from which :meth:`load` builds the networks.

        Its ``name`` is the one under which a plugin registered this class (``anchor_register_architectures``).
        """

    @abstractmethod
    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        """The weights that the bundle keeps: part -> name -> tensor."""

    def requirements(self) -> tuple[Requirement, ...]:
        """The bundles beside the hub that the domain cannot do without; none by default."""
        return ()

    def card(self) -> str:
        """The card of a bundle for which nobody wrote one."""
        return f"# {self.name}\n\nA {self.modality.name} domain of hub {self.hub.name}.\n"

    def save(
        self,
        folder: str | Path,
        *,
        provenance: Mapping[str, Any] | None = None,
        license: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        card: str | None = None,
        extras: Mapping[str, bytes] | None = None,
        half: bool = False,
        overwrite: bool = False,
    ) -> Path:
        """Write the domain's bundle and return its folder.

        With ``half`` the weights are stored in half precision, at half the size.
        """
        tensors = self.tensors()
        return write_bundle(
            folder,
            kind="domain",
            name=self.name,
            tensors={part: halved(state) for part, state in tensors.items()} if half else tensors,
            architecture=self.architecture(),
            hub=self.hub.name,
            hub_fingerprint=self.hub_fingerprint,
            requires=self.requirements(),
            modality=modality_options(self.modality),
            plugins=plugins_behind("domain", self.architecture(), [self.modality.name]),
            provenance=provenance,
            license=license,
            metrics=metrics,
            extras=extras,
            card=card or self.card(),
            overwrite=overwrite,
        )


def open_domain(bundle: Bundle | str | Path, hub: Hub) -> Bundle:
    """The bundle of a domain of that hub.

    :raises HubMismatchError: the domain belongs to another hub.
    :raises BundleError: a damaged bundle, or one of another kind.
    """
    bundle = open_bundle(bundle, "domain") if isinstance(bundle, (str, Path)) else bundle
    manifest = bundle.manifest
    if manifest.kind != "domain":
        raise BundleError(f"{bundle.path}: this bundle is a {manifest.kind}, not a domain")
    hub.require_same(
        str(manifest.hub_fingerprint), what=f"domain {manifest.name!r}", other_name=repr(manifest.hub or "unknown")
    )
    return bundle


def modality_options(modality: Modality) -> dict[str, Any]:
    """The table from which ``build_modality`` makes this modality again: its name and its options."""
    return {"name": modality.name, **modality.options()}
