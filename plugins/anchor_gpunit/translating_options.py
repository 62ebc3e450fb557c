"""The options of the recipe `gp-unit`, stage II of GP-UNIT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from anchor_gpunit.choosing import Preset, checked_weights
from anchor_gpunit.losses import CONTENT_WEIGHT, MASK_WEIGHT, RECONSTRUCTION_WEIGHT, STYLE_WEIGHT
from anchor_hub.training.base import RecipeOptions

#: The terms of the generator's loss and their weights; "r1" is the discriminator's.
TRANSLATE_WEIGHTS: dict[str, float] = {
    "adversarial": 1.0,
    "content": CONTENT_WEIGHT,
    "style": STYLE_WEIGHT,
    "mask": MASK_WEIGHT,
    "reconstruction": RECONSTRUCTION_WEIGHT,
    "perceptual": RECONSTRUCTION_WEIGHT,  # L_rec, features
    "identity": 1.0,
    "r1": 1.0,
}
#: What a preset decides unless an option says otherwise.
PRESETS: dict[str, Preset] = {
    # For 64 px and a CPU: few channels, larger steps, R1 at every 8th step with 8 times the weight; the generator's
    # step takes the pictures of the discriminator's.
    "small": {
        "width": 16, "style_width": 16, "style_halvings": 4, "discriminator_width": 24, "discriminator_max_width": 128,
        "learning_rate": 5e-4, "discriminator_learning_rate": 1e-3, "weight_decay": 0.0, "r1_every": 8,
        "style_layer": 3, "adversarial": "non-saturating", "share_fakes": True, "half_life": 3_000.0, "jitter": 1.0,
        "compared": 8, "mask_rise": 25_000, "sampler_codes": 500_000, "batch": 16,
    },
    "published": {
        "width": 64, "style_width": 64, "style_halvings": 5, "discriminator_width": 64,
        "discriminator_max_width": 512, "learning_rate": 1e-4, "discriminator_learning_rate": 1e-4,
        "weight_decay": 1e-4, "r1_every": 1, "style_layer": 4, "adversarial": "minmax", "share_fakes": False,
        "half_life": 11_000.0, "jitter": 286 / 256, "compared": 0, "mask_rise": 0,
        "sampler_codes": 2_000_000, "batch": 32,
    },
}  # fmt: skip


class TranslateOptions(RecipeOptions):
    """Options of the recipe `gp-unit`. An option that is None takes the preset's value.

    :param preset: "small" (64 px on a CPU) or "published".
    :param size: height and width in pixels; default: the prior's.
    :param width, style_width, style_halvings: of generator and style encoder, see ``GeneratorConfig``; a content
        encoder that learns here has the generator's width.
    :param discriminator_width, discriminator_max_width: see ``DiscriminatorConfig``.
    :param style_layer: layer of the discriminator whose means are the style (4 as published; 5 for faces).
    :param adversarial: "minmax" (equation 3) or "non-saturating", as in the published code.
    :param r1_every: steps from one R1 penalty to the next, whose weight counts as many times.
    :param share_fakes: the generator's step takes the pictures of the discriminator's; else, as published, the
        generator moves first, and the discriminator sees new pictures.
    :param skips: use dynamic skip connections. :param reconstruct_with_skips: also where the target reconstructs itself
        (close domains). :param intensity: learn translations of every intensity of the content correspondence.
    :param mask_rise: images over which the weight of "mask" rises from 0; at once, it closes the skips of a short
        training for good before the generator has learned to use them.
    :param content: of the "prior", or "learned" within this stage without one (the paper's ablation).
    :param identity: an extractor (`anchor evaluate --extractor`) whose features of translation and style are to agree.
    :param perceptual, compared: as of the recipe `distill`.
    :param half_life: of the generator's moving average, in images.
    :param jitter, mirror_style: as of the recipe `distill`.
    :param rare_styles: repeat rare styles for the style sampler. :param sampler_codes: codes that its training sees.
    :param half: store the weights in half precision.
    :param weights: weights of terms by name.
    """

    preset: Literal["small", "published"] = "small"
    size: int | None = Field(default=None, ge=16, le=1024)
    width: int | None = Field(default=None, ge=4, le=256)
    style_width: int | None = Field(default=None, ge=4, le=256)
    style_halvings: int | None = Field(default=None, ge=1, le=8)
    discriminator_width: int | None = Field(default=None, ge=4, le=256)
    discriminator_max_width: int | None = Field(default=None, ge=4, le=1024)
    style_layer: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    discriminator_learning_rate: float | None = Field(default=None, gt=0, le=1)
    weight_decay: float | None = Field(default=None, ge=0, le=1)
    adversarial: Literal["minmax", "non-saturating"] | None = None
    r1_every: int | None = Field(default=None, ge=1)
    share_fakes: bool | None = None
    skips: bool = True
    reconstruct_with_skips: bool = False
    intensity: bool = False
    mask_rise: int | None = Field(default=None, ge=0)
    content: Literal["prior", "learned"] = "prior"
    identity: str = ""
    perceptual: str = "auto"
    compared: int | None = Field(default=None, ge=0)
    half_life: float | None = Field(default=None, ge=0)
    jitter: float | None = Field(default=None, ge=1, le=2)
    mirror_style: float = Field(default=0.5, ge=0, le=1)
    rare_styles: bool = False
    sampler_codes: int | None = Field(default=None, ge=1)
    half: bool = False
    weights: Mapping[str, float] = Field(default_factory=dict)

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: Mapping[str, float]) -> dict[str, float]:
        return checked_weights(weights, TRANSLATE_WEIGHTS)

    def value(self, name: str) -> Any:
        """An option's value, the preset's where it is None."""
        given = getattr(self, name, None)
        return PRESETS[self.preset][name] if given is None else given

    def weight(self, term: str) -> float:
        """The weight of a term of the loss."""
        return float({**TRANSLATE_WEIGHTS, **self.weights}[term])
