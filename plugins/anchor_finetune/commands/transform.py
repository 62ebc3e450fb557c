"""`anchor domains transform`."""

from __future__ import annotations

from pathlib import Path

import typer


def transform(
    domain: str = typer.Argument(..., help="A fine-tuned domain: a name, or a bundle's folder."),
    layer_swap: int = typer.Option(
        ..., min=1, help="Layers to take from the hub: 1 is 8 px, 2 is 8 and 16 px, 3 is 8 to 32 px. More layers bring "
        "the pictures nearer to the hub's."
    ),
    name: str = typer.Option(..., "--name", help="Name of the new domain."),
    way: str = typer.Option(
        "features", help="What is swapped: features (the hub's activations, as published) or weights."
    ),
    blend: int = typer.Option(
        0, min=0, help="Of weights: over how many finer resolutions the hub's share falls to nothing; 0 is a hard cut."
    ),
    output: Path | None = typer.Option(
        None, "--output", "-o", help="Folder to write the bundle to [default: domains/NAME in the home]."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the domain of that name."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Make a domain of a fine-tuned one by swapping its coarse layers with the hub's. Nothing is trained or copied."""
    from anchor_finetune.swap import LayerSwap
    from anchor_finetune.transformed import transform as make
    from anchor_hub.system.terminal import note

    made = make(domain, LayerSwap(layer_swap, way, blend), name, output=output, overwrite=overwrite)
    if as_json:
        import json

        typer.echo(json.dumps(made.to_dict(), indent=2))
        return
    typer.echo(f"{made.name}: layer swap {layer_swap} of {made.of}, written to {made.folder}")
    for lack in made.lacks:
        note(f"note: {lack.message}")
