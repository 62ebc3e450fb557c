"""The options of the recipe `distill`, stage I of GP-UNIT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from anchor_gpunit.choosing import Preset, checked_weights
from anchor_gpunit.losses import NORM_WEIGHT, SHAPE_WEIGHT
from anchor_hub.training.base import RecipeOptions

#: The terms of equation 1 and their weights.
DISTILL_WEIGHTS: dict[str, float] = {
    "appearance": 1.0,  # L_arec, pixels: (F(E_c(x), E_s(x), l) - x)^2
    "perceptual": 1.0,  # L_arec, features
    "shape": SHAPE_WEIGHT,  # L_srec: the shape of x of the content of x
    "content": 1.0,  # L_dis: the contents of a pair are the same
    "cross_shape": SHAPE_WEIGHT,  # L_dis: the shape of x of the content of y
    "class": 1.0,  # L_reg: a classifier behind a gradient reversal does not find the class in the content
    "norm": NORM_WEIGHT,  # L_reg: the content is small
}
#: What a preset decides unless an option says otherwise.
PRESETS: dict[str, Preset] = {
    # For hubs of 64 px and a CPU: few channels, and a step size for a thousand steps instead of 45,000.
    "small": {"width": 16, "label_dim": 32, "learning_rate": 1e-3, "batch": 16, "compared": 16},
    "published": {"width": 64, "label_dim": 128, "learning_rate": 2e-4, "batch": 16, "compared": 0},
}


class DistillOptions(RecipeOptions):
    """Options of the recipe `distill`. An option that is None takes the preset's value.

    :param preset: "small" (64 px on a CPU) or "published".
    :param size: height and width in pixels of what the networks see; default: the hub's.
    :param width: channels of the content encoder's first layer.
    :param content_side: height and width of the content.
    :param noise: standard deviation of the noise added to the content before it is decoded.
    :param truncation: of the latents of the pairs; 1: none. :param kept: share of the drawn pairs that the hub's
        discriminator leaves, the best ones; 1: all.
    :param shapes: "object" (the paper's: a mask of everything but the background) or "parts" (label maps in their
        colours), where there are label maps. :param reader_images: real pictures from which the reader of generated
        pictures' shapes learns, before everything else begins.
    :param jitter: how much larger pictures become before they are cropped at random; 286/256 as published, 1: no crop.
    :param mirror_style: chance that the style encoder sees all pictures of a step mirrored.
    :param perceptual: network of L_arec's features: a name that `anchor invert` knows, "auto" or "none".
    :param compared: pictures of a step that this network compares, of all kinds alike; 0: all.
    :param distance: "symmetric", or "one-sided" as in the published code. :param norm: of each content ("content"), or
        of all contents of a step together as in the published code ("batch").
    :param weights: weights of terms by name; a single one: ``--set weight_shape=0``.
    """

    preset: Literal["small", "published"] = "small"
    size: int | None = Field(default=None, ge=16, le=1024)
    width: int | None = Field(default=None, ge=4, le=256)
    content_side: int = Field(default=8, ge=2, le=64)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    noise: float = Field(default=0.2, ge=0)
    truncation: float = Field(default=1.0, gt=0, le=1)
    kept: float = Field(default=1.0, gt=0, le=1)
    shapes: Literal["object", "parts"] = "object"
    reader_images: int = Field(default=4_000, ge=0)
    jitter: float = Field(default=286 / 256, ge=1, le=2)
    mirror_style: float = Field(default=0.5, ge=0, le=1)
    perceptual: str = "auto"
    compared: int | None = Field(default=None, ge=0)
    distance: Literal["symmetric", "one-sided"] = "symmetric"
    norm: Literal["content", "batch"] = "content"
    weights: Mapping[str, float] = Field(default_factory=dict)

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: Mapping[str, float]) -> dict[str, float]:
        return checked_weights(weights, DISTILL_WEIGHTS)

    def value(self, name: str) -> Any:
        """An option's value, the preset's where it is None."""
        given = getattr(self, name, None)
        return PRESETS[self.preset][name] if given is None else given

    def weight(self, term: str) -> float:
        """The weight of a term of equation 1."""
        return float({**DISTILL_WEIGHTS, **self.weights}[term])
