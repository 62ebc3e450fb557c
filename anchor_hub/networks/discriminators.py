"""Discriminators by name, for bundles: `hub.save(discriminator=...)` writes them, `hub.discriminator()` reads them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from torch import nn

#: name in a bundle -> (module, class of the network, class of its configuration)
DISCRIMINATORS: dict[str, tuple[str, str, str]] = {
    "stylegan2": ("anchor_hub.networks.stylegan2_discriminator", "Discriminator", "DiscriminatorConfig"),
    "biggan": ("anchor_hub.networks.biggan_discriminators", "BigGANDiscriminator", "BigGANDiscriminatorConfig"),
    "biggan-deep": (
        "anchor_hub.networks.biggan_discriminators", "BigGANDeepDiscriminator", "BigGANDeepDiscriminatorConfig",
    ),
}  # fmt: skip


def describe_discriminator(network: nn.Module) -> dict[str, Any]:
    """``{"name", "config"}``, from which :func:`build_discriminator` makes the same architecture.

    :raises TypeError: a network of no known family.
    """
    for name, (module, class_name, _) in DISCRIMINATORS.items():
        if type(network).__name__ == class_name and type(network).__module__ == module:
            config: Any = network.config
            return {"name": name, "config": config.to_dict()}
    raise TypeError(f"{type(network).__name__} is no discriminator of a known family: {', '.join(DISCRIMINATORS)}")


def build_discriminator(table: Mapping[str, Any]) -> nn.Module:
    """A fresh discriminator from ``{"name", "config"}``. :raises KeyError, TypeError, ValueError: a bad table."""
    if table["name"] not in DISCRIMINATORS:
        raise KeyError(f"no discriminator is called {table['name']!r}; known: {', '.join(DISCRIMINATORS)}")
    module, class_name, config_name = DISCRIMINATORS[table["name"]]
    found = importlib.import_module(module)
    config = getattr(found, config_name).from_dict(table["config"])
    return getattr(found, class_name)(config)
