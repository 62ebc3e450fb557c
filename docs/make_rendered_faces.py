"""Make what docs/rendered-faces.md shows: its contact sheets and the table of factors.

python docs/make_rendered_faces.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from anchor_faces.rendering import (
    CLASS_COLOURS,
    factor_table_markdown,
    landmark_map,
    render,
    render_factors,
    sample_factors,
)
from anchor_faces.rendering.creatures import CREATURE_NAMES, creature_table_markdown, render_creatures
from anchor_faces.rendering.render import MODALITIES
from anchor_hub.images.grid import contact_sheet, save_png

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "rendered-faces.md"
BEGIN, END = "<!-- factors: made by docs/make_rendered_faces.py -->", "<!-- end of factors -->"
CREATURES_BEGIN, CREATURES_END = "<!-- creatures: made by docs/make_rendered_faces.py -->", "<!-- end of creatures -->"
COLUMNS = ("face", "seg", "sketch", "landmark", "depth", "normal", "toon", "cat")
CAR_COLUMNS = ("face", "toon", "cat", "car_front", "car", "car_seg")
TURNS = (-35, -20, -8, 0, 8, 20, 35)


def picture(modality: str, value: Tensor) -> Tensor:
    """A rendered modality as uint8 ``[3, H, W]``."""
    kind = MODALITIES[modality][1]
    if kind == "label":
        return torch.tensor(CLASS_COLOURS, dtype=torch.uint8)[value].permute(2, 0, 1)
    if kind == "landmark":
        value = landmark_map(value, 96)
    if kind == "normal":
        value = value * 0.5 + 0.5
    return (value.clamp(0, 1) * 255).round().byte().expand(3, *value.shape[-2:])


def page_with_factors(text: str) -> str:
    """The page with its tables of creatures and factors brought up to date."""
    before, rest = text.split(BEGIN)
    text = f"{before}{BEGIN}\n\n{factor_table_markdown()}\n\n{END}{rest.split(END)[1]}"
    before, rest = text.split(CREATURES_BEGIN)
    return f"{before}{CREATURES_BEGIN}\n\n{creature_table_markdown()}\n\n{CREATURES_END}{rest.split(CREATURES_END)[1]}"


def creature_sheet() -> None:
    """Eight classes to the left, eight to the right, six samples of each."""
    tiles = {
        name: [picture("face", sample["image"]) for sample in render_creatures(name, 0, range(500, 506), 64)]
        for name in CREATURE_NAMES
    }
    gap = torch.full((3, 64, 64), 255, dtype=torch.uint8)
    half = len(CREATURE_NAMES) // 2
    pairs = zip(CREATURE_NAMES[:half], CREATURE_NAMES[half:], strict=True)
    rows = [[*tiles[left], gap, *tiles[right]] for left, right in pairs]
    save_png(contact_sheet(rows, scale=1, pad=2), DOCS / "images" / "rendered-creatures.png")


def car_sheets() -> None:
    """Cars beside the heads of the same factors; and three bodies from the front and the rear, turned as heads are."""
    samples = render(4, (1, 2, 4, 6, 11), 96, CAR_COLUMNS)
    rows = [[picture(name, sample[name]) for name in CAR_COLUMNS] for sample in samples]
    save_png(contact_sheet(rows, scale=1, pad=2, labels=CAR_COLUMNS), DOCS / "images" / "rendered-cars.png")
    rows = []
    for body, colour, roof, wheels in ((0.1, 0.0, 0.0, 0.1), (0.5, 0.5, 0.9, 0.5), (0.9, 0.2, 0.0, 0.9)):
        looks = {"car_body": body, "car_colour": colour, "car_roof": roof, "car_wheels": wheels}
        plain = {**sample_factors(4, 3), **looks, "pitch": 0.0, "roll": 0.0, "light_azimuth": -20.0}
        for rear in (0, 1):
            turned = [{**plain, "yaw": float(yaw), "car_rear": rear} for yaw in TURNS]
            rows.append([picture("car", sample["car"]) for sample in render_factors(turned, 96, ["car"])])
    titles = [f"yaw {yaw}" for yaw in TURNS]
    save_png(contact_sheet(rows, scale=1, pad=2, labels=titles), DOCS / "images" / "car-headings.png")


def main() -> None:
    rows = [[picture(name, sample[name]) for name in COLUMNS] for sample in render(4, range(5), 96, COLUMNS)]
    save_png(contact_sheet(rows, scale=1, pad=2, labels=COLUMNS), DOCS / "images" / "rendered-faces.png")
    faces = [picture("face", sample["face"]) for sample in render(0, range(60), 64, ["face"])]
    save_png(contact_sheet(faces, 12, scale=1, pad=1), DOCS / "images" / "rendered-faces-variety.png")
    creature_sheet()
    car_sheets()
    PAGE.write_text(page_with_factors(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
