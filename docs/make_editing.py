"""Make the contact sheets of docs/editing.md.

    python docs/make_editing.py [--only meaning]

Domains that are not on this machine are left out, and said so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

import anchor_hub as ah
from anchor_hub.domains.base import Domain
from anchor_hub.editing import direction_sheet, directions_of, edit_files, open_editor
from anchor_hub.editing.edit import strength_text
from anchor_hub.errors import DomainNotFoundError
from anchor_hub.evaluation.distance import pictures_of
from anchor_hub.hubs.base import Hub
from anchor_hub.images.grid import contact_sheet, save_png

ROOT = Path(__file__).resolve().parents[1]
IMAGES, SAMPLES = ROOT / "docs" / "images", ROOT / "domains" / "anchor_faces" / "samples"
HUB = "faces-64"
FINE_TUNED = ("toon-ft", "cat-ft", "lorelei-ft", "notionists-ft")
STRENGTHS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def ready() -> list[Domain]:
    """The fine-tuned domains on this machine."""
    found = []
    for name in FINE_TUNED:
        try:
            found.append(ah.load_domain(name))
        except DomainNotFoundError as error:
            print(f"{name}: left out: {error}")
    return found


def directions() -> None:
    """The first ten directions of the hub."""
    save_png(direction_sheet(directions_of(ah.load_hub(HUB))), IMAGES / "editing-directions.png")


def toon() -> None:
    """The first directions in toon-ft, on the same latent."""
    sheet = direction_sheet(directions_of(ah.load_hub(HUB)), target=ah.load_domain("toon-ft"))
    save_png(sheet, IMAGES / "editing-toon-directions.png")


def hair() -> None:
    """Three faces along direction 3."""
    files = [SAMPLES / "face" / f"{number:06}.png" for number in (1, 8, 11)]
    session = open_editor("face")
    edit_files(session, files, directions_of(ah.load_hub(HUB)), 3, STRENGTHS, grid=IMAGES / "editing-hair.png")


def meaning() -> None:
    """Figure 6: directions 1, 3 and 4 of one latent in the hub and in every fine-tuned domain."""
    rows, names = meaning_rows(ah.load_hub(HUB), ready(), (1, 3, 4))
    labels = [strength_text(strength) for strength in STRENGTHS]
    save_png(contact_sheet(rows, labels=labels, row_labels=names, scale=2), IMAGES / "editing-meaning.png")


@torch.no_grad()
def meaning_rows(
    hub: Hub, domains: Sequence[Domain], numbers: Sequence[int], seed: int = 0
) -> tuple[list[list[Tensor]], list[str]]:
    """Rows of tiles, and their names: for each direction one row of each model, a column for each strength."""
    found, start = directions_of(hub), hub.expand(hub.sample(1, seed=seed, truncation=0.7))
    rows, names = [], []
    for number in numbers:
        moved = torch.cat([found.moved(start, number, strength) for strength in STRENGTHS])
        models: tuple[Hub | Domain, ...] = (hub, *domains)
        for model in models:
            rows.append(list(pictures_of(model, moved).cpu()))
            names.append(f"{number}: {model.name}")
    return rows, names


SHEETS: dict[str, Callable[[], None]] = {
    "directions": directions, "toon": toon, "hair": hair, "meaning": meaning,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SHEETS, action="append")
    for name in parser.parse_args().only or SHEETS:
        SHEETS[name]()


if __name__ == "__main__":
    main()
