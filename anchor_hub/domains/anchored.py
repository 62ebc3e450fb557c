"""Domains learned by latent-space anchoring: a light encoder, and a light regressor of the hub's feature maps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.bundles.base import Bundle
from anchor_hub.domains.base import Domain, HubOutput, Needs, open_domain
from anchor_hub.errors import BundleError
from anchor_hub.networks.blank import Network, lay_out, stored
from anchor_hub.networks.configs import check_bounded
from anchor_hub.networks.encoders import build_encoder
from anchor_hub.networks.regressors import Regressor, build_regressor

if TYPE_CHECKING:
    from anchor_hub.hubs.base import Hub
    from anchor_hub.modality import Modality

#: In place of a regressor: the domain's images are the hub's own.
HUB_DECODER = "hub"
#: A style's appearance still carries some of its sample's structure; :meth:`AnchoredDomain.with_style` measures and
#: subtracts that structure this many times.
STYLE_CORRECTIONS = 2
#: Step size of :meth:`AnchoredDomain.encode`'s refinement: each step encodes the decoded image and adds this share of
#: the remaining error to the code.
CORRECTION_STEP = 0.6


class AnchoredDomain(Domain):
    """A domain learned by latent-space anchoring: ``z = E(x)`` and ``x = R(f(z))`` (equations 1 and 2).

    :param encoder: offsets ``[B, L, D]`` from the mean latent, or None for a decode-only domain.
    :param regressor: feature maps to raw output; ``"hub"`` for the hub's own images; None for an encode-only domain.
    :param structure_layers: leading W+ layers the encoder drives; default all.
    :param corrections: number of steps in which :meth:`encode` refines the codes.
    :param architecture: the tables that :meth:`save` writes; :meth:`build` fills them in.
    """

    def __init__(
        self,
        name: str,
        modality: Modality,
        hub: Hub,
        *,
        encoder: nn.Module | None = None,
        regressor: Regressor | str | None = None,
        structure_layers: int | None = None,
        corrections: int = 0,
        architecture: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(regressor, str) and regressor != HUB_DECODER:
            raise ValueError(
                f"domain {name!r}: a regressor is a network or {HUB_DECODER!r}, not {regressor!r}"
            )
        layers = hub.num_latents if structure_layers is None else structure_layers
        if isinstance(layers, bool) or not isinstance(layers, int) or not 1 <= layers <= hub.num_latents:
            raise ValueError(f"domain {name!r}: structure_layers {layers!r} is not in 1..{hub.num_latents}")
        if isinstance(corrections, bool) or not isinstance(corrections, int) or not 0 <= corrections <= 100:
            raise ValueError(f"domain {name!r}: corrections {corrections!r} is not a whole number from 0 to 100")
        self.name, self.modality, self.hub = name, modality.at(hub.size), hub
        self.encoder, self.regressor = encoder, regressor
        self.structure_layers, self.corrections = layers, corrections
        self._architecture = dict(architecture or {})
        for network in (encoder, regressor):
            if isinstance(network, nn.Module):
                lay_out(network.to(hub.device))

    @classmethod
    def build(
        cls,
        name: str,
        modality: Modality,
        hub: Hub,
        *,
        encoder: Mapping[str, Any] | None = None,
        regressor: Mapping[str, Any] | str | None = None,
        structure_layers: int | None = None,
        corrections: int = 0,
        weights: Bundle | None = None,
    ) -> AnchoredDomain:
        """Fresh networks from ``{"name": ..., "options": {...}}`` tables (a regressor's options need ``resolutions``).

        Channels, latent size and number of layers come from the modality and the hub; options name only
        what is a choice. Encoders start near the mean latent. The networks are in train mode.

        :raises KeyError, TypeError, ValueError: an unknown network or a bad option.
        """

        def made(part: str, build: Callable[[], Network]) -> Network:
            return build() if weights is None else stored(build, partial(weights.tensors, part))

        architecture: dict[str, Any] = {"encoder": None, "regressor": None}
        encoder_network: nn.Module | None = None
        if encoder is not None:
            options = dict(encoder.get("options") or {})
            architecture["encoder"] = {"name": encoder["name"], "options": options}
            # Larger inputs are averaged down by the encoders, whose body is made for 256 px at most.
            fitted = {"input_size": min(hub.size, 256), **_latent_shape(encoder["name"], hub, options), **options}
            build = partial(build_encoder, encoder["name"], in_channels=modality.input_channels, **fitted)
            encoder_network = made("encoder", build)
            gives = getattr(encoder_network, "num_latents", 0) * getattr(encoder_network, "latent_dim", 0)
            if gives and gives != (wanted := hub.num_latents * hub.latent_dim):
                raise ValueError(f"domain {name!r}: its encoder gives {gives} numbers, the hub's latents have {wanted}")
        regressor_network: Regressor | str | None = None
        if isinstance(regressor, str):
            architecture["regressor"] = regressor_network = regressor
        elif regressor is not None:
            options = dict(regressor.get("options") or {})
            architecture["regressor"] = {"name": regressor["name"], "options": options}
            fitted = {"output_size": hub.size, **options}
            reads, gives = hub.feature_channels, modality.output_channels
            regressor_network = made(
                "regressor", partial(build_regressor, regressor["name"], channels=reads, out_channels=gives, **fitted)
            )
        return cls(
            name,
            modality,
            hub,
            encoder=encoder_network,
            regressor=regressor_network,
            structure_layers=structure_layers,
            corrections=corrections,
            architecture=architecture,
        )

    @property
    def can_encode(self) -> bool:
        return self.encoder is not None

    @property
    def can_decode(self) -> bool:
        return self.regressor is not None

    @property
    def decodes_to_hub_image(self) -> bool:
        return isinstance(self.regressor, str)

    @property
    def needs(self) -> Needs:
        """The feature maps that the regressor reads, or the hub's own picture."""
        if isinstance(self.regressor, Regressor):
            return Needs(features=tuple(sorted(self.regressor.resolutions)))
        return Needs(image=self.decodes_to_hub_image)

    def __repr__(self) -> str:
        ways = [word for word, has in (("encodes", self.can_encode), ("decodes", self.can_decode)) if has]
        what = f"{self.name!r}, {self.modality.name}, hub {self.hub.name!r}"
        return f"AnchoredDomain({what}, {' and '.join(ways)})"

    def parts(self) -> dict[str, nn.Module]:
        """The domain's own networks (never the hub's) by their name in its bundle, those that exist."""
        networks = {"encoder": self.encoder, "regressor": self.regressor}
        return {part: network for part, network in networks.items() if isinstance(network, nn.Module)}

    def networks(self) -> list[nn.Module]:
        """The domain's own networks (never the hub's)."""
        return list(self.parts().values())

    def eval(self) -> AnchoredDomain:
        """Put the networks into eval mode, without gradients."""
        for network in self.networks():
            network.eval().requires_grad_(False)
        return self

    def encode(self, images: Tensor) -> Tensor:
        r"""Network input to latents, as :meth:`Domain.encode` says.

        If the domain can decode, each of the ``corrections`` encodes the image that the domain decodes from the codes
        and adds a share of the difference: :math:`w \leftarrow w + 0.6\,(E(x) - E(R(f(w))))`, from :math:`w = E(x)` on.
        """
        codes = latents = self.codes(images)
        if self.can_decode:
            for _ in range(self.corrections):
                latents = latents + CORRECTION_STEP * (codes - self._read_back(latents))
        return latents

    def corrected(self, corrections: int) -> AnchoredDomain:
        other = copy.copy(self)
        other.corrections = corrections
        return other

    def _read_back(self, latents: Tensor) -> Tensor:
        """The codes of the domain's own image of latents, ``E(R(f(w)))``."""
        return self.codes(self.modality.as_input(self.decode(latents)).clamp(-1, 1))  # the range of what files hold

    def codes(self, images: Tensor) -> Tensor:
        """The encoder's latents ``[B, L, D]`` of network input without corrections; see :meth:`encode`.

        :raises MissingPartError: the domain has no encoder.
        """
        if self.encoder is None:
            raise self.no_encoder()
        offsets = self.offsets(images).to(self.hub.mean_latent.dtype)
        mean = self.hub.mean_latent.expand_as(offsets)
        return torch.where(self._driven(offsets.device), mean + offsets, mean)

    def _driven(self, device: torch.device) -> Tensor:
        """Which layers the encoder drives, ``[L, 1]``."""
        return torch.arange(self.hub.num_latents, device=device)[:, None] < self.structure_layers

    @property
    def _takes_appearance(self) -> bool:
        """Whether latents have a part that the domain's images cannot show, and networks are there to measure it."""
        return self.structure_layers < self.hub.num_latents and self.can_encode and self.can_decode

    def offsets(self, images: Tensor) -> Tensor:
        """The encoder's offsets ``[B, L, D]`` from the mean latent, of all layers, for network input."""
        assert self.encoder is not None
        classes = getattr(self.encoder, "label_dim", 0)
        conditions = (F.one_hot(self.hub.labels(len(images)), classes).to(images),) if classes else ()
        offsets = self.encoder(images, *conditions)
        if not self.hub.layers_share_code:  # one code for all chunks of z
            offsets = offsets.reshape(len(images), self.hub.num_latents, self.hub.latent_dim)
        return offsets

    def appearance(self, styles: Tensor) -> Tensor:
        if not self._takes_appearance:
            return super().appearance(styles)
        latents = self.hub.expand(styles)
        found = self._read_back(latents)
        return torch.where(self._driven(found.device), latents - found, 0.0)

    def with_style(self, structure: Tensor, style: Tensor) -> Tensor:
        worn = super().with_style(structure, style)
        if not self._takes_appearance:
            return worn
        driven = self._driven(worn.device)
        mean, whitening = self.hub.whitening()
        bound = ((worn - mean) @ whitening).norm(dim=2, keepdim=True)
        wanted = self._read_back(self.hub.expand(structure)) if self.corrections else structure
        for _ in range(STYLE_CORRECTIONS):
            moved = worn + wanted - self._read_back(worn) - mean
            # A correction of a rare style could lead to latents that the hub cannot draw.
            near = (bound / (moved @ whitening).norm(dim=2, keepdim=True).clamp(min=1e-8)).clamp(max=1)
            worn = torch.where(driven, mean + near * moved, worn)
        return worn

    def decode_from(self, output: HubOutput) -> Tensor:
        if self.regressor is None:
            raise self.no_decoder()
        if isinstance(self.regressor, Regressor):
            return self.regressor(output.features)
        assert output.image is not None
        return output.image

    def architecture(self) -> dict[str, Any]:
        """The tables from which :meth:`load` builds the networks."""
        tables = {**self._architecture, "structure_layers": self.structure_layers}
        if self.corrections:
            tables["corrections"] = self.corrections
        if self.hub.class_index is not None:
            tables.update({"class": self.hub.class_name, "class_index": self.hub.class_index})
        return tables

    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        return {part: network.state_dict() for part, network in self.parts().items()}

    @classmethod
    def load(cls, bundle: Bundle | str | Path, hub: Hub) -> AnchoredDomain:
        """The domain of a bundle on its hub, in eval mode.

        :raises HubMismatchError: the bundle was trained on another hub.
        :raises BundleError: a damaged bundle, or one of another kind.
        """
        from anchor_hub.modality import build_modality

        bundle = open_domain(bundle, hub)
        manifest, where = bundle.manifest, bundle.path
        architecture = dict(manifest.architecture)
        try:
            check_bounded(architecture)
            which = architecture.get("class_index", architecture.get("class"))
            if which is not None:
                hub = hub.of_class(which)
            domain = cls.build(
                manifest.name,
                build_modality(manifest.modality or {}),
                hub,
                encoder=architecture.get("encoder"),
                regressor=architecture.get("regressor"),
                structure_layers=architecture.get("structure_layers"),
                corrections=architecture.get("corrections", 0),
                weights=bundle,
            )
        except BundleError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise BundleError(f"{where}: bad domain architecture: {str(error)[:120]}") from None
        return domain.eval()


def _latent_shape(encoder: str, hub: Hub, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for the number and length of the codes that the encoder predicts for the hub.

    The published encoder of BigGAN hubs pools its last map to one z (``head="pooled"``), which is cut into the chunks.
    """
    if encoder == "psp" and not hub.layers_share_code and options.get("head", "pooled") == "pooled":
        return {"space": "w", "num_latents": 1, "latent_dim": hub.num_latents * hub.latent_dim}
    return {"num_latents": hub.num_latents, "latent_dim": hub.latent_dim}
