"""Opens the translator between two domains whose latents are edited or morphed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from anchor_hub.domains.anchored import HUB_DECODER, AnchoredDomain
from anchor_hub.domains.base import Domain
from anchor_hub.domains.loading import load_domain
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import build_modality
from anchor_hub.system.settings import merged_settings
from anchor_hub.translation.anchor import AnchorOptions, AnchorTranslator, translator
from anchor_hub.translation.base import read_options
from anchor_hub.translation.inputs import Inputs
from anchor_hub.translation.request import Session, TranslationRequest


def open_editor(
    source: str | Path | Domain,
    target: str | Path | Domain | None = None,
    *,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
    device: str | torch.device = "auto",
) -> Session:
    """The session of the backend ``anchor`` between two domains of one hub.

    :param target: default: the source itself, or pictures of its hub where the source has no decoder.
    :param seed: gives the outputs random style 0 of that seed; default: the source's own look.
    :param options: of the backend ``anchor``; ``invert`` or ``inverter`` for a source without an encoder.
    :raises DomainNotFoundError, HubMismatchError, MissingPartError, UsageError: as a translation raises them.
    """
    table = read_options(AnchorTranslator, AnchorTranslator.backend, options or {})
    assert isinstance(table, AnchorOptions)
    if target is None:
        source = source if isinstance(source, Domain) else load_domain(source, device=device)
        target = source if source.can_decode else hub_pictures(source.hub)
    return session_of(translator(source, target, device=device, options=table), seed)


def session_of(between: AnchorTranslator, seed: int | None, inputs: Inputs | None = None) -> Session:
    """The session of a translator; with a ``seed`` its outputs have random style 0 of that seed."""
    styles = 0 if seed is None else 1
    request = TranslationRequest(source=between.source, target=between.target, styles=styles, seed=seed or 0)
    return Session(between, request, inputs)


def backend_options(invert: int, settings: Sequence[str]) -> dict[str, Any]:
    """The options of ``--invert`` and ``--set``. :raises UsageError: one that is given twice."""
    return merged_settings({"invert": invert or None}, settings)


def hub_pictures(hub: Hub) -> Domain:
    """A domain of the hub's own pictures, named after the hub."""
    return AnchoredDomain.build(hub.name, build_modality({"name": "rgb"}), hub, regressor=HUB_DECODER).eval()
