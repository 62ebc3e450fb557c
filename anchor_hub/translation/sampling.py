"""Pictures of a hub's random latents: files, a contact sheet, or both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.loading import load_hub
from anchor_hub.images.grid import contact_sheet, save_png, sheet_scale
from anchor_hub.modality.pictures import from_unit
from anchor_hub.system.files import new_folder
from anchor_hub.system.outputs import check_new, check_sheet
from anchor_hub.translation.styles import check_truncation

#: A contact sheet shows this many pictures at most.
MOST_SHOWN = 256


@torch.no_grad()
def pictures(hub: Hub, count: int, *, seed: int = 0, truncation: float = 1.0, batch: int = 16) -> Iterator[Tensor]:
    """Parts, uint8 ``[b, 3, H, W]``, of the pictures of ``count`` random latents; the same for every ``batch``.

    A class-conditional hub of which no class is fixed shows its classes in turn.
    """
    turns = [hub.of_class(number) for number in range(len(hub.classes))] if hub.class_index is None else []
    for start in range(0, count, batch):
        latents = hub.expand(hub.sample(min(batch, count - start), seed=seed, truncation=truncation, start=start))
        if turns:
            places = range(start, start + len(latents))
            images = [turns[place % len(turns)].image(one[None]) for place, one in zip(places, latents, strict=True)]
            yield from_unit(torch.cat(images))
        else:
            yield from_unit(hub.image(latents))


def sample_hub(
    name: str | Path,
    count: int = 16,
    *,
    grid: str | Path | None = None,
    output: str | Path | None = None,
    hub_class: str | int | None = None,
    truncation: float = 1.0,
    seed: int = 0,
    batch: int = 16,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Hub:
    """Write pictures of ``count`` random latents of a hub, and return the hub. Latent i of a seed is always the same.

    :param grid: a PNG that shows all of them (at most ``MOST_SHOWN``), row by row.
    :param output: a new folder for ``000000.png`` and so on.
    :param hub_class: of a class-conditional hub: name or index of its class; None: the classes in turn.
    :raises UsageError: nothing to write, a bad number, a place in use, or a class of a hub that has none.
    :raises NotFoundError: no hub, or no class, has that name.
    """
    if grid is None and output is None:
        raise UsageError(f"say where the pictures go: anchor hubs sample {name} --grid samples.png, or -o FOLDER")
    if count < 1:
        raise UsageError(f"-n must be at least 1, got {count}")
    check_truncation(truncation)
    check_sheet(grid)
    if output is not None:
        check_new(Path(output), "--output")
    hub = load_hub(name, device)
    if hub_class is not None:
        hub = hub.of_class(hub_class)
    kept: list[Tensor] = []

    def write(folder: Path | None) -> None:
        done = 0
        for part in pictures(hub, count, seed=seed, truncation=truncation, batch=batch):
            for number, picture in enumerate(part.cpu(), done):
                if folder is not None:
                    save_png(picture, folder / f"{number:0{max(6, len(str(count - 1)))}d}.png")
                if grid is not None and number < MOST_SHOWN:
                    kept.append(picture)
            done += len(part)
            if progress is not None:
                progress(done, count)

    if output is None:
        write(None)
    else:
        with new_folder(Path(output)) as temporary:
            write(temporary)
    if grid is not None:
        Path(grid).parent.mkdir(parents=True, exist_ok=True)
        save_png(contact_sheet(kept, scale=min(4, sheet_scale(hub.size))), Path(grid))
    return hub
