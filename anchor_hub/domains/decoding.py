"""Several domains' images of the same latents, from one pass of the hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from pathlib import Path

import torch
from torch import Tensor

from anchor_hub.domains.base import Domain, Needs, hub_pass
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import HubMismatchError, MissingPartError, UsageError


def load_domains(
    domains: Sequence[str | Path | Domain], device: str | torch.device = "auto"
) -> list[Domain]:
    """The domains of these names (or bundle folders; objects stay as they are), all of one hub and able to decode.

    Names beside an object are loaded on its hub.

    :raises UsageError: none, or two of one name. :raises MissingPartError: a domain that cannot decode.
    :raises HubMismatchError: domains of different hubs.
    """
    if not domains:
        raise UsageError("name at least one domain, e.g. --domains face,seg")
    hub = next((item.hub.base for item in domains if isinstance(item, Domain)), None)
    loaded = [item if isinstance(item, Domain) else load_domain(item, hub, device) for item in domains]
    names = [domain.name for domain in loaded]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"the domain {twice[0]!r} is named twice in {', '.join(map(str, names))}")
    for domain in loaded:
        if domain.hub_fingerprint != loaded[0].hub_fingerprint:
            raise hub_mismatch(loaded[0], domain)
        if not domain.can_decode:
            raise MissingPartError(f"domain {domain.name!r} cannot be synthesised: it has no decoder")
    return loaded


def decode_each(domains: Sequence[Domain], latents: Tensor, use: Callable[[int, Domain, Tensor], None]) -> None:
    """Call ``use(place, domain, raw output)`` for every domain of the same latents; the hub runs once per class.

    The hub does not run for domains that need nothing of it. Outputs are passed on one by one, so that never all of
    them are held at once.
    """
    for hub in {id(domain.hub): domain.hub for domain in domains}.values():
        members = [(place, domain) for place, domain in enumerate(domains) if domain.hub is hub]
        output = hub_pass(hub, latents, reduce(or_, (domain.needs for _, domain in members), Needs()))
        for place, domain in members:
            use(place, domain, domain.decode_from(output))


@torch.no_grad()
def decode_all(domains: Sequence[Domain], latents: Tensor) -> list[Tensor]:
    """Each domain's samples (as its modality has them, on the CPU) of the same latents ``[B, D]`` or ``[B, L, D]``."""
    samples: dict[int, Tensor] = {}

    def keep(place: int, domain: Domain, raw: Tensor) -> None:
        samples[place] = domain.modality.from_network(raw).cpu()

    decode_each(domains, latents, keep)
    return [samples[place] for place in range(len(domains))]


def hub_mismatch(first: Domain, second: Domain) -> HubMismatchError:
    """The error for two domains of different hubs; names both hubs."""
    return mismatch_of(
        (first.name, first.hub.name, first.hub_fingerprint), (second.name, second.hub.name, second.hub_fingerprint)
    )


def mismatch_of(first: tuple[str, str, str], second: tuple[str, str, str]) -> HubMismatchError:
    """The error for two domains, each ``(name, hub, fingerprint of the hub)``."""
    return HubMismatchError(
        f"domain {first[0]!r} belongs to hub {first[1]!r} ({first[2][:12]}), domain {second[0]!r} to hub "
        f"{second[1]!r} ({second[2][:12]}): train one of them on the other's hub (anchor add-domain)"
    )
