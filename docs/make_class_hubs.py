"""Make the contact sheets of docs/biggan.md.

    python docs/make_class_hubs.py hub hands-64
    python docs/make_class_hubs.py pair hand-5 hand-mask-5 held-out/photo/5 --truth held-out/mask/5
    python docs/make_class_hubs.py across hand-mask-5 held-out/mask/5 hand-5 hand-2 hand-8
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import anchor_hub as ah
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.images.grid import contact_sheet, save_png
from anchor_hub.modality.pictures import from_unit

IMAGES = Path(__file__).resolve().parent / "images"
COLUMNS = 10


def previews(modality: ah.Modality, samples: Tensor, size: int) -> list[Tensor]:
    return [modality.preview(sample, size) for sample in samples]


def read(domain: ah.Domain, folder: Path) -> Tensor:
    """Ten samples spread over a folder."""
    files = ImageFolder(folder, domain.modality, domain.hub.size)
    chosen = [round(index * (len(files) - 1) / (COLUMNS - 1)) for index in range(COLUMNS)]
    return domain.modality.collate([files[index] for index in chosen])


@torch.no_grad()
def hub_sheet(name: str, seed: int, truncation: float) -> Path:
    """A row per class, a column per latent."""
    hub = ah.load_hub(name, "cpu")
    latents = hub.sample(COLUMNS, seed=seed, truncation=truncation)
    rows = [list(from_unit(hub.of_class(index).image(latents))) for index in range(len(hub.classes))]
    return save(contact_sheet(rows, row_labels=list(hub.classes), scale=1), name)


def pair_sheet(source: str, target: str, folder: Path, truth: Path | None, seed: int | None) -> Path:
    between = ah.translator(source, target, device="cpu")
    samples, size = read(between.source, folder), between.hub.size
    output = between.translate(between.source.modality.to_network(samples), seed=seed)
    rows = [
        previews(between.source.modality, samples, size),
        previews(between.target.modality, between.target.modality.from_network(output), size),
    ]
    names = [source, f"to {target}"]
    if truth is not None:
        rows.append(previews(between.target.modality, read(between.target, truth), size))
        names.append("truth")
    return save(contact_sheet(rows, row_labels=names, scale=1), f"{source}-to-{target}")


def across_sheet(source: str, folder: Path, targets: list[str]) -> Path:
    """One source in several classes, and random looks in the first of them."""
    first = ah.translator(source, targets[0], device="cpu")
    samples, size = read(first.source, folder), first.hub.size
    images = first.source.modality.to_network(samples)
    rows, names = [previews(first.source.modality, samples, size)], [source]
    for target in targets:
        between = ah.translator(source, target, device="cpu")
        output = between.target.modality.from_network(between.translate(images))
        rows.append(previews(between.target.modality, output, size))
        names.append(target)
    for seed in (1, 2):
        styled = first.translate(images, seed=seed)
        rows.append(previews(first.target.modality, first.target.modality.from_network(styled), size))
        names.append(f"{targets[0]}, look {seed}")
    return save(contact_sheet(rows, row_labels=names, scale=1), f"{source}-across")


def save(sheet: object, name: str) -> Path:
    path = IMAGES / f"{name}.png"
    save_png(sheet, path)  # type: ignore[arg-type]
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    hub = commands.add_parser("hub")
    hub.add_argument("name")
    hub.add_argument("--seed", type=int, default=0)
    hub.add_argument("--truncation", type=float, default=1.0)
    pair = commands.add_parser("pair")
    for argument in ("source", "target"):
        pair.add_argument(argument)
    pair.add_argument("folder", type=Path)
    pair.add_argument("--truth", type=Path)
    pair.add_argument("--seed", type=int, help="of a random look for the layers that the source leaves alone")
    across = commands.add_parser("across")
    across.add_argument("source")
    across.add_argument("folder", type=Path)
    across.add_argument("targets", nargs="+")
    given = vars(parser.parse_args())
    make = {"hub": hub_sheet, "pair": pair_sheet, "across": across_sheet}[given.pop("command")]
    print(make(**given))


if __name__ == "__main__":
    main()
