"""Domains that are a layer swap of another fine-tuned domain: no training, and no second copy of the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from anchor_finetune.domain import FineTunedDomain, check_hub
from anchor_finetune.swap import LayerSwap
from anchor_hub.bundles.base import MANIFEST, Bundle, Requirement, open_bundle, requirement_of
from anchor_hub.domains.base import open_domain
from anchor_hub.domains.loading import domain_bundle, load_domain
from anchor_hub.errors import BundleError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Modality, build_modality
from anchor_hub.plugins.usable import Installed, Lack, lacks, require_usable
from anchor_hub.specs import check_name
from anchor_hub.system.home import home
from anchor_hub.system.outputs import check_folder

ARCHITECTURE = "transformed"


class TransformedDomain(FineTunedDomain):
    """A layer swap (equation 3) of another domain's fine-tuned generator, whose bundle it requires.

    :param generator: the other domain's, without a swap; it is shared unless ``swap`` swaps weights.
    :param of: the other domain.
    """

    def __init__(
        self, name: str, modality: Modality, hub: Hub, generator: Any, swap: LayerSwap, of: Requirement
    ) -> None:
        super().__init__(name, modality, hub, copy.deepcopy(generator) if swap.way == "weights" else generator, swap)
        self.of = of

    def architecture(self) -> dict[str, Any]:
        return {"name": ARCHITECTURE, "of": self.of.fingerprint, "swap": self.swap.to_table()}

    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        """None: they are the other domain's and the hub's."""
        return {}

    def requirements(self) -> tuple[Requirement, ...]:
        return (self.of,)

    def card(self) -> str:
        layers, way = self.swap.layers, self.swap.way
        return (
            f"# {self.name}\n\nA layer swap of the domain {self.of.name}: up to {self.swap.resolution} px "
            f"(l = {layers}), {way} of the generator of hub {self.hub.name} take the place of its own.\n"
        )

    @classmethod
    def load(cls, bundle: Bundle | str | Path, hub: Hub) -> TransformedDomain:
        """:raises BundleError: the domain that it is made of is not on this machine, is damaged, or is not fine-tuned.
        """
        bundle = open_domain(bundle, hub)
        manifest = bundle.manifest
        check_hub(hub, manifest.name)
        of = _required(bundle)
        require_usable(bundle)
        # The name may be another one here: the fingerprint decides.
        parent = load_domain(str(Installed().providing(of)), hub)
        if not isinstance(parent, FineTunedDomain):
            raise BundleError(f"{bundle.path}: its domain {of.name} has no fine-tuned generator; install it again")
        try:
            swap = LayerSwap.from_table(manifest.architecture.get("swap"))
            return cls(manifest.name, build_modality(manifest.modality or {}), hub, parent.unswapped(), swap, of)
        except (TypeError, UsageError) as error:
            raise BundleError(f"{bundle.path}: bad domain architecture: {error}") from None


def _required(bundle: Bundle) -> Requirement:
    """The domain that the bundle is made of."""
    of = bundle.manifest.architecture.get("of")
    for needed in bundle.manifest.requires:
        if needed.kind == "domain" and needed.fingerprint == of:
            return needed
    raise BundleError(f"{bundle.path}: its architecture is `of` a domain that it does not require; install it again")


@dataclass(frozen=True)
class Transformed:
    """What :func:`transform` wrote. ``lacks``: what the bundle still needs on this machine."""

    name: str
    folder: Path
    of: str
    swap: LayerSwap
    lacks: tuple[Lack, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        notes = [lack.message for lack in self.lacks]
        table = {"name": self.name, "path": str(self.folder), "of": self.of}
        return {**table, "swap": self.swap.to_table(), "notes": notes}


def transform(
    domain: str | Path,
    swap: LayerSwap,
    name: str,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Transformed:
    """Write the bundle of a domain that is a layer swap of another fine-tuned domain; it holds no weights.

    A layer swap of a layer swap is one of the fine-tuned domain behind it: the new swap takes the old one's place.

    :param domain: a fine-tuned domain, by name or bundle folder.
    :param output: the bundle's folder; default: ``domains/NAME`` in the home.
    :raises UsageError: no fine-tuned domain, no layers, more layers than its hub has, or a name that is taken.
    :raises NotFoundError, BundleError: no such domain, or a damaged one.
    """
    check_name(name, "--name")
    folder = home().domains / name if output is None else Path(output)
    check_folder(folder, MANIFEST, "domain", overwrite=overwrite, option="--name" if output is None else "-o")
    if not swap.layers:
        raise UsageError("--layer-swap 0 swaps nothing: give the number of layers, 1 for 8 px, 2 for 8 and 16 px ...")
    given = open_bundle(domain_bundle(domain), "domain")
    require_usable(given)
    parent = load_domain(given.path)
    if isinstance(parent, TransformedDomain):
        of, source = parent.of, open_bundle(domain_bundle(str(Installed().providing(parent.of))), "domain")
    elif isinstance(parent, FineTunedDomain):
        of, source = requirement_of(given), given
    else:
        raise UsageError(
            f"domain {parent.name!r} is no fine-tuned one, so it has no layers to swap; "
            "`anchor add-domain NAME --method finetune` makes one"
        )
    if output is None and name in (of.name, given.manifest.name):
        raise UsageError(f"--name {name}: is the domain that the new one is made of; give the new one another name")
    swap.check(parent.hub.size)
    made = TransformedDomain(name, parent.modality, parent.hub, parent.unswapped(), swap, of)
    own = source.manifest
    path = made.save(
        folder,
        # What the weights behind it learned from says what its pictures show.
        provenance={"command": "anchor domains transform", "of": of.name, **learned_from(own.provenance)},
        license=own.license,
        overwrite=overwrite,
    )
    return Transformed(name, path, of.name, swap, tuple(lacks(open_bundle(path).manifest)))


def learned_from(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a bundle's record that says which data it was trained on."""
    return {key: provenance[key] for key in ("data", "data_set") if key in provenance}
