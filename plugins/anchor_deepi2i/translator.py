"""The backend ``deepi2i``: pictures of any kind into the classes of one trained network."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from anchor_deepi2i.networks import FAMILIES, Networks, build_networks
from anchor_hub import Bundle, Modality, build_modality, resolve_device
from anchor_hub.errors import BundleError, TranslatorNotFoundError, did_you_mean
from anchor_hub.networks.blank import blank, lay_out, remake_constants
from anchor_hub.translation import Identity, Translator, TranslatorOptions, bundle_digest, style_generator


class DeepI2ITranslator(Translator[tuple[Tensor, ...]]):
    """Translates into one class at a time; content is what the adaptors make of an image, once for all classes.

    A style is a z (of the StyleGAN kinds: a code); the backend's own look is the mean one.

    :param targets: the classes and their modalities, in the order of the network's labels.
    """

    backend = "deepi2i"
    styles = frozenset({"own", "random"})
    inference = True

    def __init__(
        self, source: tuple[str, Modality], target: str, targets: dict[str, Modality], networks: Networks,
        device: torch.device, digest: str = "",
    ) -> None:  # fmt: skip
        (self.source, self.source_modality), self._modalities = source, targets
        self.networks: Any = lay_out(networks.to(device))
        self.size, self.device, self._digest = networks.size, device, digest
        self._sides = [side for side, weight in networks.fusion.items() if weight]
        with torch.inference_mode(False):
            self._mean = networks.mean_style()
        self._aim(target)

    def _aim(self, target: str) -> None:
        if target not in self._modalities:
            raise TranslatorNotFoundError(f"--to {target}: no such class.{did_you_mean(target, self._modalities)}")
        self.target, self.target_modality = target, self._modalities[target]
        self._label = list(self._modalities).index(target)

    @classmethod
    def open(
        cls, source: str, target: str, *, bundle: Bundle | None, options: TranslatorOptions, device: str | torch.device
    ) -> DeepI2ITranslator:
        assert bundle is not None
        manifest = bundle.manifest
        targets = {str(end["name"]): build_modality(end["modality"]) for end in manifest.targets}
        own = manifest.source
        reads = build_modality(own["modality"]) if own is not None else next(iter(targets.values()))
        where = resolve_device(device)
        return cls((source, reads), target, targets, load_networks(bundle), where, bundle_digest(bundle))

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self._modalities)

    def towards(self, target: str) -> DeepI2ITranslator:
        other = copy.copy(self)
        other._aim(target)
        return other

    @property
    def identity(self) -> Identity:
        return Identity(self.backend, {"translator": self._digest})

    def encode(self, images: Tensor) -> tuple[Tensor, ...]:
        images = images.to(self.device, memory_format=torch.channels_last)
        added = self.networks.adapt(self.networks.features(images))
        return tuple(added[side] for side in self._sides)

    def decode(self, content: tuple[Tensor, ...], style: Tensor | None = None) -> Tensor:
        count = len(content[0])
        chosen = self._mean if style is None else style.to(self._mean)
        labels = torch.full((count,), self._label, device=self.device)
        added = dict(zip(self._sides, content, strict=True))
        image: Tensor = self.networks.generate(chosen.expand(count, *chosen.shape[1:]), labels, added)
        return image.clamp(-1, 1)

    def random_styles(self, n: int, *, seed: int, start: int = 0, truncation: float = 1.0) -> Tensor:
        shape = self.networks.code_shape
        draws = [torch.randn(shape, generator=style_generator(seed, number)) for number in range(start, start + n)]
        with torch.no_grad():
            # One by one: the products of batches of other sizes round differently.
            styles = torch.cat([self._mean[:0], *(self.networks.styles(z[None].to(self._mean)) for z in draws)])
        return self._mean + truncation * (styles - self._mean)


def load_networks(bundle: Bundle) -> Networks:
    """The networks of a bundle, folded, without gradients, on the CPU. :raises BundleError: a damaged bundle."""
    table = bundle.manifest.architecture
    try:
        networks = blank(build_networks, table)
        if networks.conditional and networks.generator.config.classes != len(bundle.manifest.targets):
            raise ValueError(f"{networks.generator.config.classes} classes, {len(bundle.manifest.targets)} targets")
        if not any(networks.fusion.values()):
            raise ValueError("no map is fused")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        known = f" (families: {', '.join(FAMILIES)})" if isinstance(error, KeyError) else ""
        raise BundleError(f"{bundle.path}: bad translator architecture: {error}{known}") from None
    for part in ("encoder", "adaptors", "generator"):
        network = networks.fold(getattr(networks, part), divide=False)
        network.load_state_dict(bundle.tensors(part, network.state_dict()), assign=True)
    remake_constants(networks)
    return networks.eval().requires_grad_(False)
