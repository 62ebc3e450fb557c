"""The options that several commands share, each written once; the command gives the default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Classes = Annotated[int | None, typer.Option(min=2, help="Label maps: number of classes.")]
Palette = Annotated[str | None, typer.Option(help="Label maps: name of their palette, e.g. celebamask-hq.")]
MergeClasses = Annotated[Path | None, typer.Option(help="Label maps: YAML file that merges classes.")]
IgnoreId = Annotated[
    int | None, typer.Option(help="Label maps: id of unlabelled pixels, which no loss and no metric counts, e.g. 255.")
]
Range = Annotated[
    str | None,
    typer.Option(
        "--range",
        metavar="LOW:HIGH",
        help="Pictures of more than 8 bits: the values that become black and white "
        "[default: 0:4095 where no value is above, else 0:65535].",
    ),
]
Device = Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda, cuda:1 or mps.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be read, and name them.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ReaderSettings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Set an option of the reader; repeatable.")
]
ImportedLicense = Annotated[
    str | None, typer.Option(help="Licence of the weights [default: you are asked, else unknown].")
]
ImportedDataLicense = Annotated[
    str | None, typer.Option(help="Licence of the images that the weights were trained on [default: unknown].")
]
Outputs = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Folder to write to, or file for one input. Outputs are named after inputs."
    ),
]
FindLatents = Annotated[
    int,
    typer.Option(
        min=0,
        help="Optimisation steps that refine the latents of an rgb source, or find them where it has no encoder.",
    ),
]
AnchorSettings = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Set an option of the backend anchor, e.g. inverter=factor; repeatable."
    ),
]
ImagesAtOnce = Annotated[int, typer.Option(min=1, help="Number of images computed at once.")]
LpipsNet = Annotated[str, typer.Option(help="Network that LPIPS uses: alex, vgg or squeeze.")]
LpipsWeights = Annotated[
    Path | None, typer.Option(help="torchvision's weights of the LPIPS network [default: those in torch's cache].")
]
Vary = Annotated[
    bool, typer.Option("--vary", help="Draw new random styles for every input instead of the same for all.")
]
StyleFrom = Annotated[list[Path], typer.Option(help="Take the style of this image; repeatable.")]
StyleLayers = Annotated[
    str | None,
    typer.Option(
        help="W+ layers that a style replaces, e.g. 6-9 [default: those the source's encoder leaves alone]."
    ),
]
StyleTruncation = Annotated[
    float, typer.Option(min=0, max=2, help="Pull random styles towards the mean: 1 not at all, 0 entirely.")
]
RefineLatents = Annotated[
    int, typer.Option(min=0, help="Optimisation steps that refine the latents of an rgb source.")
]
Backend = Annotated[
    str | None,
    typer.Option(
        help="Backend that translates [default: anchor between domains of one hub, else that of the "
        "translator that serves the pair]."
    ),
]
TrainedTranslator = Annotated[
    str | None, typer.Option(help="Trained translator to use, by name (anchor translators list) or bundle folder.")
]
BackendSettings = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Set an option of the backend, e.g. intensity=0.7; repeatable."
    ),
]
ResultAsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Readers = Annotated[int, typer.Option(min=1, help="Number of threads that read images.")]
Arithmetic = Annotated[
    str, typer.Option(help="Arithmetic: fp32, bf16 (faster where native, small errors), or auto (bf16 where native).")
]
LatentTruncation = Annotated[
    float, typer.Option(min=0, max=2, help="Pull the latents towards the mean: 1 not at all, 0 entirely.")
]
LatentSeed = Annotated[int, typer.Option(help="Seed of the latents; latent i of a seed is always the same.")]
EditedSource = Annotated[
    str | None, typer.Option("--from", help="Source domain: a name, or a bundle's folder.")
]
