"""What this package registers: a data set of avatars in two styles, their domains on faces-64, and a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import CommandSpec, DatasetSpec, DomainSpec

HERE = Path(__file__).resolve().parent
HUB = "faces-64"
LICENSE = {
    "data": "CC0-1.0 (designs: Lorelei by Lisa Wischofsky, Notionists by Zoish; drawn by DiceBear 9.4.3, MIT)",
}

# What `anchor add-domain` trains with, as the domains of rendered faces do.
TRAINING: dict[str, Any] = {"count": 3000, "images": 10_000, "batch": 16}
# A copy of the hub's generator. Mirrored, because the hub's faces look both ways and the avatars only to the right.
FINE_TUNING: dict[str, Any] = {"method": "finetune", "count": 1000, "images": 24_000, "mirror": True, "half": True}

# name, style, training, summary
DOMAINS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("lorelei", "lorelei", TRAINING, "ink portraits: the avatars Lorelei by Lisa Wischofsky"),
    ("notionists", "notionists", TRAINING, "line portraits: the avatars Notionists by Zoish"),
    ("lorelei-ft", "lorelei", FINE_TUNING, "Lorelei by a fine-tuned copy of the hub's generator"),
    ("notionists-ft", "notionists", FINE_TUNING, "Notionists by a fine-tuned copy of the hub's generator"),
)


@hookimpl
def anchor_register_domains(register: Callable[[DomainSpec], None]) -> None:
    for name, style, training, summary in DOMAINS:
        register(
            DomainSpec(
                name,
                hub=HUB,
                modality={"name": "rgb"},
                # A domain whose bundle does not exist (yet) is one that `anchor add-domain` can add.
                bundle=str(HERE / "bundles" / name),
                dataset=f"avatars:{style}",
                training=training,
                samples=str(HERE / "samples" / style),
                summary=summary,
            )
        )


@hookimpl
def anchor_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    register(
        DatasetSpec(
            "avatars",
            target="anchor_avatars.dataset:training_folder",
            license=LICENSE,
            summary="avatars put together from parts that artists drew: avatars:lorelei, avatars:notionists",
        )
    )


@hookimpl
def anchor_register_commands(register: Callable[[CommandSpec], None]) -> None:
    register(
        CommandSpec(
            "avatars",
            target="anchor_avatars.commands.avatars:avatars",
            group="data",
            help="Draw avatars of an artist's style, with a table of their parts.",
        )
    )
