"""Hubs: frozen generators and their latents. The names below are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub._lazy import lazy_names

_EXPORTS = {
    "Hub": "anchor_hub.hubs.base",
    "load_hub": "anchor_hub.hubs.loading",
    "SynthesisOutput": "anchor_hub.networks.stylegan2",
}

__all__ = list(_EXPORTS)

__getattr__ = lazy_names(__name__, _EXPORTS)

if TYPE_CHECKING:
    from anchor_hub.hubs.base import Hub as Hub
    from anchor_hub.hubs.loading import load_hub as load_hub
    from anchor_hub.networks.stylegan2 import SynthesisOutput as SynthesisOutput
