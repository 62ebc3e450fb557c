"""Styles: codes for some layers of W+, random or taken from an exemplar image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.system.seeds import derive_seed

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub

#: The leading share of W+ that a style leaves alone where the source's encoder sets every layer.
STRUCTURE_SHARE = 0.6
_RANGE = re.compile(r"(\d{1,3})(-(\d{1,3})?)?")


def random_styles(hub: Hub, n: int, *, seed: int = 0, truncation: float = 1.0, start: int = 0) -> Tensor:
    """Styles number ``start`` to ``start + n - 1`` of ``seed``: W+ ``[n, L, D]``, one mapped sample in all layers.

    :param truncation: 1 leaves the samples alone, 0 makes each of them the mean latent.
    """
    samples = hub.sample(n, seed=derive_seed(seed, "style"), truncation=truncation, start=start)
    return hub.expand(samples)


def check_truncation(truncation: float) -> float:
    """The value itself. :raises UsageError: not a number from 0 to 2."""
    if not 0 <= truncation <= 2:
        raise UsageError(f"truncation must lie between 0 and 2 (1 is none), got {truncation}")
    return truncation


def parse_layers(text: str, num_latents: int, what: str = "style layers") -> tuple[int, ...]:
    """``"6-9"``, ``"0,3-5"``, ``"6-"`` to ascending layer numbers; layers count from 0, ranges include both ends.

    :raises UsageError: not of that form, or a layer the hub does not have.
    """
    layers: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise UsageError(f"{what} {text!r}: write numbers and ranges such as 6-9, 0,3-5 or 6-")
        first = int(match[1])
        last = first if match[2] is None else num_latents - 1 if match[3] is None else int(match[3])
        if not first <= last < num_latents:
            raise UsageError(f"{what} {text!r}: this hub has layers 0 to {num_latents - 1}, not {part}")
        layers.update(range(first, last + 1))
    return tuple(sorted(layers))


def default_style_layers(source: Domain) -> tuple[int, ...]:
    """The layers that the source's encoder leaves alone; where it leaves none alone, the last 2 of 5.

    The latter is UI2I's split of latents into content and appearance code (Huang et al. 2020, section III.C: "only the
    last few layers"), at the place where encoders of structure end.
    """
    count = source.hub.num_latents
    structure = source.structure_layers if source.structure_layers < count else round(STRUCTURE_SHARE * count)
    return tuple(range(max(1, structure), count))
