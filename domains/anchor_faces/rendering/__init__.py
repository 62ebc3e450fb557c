"""The renderer of the faces domain package: people, their cartoon twins and cats, with exact annotations."""

from __future__ import annotations

from .factors import FACTOR_NAMES, FACTOR_TABLE, HAIR_STYLES, sample_factors
from .labels import CLASS_COLOURS, CLASS_NAMES
from .landmarks import landmark_map
from .render import MODALITIES, RENDERER_VERSION, render

__all__ = [
    "CLASS_COLOURS",
    "CLASS_NAMES",
    "FACTOR_NAMES",
    "FACTOR_TABLE",
    "HAIR_STYLES",
    "MODALITIES",
    "RENDERER_VERSION",
    "landmark_map",
    "render",
    "sample_factors",
]
