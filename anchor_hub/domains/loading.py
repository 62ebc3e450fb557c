"""Domains by name, each loaded once per process, with its hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import BundleError
from anchor_hub.hubs.loading import forget_hubs, hub_of
from anchor_hub.plugins.finding import bundle_folder, identity
from anchor_hub.plugins.usable import architecture_class

if TYPE_CHECKING:
    import torch

    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub

_domains: dict[tuple[str, int, int], Domain] = {}


def domain_bundle(name_or_path: str | Path) -> Path:
    """Folder of the domain's bundle, by registered name or path.

    :raises DomainNotFoundError: neither, or a domain that is known but has not been trained on this machine.
    """
    return bundle_folder(name_or_path, "domain")


def load_domain(name: str | Path, hub: Hub | None = None, device: str | torch.device = "auto") -> Domain:
    """The domain of that name (or bundle folder) with its hub, loaded once per process and device.

    :param hub: the hub to use; by default the installed one with the domain's fingerprint.
    :raises DomainNotFoundError: no such domain, or not trained yet (the message says how).
    :raises HubMismatchError: the domain belongs to another hub.
    :raises BundleError: a damaged bundle, or one that needs a plugin which is not installed.
    """
    bundle = open_bundle(domain_bundle(name), "domain")
    if hub is None:
        hub = hub_of(bundle, device)
    key = (*identity(bundle.path), id(hub.base))
    # A class-conditional domain holds the hub's view of its class.
    if key not in _domains or _domains[key].hub.base is not hub.base:
        kind: type[Domain] = architecture_class(bundle, "domain")
        domain = kind.load(bundle, hub)
        if domain.hub.base is not hub.base:
            raise BundleError(f"{bundle.path}: its architecture loaded the domain on another hub than it was given")
        _domains[key] = domain
    return _domains[key]


def clear_cache() -> None:
    """Forget the hubs and domains loaded so far (frees their memory)."""
    forget_hubs()
    _domains.clear()
