"""Anchor Hub: translate between any two image domains through one frozen generator.

The names below are imported on first use, so that `import anchor_hub` costs milliseconds and no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> module that defines it
_EXPORTS = {
    "AnchorError": "anchor_hub.errors",
    "AnchorTranslator": "anchor_hub.translation",
    "AnchoredDomain": "anchor_hub.domain",
    "Bundle": "anchor_hub.bundle",
    "Domain": "anchor_hub.domain",
    "Hub": "anchor_hub.hub",
    "Modality": "anchor_hub.modality",
    "Translator": "anchor_hub.translation",
    "build_modality": "anchor_hub.modality",
    "hookimpl": "anchor_hub.hookspecs",
    "load_domain": "anchor_hub.hub",
    "load_hub": "anchor_hub.hub",
    "open_bundle": "anchor_hub.bundle",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'anchor_hub' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})


if TYPE_CHECKING:
    from anchor_hub.bundle import Bundle as Bundle, open_bundle as open_bundle
    from anchor_hub.domain import AnchoredDomain as AnchoredDomain, Domain as Domain
    from anchor_hub.errors import AnchorError as AnchorError
    from anchor_hub.hookspecs import hookimpl as hookimpl
    from anchor_hub.hub import Hub as Hub, load_domain as load_domain, load_hub as load_hub
    from anchor_hub.modality import Modality as Modality, build_modality as build_modality
    from anchor_hub.translation import AnchorTranslator as AnchorTranslator, Translator as Translator
