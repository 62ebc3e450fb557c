"""The options of the recipes `stylegan2` and `biggan`, which train hubs, and their presets.

An option that is ``None`` takes the preset's value. Preset and options together give the constants (`HubOptions`,
`BigGANOptions`) that the recipes compute with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.training.base import RecipeOptions
from anchor_hub.training.generators.adaptive import ADAPTIVE, parse_augmentation
from anchor_hub.training.generators.stopping import StopOptions

#: Option -> its spelling on the command line, where that is not the name with dashes.
FLAGS = {"r1_gamma": "--r1"}


def flag(option: str) -> str:
    """An option's spelling on the command line."""
    return FLAGS.get(option, "--" + option.replace("_", "-"))


class AugmentChoices(RecipeOptions):
    """How a discriminator's images are augmented.

    :param augment: differentiable augmentations: "colour,translation,cutout", "all", or "ada" (adaptive), whose kinds
        may follow: "ada:geometry,colour,cutout".
    :param augment_target: adaptive: the share of real images that the discriminator may be sure of, -1 to 1 (0.6).
    :param augment_images: adaptive: images over which the probability can rise from 0 to 1.
    """

    augment: str | None = None
    augment_target: float | int | None = Field(default=None, gt=-1, lt=1)
    augment_images: int | None = Field(default=None, ge=1)

    def augmentation(self, images: int = 500_000) -> dict[str, Any]:
        """The constants that these options give.

        :param images: the preset's ``augment_images``.
        :raises UsageError: an unknown augmentation, or adaptive ones' options without them.
        """
        names = parse_augmentation(self.augment or "none")
        given = {"augment_target": self.augment_target, "augment_images": self.augment_images}
        given = {option: value for option, value in given.items() if value is not None}
        if names[:1] != (ADAPTIVE,):
            if given:
                raise UsageError(f"{next(iter(given))} is an option of adaptive augmentation: add --augment ada")
            return {"augment": names}
        return {"augment": names, "augment_images": images, **given}


class CriticChoices(AugmentChoices):
    """What judges a StyleGAN2 generator, and when it has learned enough.

    :param critic: "stylegan2", or "projected": on features of a frozen classifier (extra ``[perceptual]``).
    :param critic_side: projected: side in pixels that the classifier sees images at; default: 128, or the images' size
        up to 256.
    :param stop_distance: stop when the model distance from the start exceeds this.
    :param stop_patience: hold out a part of the images, and stop when the distance to it has not fallen for so many
        evaluations.
    :param stop_every: images between evaluations. :param stop_latents: latents of an evaluation.
    :param held_out: part of the images to hold out. :param stop_extractor: features of the held-out distance, as
        ``anchor evaluate --extractor`` takes them; default: EfficientNet-Lite0's.
    """

    critic: str = "stylegan2"
    critic_side: int | None = None
    stop_distance: float | int | None = Field(default=None, gt=0)
    stop_patience: int | None = Field(default=None, ge=1)
    stop_every: int | None = None
    stop_latents: int | None = None
    held_out: float | None = None
    stop_extractor: str | None = None

    def judging(self, images: int = 500_000) -> dict[str, Any]:
        """The constants that these options give; see :meth:`augmentation`.

        :raises UsageError: options that do not fit each other.
        """
        if self.critic_side is not None and self.critic != "projected":
            raise UsageError("critic_side is an option of the projected critic: add --critic projected")
        given: dict[str, Any] = {
            "every": self.stop_every, "latents": self.stop_latents, "held_out": self.held_out,
            "extractor": self.stop_extractor,
        }  # fmt: skip
        given = {name: value for name, value in given.items() if value is not None}
        stop = None
        if self.stop_distance is not None or self.stop_patience is not None:
            stop = StopOptions(self.stop_distance, self.stop_patience, **given)
        elif given:
            raise UsageError(f"stop_{next(iter(given))}: say when to stop, stop_distance=X or stop_patience=N")
        return {**self.augmentation(images), "critic": self.critic, "critic_side": self.critic_side, "stop": stop}


class GeneratorChoices(AugmentChoices):
    """The options that trainings of every generator family have.

    :param preset: "small" (two CPU cores) or "published" (GPUs).
    :param size: height and width in pixels.
    :param channels: channels by resolution.
    :param keep_discriminator: put the discriminator into the bundle.
    :param half: store weights in half precision.
    """

    preset: str = "small"
    size: int | None = None
    channels: Mapping[int, int] | None = None
    latent_dim: int | None = None
    learning_rate: float | int | None = None
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


class StyleGAN2Choices(GeneratorChoices, CriticChoices):
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
