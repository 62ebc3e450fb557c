"""Domains whose pictures a transformed copy of the hub's generator makes from the hub's own latents."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_finetune.swap import LayerSwap
from anchor_hub.bundles.base import Bundle
from anchor_hub.domains.base import Domain, HubOutput, Needs, hub_pass, open_domain
from anchor_hub.errors import BundleError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Modality, build_modality
from anchor_hub.networks.blank import lay_out
from anchor_hub.networks.stylegan2 import Generator

ARCHITECTURE = "fine-tuned"
PART = "generator"


class FineTunedDomain(Domain):
    """A transformed copy of the hub's StyleGAN2 generator: ``x_t = G_t(w)`` for the latents w of the hub.

    It decodes the latents of every domain of the hub; it has no encoder, so pictures of it are inverted (``--set
    inverter=NAME``). The latents are the hub's own, because the hub's mapping network belongs to them: a generator
    fine-tuned with another mapping (FT in the paper) is used from w on all the same.

    :param generator: of the hub's architecture; frozen, and changed in place where ``swap`` swaps weights.
    :param swap: the layers that come from the hub.
    """

    can_encode = False
    can_decode = True

    def __init__(
        self, name: str, modality: Modality, hub: Hub, generator: Generator, swap: LayerSwap | None = None
    ) -> None:
        check_hub(hub, name)
        if generator.config != hub.config:
            raise UsageError(f"domain {name!r}: its generator has another architecture than hub {hub.name!r}")
        self.name, self.modality, self.hub = name, modality.at(hub.size), hub
        self.structure_layers = hub.num_latents
        self.swap = swap or LayerSwap()
        self.swap.check(hub.size)
        self.generator = generator.to(hub.device).eval().requires_grad_(False)
        #: Weights of the fine-tuned generator that swapped ones stand in for.
        self._replaced = self.swap.apply(self.generator, hub.generator)
        lay_out(self.generator)

    @property
    def image_hub(self) -> Hub:
        """A view of the hub with this domain's generator: the same latents, other pictures."""
        view = copy.copy(self.hub)
        view.name, view.generator = self.name, _Swapped(self) if self._takes_features else self.generator
        return view

    @property
    def _takes_features(self) -> bool:
        return bool(self.swap.layers) and self.swap.way == "features"

    def encode(self, images: Tensor) -> Tensor:
        raise self.no_encoder()

    @property
    def needs(self) -> Needs:
        """The latents alone; where features are swapped, the hub's map of the last swapped resolution."""
        return Needs(features=(self.swap.resolution,)) if self._takes_features else Needs()

    def decode_from(self, output: HubOutput) -> Tensor:
        return self.picture(output.latents, output)

    def picture(self, latents: Tensor, content: HubOutput) -> Tensor:
        """RGB ``[B, 3, H, W]`` of latents ``[B, L, D]``; swapped features are those of the hub's pass ``content``.

        The two have the same latents in a plain translation. The published multi-modal script gives the target an
        appearance code in all layers, so that the content acts through the swapped features alone.
        """
        replaced = {self.swap.resolution: content.features[self.swap.resolution]} if self._takes_features else {}
        image = self.generator.synthesis(latents, noise=content.noise, replaced=replaced).image
        assert image is not None
        return image

    def decode_styled(self, structure: Tensor, styled: Tensor) -> Tensor:
        """The swapped features are those of ``structure``, all else is made from ``styled``."""
        return self.picture(self.hub.expand(styled), hub_pass(self.hub, structure, self.needs))

    @property
    def separates_structure(self) -> bool:
        return self._takes_features

    def unswapped(self) -> Generator:
        """The fine-tuned generator without a layer swap: this domain's own object where none of its weights changed."""
        if not self._replaced:
            return self.generator
        generator = copy.deepcopy(self.generator)
        generator.load_state_dict({**generator.state_dict(), **self._replaced})
        return generator

    def __repr__(self) -> str:
        swapped = f", layer swap {self.swap.layers}" if self.swap.layers else ""
        return f"{type(self).__name__}({self.name!r}, hub {self.hub.name!r}{swapped})"

    # -- on disk -------------------------------------------------------------------------------------

    def architecture(self) -> dict[str, Any]:
        swap = self.swap.to_table()
        return {"name": ARCHITECTURE, **({"swap": swap} if swap else {})}

    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        """The weights that differ from the hub's; the others are the hub's and are not stored again."""
        return {PART: differing({**self.generator.state_dict(), **self._replaced}, self.hub.generator)}

    def card(self) -> str:
        return f"# {self.name}\n\nA copy of the generator of hub {self.hub.name}, fine-tuned on {self.name}.\n"

    @classmethod
    def load(cls, bundle: Bundle | str | Path, hub: Hub) -> FineTunedDomain:
        bundle = open_domain(bundle, hub)
        manifest = bundle.manifest
        check_hub(hub, manifest.name)
        generator = completed(bundle, hub.generator)
        try:
            swap = LayerSwap.from_table(manifest.architecture.get("swap"))
            return cls(manifest.name, build_modality(manifest.modality or {}), hub, generator, swap)
        except (TypeError, UsageError) as error:
            raise BundleError(f"{bundle.path}: bad domain architecture: {error}") from None


def check_hub(hub: Hub, name: str) -> None:
    """:raises UsageError: the hub's generator is no StyleGAN2 generator without classes."""
    if type(hub.generator) is not Generator or hub.classes:
        raise UsageError(f"domain {name!r}: only StyleGAN2 hubs without classes can be fine-tuned, not {hub.name!r}")


def differing(weights: Mapping[str, Tensor], source: Generator) -> dict[str, Tensor]:
    """The weights of a generator that are not equal to the source's; one at least, as no file is empty."""
    theirs = source.state_dict()
    own = {name: value.cpu() for name, value in weights.items()}
    found = {name: value for name, value in own.items() if not torch.equal(value, theirs[name].cpu())}
    return found or {name: own[name] for name in list(own)[:1]}


def completed(bundle: Bundle, source: Generator) -> Generator:
    """A copy of the source with the weights that the bundle holds.

    :raises BundleError: a damaged bundle, or weights that the source's architecture does not have.
    """
    generator = copy.deepcopy(source)
    expected = generator.state_dict()
    held = bundle.tensors(PART)
    for name, value in held.items():
        if name not in expected or expected[name].shape != value.shape:
            raise BundleError(
                f"{bundle.path}: its weight {name} {list(value.shape)} does not fit the hub's generator; install the "
                "bundle again"
            )
    generator.load_state_dict({**expected, **held})
    return generator


class _Swapped:
    """The generator of a domain whose features are swapped, for views of the hub: every pass runs the hub's first."""

    def __init__(self, domain: FineTunedDomain) -> None:
        self.domain, self.mapping, self.config = domain, domain.generator.mapping, domain.hub.config

    def synthesis(
        self, latents: Tensor, *, noise: Any = "const", features: Any = (), image: bool = True,
        learned: int | None = None,
    ) -> Any:  # fmt: skip
        swap, source = self.domain.swap, self.domain.hub.generator
        below = source.synthesis(latents, noise=noise, features=(swap.resolution,), image=False, learned=learned)
        return self.domain.generator.synthesis(
            latents, noise=noise, features=features, image=image, learned=learned, replaced=below.features
        )
