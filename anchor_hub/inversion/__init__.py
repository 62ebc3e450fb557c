"""Inversion: from pictures to a hub's latents. The names below are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub._lazy import lazy_names

_EXPORTS = {
    "Factor": "anchor_hub.inversion.factor",
    "factorise": "anchor_hub.inversion.factor",
    "Inversion": "anchor_hub.inversion.base",
    "invert": "anchor_hub.inversion.search",
    "invert_files": "anchor_hub.inversion.files",
    "InvertedFiles": "anchor_hub.inversion.files",
    "Inverter": "anchor_hub.inversion.base",
    "InverterOptions": "anchor_hub.inversion.base",
    "open_inverter": "anchor_hub.inversion.base",
    "perceptual_network": "anchor_hub.inversion.perceptual",
    "PerceptualNetwork": "anchor_hub.inversion.perceptual",
    "pyramid_error": "anchor_hub.inversion.search",
    "read_latents": "anchor_hub.inversion.latents",
    "SearchOptions": "anchor_hub.inversion.search",
    "WPlusSearch": "anchor_hub.inversion.search",
    "WSearch": "anchor_hub.inversion.search",
}

__all__ = list(_EXPORTS)

__getattr__ = lazy_names(__name__, _EXPORTS)

if TYPE_CHECKING:
    from anchor_hub.inversion.base import Inversion as Inversion
    from anchor_hub.inversion.base import Inverter as Inverter
    from anchor_hub.inversion.base import InverterOptions as InverterOptions
    from anchor_hub.inversion.base import open_inverter as open_inverter
    from anchor_hub.inversion.factor import Factor as Factor
    from anchor_hub.inversion.factor import factorise as factorise
    from anchor_hub.inversion.files import InvertedFiles as InvertedFiles
    from anchor_hub.inversion.files import invert_files as invert_files
    from anchor_hub.inversion.latents import read_latents as read_latents
    from anchor_hub.inversion.perceptual import PerceptualNetwork as PerceptualNetwork
    from anchor_hub.inversion.perceptual import perceptual_network as perceptual_network
    from anchor_hub.inversion.search import SearchOptions as SearchOptions
    from anchor_hub.inversion.search import WPlusSearch as WPlusSearch
    from anchor_hub.inversion.search import WSearch as WSearch
    from anchor_hub.inversion.search import invert as invert
    from anchor_hub.inversion.search import pyramid_error as pyramid_error
