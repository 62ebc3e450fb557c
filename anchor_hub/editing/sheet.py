"""The contact sheet of a hub's directions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from anchor_hub.domains.base import Domain
from anchor_hub.editing.directions import Directions
from anchor_hub.editing.edit import strength_text
from anchor_hub.editing.opening import hub_pictures
from anchor_hub.errors import UsageError
from anchor_hub.images.grid import contact_sheet

#: Truncation of the latent that a sheet starts from: a usual picture shows best what a direction does.
TRUNCATION = 0.7


@torch.no_grad()
def direction_sheet(
    directions: Directions,
    count: int = 10,
    strengths: Sequence[float] = (-3, -2, -1, 0, 1, 2, 3),
    *,
    first: int = 0,
    layers: Sequence[int] | None = None,
    target: Domain | None = None,
    seed: int = 0,
    scale: int | None = None,
) -> Image.Image:
    """A row for each direction, a column for each strength, of one random latent of the hub.

    :param first: number of the first direction shown. :param layers: W+ layers that move; default: all.
    :param target: the domain whose pictures are shown; default: the hub's own.
    :param scale: each pixel becomes a square of this side; default: pictures of about 128 px.
    :raises UsageError: no directions to show. :raises MissingPartError: the target has no decoder.
    """
    hub = directions.hub
    target = hub_pictures(hub) if target is None else target
    numbers = range(first, min(first + count, len(directions)))
    if not numbers or first < 0:
        raise UsageError(f"hub {hub.name!r} has directions 0 to {len(directions) - 1}: none of them is to be shown")
    start = hub.expand(hub.sample(1, seed=seed, truncation=TRUNCATION))
    rows: list[list[Tensor]] = []
    for number in numbers:
        latents = torch.cat([directions.moved(start, number, strength, layers) for strength in strengths])
        samples = target.modality.from_network(target.decode(latents)).cpu()
        rows.append([target.modality.preview(sample, hub.size) for sample in samples])
    scale = max(1, 128 // hub.size) if scale is None else scale
    labels = [strength_text(strength) for strength in strengths]
    return contact_sheet(rows, scale=scale, labels=labels, row_labels=[str(number) for number in numbers])
