"""The backend ``anchor``: from the source to the target through the latents of the hub that both share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.decoding import hub_mismatch, mismatch_of
from anchor_hub.domains.loading import domain_bundle, load_domain
from anchor_hub.errors import BundleError
from anchor_hub.translation.base import Translator, memory_errors
from anchor_hub.translation.styles import default_style_layers, random_styles

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub


class AnchorTranslator(Translator):
    """Source encoder, hub, target decoder: ``x_t = R_t(f(E_s(x_s)))`` (section 3.3 of the paper).

    :raises HubMismatchError: the domains belong to different hubs.
    :raises MissingPartError: the source has no encoder or the target no decoder.
    """

    styles = frozenset({"latent", "exemplar"})

    def __init__(self, source: Domain, target: Domain) -> None:
        if source.hub_fingerprint != target.hub_fingerprint:
            raise hub_mismatch(source, target)
        require_directions(source, target)
        self.source, self.target = source, target
        self.source_modality, self.target_modality = source.modality, target.modality

    @property
    def hub(self) -> Hub:
        """The hub both domains share."""
        return self.target.hub

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.hub.size

    def __repr__(self) -> str:
        return f"AnchorTranslator({self.source.name!r} -> {self.target.name!r}, hub {self.hub.name!r})"

    def encode(self, images: Tensor) -> Tensor:
        """Network input ``[B, C, H, W]`` of the source to W+ latents ``[B, L, D]``."""
        with torch.no_grad(), memory_errors():
            return self.source.encode(images.to(self.hub.device))

    def decode(
        self, latents: Tensor, *, style: Tensor | None = None, style_layers: Sequence[int] | None = None
    ) -> Tensor:
        """W+ latents ``[B, L, D]``, with ``style`` (see :meth:`translate`) in its layers, to raw target output.

        Unless ``style_layers`` are given, the style's appearance goes into the other layers, too
        (:meth:`~anchor_hub.domains.base.Domain.with_style` of the source).
        """
        with torch.no_grad(), memory_errors():
            if style is not None:
                style = style.to(latents)
                if style_layers is None:
                    default_style_layers(self.source)  # there are some
                    latents = self.source.with_style(latents, style)
                else:
                    latents = self.hub.merge(latents, style, style_layers)
            return self._checked(self.target.decode(latents), len(latents))

    def _checked(self, output: Tensor, batch: int) -> Tensor:
        """The output, if the target's modality can take it; a decoder of a plugin may return anything."""
        expected = (batch, self.target_modality.output_channels)
        name = self.target.name
        if not isinstance(output, Tensor) or output.ndim != 4 or tuple(output.shape[:2]) != expected:
            got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise BundleError(f"domain {name!r}: its decoder returned {got}, not {[*expected, 'H', 'W']}")
        if not bool(torch.isfinite(output).all()):
            raise BundleError(
                f"domain {name!r}: its decoder returned NaN or infinity; train the domain again"
            )
        return output

    def translate(
        self,
        images: Tensor,
        *,
        style: Tensor | None = None,
        seed: int | None = None,
        style_layers: Sequence[int] | None = None,
        truncation: float = 1.0,
    ) -> Tensor:
        """Network input ``[B, C, H, W]`` to raw output ``[B, C', H, W]``, one style for each image.

        :param style: ``[D]``, ``[B or 1, D]`` or ``[B or 1, L, D]``; None and no ``seed``: the mean latent's
            appearance.
        :param seed: without a ``style``, takes the random style number 0 of that seed for all images.
        :param style_layers: W+ layers the style replaces; default: those that the source's encoder leaves alone, and
            the style's colours in the others.
        :param truncation: of the random style (1: none); the encoded structure is never truncated.
        :raises UsageError: a style, but the source's encoder drives every layer and no ``style_layers`` are given.
        """
        if style is None and seed is not None:
            style = random_styles(self.hub, 1, seed=seed, truncation=truncation)
        elif style is not None and style.ndim == 1:
            style = style[None]
        return self.decode(self.encode(images), style=style, style_layers=style_layers)


def require_directions(source: Domain, target: Domain) -> None:
    """:raises MissingPartError: the source has no encoder or the target no decoder."""
    if not source.can_encode:
        raise source.no_encoder()
    if not target.can_decode:
        raise target.no_decoder()


def translator(
    source: str | Path | Domain,
    target: str | Path | Domain,
    *,
    hub: Hub | None = None,
    device: str | torch.device = "auto",
) -> AnchorTranslator:
    """The anchor translator between two domains, by name, bundle folder or object; loads these two and their hub.

    :raises DomainNotFoundError: no such domain, or one not trained on this machine yet.
    :raises HubMismatchError: the domains belong to different hubs (found out before any weight is read).
    """
    if hub is None and isinstance(source, (str, Path)) and isinstance(target, (str, Path)):
        _compare_hubs(source, target)
    if isinstance(source, (str, Path)):
        source = load_domain(source, hub or getattr(target, "hub", None), device)
    if isinstance(target, (str, Path)):
        target = load_domain(target, hub or source.hub, device)
    return AnchorTranslator(source, target)


def _compare_hubs(source: str | Path, target: str | Path) -> None:
    first, second = (open_bundle(domain_bundle(name)).manifest for name in (source, target))
    if first.hub_fingerprint != second.hub_fingerprint:
        raise mismatch_of(
            (first.name, str(first.hub), str(first.hub_fingerprint)),
            (second.name, str(second.hub), str(second.hub_fingerprint)),
        )
