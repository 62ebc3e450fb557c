"""The families of hubs: which class a generator or a bundle makes. Each is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from anchor_hub.errors import BundleError

if TYPE_CHECKING:
    from torch import nn

    from anchor_hub.bundle import Bundle
    from anchor_hub.hub import Hub

#: architecture name in the bundle -> the class of the hub.
FAMILIES = {
    "stylegan2": "anchor_hub.hub_stylegan2:StyleGAN2Hub",
    "biggan": "anchor_hub.hub_biggan:BigGANHub",
    "biggan-deep": "anchor_hub.hub_biggan:BigGANHub",
}


def family_of_generator(generator: nn.Module) -> type[Hub]:
    """The class of hubs around such a generator. :raises TypeError: there is none."""
    for target in dict.fromkeys(FAMILIES.values()):
        family = _resolve(target)
        if isinstance(generator, family.generator_types()):
            return family
    raise TypeError(f"{type(generator).__name__} is no generator of a known family: {', '.join(FAMILIES)}")


def family_of_bundle(bundle: Bundle) -> type[Hub]:
    """The class of a bundle's hub. :raises BundleError: its architecture is unknown."""
    name = bundle.manifest.architecture.get("name")
    if name not in FAMILIES:
        raise BundleError(
            f"{bundle.path}: hub architecture {name!r} is unknown; known: {', '.join(map(repr, FAMILIES))}"
        )
    return _resolve(FAMILIES[name])


def _resolve(target: str) -> type[Hub]:
    module, name = target.split(":")
    family: type[Hub] = getattr(importlib.import_module(module), name)
    return family
