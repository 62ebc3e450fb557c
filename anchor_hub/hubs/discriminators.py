"""The discriminator that a hub's bundle may keep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import BundleError, MissingPartError
from anchor_hub.networks.discriminators import build_discriminator


def load_discriminator(name: str, path: Path | None) -> nn.Module:
    """The discriminator in a hub's bundle, freshly loaded, in train mode, on the CPU.

    :param name: of the hub, for messages. :param path: the bundle's folder; None where the hub came from none.
    :raises MissingPartError: there is no bundle, or it keeps no discriminator. :raises BundleError: a damaged one.
    """
    bundle = None if path is None else open_bundle(path, "hub")
    table = None if bundle is None else bundle.manifest.architecture.get("discriminator")
    if bundle is None or not isinstance(table, Mapping):
        raise MissingPartError(
            f"hub {name!r} was saved without its discriminator; train it again with --keep-discriminator"
        )
    try:
        network = build_discriminator(table)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{bundle.path}: bad discriminator architecture: {error}") from None
    network.load_state_dict(bundle.tensors("discriminator", network.state_dict()))
    return network
