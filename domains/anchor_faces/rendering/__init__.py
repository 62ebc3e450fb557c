"""The renderer of the faces domain package: people, their cartoon twins, cats and toy cars, with exact annotations."""

from __future__ import annotations

from .car_geometry import heading
from .factors import FACTOR_NAMES, FACTOR_TABLE, HAIR_STYLES, factor_table_markdown, sample_factors
from .labels import CAR_CLASS_NAMES, CLASS_COLOURS, CLASS_NAMES
from .landmarks import landmark_map
from .render import MODALITIES, RENDERER_VERSION, render, render_factors

__all__ = [
    "CAR_CLASS_NAMES",
    "CLASS_COLOURS",
    "CLASS_NAMES",
    "FACTOR_NAMES",
    "FACTOR_TABLE",
    "HAIR_STYLES",
    "MODALITIES",
    "RENDERER_VERSION",
    "factor_table_markdown",
    "heading",
    "landmark_map",
    "render",
    "render_factors",
    "sample_factors",
]
