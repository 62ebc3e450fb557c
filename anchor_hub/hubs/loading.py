"""Hubs by name, each loaded once per process and device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anchor_hub.bundles.base import Bundle, open_bundle
from anchor_hub.errors import AnchorError, HubMismatchError
from anchor_hub.plugins.finding import bundle_folder, identity, registered
from anchor_hub.system.devices import resolve_device

if TYPE_CHECKING:
    import torch

    from anchor_hub.hubs.base import Hub

_hubs: dict[tuple[str, int, str], Hub] = {}


def hub_bundle(name_or_path: str | Path) -> Path:
    """Folder of the hub's bundle, by registered name or path. :raises HubNotFoundError: neither."""
    return bundle_folder(name_or_path, "hub")


def load_hub(name: str | Path, device: str | torch.device = "auto") -> Hub:
    """The hub of that name (or bundle folder), loaded once per process and device."""
    target = resolve_device(device)
    path = hub_bundle(name)
    key = (*identity(path), str(target))
    if key not in _hubs:
        from anchor_hub.hubs.base import Hub

        _hubs[key] = Hub.load(path, target)
    return _hubs[key]


def hub_of(bundle: Bundle, device: str | torch.device = "auto") -> Hub:
    """The installed hub that a bundle was trained on: the one its manifest names, else any of that fingerprint.

    :raises HubMismatchError: that hub is not installed; the message names the installed ones.
    """
    wanted, declared = bundle.manifest.hub_fingerprint, bundle.manifest.hub
    kind, name = bundle.manifest.kind, bundle.manifest.name
    found = []
    for candidate in sorted(registered("hub"), key=lambda other: other != declared):
        try:
            manifest = open_bundle(hub_bundle(candidate)).manifest
        except AnchorError:
            continue
        if manifest.hub_fingerprint == wanted:
            return load_hub(candidate, device)
        found.append(f"{candidate} ({str(manifest.hub_fingerprint)[:12]})")
    again = f"anchor add-domain {name}" if kind == "domain" else f"anchor {kind}s train {name}"
    raise HubMismatchError(
        f"{kind} {name!r} needs hub {declared or 'unknown'} ({str(wanted)[:12]}), which is not installed; installed: "
        f"{', '.join(found) or 'none'}. Install it (anchor hubs install), or train again: {again}"
    )


def forget_hubs() -> None:
    """Forget the hubs loaded so far (frees their memory)."""
    _hubs.clear()
