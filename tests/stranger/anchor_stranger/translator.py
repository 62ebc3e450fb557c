"""The backend ``tint``: shapes of the source, colours of the target, by the mean and the spread of each channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from anchor_hub import Bundle, Modality, build_modality, resolve_device
from anchor_hub.errors import BundleError
from anchor_hub.translation import Identity, Translator, TranslatorOptions, bundle_digest, style_generator


class TintOptions(TranslatorOptions):
    strength: float = Field(default=1.0, ge=0, le=1, description="Share of the target's colours, from 0 to 1")


class Tint(nn.Module):
    """``spread * normalised(x) + mean`` of three channels; a style is the six numbers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, 3, 1)
        self.style = nn.Parameter(torch.cat([torch.zeros(3), torch.ones(3)]))  # the target's own look
        self.register_buffer("spread", torch.full((6,), 0.1))  # of the looks of the target's pictures

    def forward(self, images: Tensor) -> Tensor:
        mixed: Tensor = self.mix(images)
        centred = mixed - mixed.mean((2, 3), keepdim=True)
        return centred / centred.std((2, 3), keepdim=True).clamp(min=1e-3)

    @staticmethod
    def coloured(content: Tensor, style: Tensor) -> Tensor:
        mean, spread = style[:, :3, None, None], style[:, 3:, None, None]
        return (content * spread + mean).tanh()


def look(pictures: Tensor) -> Tensor:
    """The style ``[n, 6]`` of pictures ``[n, 3, H, W]`` in [-1, 1]."""
    values = pictures.clamp(-0.99, 0.99).atanh()
    return torch.cat([values.mean((2, 3)), values.std((2, 3))], 1)


class TintTranslator(Translator[tuple[Tensor, Tensor]]):
    backend = "tint"
    Options = TintOptions
    styles = frozenset({"own", "random", "reference"})

    def __init__(
        self, source: tuple[str, Modality], target: tuple[str, Modality], network: Tint, size: int,
        options: TintOptions, device: torch.device, digest: str = "",
    ) -> None:  # fmt: skip
        (self.source, self.source_modality), (self.target, self.target_modality) = source, target
        self.network, self.size, self.options, self.device = network.to(device).eval(), size, options, device
        self._digest = digest

    @classmethod
    def open(
        cls, source: str, target: str, *, bundle: Bundle | None, options: TranslatorOptions, device: str | torch.device
    ) -> TintTranslator:
        assert bundle is not None and bundle.manifest.source is not None and isinstance(options, TintOptions)
        ends = [build_modality(end["modality"]) for end in (bundle.manifest.source, bundle.manifest.targets[0])]
        try:
            size = int(bundle.manifest.architecture["size"])
        except (KeyError, TypeError, ValueError):
            raise BundleError(f"{bundle.path}: its architecture states no size; install the bundle again") from None
        network = Tint(ends[0].input_channels)
        network.load_state_dict(bundle.tensors("tint", network.state_dict()))
        where = resolve_device(device)
        return cls((source, ends[0]), (target, ends[1]), network, size, options, where, bundle_digest(bundle))

    @property
    def identity(self) -> Identity:
        return Identity(self.backend, {"translator": self._digest})

    @property
    def reference_modality(self) -> Modality:
        return self.target_modality

    @torch.no_grad()
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        images = images.to(self.device)
        content: Tensor = self.network(images)
        plain: Tensor = self.network.mix(images)
        return content, look(plain.tanh())

    @torch.no_grad()
    def decode(self, content: tuple[Tensor, Tensor], style: Tensor | None = None) -> Tensor:
        shapes, own = content
        wanted = self.network.style[None] if style is None else style.to(self.device)
        strength = self.options.strength
        return Tint.coloured(shapes, strength * wanted + (1 - strength) * own)

    def random_styles(self, n: int, *, seed: int, start: int = 0, truncation: float = 1.0) -> Tensor:
        rows = [torch.randn(6, generator=style_generator(seed, number)) for number in range(start, start + n)]
        spread: Any = self.network.spread
        drawn = torch.stack(rows).to(self.device) * spread if rows else torch.empty(0, 6, device=self.device)
        return self.network.style.detach() + truncation * drawn

    def reference_styles(self, images: Tensor) -> Tensor:
        return look(images.to(self.device))


def parts(network: Tint) -> Mapping[str, Mapping[str, Tensor]]:
    """What a bundle of this backend holds."""
    return {"tint": network.state_dict()}
