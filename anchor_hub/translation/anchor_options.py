"""The options of the backend ``anchor``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from anchor_hub.translation.base import TranslatorOptions


class AnchorOptions(TranslatorOptions):
    """The options of the backend ``anchor``."""

    style_layers: str | None = Field(
        default=None,
        description="W+ layers that a style replaces, e.g. 6-9 [default: those that the source leaves alone; of a "
        "source that sets all, the last 2 of 5]",
    )
    appearance: Literal["layers", "published"] = Field(
        default="layers",
        description="Where a style goes: layers (into its W+ layers), or published (into all layers of a target with "
        "swapped features, through which alone the source then acts)",
    )
    style_domain: str | None = Field(
        default=None,
        description="Domain that encodes reference pictures [default: the first colour domain of target, source, hub]",
    )
    invert: int = Field(
        default=0, ge=0, description="Optimisation steps that refine or find the latents of colour pictures"
    )
    inverter: str | dict[str, Any] | None = Field(
        default=None,
        description="Inverter that refines or finds the latents, or a table of its name and options, e.g. "
        "'{name: w-plus, lr: 0.05}' [default: w-plus, where invert asks for one]",
    )
    corrections: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Steps in which the source refines its codes; 0 is fastest [default: what its bundle says]",
    )
    merge_classes: str | None = Field(
        default=None, description="YAML file that merges the classes of label maps as they are read"
    )
