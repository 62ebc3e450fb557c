"""The options of the recipe `finetune`, and its presets."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.training.generators.choices import CriticChoices
from anchor_hub.training.generators.start import WARMUP_IMAGES
from anchor_hub.training.generators.stylegan2_options import HubOptions

#: What of the copied networks stays as the hub has it.
FREEZES = ("mapping", "none", "lower-generator", "lower-discriminator")

# What a preset decides unless an option says otherwise.
PRESETS: dict[str, dict[str, Any]] = {
    # For hubs of few channels and 64 px: the constants that such hubs are trained with.
    "small": {
        "learning_rate": 0.002, "r1_gamma": 2.0, "path_length_weight": 0.0, "noise": False, "style_mixing": 0.9,
        "average_half_life": 5_000.0, "batch": 16, "augment_images": 20_000,
    },
    # As the paper and its code have it: StyleGAN2's own losses and schedule.
    "published": {
        "learning_rate": 0.002, "r1_gamma": 10.0, "path_length_weight": 2.0, "noise": True, "style_mixing": 0.9,
        "average_half_life": 10_000.0, "batch": 16, "augment_images": 500_000,
    },
}  # fmt: skip


class FineTuneOptions(CriticChoices):
    """Options of the recipe `finetune`: its own, and those of augmentation, critic and early stop.

    An option that is None takes the preset's value.

    :param preset: "small" (hubs of 64 px on a CPU) or "published".
    :param freeze: what stays as the hub has it: "mapping" (FC-FT, the paper's), "none" (FT), "lower-generator"
        (FreezeG: the mapping, and the synthesis layers up to ``frozen_resolution``), "lower-discriminator" (FreezeD:
        the mapping, and the discriminator's blocks from the image down to ``frozen_resolution``).
    :param frozen_resolution: side in pixels; default: a quarter of the hub's size.
    :param discriminator_warmup: images for which a discriminator that does not come with the hub is trained alone.
    :param half: store the weights in half precision.
    """

    preset: str = "small"
    freeze: str = "mapping"
    frozen_resolution: int | None = Field(default=None, ge=4)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    r1_gamma: float | None = Field(default=None, ge=0)
    path_length: bool | None = None
    style_mixing: float | None = Field(default=None, ge=0, le=1)
    noise: bool | None = None
    discriminator_warmup: int | None = Field(default=None, ge=0)
    half: bool = False

    def preset_table(self) -> dict[str, Any]:
        """The preset's table. :raises UsageError: no such preset."""
        if self.preset not in PRESETS:
            raise UsageError(f"there is no preset {self.preset!r}.{did_you_mean(self.preset, PRESETS)}")
        return PRESETS[self.preset]

    def constants(self, has_discriminator: bool) -> HubOptions:
        """The training's constants, preset and own choices together.

        :param has_discriminator: whether a trained discriminator comes with the hub.
        :raises UsageError: an unknown preset, freeze or augmentation.
        """
        if self.freeze not in FREEZES:
            raise UsageError(f"freeze: there is no {self.freeze!r}.{did_you_mean(self.freeze, FREEZES)}")
        if self.freeze == "lower-discriminator" and self.critic != "stylegan2":
            raise UsageError(f"freeze=lower-discriminator is for the critic stylegan2, not {self.critic}")
        table = {key: value for key, value in self.preset_table().items() if key != "batch"}
        for key in ("learning_rate", "r1_gamma", "style_mixing", "noise"):
            if getattr(self, key) is not None:
                table[key] = getattr(self, key)
        if self.path_length is not None:
            table["path_length_weight"] = 2.0 * self.path_length
        warmup = 0 if has_discriminator and self.critic == "stylegan2" else WARMUP_IMAGES
        judging = self.judging(table.pop("augment_images"))
        return HubOptions(
            **table,
            **judging,
            # The hub's weights are good, so the average keeps them from the first step on.
            average_rampup=None,
            discriminator_warmup=warmup if self.discriminator_warmup is None else self.discriminator_warmup,
        )

    def frozen_up_to(self, size: int) -> int:
        """The finest frozen resolution of a hub of ``size`` pixels. :raises UsageError: the hub does not have it."""
        if self.frozen_resolution is None:
            return max(4, size // 4)
        known = [4 << step for step in range((size // 4).bit_length())]
        if self.frozen_resolution not in known:
            raise UsageError(f"frozen_resolution: the hub has {known}, not {self.frozen_resolution}")
        return self.frozen_resolution
