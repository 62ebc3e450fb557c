"""Make the contact sheets of docs/ui2i.md.

    python docs/make_ui2i.py [--only swaps]

Inputs are the sample files that `anchor_faces` ships, which no network was trained on. Domains that are not on this
machine are left out, and said so.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import anchor_hub as ah
from anchor_finetune.domain import FineTunedDomain
from anchor_finetune.swap import LayerSwap
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DomainNotFoundError
from anchor_hub.images.grid import contact_sheet, save_png
from anchor_hub.modality.pictures import from_unit

ROOT = Path(__file__).resolve().parents[1]
IMAGES, SAMPLES = ROOT / "docs" / "images", ROOT / "domains" / "anchor_faces" / "samples"
ALL = ("toon-ft", "cat-ft", "lorelei-ft", "notionists-ft")
SWAPS = range(4)


def ready() -> list[str]:
    """The fine-tuned domains on this machine."""
    found = []
    for name in ALL:
        try:
            ah.load_domain(name)
            found.append(name)
        except DomainNotFoundError as error:
            print(f"{name}: left out: {error}")
    return found


def inputs(domain: ah.Domain, count: int) -> Tensor:
    files = ImageFolder(SAMPLES / domain.name, domain.modality, domain.hub.size, limit=count)
    return domain.modality.collate([files[index] for index in range(len(files))])


def codes(domain: ah.Domain, count: int) -> tuple[list[Tensor], Tensor]:
    """Sample inputs of a domain as tiles, and their latents."""
    samples = inputs(domain, count)
    with torch.no_grad():
        latents = domain.encode(domain.modality.to_network(samples))
    return [domain.modality.preview(sample, domain.hub.size) for sample in samples], latents


def drawn(domain: ah.Domain, latents: Tensor) -> list[Tensor]:
    with torch.no_grad():
        samples = domain.modality.from_network(domain.decode(latents)).cpu()
    return [domain.modality.preview(sample, domain.hub.size) for sample in samples]


def swapped(name: str, layers: int, way: str = "features") -> FineTunedDomain:
    """A fine-tuned domain with some of the hub's layers."""
    domain = ah.load_domain(name)
    assert isinstance(domain, FineTunedDomain)
    generator = copy.deepcopy(domain.generator)
    return FineTunedDomain(name, domain.modality, domain.hub, generator, LayerSwap(layers, way))


def swaps() -> None:
    """Five faces in the four fine-tuned domains, by swapped layers."""
    tiles, latents = codes(ah.load_domain("face"), 5)
    rows, names = [tiles], ["face"]
    for name in ready():
        for layers in SWAPS:
            rows.append(drawn(swapped(name, layers), latents))
            names.append(f"{name}, l = {layers}")
    save_png(contact_sheet(rows, row_labels=names, scale=2), IMAGES / "ui2i-swaps.png")


def ways() -> None:
    """The published swap of features and the swap of weights."""
    tiles, latents = codes(ah.load_domain("face"), 6)
    rows, names = [tiles], ["face"]
    for way in ("features", "weights"):
        for layers in SWAPS[1:]:
            rows.append(drawn(swapped("toon-ft", layers, way), latents))
            names.append(f"{way}, l = {layers}")
    save_png(contact_sheet(rows, row_labels=names, scale=2), IMAGES / "ui2i-swap-ways.png")


def mixing() -> None:
    """Anchored encoders into fine-tuned decoders."""
    rows, names = [], []
    sources = {"toon-ft": "seg", "cat-ft": "landmark", "lorelei-ft": "seg", "notionists-ft": "landmark"}
    for target in ready():
        source = sources[target]
        tiles, latents = codes(ah.load_domain(source), 8)
        rows += [tiles, drawn(ah.load_domain(target), latents)]
        names += [source, f"to {target}"]
    save_png(contact_sheet(rows, row_labels=names, scale=2), IMAGES / "ui2i-mixing.png")


def samples() -> None:
    """One latent in the hub and in every fine-tuned domain."""
    hub = ah.load_hub("faces-64")
    latents = hub.expand(hub.sample(8, seed=2, truncation=0.8))
    with torch.no_grad():
        rows, names = [list(from_unit(hub.image(latents)))], ["hub"]
    for name in ready():
        rows.append(drawn(ah.load_domain(name), latents))
        names.append(name)
    save_png(contact_sheet(rows, row_labels=names, scale=2), IMAGES / "ui2i-samples.png")


SHEETS: dict[str, Callable[[], None]] = {"swaps": swaps, "ways": ways, "mixing": mixing, "samples": samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=SHEETS, action="append")
    for name in parser.parse_args().only or SHEETS:
        SHEETS[name]()


if __name__ == "__main__":
    main()
