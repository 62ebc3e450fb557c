"""What `anchor edit` and `anchor morph` do with their options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from anchor_hub.domains.base import Domain
from anchor_hub.domains.loading import load_domain
from anchor_hub.editing.directions import directions_of, parse_strengths
from anchor_hub.editing.edit import edit_files
from anchor_hub.editing.latent_inputs import are_latents, open_latents
from anchor_hub.editing.opening import backend_options, open_editor
from anchor_hub.editing.sheet import direction_sheet
from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.loading import load_hub
from anchor_hub.images.grid import save_png
from anchor_hub.system.inputs import shown
from anchor_hub.system.outputs import check_sheet
from anchor_hub.translation.anchor import AnchorTranslator
from anchor_hub.translation.request import Session
from anchor_hub.translation.running import FileResult
from anchor_hub.translation.styles import parse_layers


def session_for(
    inputs: Sequence[str],
    source: str | None,
    target: str | None,
    *,
    hub: str | None = None,
    seed: int | None = None,
    invert: int = 0,
    settings: Sequence[str] = (),
    device: str | torch.device = "auto",
) -> Session:
    """The session of what is edited or morphed: pictures of the domain ``source``, or files of latents.

    :raises UsageError: options that belong to the other kind of inputs.
    """
    if are_latents(inputs):
        for option, given in (("--from", source), ("--invert", invert), ("--set", settings)):
            if given:
                raise UsageError(f"{option}: {shown(inputs[0])} holds latents, so nothing is encoded; leave it out")
        return open_latents(inputs, target, hub=hub, seed=seed, device=device)
    if hub is not None:
        raise UsageError("--hub says whose directions --list shows, or whose latents a file holds: leave it out")
    if source is None:
        raise UsageError("say whose pictures these are: --from DOMAIN")
    return open_editor(source, target, seed=seed, options=backend_options(invert, settings), device=device)


def edit_of(
    inputs: Sequence[str],
    source: str | None,
    target: str | None,
    direction: int | None,
    *,
    strength: str = "-3..3",
    steps: int = 7,
    layers: str | None = None,
    factor: Path | None = None,
    hub: str | None = None,
    output: str | None = None,
    grid: Path | None = None,
    seed: int | None = None,
    invert: int = 0,
    settings: Sequence[str] = (),
    batch: int = 16,
    skip_bad: bool = False,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[FileResult]:
    """Edit files, see :func:`~anchor_hub.editing.edit.edit_files`; options that are wrong end it before anything loads.

    :raises UsageError: options that are missing or do not go together.
    """
    if not inputs:
        raise UsageError("give pictures or a file of latents, or show directions: --list --hub HUB")
    if direction is None:
        raise UsageError("say which direction: --direction 0; `anchor edit --list` shows them")
    strengths = parse_strengths(strength, steps)
    session = session_for(
        inputs, source, target, hub=hub, seed=seed, invert=invert, settings=settings, device=device
    )
    assert isinstance(session.translator, AnchorTranslator)
    own = session.translator.hub
    return edit_files(
        session, inputs, directions_of(own, factor), direction, strengths,
        layers=None if layers is None else parse_layers(layers, own.num_latents, "--layers"), output=output, grid=grid,
        batch=batch, skip_bad=skip_bad, progress=progress,
    )  # fmt: skip


def listing_of(
    hub: str | None,
    source: str | None,
    target: str | None,
    *,
    inputs: Sequence[str] = (),
    count: int = 10,
    strength: str = "-3..3",
    steps: int = 7,
    layers: str | None = None,
    factor: Path | None = None,
    grid: Path | None = None,
    seed: int | None = None,
    device: str | torch.device = "auto",
) -> list[dict[str, Any]]:
    """A row for each of a hub's first directions: ``number``, ``deviation``, ``singular value``; writes the sheet.

    :param hub: default: the hub of ``target``, else of ``source``. :param target: whose pictures the sheet shows.
    :raises UsageError: no hub is named, or pictures are given.
    """
    if inputs:
        raise UsageError("--list shows a random picture of the hub: leave the pictures out, or --list")
    check_sheet(grid)
    strengths = parse_strengths(strength, steps)
    base: Hub | None = None if hub is None else load_hub(hub, device)
    shown: Domain | None = None if target is None else load_domain(target, base, device)
    if base is None and shown is None and source is None:
        raise UsageError("say whose directions to list: --hub HUB, or --to DOMAIN")
    if base is None:
        base = (shown or load_domain(str(source), device=device)).hub
    found = directions_of(base, factor)
    if grid is not None:
        moving = None if layers is None else parse_layers(layers, base.num_latents, "--layers")
        sheet = direction_sheet(found, count, strengths, layers=moving, target=shown, seed=seed or 0)
        save_png(sheet, grid)
    numbers = range(min(count, len(found)))
    values: list[float] = [] if found.values is None else found.values.tolist()
    return [
        {
            "number": number,
            "deviation": round(float(found.deviations[number]), 4),
            "singular value": round(values[number], 4) if values else "",
        }
        for number in numbers
    ]
