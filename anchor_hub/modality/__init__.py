"""Modalities: how a domain's files become tensors and back.

The names below are imported on first use, so that :class:`Traits` alone needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub._lazy import lazy_names

_EXPORTS = {
    "Modality": "anchor_hub.modality.base",
    "Traits": "anchor_hub.modality.traits",
    "build_modality": "anchor_hub.modality.base",
    "known_options": "anchor_hub.modality.base",
}

__all__ = ["Modality", "Traits", "build_modality", "known_options"]

__getattr__ = lazy_names(__name__, _EXPORTS)

if TYPE_CHECKING:
    from anchor_hub.modality.base import Modality as Modality
    from anchor_hub.modality.base import build_modality as build_modality
    from anchor_hub.modality.base import known_options as known_options
    from anchor_hub.modality.traits import Traits as Traits
