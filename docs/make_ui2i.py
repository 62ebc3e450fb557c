"""Make the contact sheets of docs/ui2i.md.

    python docs/make_ui2i.py [--only swaps]
    python docs/make_ui2i.py --only independent --other toon-alone
    python docs/make_ui2i.py --only methods --inputs in/face --outputs cyclegan=out/cyclegan --outputs toon-ft=out/ft

Inputs are the sample files that `anchor_faces` ships, which no network was trained on. Domains and hubs that are not on
this machine are left out, and said so; a sheet of which nothing would be left is not written.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

import anchor_hub as ah
from anchor_faces.dataset import render_dataset
from anchor_finetune.domain import FineTunedDomain
from anchor_finetune.swap import LayerSwap
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DomainNotFoundError, HubNotFoundError, UsageError
from anchor_hub.images.grid import contact_sheet, save_png
from anchor_hub.modality import build_modality
from anchor_hub.modality.pictures import from_unit
from anchor_hub.translation.command_line import request_of
from anchor_hub.translation.running import translate_files
from anchor_hub.translation.styles import default_style_layers, random_styles

ROOT = Path(__file__).resolve().parents[1]
IMAGES, SAMPLES = ROOT / "docs" / "images", ROOT / "domains" / "anchor_faces" / "samples"
ALL = ("toon-ft", "cat-ft", "lorelei-ft", "notionists-ft")
SWAPS = range(4)
#: Sources of each target, the first that is on this machine is taken: encoders of label maps, landmarks or sketches.
SOURCES = {
    "toon-ft": ("seg",), "cat-ft": ("landmark",), "lorelei-ft": ("sketch", "landmark"), "notionists-ft": ("seg",),
}  # fmt: skip
#: An anchored and a fine-tuned domain of the same pictures.
TWICE = {"toon": "toon-ft", "cat": "cat-ft", "lorelei": "lorelei-ft", "notionists": "notionists-ft"}
#: The toon domain with all weights learned (FT), and with the mapping frozen (FC-FT).
FT, FC_FT = "toon-full", "toon-ft"
FACES = [SAMPLES / "face" / f"{number:06}.png" for number in (1, 8, 11)]


def ready(names: Sequence[str] = ALL) -> list[str]:
    """Those of the domains that are on this machine; the others are named."""
    found = []
    for name in names:
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


def save(name: str, rows: Sequence[Sequence[Tensor]], row_labels: Sequence[str], scale: int = 2) -> None:
    """Write ``docs/images/NAME.png``, where there is more than one row."""
    if len(rows) > 1:
        save_png(contact_sheet(rows, row_labels=row_labels, scale=scale), IMAGES / f"{name}.png")


def swaps() -> None:
    """Five faces in the four fine-tuned domains, by swapped layers."""
    tiles, latents = codes(ah.load_domain("face"), 5)
    rows, names = [tiles], ["face"]
    for name in ready():
        for layers in SWAPS:
            rows.append(drawn(swapped(name, layers), latents))
            names.append(f"{name}, l = {layers}")
    save("ui2i-swaps", rows, names)


def ways() -> None:
    """The published swap of features and the swap of weights."""
    tiles, latents = codes(ah.load_domain("face"), 6)
    rows, names = [tiles], ["face"]
    for way in ("features", "weights"):
        for layers in SWAPS[1:]:
            rows.append(drawn(swapped("toon-ft", layers, way), latents))
            names.append(f"{way}, l = {layers}")
    save("ui2i-swap-ways", rows, names)


def mixing() -> None:
    """Anchored encoders into fine-tuned decoders."""
    rows, names = [], []
    for target in ready():
        source = ready(SOURCES[target])[0]
        tiles, latents = codes(ah.load_domain(source), 8)
        rows += [tiles, drawn(ah.load_domain(target), latents)]
        names += [source, f"to {target}"]
    save("ui2i-mixing", rows, names)


def samples() -> None:
    """One latent in the hub and in every fine-tuned domain."""
    hub = ah.load_hub("faces-64")
    latents = hub.expand(hub.sample(8, seed=2, truncation=0.8))
    with torch.no_grad():
        rows, names = [list(from_unit(hub.image(latents)))], ["hub"]
    for name in ready():
        rows.append(drawn(ah.load_domain(name), latents))
        names.append(name)
    save("ui2i-samples", rows, names)


def domains() -> None:
    """Figure 4: five faces in every fine-tuned domain, in the face's own look and in two random appearances."""
    face = ah.load_domain("face")
    tiles, latents = codes(face, 5)
    styles = random_styles(face.hub, 2, seed=2, truncation=0.8)
    rows, names = [tiles], ["face"]
    for name in ready():
        domain = ah.load_domain(name)
        rows.append(drawn(domain, latents))
        names.append(name)
        for number, style in enumerate(styles, start=1):
            rows.append(drawn(domain, face.hub.merge(latents, style[None], default_style_layers(face))))
            names.append(f"style {number}")
    save("ui2i-domains", rows, names)


def anchored() -> None:
    """The anchored domain of the same pictures above the fine-tuned one."""
    tiles, latents = codes(ah.load_domain("face"), 6)
    rows, names = [tiles], ["face"]
    for pair in TWICE.items():
        if len(found := ready(pair)) == 2:
            rows += [drawn(ah.load_domain(name), latents) for name in found]
            names += found
    save("ui2i-anchored", rows, names)


def frozen() -> None:
    """Figure 7: all weights learned (FT) or the mapping frozen (FC-FT), each without and with swapped layers (LS)."""
    tiles, latents = codes(ah.load_domain("face"), 6)
    rows, names = [tiles], ["face"]
    if len(ready((FT, FC_FT))) == 2:
        for layers in (0, 2):
            for label, name in (("FT", FT), ("FC-FT", FC_FT)):
                rows.append(drawn(swapped(name, layers), latents))
                names.append(f"{label}-LS" if layers else label)
    save("ui2i-frozen", rows, names)


def independent(other: str) -> None:
    """Figure 8: the hub's layers in a generator that was trained without the hub, and in a fine-tuned one."""
    try:
        rows, names = independent_rows(ah.load_hub("faces-64"), ah.load_hub(other), ready((FC_FT,)))
    except HubNotFoundError as error:
        print(f"independent: left out: {error}")
        return
    save("ui2i-independent", rows, names)


@torch.no_grad()
def independent_rows(
    hub: ah.Hub, other: ah.Hub, fine_tuned: Sequence[str], count: int = 6, seed: int = 2
) -> tuple[list[list[Tensor]], list[str]]:
    """Rows of tiles, and their names: one z in both hubs, then the hub's features swapped into the other's generator.

    Each generator gets the latents of its own mapping network, the best case of the other one, whose layers know no
    other latents. ``fine_tuned`` domains of the hub stand below for comparison.

    :raises UsageError: the two generators have different layers.
    """
    z = hub.sample_z(count, seed=seed)
    if other.code_shape != hub.code_shape:
        raise UsageError(f"hubs {hub.name!r} and {other.name!r} draw other codes: their layers cannot be swapped")
    mine, theirs = (one.expand(one.truncate(one.map(z), 0.8)) for one in (hub, other))
    rows = [list(from_unit(hub.image(mine)).cpu()), list(from_unit(other.image(theirs)).cpu())]
    names = [hub.name, other.name]
    for layers in (layers for layers in SWAPS[1:] if LayerSwap(layers).resolution < hub.size):
        domain = FineTunedDomain(
            other.name, build_modality({"name": "rgb"}), hub, copy.deepcopy(other.generator), LayerSwap(layers)
        )
        rows.append(list(from_unit(domain.decode_styled(mine, theirs)).cpu()))
        names.append(f"{other.name}, l = {layers}")
    for name in fine_tuned:
        for layers in SWAPS:
            rows.append(drawn(swapped(name, layers), mine))
            names.append(f"{name}, l = {layers}")
    return rows, names


def styles() -> None:
    """Three faces in toon-ft, in five random appearances."""
    session = request_of("face", "toon-ft", styles=5).open()
    translate_files(session, FACES, grid=IMAGES / "ui2i-styles.png")


def references() -> None:
    """The same faces with the appearance of four cartoons, which are inverted in toon-ft's own model."""
    with TemporaryDirectory() as folder:
        render_dataset(Path(folder) / "held", count=4, size=64, seed=4711, modalities=["toon"], workers=1)
        cartoons = sorted((Path(folder) / "held" / "toon").glob("*.png"))
        session = request_of("face", "toon-ft", style_from=cartoons, style_layers="4-9").open()
        translate_files(session, FACES, grid=IMAGES / "ui2i-references.png")


def methods(inputs: Path, outputs: Mapping[str, Path], count: int = 6, size: int = 64) -> None:
    """Figure 3: the same inputs, and what several methods made of them; outputs are called after their inputs."""
    save("ui2i-methods", *method_rows(inputs, outputs, count, size))


def method_rows(
    inputs: Path, outputs: Mapping[str, Path], count: int, size: int
) -> tuple[list[list[Tensor]], list[str]]:
    """Rows of tiles, and their names: the first inputs of a folder, then each method's outputs.

    :raises UsageError: a method lacks an output of an input.
    """
    modality = build_modality({"name": "rgb"})
    files = ImageFolder(inputs, modality, size, limit=count).paths
    rows, names = [[modality.preview(modality.read(file, size), size) for file in files]], ["input"]
    for name, folder in outputs.items():
        found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in modality.extensions}
        if missing := [file.stem for file in files if file.stem not in found]:
            raise UsageError(f"{folder}: has no output of the input {missing[0]}")
        rows.append([modality.preview(modality.read(found[file.stem], size), size) for file in files])
        names.append(name)
    return rows, names


SHEETS: dict[str, Callable[[], None]] = {
    "swaps": swaps, "ways": ways, "mixing": mixing, "samples": samples, "domains": domains, "anchored": anchored,
    "frozen": frozen, "styles": styles, "references": references,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*SHEETS, "independent", "methods"], action="append")
    parser.add_argument("--other", default="toon-alone", help="of independent: a hub trained on other pictures")
    parser.add_argument("--inputs", type=Path, help="of methods: folder of inputs")
    parser.add_argument("--outputs", action="append", default=[], metavar="NAME=FOLDER", help="of methods; repeatable")
    chosen = parser.parse_args()
    if "methods" in (chosen.only or ()) and not (chosen.inputs and chosen.outputs):
        parser.error("the sheet methods needs pictures: give --inputs FOLDER and --outputs NAME=FOLDER")
    if wrong := [text for text in chosen.outputs if not all(text.partition("="))]:
        parser.error(f"--outputs {wrong[0]} names no method or no folder: write it as NAME=FOLDER")
    for name in chosen.only or [*SHEETS, "independent"]:
        if name == "independent":
            independent(chosen.other)
        elif name == "methods":
            given = dict(text.split("=", 1) for text in chosen.outputs)
            methods(chosen.inputs, {method: Path(folder) for method, folder in given.items()})
        else:
            SHEETS[name]()


if __name__ == "__main__":
    main()
