"""Hubs and domains by name: where their bundles are, and each loaded once per process and device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.bundle import MANIFEST, Bundle, open_bundle
from anchor_hub.devices import resolve_device
from anchor_hub.errors import (
    AnchorError,
    BundleError,
    DomainNotFoundError,
    HubMismatchError,
    HubNotFoundError,
    MissingPartError,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from anchor_hub.domain import Domain
    from anchor_hub.hub import Hub


def hub_bundle(name_or_path: str | Path) -> Path:
    """Folder of the hub's bundle, by registered name or path. :raises HubNotFoundError: neither."""
    return _bundle_path(name_or_path, "hub")


def domain_bundle(name_or_path: str | Path) -> Path:
    """Folder of the domain's bundle, by registered name or path.

    :raises DomainNotFoundError: neither, or a domain that is known but has not been trained on this machine.
    """
    return _bundle_path(name_or_path, "domain")


def load_hub(name: str | Path, device: str | torch.device = "auto") -> Hub:
    """The hub of that name (or bundle folder), loaded once per process and device."""
    target = resolve_device(device)
    path = hub_bundle(name)
    key = (*_identity(path), str(target))
    if key not in _hubs:
        from anchor_hub.hub import Hub

        _hubs[key] = Hub.load(path, target)
    return _hubs[key]


def load_domain(name: str | Path, hub: Hub | None = None, device: str | torch.device = "auto") -> Domain:
    """The domain of that name (or bundle folder) with its hub, loaded once per process and device.

    :param hub: the hub to use; by default the installed one with the domain's fingerprint.
    :raises DomainNotFoundError: no such domain, or not trained yet (the message says how).
    :raises HubMismatchError: the domain belongs to another hub.
    :raises BundleError: a damaged bundle, or its hub is not installed.
    """
    from anchor_hub.domain import AnchoredDomain

    bundle = open_bundle(domain_bundle(name), "domain")
    if hub is None:
        hub = _hub_of(bundle, name, device)
    key = (*_identity(bundle.path), id(hub.base))
    # A class-conditional domain holds the hub's view of its class.
    if key not in _domains or _domains[key].hub.base is not hub.base:
        kind: type[AnchoredDomain] = AnchoredDomain
        if bundle.manifest.architecture.get("name") == "published-anchor":
            from anchor_hub.published_domain import PublishedDomain

            kind = PublishedDomain
        _domains[key] = kind.load(bundle, hub)
    return _domains[key]


def load_discriminator(hub: Hub) -> nn.Module:
    """The discriminator that the hub's bundle keeps, freshly loaded, in train mode, on the hub's device.

    :raises MissingPartError: the hub was not loaded from a bundle, or its bundle keeps none.
    """
    from anchor_hub.networks.discriminators import build_discriminator

    bundle = None if hub.path is None else open_bundle(hub.path, "hub")
    table = None if bundle is None else bundle.manifest.architecture.get("discriminator")
    if bundle is None or not isinstance(table, Mapping):
        raise MissingPartError(
            f"hub {hub.name!r} was saved without its discriminator; train it again with --keep-discriminator"
        )
    try:
        network = build_discriminator(table)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{bundle.path}: bad discriminator architecture: {error}") from None
    network.load_state_dict(bundle.tensors("discriminator", network.state_dict()))
    return network.to(hub.device)


_hubs: dict[tuple[str, int, str], Hub] = {}
_domains: dict[tuple[str, int, int], Any] = {}


def clear_cache() -> None:
    """Forget the hubs and domains loaded so far (frees their memory)."""
    _hubs.clear()
    _domains.clear()


def _hub_of(bundle: Bundle, name: str | Path, device: str | torch.device) -> Hub:
    """The installed hub with a domain's fingerprint: the one its manifest names, else any that has it."""
    wanted, declared = bundle.manifest.hub_fingerprint, bundle.manifest.hub
    found = []
    for candidate in sorted(_registered("hub"), key=lambda other: other != declared):
        try:
            manifest = open_bundle(hub_bundle(candidate)).manifest
        except AnchorError:
            continue
        if manifest.hub_fingerprint == wanted:
            return load_hub(candidate, device)
        found.append(f"{candidate} ({str(manifest.hub_fingerprint)[:12]})")
    raise HubMismatchError(
        f"domain {str(name)!r} was trained on hub {declared or 'unknown'} ({str(wanted)[:12]}), which is not "
        f"installed; installed: {', '.join(found) or 'none'}. Install that hub (anchor hubs install), or "
        f"train the domain on an installed one: anchor add-domain {Path(name).name}"
    )


def _bundle_path(name_or_path: str | Path, kind: str) -> Path:
    text = str(name_or_path)
    names = _registered(kind)
    # A registered name wins over a folder of that name in the current directory.
    if isinstance(name_or_path, Path) or text not in names:
        if isinstance(name_or_path, Path) or "/" in text or "\\" in text or (Path(text) / MANIFEST).is_file():
            return Path(name_or_path)
    record = names[text]
    if record.bundle is not None:
        return record.bundle
    if kind == "hub":
        raise HubNotFoundError(
            f"hub {text!r} is registered by {record.label}, but its bundle {record.spec.bundle} is not "
            f"there; install it (anchor hubs install) or train it (anchor hubs train {text})"
        )
    raise DomainNotFoundError(
        f"domain {text!r} is known, but not trained on this machine yet; train it: anchor add-domain {text}"
    )


def _registered(kind: str) -> Mapping[str, Any]:
    from anchor_hub.registry import registry

    return registry().hubs if kind == "hub" else registry().domains


def _identity(path: Path) -> tuple[str, int]:
    """Path and time of change: a bundle that was replaced is loaded again."""
    try:
        return str(path.resolve()), (path / MANIFEST).stat().st_mtime_ns
    except OSError:
        return str(path), 0
