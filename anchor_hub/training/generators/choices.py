"""The options of the recipes `stylegan2` and `biggan`, which train hubs, and their presets.

An option that is ``None`` takes the preset's value. Preset and options together give the constants (`HubOptions`,
`BigGANOptions`) that the recipes compute with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.training.base import RecipeOptions

#: Option -> its spelling on the command line, where that is not the name with dashes.
FLAGS = {"r1_gamma": "--r1"}


def flag(option: str) -> str:
    """An option's spelling on the command line."""
    return FLAGS.get(option, "--" + option.replace("_", "-"))


class GeneratorChoices(RecipeOptions):
    """The options that trainings of every generator family have.

    :param preset: "small" (two CPU cores) or "published" (GPUs).
    :param size: height and width in pixels.
    :param channels: channels by resolution.
    :param augment: differentiable augmentations ("colour,translation,cutout" or "all").
    :param keep_discriminator: put the discriminator into the bundle.
    :param half: store weights in half precision.
    """

    preset: str = "small"
    size: int | None = None
    channels: Mapping[int, int] | None = None
    latent_dim: int | None = None
    learning_rate: float | int | None = None
    augment: str | None = None
    keep_discriminator: bool = False
    half: bool = False

    @field_validator("channels", mode="before")
    @classmethod
    def _channels(cls, value: Any) -> Any:
        return parse_channels(value) if isinstance(value, str) else value

    def of_preset(self, presets: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The preset's table. :raises UsageError: no such preset."""
        if self.preset not in presets:
            raise UsageError(f"--preset {self.preset!r} is not known.{did_you_mean(self.preset, presets)}")
        return presets[self.preset]


class StyleGAN2Choices(GeneratorChoices):
    """Options of the recipe `stylegan2`.

    :param start_from: a StyleGAN2 hub (a registered name, or a bundle's folder) to go on from.
    :param discriminator_from: hub whose discriminator to start from.
    :param discriminator_warmup: images for which a discriminator that does not come with the generator is first trained
        alone.
    """

    mapping_layers: int = 8
    r1_gamma: float | int | None = None
    path_length: bool | None = None
    style_mixing: float | int | None = None
    noise: bool | None = None
    compile: bool = False
    start_from: str | Path | None = None
    discriminator_from: str | Path | None = None
    discriminator_warmup: int | None = None


class BigGANChoices(GeneratorChoices):
    """Options of the recipe `biggan`.

    :param class_column: column of the table beside the images that holds the classes; default: a folder per class.
    :param attention: resolutions with self-attention.
    """

    discriminator_learning_rate: float | int | None = None
    discriminator_steps: int | None = None
    diversity: float | int | None = None
    mismatch: float | int | None = None
    attention: tuple[int, ...] | None = None
    class_column: str | None = None

    @field_validator("attention", mode="before")
    @classmethod
    def _attention(cls, value: Any) -> Any:
        return parse_resolutions(value) if isinstance(value, str) else value


def parse_channels(text: str) -> dict[int, int]:
    """'4:256,8:192' to {4: 256, 8: 192}. Raises UsageError for anything else."""
    try:
        table = {int(size): int(count) for size, count in (pair.split(":") for pair in text.split(","))}
    except ValueError as error:
        raise UsageError(
            f"--channels {text!r} is not understood; write resolution:channels pairs, e.g. 4:256,8:256,16:128"
        ) from error
    if not table or min(table.values()) < 1:
        raise UsageError(f"--channels {text!r}: every resolution needs at least one channel")
    return table


def parse_resolutions(text: str) -> tuple[int, ...]:
    """'16,32' to (16, 32), 'none' to (). Raises UsageError for anything else."""
    if text.strip() == "none":
        return ()
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise UsageError(f"--attention {text!r} is not a list of resolutions such as 16,32, or none") from error
