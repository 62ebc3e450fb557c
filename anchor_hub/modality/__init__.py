"""Modalities: how a domain's files become tensors and back."""

from __future__ import annotations

from anchor_hub.modality.base import Modality, build_modality, known_options
from anchor_hub.modality.traits import Traits

__all__ = ["Modality", "Traits", "build_modality", "known_options"]
