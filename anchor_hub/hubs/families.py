"""The families of hubs: which class a generator or a bundle belongs to. A family is imported when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anchor_hub.plugins.registry import registry
from anchor_hub.plugins.usable import architecture_class

if TYPE_CHECKING:
    from torch import nn

    from anchor_hub.bundles.base import Bundle
    from anchor_hub.hubs.base import Hub


def family_of_generator(generator: nn.Module) -> type[Hub]:
    """The class of hubs around such a generator. :raises TypeError: there is none."""
    known = registry().architectures
    hubs = {name: known[name].spec.target for name in known if known[name].spec.kind == "hub"}
    for target in dict.fromkeys(hubs.values()):
        family: Any = registry().load(target)
        if isinstance(generator, family.generator_types()):
            found: type[Hub] = family
            return found
    raise TypeError(f"{type(generator).__name__} is no generator of a known family: {', '.join(hubs)}")


def family_of_bundle(bundle: Bundle) -> type[Hub]:
    """The class of a bundle's hub. :raises BundleError: nobody registered its architecture."""
    family: type[Hub] = architecture_class(bundle, "hub")
    return family
