"""Make the contact sheets of the README and docs/results.md from held-out renders.

    anchor data render -o heldout --count 500 --size 64 --seed 1000 --modalities face,seg,sketch,landmark
    python docs/make_translations.py heldout [--sketch]

With ``--sketch``, also the sheets of the domain that ``anchor add-domain sketch`` trained on this machine.
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
FIRST = 100  # of the held-out set: none of them is a bundled sample
PAIRS = (("seg", "face"), ("landmark", "face"), ("face", "seg"), ("face", "landmark"))
SKETCH_PAIRS = (("seg", "sketch"), ("face", "sketch"), ("sketch", "face"))


def inputs(domain: ah.Domain, folder: Path, count: int = COLUMNS) -> Tensor:
    """Held-out samples of a domain."""
    files = ImageFolder(folder / domain.name, domain.modality, domain.hub.size, limit=FIRST + count)
    return domain.modality.collate([files[FIRST + index] for index in range(count)])


def previews(domain: ah.Domain, samples: Tensor) -> list[Tensor]:
    return [domain.modality.preview(sample, domain.hub.size) for sample in samples]


def decoded(domain: ah.Domain, latents: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return previews(domain, domain.modality.from_network(domain.decode(latents)).cpu())


def pair_sheet(source: str, target: str, folder: Path) -> None:
    """Inputs, their translations and, where it is the one right answer, the truth."""
    between = ah.translator(source, target)
    samples = inputs(between.source, folder)
    free = between.target.name == "face" and between.source.name != "face"  # of appearance: also a random one
    rows, names = [previews(between.source, samples)], [source]
    for seed in (None, 3) if free else (None,):
        output = between.translate(between.source.modality.to_network(samples), seed=seed, truncation=0.7)
        rows.append(previews(between.target, between.target.modality.from_network(output).cpu()))
        names.append(f"to {target}" if seed is None else "a style")
    if target != "face":
        rows.append(previews(between.target, inputs(between.target, folder)))
        names.append("truth")
    save_png(contact_sheet(rows, row_labels=names, scale=2), IMAGES / f"{source}-to-{target}.png")


def hub_sheet(hub: ah.Hub) -> None:
    """64 samples of the hub, untruncated."""
    with torch.no_grad():
        images = hub.image(hub.sample(64, seed=0))
    pictures = list(from_unit(images))
    save_png(contact_sheet(pictures, 8, scale=2, pad=2), IMAGES / "hub-samples.png")


def style_sheet(folder: Path) -> None:
    """Four label maps, each in five random appearances, as with ``--styles 5``."""
    between = ah.translator("seg", "face")
    samples = inputs(between.source, folder, 4)
    latents = between.encode(between.source.modality.to_network(samples))
    columns = [previews(between.source, samples)]
    for number in range(5):
        style = ah.random_styles(between.hub, 1, seed=5, start=number, truncation=1.0)
        output = between.decode(latents, style=style)
        columns.append(previews(between.target, between.target.modality.from_network(output).cpu()))
    rows = [list(row) for row in zip(*columns, strict=True)]
    labels = ["seg", *(f"style {n}" for n in range(5))]
    save_png(contact_sheet(rows, scale=2, labels=labels), IMAGES / "five-styles.png")


def aligned_sheet(names: list[str]) -> None:
    """Ten random latents, decoded by every domain: an aligned set."""
    domains = [ah.load_domain(name) for name in names]
    latents = domains[0].hub.expand(domains[0].hub.sample(COLUMNS, seed=11, truncation=0.8))
    rows = [decoded(domain, latents) for domain in domains]
    save_png(contact_sheet(rows, row_labels=names, scale=2), IMAGES / "aligned-set.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="rendered set with aligned modalities")
    parser.add_argument("--sketch", action="store_true", help="the sheets with the sketch domain, too")
    arguments = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    hub_sheet(ah.load_hub("faces-64"))
    for source, target in (*PAIRS, *(SKETCH_PAIRS if arguments.sketch else ())):
        pair_sheet(source, target, arguments.folder)
    style_sheet(arguments.folder)
    aligned_sheet(["face", "seg", "landmark", *(["sketch"] if arguments.sketch else [])])


if __name__ == "__main__":
    main()
