"""Reference pictures of the backend ``anchor``: which domain reads them, and into which layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.anchored import HUB_DECODER
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import AnchorError, DomainNotFoundError, UsageError
from anchor_hub.modality import build_modality
from anchor_hub.plugins.registry import registry

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain


def exemplar_domain(
    source: Domain, target: Domain, name: str | Path | None = None, *, inverts: bool = False
) -> Domain:
    """The domain that reads reference pictures: by its encoder, or where it has none by inversion.

    That is the domain called ``name``; else the target, if its images are colour pictures and it has an encoder or a
    generator of its own; else the source, if it has an encoder; else the first such domain of this hub whose images are
    the hub's own; else a target whose images are the hub's own.

    :param inverts: an inverter was asked for: any domain whose pictures a generator makes needs no encoder then.
    :raises DomainNotFoundError: there is none of these; name one with ``--style-domain``.
    """
    hub = target.hub
    if name is not None:
        domain = load_domain(name, hub)
        if not domain.can_encode and (domain.image_hub is None or not domain.modality.traits.picture):
            raise UsageError(
                f"--style-domain {name}: this domain has neither an encoder nor a generator of its pictures, so it "
                "cannot read an exemplar"
            )
        return domain
    for own in (target, source):
        generates = own.image_hub is not None and (inverts or (own is target and not own.decodes_to_hub_image))
        if own.modality.traits.picture and (own.can_encode or generates):
            return own
    domains = registry().domains
    for candidate in domains:
        try:
            record = domains[candidate]
            if record.bundle is None or not build_modality(record.spec.modality).traits.picture:
                continue
            manifest = open_bundle(record.bundle, "domain").manifest
        except AnchorError:
            continue
        own_images = manifest.architecture.get("regressor") == HUB_DECODER and manifest.architecture.get("encoder")
        if own_images and manifest.hub_fingerprint == hub.fingerprint:
            return load_domain(candidate, hub)
    if target.modality.traits.picture and target.image_hub is not None:
        return target
    raise DomainNotFoundError(
        f"no rgb domain of hub {hub.name!r} can encode the exemplar: name one with --style-domain"
    )


def check_exemplar_layers(domain: Domain, layers: tuple[int, ...]) -> None:
    """Raise UsageError if the exemplar's domain has only the mean latent in some of the style layers."""
    missing = [layer for layer in layers if layer >= domain.structure_layers]
    if missing:
        raise UsageError(
            f"domain {domain.name!r} encodes layers 0 to {domain.structure_layers - 1} only and has no style "
            f"for layers {missing[0]} to {missing[-1]}; take the exemplar's style from another domain "
            f"(--style-domain)"
        )
