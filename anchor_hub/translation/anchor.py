"""The backend ``anchor``: from the source to the target through the latents of the hub that both share."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from anchor_hub.bundles.base import Bundle, open_bundle
from anchor_hub.domains.decoding import hub_mismatch, mismatch_of
from anchor_hub.domains.loading import domain_bundle, load_domain
from anchor_hub.errors import UsageError
from anchor_hub.inversion.base import Inverter, open_inverter
from anchor_hub.system.files import file_sha256
from anchor_hub.translation.anchor_options import AnchorOptions as AnchorOptions
from anchor_hub.translation.base import OWN, RANDOM, REFERENCE, Identity, Translator, TranslatorOptions, memory_errors
from anchor_hub.translation.exemplars import check_exemplar_layers, exemplar_domain
from anchor_hub.translation.merging import merged
from anchor_hub.translation.styles import default_style_layers, parse_layers, random_styles

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub
    from anchor_hub.modality import Modality


#: What inverts reference pictures where no inverter is asked for: one code for all layers, found in so many steps.
REFERENCE_INVERTER, REFERENCE_STEPS = "w", 100


class AnchorTranslator(Translator[Tensor]):
    """Source encoder, hub, target decoder: ``x_t = R_t(f(E_s(x_s)))`` (section 3.3 of the paper).

    Content is W+ latents ``[B, L, D]``; a style is a latent, too: ``[B or 1, D]`` or ``[B or 1, L, D]``.

    :raises HubMismatchError: the domains belong to different hubs.
    :raises MissingPartError: the source has no encoder or the target no decoder.
    :raises UsageError: options that do not fit these domains.
    """

    backend = "anchor"
    Options = AnchorOptions
    styles: ClassVar[frozenset[str]] = frozenset({OWN, RANDOM, REFERENCE})
    inference = True

    def __init__(self, source: Domain, target: Domain, options: AnchorOptions | None = None) -> None:
        if source.hub_fingerprint != target.hub_fingerprint:
            raise hub_mismatch(source, target)
        self.options = options or AnchorOptions()
        self.check_source(source)
        if not target.can_decode:
            raise target.no_decoder()
        if self.options.corrections is not None:
            source = source.corrected(self.options.corrections)
        #: The domains themselves; ``source`` and ``target`` are their names.
        self.source_domain, self.target_domain = source, target
        self.source, self.target = source.name, target.name
        self.source_modality, self.target_modality = source.modality, target.modality
        if self.options.merge_classes is not None:
            self.source_modality = merged(source, Path(self.options.merge_classes))
        self._weights: dict[str, str] = {}
        self._layers: tuple[int, ...] | None = None
        if self.options.style_layers is not None:
            self._layers = parse_layers(self.options.style_layers, self.hub.num_latents)
        if self.options.appearance == "published":
            self._check_published()
        self._inverter = self._open_inverter(self.source_domain) if self._inverts else None

    def check_source(self, source: Domain) -> None:
        """:raises MissingPartError: nothing makes latents of the source's images; where inversion would, it says how.
        """
        if not source.can_encode and not (self._inverts and source.image_hub is not None):
            raise source.no_encoder()

    def _check_published(self) -> None:
        if self._layers is not None:
            raise UsageError("appearance=published puts the style into all layers: leave --style-layers out")
        if not self.target_domain.separates_structure:
            raise UsageError(
                f"appearance=published: the source acts through swapped features, and {self.target!r} swaps none; "
                f"`anchor domains transform {self.target} --layer-swap 2` makes a domain that does"
            )

    @property
    def _inverts(self) -> bool:
        """Whether the options ask for an inverter."""
        return bool(self.options.invert) or self.options.inverter is not None

    def _open_inverter(self, domain: Domain, default: str = "w-plus", steps: int = 0) -> Inverter:
        """The inverter of the options for pictures of a domain, in the generator that makes them.

        A domain whose pictures a regressor makes is compared with the hub's own pictures.
        """
        asked, modality = self.options.inverter, domain.modality
        if not modality.traits.picture:
            raise UsageError(
                "--invert compares the source with the hub's own pictures, so the source must be rgb; "
                f"{domain.name!r} is {modality.name}"
            )
        table = {"name": asked} if isinstance(asked, str) else dict(asked or {})
        found = open_inverter(
            str(table.pop("name", default)), domain.image_hub or domain.hub, table, self.options.invert or steps
        )
        if found.needs_start and not domain.can_encode:
            raise UsageError(f"this inverter begins from an encoder, and domain {domain.name!r} has none: take w-plus")
        return found

    @classmethod
    def open(
        cls, source: str, target: str, *, bundle: Bundle | None = None, options: TranslatorOptions | None = None,
        device: str | torch.device = "auto",
    ) -> AnchorTranslator:  # fmt: skip
        """The translator between two domains, by name or bundle folder; loads these two and their hub.

        :raises DomainNotFoundError: no such domain, or one not trained on this machine yet.
        :raises HubMismatchError: the domains belong to different hubs (found out before any weight is read).
        """
        folders = domain_bundle(source), domain_bundle(target)
        first, second = (open_bundle(folder).manifest for folder in folders)
        if first.hub_fingerprint != second.hub_fingerprint:
            raise mismatch_of(
                (first.name, str(first.hub), str(first.hub_fingerprint)),
                (second.name, str(second.hub), str(second.hub_fingerprint)),
            )
        start = load_domain(source, device=device)
        end = load_domain(target, start.hub.base, device)
        between = cls(start, end, options if isinstance(options, AnchorOptions) else None)
        roles = zip(("source", "target"), folders, strict=True)
        between._weights = {role: file_sha256(folder / "bundle.yaml") for role, folder in roles}
        return between

    @property
    def hub(self) -> Hub:
        """The hub both domains share."""
        return self.target_domain.hub

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.hub.size

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.hub.device

    def settings(self) -> dict[str, Any]:
        """The options that differ from the defaults; always ``invert``; style layers as numbers."""
        layers = {} if self._layers is None else {"style_layers": list(self._layers)}
        return {"invert": 0, **super().settings(), **layers}

    @property
    def identity(self) -> Identity:
        return Identity(self.backend, self._weights, (self.hub.name, self.hub.fingerprint))

    @property
    def decoder(self) -> str:
        return f"domain {self.target!r}"

    def __repr__(self) -> str:
        return f"AnchorTranslator({self.source!r} -> {self.target!r}, hub {self.hub.name!r})"

    def encode(self, images: Tensor) -> Tensor:
        """W+ latents ``[B, L, D]`` of network input ``[B, C, H, W]`` of the source, refined if ``invert`` says so."""
        if self._inverter is None:
            with torch.no_grad(), memory_errors():
                return self.source_domain.encode(images.to(self.device))
        return self._inverted(self._inverter, self.source_domain, images)

    def _inverted(self, inverter: Inverter, domain: Domain, images: Tensor) -> Tensor:
        """W+ latents ``[B, L, D]`` of a domain's pictures, searched from its encoder's codes where it has an encoder.
        """
        with torch.inference_mode(False), memory_errors():  # it searches along gradients
            start = None
            if domain.can_encode:
                with torch.no_grad():
                    start = domain.encode(images.to(self.device))
            return inverter(images, start=start)

    def decode(
        self, content: Tensor, style: Tensor | None = None, *, style_layers: Sequence[int] | None = None
    ) -> Tensor:
        """Raw output of the target for W+ latents ``[B, L, D]`` with a style in their layers.

        Unless ``style_layers`` are given (here or as an option), the other layers get the style's appearance
        (:meth:`~anchor_hub.domains.base.Domain.with_style` of the source).
        """
        return self.picture(content, self.with_style(content, style, style_layers))

    def picture(self, structure: Tensor, styled: Tensor) -> Tensor:
        """Raw output of the target, see :meth:`~anchor_hub.domains.base.Domain.decode_styled`."""
        with torch.no_grad(), memory_errors():
            return self.checked(self.target_domain.decode_styled(structure, styled), len(styled))

    def with_style(self, content: Tensor, style: Tensor | None, layers: Sequence[int] | None = None) -> Tensor:
        """Latents ``[B, L, D]`` of the inputs in a style.

        :param layers: those that the style replaces as they are; default: the option ``style_layers``.
        """
        if style is None:
            return content
        style = style.to(content)
        layers = self._layers if layers is None else layers
        if self.options.appearance == "published":
            layers = range(self.hub.num_latents)
        if layers is None and self.source_domain.structure_layers >= self.hub.num_latents:
            layers = default_style_layers(self.source_domain)
        if layers is not None:
            return self.hub.merge(content, style, layers)
        return self.source_domain.with_style(content, style)

    def random_styles(self, n: int, *, seed: int, start: int = 0, truncation: float = 1.0) -> Tensor:
        """Sampled latents ``[n, L, D]``, one code in all layers."""
        return random_styles(self.hub, n, seed=seed, start=start, truncation=truncation)

    @functools.cached_property
    def reference_domain(self) -> Domain:
        """The domain that encodes reference pictures, see :func:`~anchor_hub.translation.exemplars.exemplar_domain`."""
        return exemplar_domain(
            self.source_domain, self.target_domain, self.options.style_domain, inverts=self._inverts
        )

    @property
    def style_layers(self) -> tuple[int, ...]:
        """The W+ layers that a style replaces as they are."""
        if self.options.appearance == "published":
            return tuple(range(self.hub.num_latents))
        return default_style_layers(self.source_domain) if self._layers is None else self._layers

    @property
    def reference_modality(self) -> Modality:
        domain = self.reference_domain
        check_exemplar_layers(domain, self.style_layers)
        return domain.modality

    def reference_styles(self, images: Tensor) -> Tensor:
        """The pictures' W+ codes ``[n, L, D]``: the encoder's; inverted where their domain has none.

        The latter is equation 10's ``w_a = Inv(D_r, G_t)`` of UI2I.
        """
        domain = self.reference_domain
        if not domain.can_encode:
            inverter = self._open_inverter(domain, REFERENCE_INVERTER, REFERENCE_STEPS)
            return self._inverted(inverter, domain, images)
        with torch.no_grad(), memory_errors():
            return domain.encode(images.to(self.device))

    def translate(
        self,
        images: Tensor,
        style: Tensor | None = None,
        *,
        seed: int | None = None,
        style_layers: Sequence[int] | None = None,
        truncation: float = 1.0,
    ) -> Tensor:
        """Raw output ``[B, C', H, W]`` of network input ``[B, C, H, W]``, in one style for each image.

        :param style: ``[D]``, ``[B or 1, D]`` or ``[B or 1, L, D]``; None and no ``seed``: the mean latent's
            appearance.
        :param seed: without a ``style``, takes the random style number 0 of that seed for all images.
        :param style_layers: W+ layers that the style replaces; default: those that the source's encoder leaves alone,
            while the others get the style's appearance.
        :param truncation: of the random style (1: none); the encoded structure is never truncated.
        """
        if style is None and seed is not None:
            style = random_styles(self.hub, 1, seed=seed, truncation=truncation)
        elif style is not None and style.ndim == 1:
            style = style[None]
        return self.decode(self.encode(images), style, style_layers=style_layers)


def translator(
    source: str | Path | Domain,
    target: str | Path | Domain,
    *,
    hub: Hub | None = None,
    device: str | torch.device = "auto",
    options: AnchorOptions | None = None,
) -> AnchorTranslator:
    """The anchor translator between two domains, by name, bundle folder or object; loads these two and their hub.

    :raises DomainNotFoundError: no such domain, or one not trained on this machine yet.
    :raises HubMismatchError: the domains belong to different hubs (found out before any weight is read).
    """
    if hub is None and isinstance(source, (str, Path)) and isinstance(target, (str, Path)):
        # A name and a path differ: Path("seg") is a folder, whatever is registered.
        return AnchorTranslator.open(source, target, options=options, device=device)  # type: ignore[arg-type]
    if isinstance(source, (str, Path)):
        source = load_domain(source, hub or getattr(target, "hub", None), device)
    if isinstance(target, (str, Path)):
        target = load_domain(target, hub or source.hub, device)
    return AnchorTranslator(source, target, options)
