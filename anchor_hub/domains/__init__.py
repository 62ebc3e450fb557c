"""Domains: kinds of images of one hub. The names below are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub._lazy import lazy_names

_EXPORTS = {
    "AnchoredDomain": "anchor_hub.domains.anchored",
    "decode_all": "anchor_hub.domains.decoding",
    "Domain": "anchor_hub.domains.base",
    "hub_pass": "anchor_hub.domains.base",
    "HubOutput": "anchor_hub.domains.base",
    "load_domain": "anchor_hub.domains.loading",
    "load_domains": "anchor_hub.domains.decoding",
    "Needs": "anchor_hub.domains.base",
    "open_domain": "anchor_hub.domains.base",
}

__all__ = list(_EXPORTS)

__getattr__ = lazy_names(__name__, _EXPORTS)

if TYPE_CHECKING:
    from anchor_hub.domains.anchored import AnchoredDomain as AnchoredDomain
    from anchor_hub.domains.base import Domain as Domain
    from anchor_hub.domains.base import HubOutput as HubOutput
    from anchor_hub.domains.base import Needs as Needs
    from anchor_hub.domains.base import hub_pass as hub_pass
    from anchor_hub.domains.base import open_domain as open_domain
    from anchor_hub.domains.decoding import decode_all as decode_all
    from anchor_hub.domains.decoding import load_domains as load_domains
    from anchor_hub.domains.loading import load_domain as load_domain
