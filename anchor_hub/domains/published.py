"""Domains as the authors of latent-space anchoring released them: imported, not trained here.

They differ from this library's own domains: the regressor reads both maps of 256 px (also the one before the last
convolution), the mean latent is their own, and in one variant the decoder is a fine-tuned generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.bundles.base import Bundle
from anchor_hub.domains.base import Domain, HubOutput, open_domain
from anchor_hub.errors import AnchorError, BundleError
from anchor_hub.networks.blank import lay_out, stored
from anchor_hub.networks.psp import PSPEncoder
from anchor_hub.networks.published_anchor import PUBLISHED_SIZE, aggregate, layer_activations
from anchor_hub.networks.regressors import Regressor, build_regressor
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

if TYPE_CHECKING:
    from anchor_hub.hubs.base import Hub
    from anchor_hub.modality import Modality

#: ``architecture.name`` of such a domain's bundle.
ARCHITECTURE = "published-anchor"


class PublishedDomain(Domain):
    """A released domain: ``z = E(x) + mean`` and ``x = R(f(z))``, or ``x = G'(z)`` with a fine-tuned generator G'.

    :param encoder: offsets from ``mean_latent``, or None for a decode-only domain.
    :param mean_latent: ``[L, D]`` or ``[1, D]`` of the release; None adds nothing.
    :param regressor: reads the aggregated maps as ``features[256]``; None for an encode-only domain.
    :param domain_generator: makes the domain's pictures in place of a regressor.
    :param aggregation: what the regressor reads, see :func:`~anchor_hub.networks.published_anchor.aggregate`.
    :param regressor_name: the published variant that ``regressor`` is.

    Pictures come at the hub's size: the regressor's 256 px are resized (bilinear) where the hub is larger.
    """

    def __init__(
        self,
        name: str,
        modality: Modality,
        hub: Hub,
        *,
        encoder: PSPEncoder | None = None,
        mean_latent: Tensor | None = None,
        regressor: Regressor | None = None,
        domain_generator: Generator | None = None,
        aggregation: str = "single",
        regressor_name: str = "deeper",
    ) -> None:
        if domain_generator is not None:
            regressor = None
        self.name, self.modality, self.hub = name, modality.at(hub.size), hub
        self.structure_layers = hub.num_latents
        self.encoder = None if encoder is None else encoder.to(hub.device)
        self.regressor = None if regressor is None else regressor.to(hub.device)
        self.mean_latent = None if mean_latent is None else mean_latent.to(hub.mean_latent)
        self.domain_generator = None if domain_generator is None else domain_generator.to(hub.device)
        self.aggregation, self.regressor_name = aggregation, regressor_name
        for network in self.parts().values():
            lay_out(network.eval().requires_grad_(False))

    @property
    def can_encode(self) -> bool:
        return self.encoder is not None

    @property
    def can_decode(self) -> bool:
        return self.regressor is not None or self.domain_generator is not None

    def __repr__(self) -> str:
        ways = [word for word, has in (("encodes", self.can_encode), ("decodes", self.can_decode)) if has]
        return f"PublishedDomain({self.name!r}, {self.modality.name}, hub {self.hub.name!r}, {' and '.join(ways)})"

    def parts(self) -> dict[str, nn.Module]:
        """The domain's own networks (never the hub's) by their name in its bundle, those that exist."""
        networks = {"encoder": self.encoder, "regressor": self.regressor, "generator": self.domain_generator}
        return {part: network for part, network in networks.items() if network is not None}

    def encode(self, images: Tensor) -> Tensor:
        if self.encoder is None:
            raise self.no_encoder()
        offsets: Tensor = self.encoder(images).to(self.hub.mean_latent.dtype)
        return offsets if self.mean_latent is None else offsets + self.mean_latent

    def decode_from(self, output: HubOutput) -> Tensor:
        """Pictures of latents: the regressor reads maps that no pass of the hub keeps, so the generator runs again."""
        codes, noise = output.latents, output.noise
        if self.domain_generator is not None:
            image = self.domain_generator.synthesize(codes, noise=noise).image
            assert image is not None
            return image
        if self.regressor is None:
            raise self.no_decoder()
        _, maps = layer_activations(self.hub.generator, codes, noise=noise, up_to=PUBLISHED_SIZE)
        how: Any = int(self.aggregation) if self.aggregation.isdecimal() else self.aggregation
        picture = self.regressor({PUBLISHED_SIZE: aggregate(maps, how)})
        if picture.shape[-1] == self.hub.size:
            return picture
        return F.interpolate(picture, size=(self.hub.size, self.hub.size), mode="bilinear", align_corners=False)

    def architecture(self) -> dict[str, Any]:
        """The tables from which :meth:`load` builds the networks."""
        encoder, regressor, generator = self.encoder, self.regressor, self.domain_generator
        tables: dict[str, Any] = {"name": ARCHITECTURE, "encoder": None, "regressor": None}
        if isinstance(encoder, PSPEncoder):
            keys = ("in_channels", "num_latents", "latent_dim", "space", "input_size", "head", "label_dim")
            tables["encoder"] = {"name": "psp", "options": {key: getattr(encoder, key) for key in keys}}
        if isinstance(regressor, Regressor):
            options = {"in_channels": regressor.in_channels, "out_channels": regressor.out_channels}
            tables["regressor"] = {"name": self.regressor_name, "options": options}
            tables["aggregation"] = self.aggregation
        if generator is not None:
            tables["generator"] = generator.config.to_dict()
        return tables

    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        weights = {part: network.state_dict() for part, network in self.parts().items()}
        statistics = {} if self.mean_latent is None else {"statistics": {"mean_latent": self.mean_latent}}
        return {**weights, **statistics}

    def card(self) -> str:
        return f"# {self.name}\n\nA released {self.modality.name} domain of hub {self.hub.name}.\n"

    @classmethod
    def load(cls, bundle: Bundle | str | Path, hub: Hub) -> PublishedDomain:
        """The domain of a bundle on its hub, in eval mode.

        :raises HubMismatchError: it belongs to another hub. :raises BundleError: a damaged bundle.
        """
        from anchor_hub.modality import build_modality

        bundle = open_domain(bundle, hub)
        manifest, tables = bundle.manifest, bundle.manifest.architecture
        mean_latent = None
        encoder, regressor, generator = None, None, None
        try:
            if tables.get("encoder"):
                options = tables["encoder"]["options"]
                encoder = stored(partial(PSPEncoder, **options), partial(bundle.tensors, "encoder"))
            if tables.get("regressor"):
                channels, variant = tables["regressor"]["options"], tables["regressor"]["name"]
                sizes = channels["in_channels"], channels["out_channels"]
                regressor = stored(partial(regressor_of, variant, *sizes), partial(bundle.tensors, "regressor"))
            if tables.get("generator"):
                config = StyleGAN2Config.from_dict(tables["generator"])
                generator = stored(partial(Generator, config), partial(bundle.tensors, "generator"))
        except AnchorError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise BundleError(f"{bundle.path}: bad domain architecture: {error}") from None
        if "statistics" in bundle.parts:
            mean_latent = bundle.tensors("statistics")["mean_latent"]
        return cls(
            manifest.name,
            build_modality(manifest.modality or {}),
            hub,
            encoder=encoder,
            mean_latent=mean_latent,
            regressor=regressor,
            domain_generator=generator,
            aggregation=str(tables.get("aggregation", "single")),
            regressor_name=str((tables.get("regressor") or {}).get("name", "deeper")),
        )


def regressor_of(variant: str, in_channels: int, out_channels: int) -> Regressor:
    """A published regressor that reads aggregated maps of ``in_channels`` as ``features[256]``."""
    return build_regressor(variant, {PUBLISHED_SIZE: in_channels}, (PUBLISHED_SIZE,), out_channels)
