"""Modalities: how a domain's files become tensors and back."""

from __future__ import annotations

from anchor_hub.modality.base import Modality, build_modality

__all__ = ["Modality", "build_modality"]
