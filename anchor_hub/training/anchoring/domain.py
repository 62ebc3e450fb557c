"""The untrained domain of an anchoring run: which networks fit the hub, the modality and the options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.anchored import HUB_DECODER, AnchoredDomain
from anchor_hub.domains.loading import domain_bundle
from anchor_hub.errors import BundleError, ConfigError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Modality
from anchor_hub.training.anchoring.options import AnchorOptions
from anchor_hub.training.anchoring.published_objective import published_resolutions
from anchor_hub.training.engine.randomness import mix_seed, preserved_random_state, seed_everything

#: Corrections of domains trained by the aligned objective: its ``consistency`` lets encoders know the hub's samples.
CORRECTIONS = 2


def default_resolutions(hub: Hub) -> tuple[int, ...]:
    """The three finest feature maps up to 256 px: coarse ones carry the layout, fine ones the outlines."""
    return tuple(r for r in sorted(hub.feature_channels) if r <= 256)[-3:]


def build_domain(name: str, modality: Modality, hub: Hub, options: AnchorOptions, *, seed: int = 0) -> AnchoredDomain:
    """A fresh, untrained domain whose networks fit the hub and the modality; ``seed`` fixes their weights.

    :raises UsageError, ConfigError, NotFoundError: options that do not fit the hub or the modality.
    """
    decodes_itself = options.regressor["name"] == HUB_DECODER
    if decodes_itself and (modality.input_channels, modality.output_channels) != (3, 3):
        raise UsageError(
            f"the regressor 'hub' gives the hub's own RGB pictures; modality {modality.name!r} needs another"
        )
    if options.structure_layers is not None and options.structure_layers > hub.num_latents:
        raise UsageError(
            f"structure_layers is {options.structure_layers}; hub {hub.name!r} has {hub.num_latents} layers"
        )
    plain = decodes_itself or options.objective == "published"  # every W+ layer is the encoder's own
    layers = options.structure_layers or (hub.num_latents if plain else max(1, round(0.6 * hub.num_latents)))
    encoder = _network_table(options.encoder)
    if encoder["name"] == "compact" and not plain:
        # Chunks of z are parts of one code: each of them needs its own.
        codes = min(options.codes or layers, layers) if hub.layers_share_code else layers
        encoder["options"].setdefault("num_codes", codes)
    regressor: dict[str, Any] | str = HUB_DECODER
    if not decodes_itself:
        regressor = _network_table(options.regressor)
        fitting = published_resolutions(hub, modality) if options.objective == "published" else None
        if fitting is None or regressor["name"] == "compact":
            fitting = default_resolutions(hub)
        regressor["options"].setdefault("resolutions", list(options.resolutions or fitting))
        if regressor["name"] == "compact" and options.objective == "aligned":
            regressor["options"].setdefault("instance_norm", True)
            if modality.traits.classes:  # pixel by pixel: what sees further away reads codes of its own
                regressor["options"].setdefault("convs", 0)
    # Measured on StyleGAN2's W+ only.
    corrections = CORRECTIONS if options.objective == "aligned" and hub.layers_share_code else 0
    with preserved_random_state():
        seed_everything(mix_seed(seed, "networks"))
        try:
            return AnchoredDomain.build(
                name,
                modality,
                hub,
                encoder=encoder,
                regressor=regressor,
                structure_layers=layers,
                corrections=corrections,
            )
        except TypeError as error:  # an option that a network's constructor does not have
            raise ConfigError(f"domain {name!r}: {error}") from error


def of_class(hub: Hub, domain: str, hub_class: str | int | None) -> Hub:
    """The hub, with its class fixed where it has classes.

    :raises UsageError, NotFoundError: a class is missing or unknown.
    """
    if hub_class is not None:
        return hub.of_class(str(hub_class))
    if hub.classes:
        some = ", ".join(hub.classes[:10]) + (f" ... {len(hub.classes)} in all" if len(hub.classes) > 10 else "")
        raise UsageError(
            f"hub {hub.name!r} makes pictures of several classes; say of which domain {domain!r} is: --class NAME "
            f"({some})"
        )
    return hub


def published_modality(modality: Mapping[str, Any], options: AnchorOptions) -> dict[str, Any]:
    """The modality as the objective needs it: published landmarks are one drawn channel, not 68 heat maps."""
    table = dict(modality)
    if options.objective == "published" and table.get("name") == "landmarks":
        table["drawn"] = True
    return table


def take_over(domain: AnchoredDomain, start: str | Path) -> dict[str, str]:
    """Give the domain's networks the weights of another domain, of any hub; returns the new bundle's record of it.

    :param start: name of a registered domain, or the folder of a domain's bundle.
    :raises DomainNotFoundError, BundleError: no such domain, or a damaged bundle.
    :raises UsageError: the networks of the two domains differ.
    """
    bundle = open_bundle(domain_bundle(start), "domain")
    held, wanted = bundle.manifest.architecture, domain.architecture()
    for part, network in domain.parts().items():
        if held.get(part) != wanted[part]:
            raise UsageError(
                f"--start-from {start}: its {part} is {held.get(part)}, that of {domain.name!r} is {wanted[part]}; "
                "give the same options, or train from nothing"
            )
        try:
            network.load_state_dict(bundle.tensors(part, network.state_dict()))
        except BundleError as error:
            raise UsageError(f"--start-from {start}: its {part} is for another hub or other images: {error}") from error
        network.to(domain.hub.device)
    hashes = {part: bundle.manifest.files[f"{part}.safetensors"] for part in domain.parts()}
    return {"name": bundle.manifest.name, **hashes}


def _network_table(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": choice["name"], "options": {k: v for k, v in choice.items() if k != "name"}}
