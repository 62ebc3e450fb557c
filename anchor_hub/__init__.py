"""Anchor Hub: translate between any two image domains through one frozen generator.

The names below are imported on first use, so that `import anchor_hub` costs milliseconds and no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub import _moved
from anchor_hub._lazy import lazy_names

__version__ = "0.1.0"

# public name -> module that defines it
_EXPORTS = {
    "AnchoredDomain": "anchor_hub.domains.anchored",
    "AnchorError": "anchor_hub.errors",
    "AnchorTranslator": "anchor_hub.translation",
    "build_modality": "anchor_hub.modality",
    "Bundle": "anchor_hub.bundles.base",
    "Domain": "anchor_hub.domains.base",
    "hookimpl": "anchor_hub.hookspecs",
    "Hub": "anchor_hub.hubs.base",
    "invert": "anchor_hub.inversion",
    "invert_files": "anchor_hub.inversion",
    "load_domain": "anchor_hub.domains.loading",
    "load_hub": "anchor_hub.hubs.loading",
    "Modality": "anchor_hub.modality",
    "open_bundle": "anchor_hub.bundles.base",
    "random_styles": "anchor_hub.translation",
    "resolve_device": "anchor_hub.system.devices",
    "synthesize_set": "anchor_hub.translation.synthesis",
    "Traits": "anchor_hub.modality.traits",
    "translate": "anchor_hub.translation",
    "Translator": "anchor_hub.translation",
    "translator": "anchor_hub.translation",
}

__all__ = ["__version__", *_EXPORTS]
_moved.install()

__getattr__ = lazy_names(__name__, _EXPORTS)


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})


if TYPE_CHECKING:
    from anchor_hub.bundles.base import Bundle as Bundle
    from anchor_hub.bundles.base import open_bundle as open_bundle
    from anchor_hub.domains.anchored import AnchoredDomain as AnchoredDomain
    from anchor_hub.domains.base import Domain as Domain
    from anchor_hub.domains.loading import load_domain as load_domain
    from anchor_hub.errors import AnchorError as AnchorError
    from anchor_hub.hookspecs import hookimpl as hookimpl
    from anchor_hub.hubs.base import Hub as Hub
    from anchor_hub.hubs.loading import load_hub as load_hub
    from anchor_hub.inversion import invert as invert
    from anchor_hub.inversion import invert_files as invert_files
    from anchor_hub.modality import Modality as Modality
    from anchor_hub.modality import build_modality as build_modality
    from anchor_hub.modality.traits import Traits as Traits
    from anchor_hub.system.devices import resolve_device as resolve_device
    from anchor_hub.translation import AnchorTranslator as AnchorTranslator
    from anchor_hub.translation import Translator as Translator
    from anchor_hub.translation import random_styles as random_styles
    from anchor_hub.translation import translate as translate
    from anchor_hub.translation import translator as translator
    from anchor_hub.translation.synthesis import synthesize_set as synthesize_set
