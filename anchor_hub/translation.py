"""Translators: source images to target images. The anchor backend goes through a hub's latent space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from anchor_hub.errors import BundleError, DeviceError, HubMismatchError, MissingPartError
from anchor_hub.styles import default_style_layers, random_styles

if TYPE_CHECKING:
    from anchor_hub.domain import Domain
    from anchor_hub.hub import Hub
    from anchor_hub.inference import Translated
    from anchor_hub.modality import Modality

__all__ = ["AnchorTranslator", "Translator", "random_styles", "translate", "translator"]


class Translator(ABC):
    """A way from source images to target images; translator backends subclass it.

    ``source_modality`` and ``target_modality`` say how files become tensors and back; ``size`` is the side of
    the square images in pixels; ``styles`` names the kinds of style the translator takes (``"latent"``,
    ``"exemplar"``).
    """

    source_modality: Modality
    target_modality: Modality
    size: int
    styles: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def translate(self, images: Tensor, *, style: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Network input ``[B, C, H, W]`` of the source to raw output ``[B, C', H, W]`` of the target.

        :param images: what the source modality's ``to_network`` returns.
        :param style: a style as this backend makes them; None leaves the appearance to the backend.
        :param seed: draws a random style; ignored where ``style`` is given.
        :returns: what the target modality's ``from_network`` takes.
        """


class AnchorTranslator(Translator):
    """Source encoder, hub, target decoder: ``x_t = R_t(f(E_s(x_s)))`` (section 3.3 of the paper).

    :raises HubMismatchError: the domains belong to different hubs.
    :raises MissingPartError: the source has no encoder or the target no decoder.
    """

    styles = frozenset({"latent", "exemplar"})

    def __init__(self, source: Domain, target: Domain) -> None:
        if source.hub_fingerprint != target.hub_fingerprint:
            raise hub_mismatch(
                source.name, source.hub.name, source.hub_fingerprint,
                target.name, target.hub.name, target.hub_fingerprint,
            )  # fmt: skip
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
        with torch.no_grad(), _memory_errors():
            return self.source.encode(images.to(self.hub.device))

    def decode(
        self, latents: Tensor, *, style: Tensor | None = None, style_layers: Sequence[int] | None = None
    ) -> Tensor:
        """W+ latents ``[B, L, D]``, with ``style`` (see :meth:`translate`) in its layers, to raw target output.

        Unless ``style_layers`` are given, the style's appearance goes into the other layers, too
        (:meth:`~anchor_hub.domain.Domain.wear` of the source).
        """
        with torch.no_grad(), _memory_errors():
            if style is not None:
                style = style.to(latents)
                if style_layers is None:
                    default_style_layers(self.source)  # there are some
                    latents = self.source.wear(latents, style)
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
        raise MissingPartError(
            f"domain {source.name!r} has no encoder: it can be a target (--to), not a source (--from)"
        )
    if not target.can_decode:
        raise MissingPartError(
            f"domain {target.name!r} has no decoder: it can be a source (--from), not a target (--to)"
        )


def hub_mismatch(
    first: str, first_hub: str, first_print: str, second: str, second_hub: str, second_print: str
) -> HubMismatchError:
    """The error for two domains of different hubs; names both hubs."""
    return HubMismatchError(
        f"domain {first!r} belongs to hub {first_hub!r} ({first_print[:12]}), domain {second!r} to hub "
        f"{second_hub!r} ({second_print[:12]}); domains translate only within one hub: train one of them "
        f"on the other's hub with anchor add-domain"
    )


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
    from anchor_hub.hub import load_domain

    if hub is None and isinstance(source, (str, Path)) and isinstance(target, (str, Path)):
        _compare_hubs(source, target)
    if isinstance(source, (str, Path)):
        source = load_domain(source, hub or getattr(target, "hub", None), device)
    if isinstance(target, (str, Path)):
        target = load_domain(target, hub or source.hub, device)
    return AnchorTranslator(source, target)


def _compare_hubs(source: str | Path, target: str | Path) -> None:
    from anchor_hub.bundle import open_bundle
    from anchor_hub.hub import domain_bundle

    first, second = (open_bundle(domain_bundle(name)).manifest for name in (source, target))
    if first.hub_fingerprint != second.hub_fingerprint:
        raise hub_mismatch(
            first.name, str(first.hub), str(first.hub_fingerprint),
            second.name, str(second.hub), str(second.hub_fingerprint),
        )  # fmt: skip


def translate(
    inputs: str | Path | Tensor | Sequence[str | Path | Tensor],
    *,
    source: str | Path | Domain,
    target: str | Path | Domain,
    styles: int = 0,
    seed: int | None = None,
    vary: bool = False,
    truncation: float = 1.0,
    style_layers: Sequence[int] | None = None,
    style_from: str | Path | Sequence[str | Path] | None = None,
    style_domain: str | Path | None = None,
    invert: int = 0,
    batch: int = 16,
    hub: Hub | None = None,
    device: str | torch.device = "auto",
) -> list[Translated]:
    """Translate files, folders, globs or samples and return the results, nothing being written.

    :param inputs: paths, or samples as the source's modality has them (rgb: uint8 ``[3, H, W]``; label maps: ids
        ``[1, H, W]``) at the hub's size.
    :param styles: random styles per input; with a ``seed`` at least one; 0 and no seed: the mean latent's appearance.
    :param vary: random styles of its own for every input, instead of the same ones for all.
    :param truncation: of the random styles (1: none).
    :param style_layers: W+ layers that styles replace; default: those that the source's encoder leaves alone, and the
        styles' colours in the others.
    :param style_from: exemplar images whose style to take instead of random ones, encoded by ``style_domain``.
    :param invert: steps of optimisation-based refinement (rgb sources).
    :returns: one result per input and style, input by input; ``.image`` is a picture, ``.save(path)`` writes it.
    :raises ImageError: an input cannot be read.
    :raises HubMismatchError: domains of different hubs.
    """
    from anchor_hub import inference, jobs

    between = translator(source, target, hub=hub, device=device)
    layers = None if style_layers is None else tuple(style_layers)
    count = max(styles, 1) if seed is not None else styles
    exemplars = None
    if style_from is not None:
        paths = [style_from] if isinstance(style_from, (str, Path)) else list(style_from)
        used = layers or default_style_layers(between.source)
        exemplars, _ = jobs.exemplar_styles(jobs.exemplar_domain(between, style_domain), paths, used)
    choice = inference.StyleChoice(count, vary, seed or 0, truncation, layers, exemplars)
    return inference.translate_samples(between, inputs, choice=choice, batch=batch, invert=invert)


class _memory_errors:
    """Turns running out of memory into a DeviceError that names the knobs."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        allocator = isinstance(error, RuntimeError) and "allocate memory" in str(error)
        if allocator or isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
            raise DeviceError("out of memory: take a smaller --batch, or --device cpu") from error
