"""The backend ``gp-unit``: the content of the source in the style of the target."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anchor_gpunit.networks.blocks import fold
from anchor_gpunit.networks.configs import ContentConfig, GeneratorConfig
from anchor_gpunit.networks.content import ContentEncoder
from anchor_gpunit.networks.generator import Generator
from anchor_gpunit.networks.sampler import StyleSampler
from anchor_gpunit.networks.skips import Skip
from anchor_gpunit.prior import PART as CONTENT
from anchor_gpunit.prior import ContentPrior, read_config, read_encoder
from anchor_hub import Bundle, Modality, build_modality, resolve_device
from anchor_hub.bundles.base import Requirement, open_bundle
from anchor_hub.errors import BundleError, UsageError
from anchor_hub.networks.blank import lay_out, stored
from anchor_hub.plugins.finding import bundle_folder
from anchor_hub.plugins.usable import Installed, architecture_class, require_usable
from anchor_hub.translation import Identity, Translator, TranslatorOptions, bundle_digest, style_generator

BACKEND = "gp-unit"
#: Parts of a translator's bundle, beside the content encoder that it may bring.
GENERATOR, SAMPLER = "generator", "sampler"
#: The mean style is that of so many sampled codes.
MEAN_SAMPLES = 4096

#: Coarse content, and feature and mask of both skips; no skips: the content alone.
Content = tuple[Tensor, ...]


class GpUnitOptions(TranslatorOptions):
    """Options of the backend ``gp-unit``."""

    intensity: float = Field(
        default=1.0, ge=0, le=1,
        description="Intensity of the content correspondence: 0 keeps the layout alone, 1 all details that fit",
    )  # fmt: skip
    skips: bool = Field(default=True, description="Use the dynamic skip connections; false: the layout alone")
    blend: float = Field(default=0.5, ge=0, le=1, description="Share of blend_with's style in every style")
    blend_with: str | None = Field(default=None, description="Picture of the target; styles are mixed with its style")


class GpUnitTranslator(Translator[Content]):
    """``y^ = G(E_c(x), E_s(y))`` (section 4): the content of a picture x of the source in the style of a picture y.

    A style is a code ``[D]``: of a reference picture, or sampled; without one it is the mean of sampled codes.

    :param size: side in pixels of pictures and outputs.
    :raises UsageError: content encoder and generator are of different sizes.
    """

    backend = BACKEND
    Options = GpUnitOptions
    styles = frozenset({"own", "random", "reference"})
    inference = True

    def __init__(
        self, source: tuple[str, Modality], target: tuple[str, Modality], encoder: ContentEncoder,
        generator: Generator, sampler: StyleSampler, options: GpUnitOptions | None = None,
        weights: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        check_sizes(generator.config, encoder.config, f"the translator {source[0]} -> {target[0]}", "its prior")
        (self.source, self.source_modality), (self.target, self.target_modality) = source, target
        self.size = generator.config.size
        self.options = options or GpUnitOptions()
        self.encoder = fold(lay_out(encoder.requires_grad_(False)))
        self.generator = fold(lay_out(generator.requires_grad_(False)))
        self.sampler = sampler.requires_grad_(False).eval()
        self.device = next(generator.parameters()).device
        self._weights = weights or {}
        # Read now, so that a picture that cannot be read is told before any work.
        self._blended_with = None if self.options.blend_with is None else self._code_of(self.options.blend_with)

    @classmethod
    def open(
        cls, source: str, target: str, *, bundle: Bundle | None, options: TranslatorOptions, device: str | torch.device
    ) -> GpUnitTranslator:
        """The translator of a bundle, with its prior: the installed one that it requires, or its own encoder.

        :raises BundleError: a damaged bundle, or a prior that is missing or of another size.
        """
        assert bundle is not None and isinstance(options, GpUnitOptions)
        manifest, where = bundle.manifest, resolve_device(device)
        assert manifest.source is not None  # a translator of this backend has one, as its recipe and import write it
        architecture = manifest.architecture
        config = read_config(bundle, GeneratorConfig, architecture.get("generator"))
        weights = {"translator": bundle_digest(bundle)}
        if CONTENT in bundle.parts:
            encoder = read_encoder(bundle, architecture.get("content"), where)
        else:
            prior, digest = required_prior(bundle, where)
            encoder, weights["prior"] = prior.encoder, digest
        try:
            check_sizes(config, encoder.config, str(bundle.path), "its prior")
        except UsageError as error:
            raise BundleError(str(error)) from None
        ends = [build_modality(end["modality"]) for end in (manifest.source, manifest.targets[0])]
        generator = stored(lambda: Generator(config), lambda state: bundle.tensors(GENERATOR, state))
        sampler = StyleSampler(config.style_dim)
        sampler.load_state_dict(bundle.tensors(SAMPLER, sampler.state_dict()))
        return cls(
            (source, ends[0]), (target, ends[1]), encoder, generator.to(where), sampler.to(where), options, weights
        )

    @property
    def identity(self) -> Identity:
        return Identity(self.backend, self._weights)

    # -- content and pictures -----------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, images: Tensor) -> Content:
        """Coarse content and skips of pictures ``[B, 3, H, W]``; other sides than ``size`` are resized to it."""
        maps = self.encoder(published_resize(images.to(self.device), self.size))
        if not self.options.skips or self.options.intensity == 0:
            return (maps[0],)
        intensity = None if self.options.intensity == 1 else maps[0].new_full((1,), self.options.intensity)
        return (maps[0], *(value for skip in self.generator.skips(maps, intensity) for value in skip))

    @torch.no_grad()
    def decode(self, content: Content, style: Tensor | None = None) -> Tensor:
        """Pictures ``[B, 3, H, W]``; one content in many styles is one picture for each style."""
        codes = self._blended(self.mean_style) if style is None else style.to(self.device)
        skips = [Skip(content[at], content[at + 1]) for at in range(1, len(content), 2)]
        return self.generator.decode(content[0], skips, codes)

    # -- styles -------------------------------------------------------------------------------------------------

    @cached_property
    def mean_style(self) -> Tensor:
        """The mean ``[1, D]`` of sampled style codes."""
        noise = torch.randn(MEAN_SAMPLES, self.sampler.noise_dim, generator=style_generator(0, 0))
        with torch.no_grad():
            mean: Tensor = self.sampler(noise.to(self.device)).mean(0, keepdim=True)
        return mean

    def random_styles(self, n: int, *, seed: int, start: int = 0, truncation: float = 1.0) -> Tensor:
        """Sampled codes ``[n, D]``; a code depends on its own noise alone."""
        size = self.sampler.noise_dim
        noises = [torch.randn(size, generator=style_generator(seed, number)) for number in range(start, start + n)]
        if not noises:
            return self.mean_style[:0]
        with torch.no_grad():
            # One by one: the products of batches of other sizes round differently.
            codes = torch.cat([self.sampler(noise[None].to(self.device)) for noise in noises])
        return self._blended(interpolated(self.mean_style, codes, truncation))

    @property
    def reference_modality(self) -> Modality:
        return self.target_modality

    @torch.no_grad()
    def reference_styles(self, images: Tensor) -> Tensor:
        """The codes ``[n, D]`` of pictures of the target ``[n, 3, H, W]``."""
        return self._blended(self._codes(images))

    def _codes(self, images: Tensor) -> Tensor:
        codes: Tensor = self.generator.style(published_resize(images.to(self.device), self.size))
        return codes

    def _code_of(self, path: str | Path) -> Tensor:
        modality = self.target_modality
        sample = modality.read(path, self.size)
        with torch.no_grad():
            return self._codes(modality.to_network(modality.collate([sample])))

    def _blended(self, codes: Tensor) -> Tensor:
        if self._blended_with is None:
            return codes
        return interpolated(codes, self._blended_with, self.options.blend)


def interpolated(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Styles between two: ``(1 - share) first + share second``, each ``[n or 1, D]``."""
    return first + share * (second - first)


def published_resize(images: Tensor, size: int) -> Tensor:
    """Pictures brought to ``size`` as the published inference does: bilinear, corners on corners, no smoothing."""
    if tuple(images.shape[2:]) == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=True)


def check_sizes(generator: GeneratorConfig, prior: ContentConfig, translator: str, what: str) -> None:
    """:raises UsageError: the generator is made for contents of another size than the prior's."""
    needed = generator.content
    if (needed.size, needed.width, needed.content_side) != (prior.size, prior.width, prior.content_side):
        raise UsageError(
            f"{translator}: is made for a prior of {_size(needed)}; {what} has {_size(prior)}: "
            "train it again with this prior"
        )


def _size(config: ContentConfig) -> str:
    return f"{config.size} px, width {config.width}, content {config.content_side}x{config.content_side}"


def required_prior(bundle: Bundle, device: torch.device) -> tuple[ContentPrior, str]:
    """The installed prior that a translator requires, and the SHA-256 of its manifest.

    :raises BundleError: it requires none, or the prior is not installed.
    """
    needed: Requirement | None = next((item for item in bundle.manifest.requires if item.kind == "prior"), None)
    if needed is None:
        raise BundleError(f"{bundle.path}: has neither a content encoder nor a prior; install the bundle again")
    name = Installed().providing(needed)
    if name is None:
        require_usable(bundle)  # says which prior, and what to do
        raise BundleError(f"{bundle.path}: its prior {needed.name} is not on this machine")
    found = open_bundle(bundle_folder(name, "prior"), "prior")
    prior: Any = architecture_class(found, "prior").load(found, device)
    if not isinstance(prior, ContentPrior):
        raise BundleError(f"{bundle.path}: its prior {name} is no content encoder of GP-UNIT")
    return prior, bundle_digest(found)


def translator_architecture(generator: GeneratorConfig, content: ContentConfig | None = None) -> dict[str, Any]:
    """What the manifest of a translator says of its networks.

    :param content: of a content encoder that travels inside the bundle; None: the prior that it requires.
    """
    table: dict[str, Any] = {"name": BACKEND, "generator": generator.to_dict()}
    return table if content is None else {**table, "content": content.to_dict()}


def translator_parts(
    generator: Generator, sampler: StyleSampler, content: ContentEncoder | None = None, *, half: bool = False
) -> dict[str, dict[str, Tensor]]:
    """What a translator's bundle holds: part -> tensors.

    :param content: a content encoder of the translator's own, without spectral norms.
    :param half: store weights in half precision.
    """
    networks: dict[str, torch.nn.Module] = {GENERATOR: generator, SAMPLER: sampler}
    if content is not None:
        networks[CONTENT] = content
    return {
        part: {
            name: value.half() if half and value.is_floating_point() else value
            for name, value in network.state_dict().items()
        }
        for part, network in networks.items()
    }
