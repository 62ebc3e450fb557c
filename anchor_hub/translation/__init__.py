"""Translators: source images to target images. The names below are imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "AnchorTranslator": "anchor_hub.translation.anchor",
    "Translator": "anchor_hub.translation.base",
    "random_styles": "anchor_hub.translation.styles",
    "translate": "anchor_hub.translation.api",
    "translator": "anchor_hub.translation.anchor",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'anchor_hub.translation' has no attribute {name!r}")


if TYPE_CHECKING:
    from anchor_hub.translation.anchor import AnchorTranslator as AnchorTranslator
    from anchor_hub.translation.anchor import translator as translator
    from anchor_hub.translation.api import translate as translate
    from anchor_hub.translation.base import Translator as Translator
    from anchor_hub.translation.styles import random_styles as random_styles
