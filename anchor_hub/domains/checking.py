"""Whether a bundle's architecture is one: the networks that it describes are built and take the weights beside it."""

from __future__ import annotations

from anchor_hub.bundles.base import Bundle
from anchor_hub.errors import AnchorError
from anchor_hub.plugins.usable import architecture_class, lacks


def architecture_problems(bundle: Bundle) -> list[str]:
    """What keeps the networks of a hub, domain or prior from being built, as sentences; empty where all is well.

    They are built without numbers first, see :func:`anchor_hub.networks.blank.blank`: whatever a stranger's bundle asks
    for costs neither time nor memory. A domain needs its hub for this; where that is missing (`lacks` says so), and for
    translators, whose backends decide, nothing is checked.
    """
    if bundle.manifest.kind not in ("hub", "domain", "prior") or lacks(bundle.manifest):
        return []
    try:
        _build(bundle)
    except AnchorError as error:
        return [str(error)]
    except Exception as error:  # an architecture of a plugin may raise anything
        reason = f"{type(error).__name__}: {str(error)[:80]}"
        return [f"{bundle.path}: its networks cannot be built ({reason}); install it again"]
    return []


def _build(bundle: Bundle) -> None:
    from anchor_hub.hubs.base import Hub
    from anchor_hub.hubs.loading import hub_of

    if bundle.manifest.kind == "hub":
        Hub.load(bundle.path)
    elif bundle.manifest.kind == "domain":
        architecture_class(bundle, "domain").load(bundle, hub_of(bundle, "cpu"))
    else:
        architecture_class(bundle, "prior").load(bundle, "cpu")
