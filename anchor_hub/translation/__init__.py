"""Translators: source images to target images. The names below are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub._lazy import lazy_names

_EXPORTS = {
    "AnchorTranslator": "anchor_hub.translation.anchor",
    "bundle_digest": "anchor_hub.translation.base",
    "Identity": "anchor_hub.translation.base",
    "Inverter": "anchor_hub.inversion",
    "InverterOptions": "anchor_hub.inversion",
    "random_styles": "anchor_hub.translation.styles",
    "Session": "anchor_hub.translation.request",
    "style_generator": "anchor_hub.translation.base",
    "translate": "anchor_hub.translation.api",
    "TranslationRequest": "anchor_hub.translation.request",
    "Translator": "anchor_hub.translation.base",
    "translator": "anchor_hub.translation.anchor",
    "TranslatorOptions": "anchor_hub.translation.base",
}

__all__ = list(_EXPORTS)

__getattr__ = lazy_names(__name__, _EXPORTS)

if TYPE_CHECKING:
    from anchor_hub.inversion import Inverter as Inverter
    from anchor_hub.inversion import InverterOptions as InverterOptions
    from anchor_hub.translation.anchor import AnchorTranslator as AnchorTranslator
    from anchor_hub.translation.anchor import translator as translator
    from anchor_hub.translation.api import translate as translate
    from anchor_hub.translation.base import Identity as Identity
    from anchor_hub.translation.base import Translator as Translator
    from anchor_hub.translation.base import TranslatorOptions as TranslatorOptions
    from anchor_hub.translation.base import bundle_digest as bundle_digest
    from anchor_hub.translation.base import style_generator as style_generator
    from anchor_hub.translation.request import Session as Session
    from anchor_hub.translation.request import TranslationRequest as TranslationRequest
    from anchor_hub.translation.styles import random_styles as random_styles
