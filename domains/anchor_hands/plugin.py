"""What this package registers: the class-conditional hub `hands-64` and its domains, a photograph and a mask per sign.

The package does not hold the photographs; docs/biggan.md says where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import DomainSpec, HubSpec

BUNDLES = Path(__file__).resolve().parent / "bundles"
HUB = "hands-64"
SIGNS = tuple(str(number) for number in range(10))
MASK = {"name": "segmentation", "classes": 2}

# What `anchor add-domain` trains with; chosen for a few hundred images of one sign and minutes on a CPU.
TRAINING: dict[str, Any] = {"images": 12_000, "batch": 16, "encoder": {"name": "compact", "width": 16}}


@hookimpl
def anchor_register_hubs(register: Callable[[HubSpec], None]) -> None:
    register(HubSpec(HUB, bundle=str(BUNDLES / "hub"), summary="BigGAN on photographs of hands, ten signs, 64 px"))


@hookimpl
def anchor_register_domains(register: Callable[[DomainSpec], None]) -> None:
    for sign in SIGNS:
        kinds: tuple[tuple[str, dict[str, Any], dict[str, Any], str], ...] = (
            (f"hand-{sign}", {"name": "rgb"}, {"regressor": {"name": "hub"}}, f"photographs of hands showing a {sign}"),
            (f"hand-mask-{sign}", MASK, {}, f"foreground masks of hands showing a {sign}"),
        )
        for name, modality, options, summary in kinds:
            register(
                DomainSpec(
                    name,
                    hub=HUB,
                    modality=modality,
                    # A domain without its bundle is one that `anchor add-domain` can add; it needs --data.
                    bundle=str(BUNDLES / name),
                    training={**TRAINING, **options, "class": sign},
                    summary=summary,
                )
            )
