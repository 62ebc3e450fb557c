"""The bundles that a recipe builds on, loaded by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from anchor_hub.bundles.base import MANIFEST, Bundle, Requirement, open_bundle, requirement_of
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.hubs.loading import load_hub
from anchor_hub.plugins.finding import bundle_folder
from anchor_hub.plugins.usable import architecture_class
from anchor_hub.system.files import file_sha256


@dataclass(frozen=True)
class Required:
    """One bundle that a recipe builds on.

    :param loaded: a hub, a domain, what a prior's architecture loads, or (of a translator) the opened bundle.
    :param requirement: what the new bundle says of it, where it cannot do without it: a hub or a prior.
    :param fingerprint: by which a resumed run knows it again.
    """

    kind: str
    name: str
    loaded: Any
    requirement: Requirement | None
    fingerprint: str


def load_required(
    recipe: str, kinds: tuple[str, ...], given: Mapping[str, str | Path], device: torch.device,
    optional: tuple[str, ...] = (),
) -> dict[str, Required]:  # fmt: skip
    """Kind -> what was loaded, for exactly the kinds that the recipe needs; ``optional`` ones where they are given.

    :raises UsageError: one too many or too few. :raises NotFoundError, BundleError: no such bundle, or a damaged one.
    """
    for kind in given:
        if kind not in kinds:
            raise UsageError(f"recipe {recipe!r} needs no {kind}: leave it out.{did_you_mean(kind, kinds)}")
    for kind in kinds:
        if kind not in given and kind not in optional:
            raise UsageError(f"recipe {recipe!r} needs a {kind}; say which one: --requires {kind}=NAME")
    return {kind: _load(kind, given[kind], device) for kind in kinds if kind in given}


def _load(kind: str, name_or_path: str | Path, device: torch.device) -> Required:
    if kind == "hub":
        hub = load_hub(name_or_path, device)
        needed = Requirement(kind="hub", name=hub.name, fingerprint=hub.fingerprint)
        return Required(kind, hub.name, hub, needed, hub.fingerprint)
    bundle = open_bundle(bundle_folder(name_or_path, kind), kind)  # type: ignore[arg-type]
    name = bundle.manifest.name
    if kind == "prior":
        prior = architecture_class(bundle, "prior").load(bundle, device)
        needed = requirement_of(bundle)
        return Required(kind, name, prior, needed, needed.fingerprint)
    loaded = load_domain(bundle.path, device=device) if kind == "domain" else bundle
    return Required(kind, name, loaded, None, _manifest_hash(bundle))


def _manifest_hash(bundle: Bundle) -> str:
    return file_sha256(bundle.path / MANIFEST)
