"""The options of the recipe `deepi2i`, with the published values as defaults."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import Field, field_validator

from anchor_deepi2i.losses import ALPHA, FUSION, RECONSTRUCTIONS, SCRATCH_FUSION
from anchor_deepi2i.values import parse_sides
from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.training.generators.choices import AugmentChoices

PARTS = ("generator", "discriminator", "encoder")
LOSSES = ("hinge", "logistic", "wgan-gp")
#: Images of the first phase: 500 steps of 32 source and 32 target images, as published.
FIRST_PHASE = 32_000
#: Family -> learning rates of generator, adaptors (and encoder), discriminator, and Adam's betas and epsilon.
RATES: dict[str, tuple[float, float, float]] = {"biggan": (1e-4, 4e-4, 4e-4), "stylegan2": (1e-3, 1e-3, 1e-3)}
ADAM: dict[str, dict[str, Any]] = {
    "biggan": {"betas": (0.0, 0.999), "eps": 1e-6}, "stylegan2": {"betas": (0.0, 0.99), "eps": 1e-8},
}  # fmt: skip


class DeepI2IOptions(AugmentChoices):
    """Options of the recipe `deepi2i`.

    :param transfer: which networks start from the hub: some of ``generator,discriminator,encoder``, or ``none``.
    :param train_encoder: let the encoder learn, too; default: only where it starts afresh.
    :param encoder_from: another hub of the same kind and size whose discriminator becomes the encoder.
    :param fusion: weights w of the fusion by side, ``4:0.1,8:0.1``; default: 0.1 at 4 to 32 px (from scratch: 1, but
        0.1 at 32 px). :param alpha: weights of the reconstruction; default: 0.1, but 0.01 at 32 px.
    :param reconstruction: "paper" (absolute differences of each image and its translation), "pairs" (squared ones) or
        "published" (the code's: squared differences of two entries of the batch).
    :param reconstruction_weight, adversarial_weight: lambda_rec and lambda_adv of equation 4.
    :param first_phase: images during which only adaptors and discriminator learn; default: 32,000, or 0 where the
        generator starts afresh.
    :param loss: "hinge", "logistic" (with R1) or "wgan-gp"; default: hinge for BigGAN, logistic for StyleGAN2.
    :param r1_gamma, r1_every: weight of R1, and how often.
    :param mismatch: weight of a term that calls real images of a wrong class false; for BigGAN.
    :param fresh_fakes: draw new classes and z for the generator's step, as published; default: those of the
        discriminator's step, which saves the generator a pass.
    :param average_half_life: images; 0: export the last weights, as published.
    :param class_column: column of the table beside the images that holds the classes; default: a folder per class.
    :param half: store the weights in half precision.
    """

    transfer: tuple[str, ...] = PARTS
    train_encoder: bool | None = None
    encoder_from: str | None = None
    fusion: str | None = None
    alpha: str | None = None
    reconstruction: str = "paper"
    reconstruction_weight: float = Field(default=1.0, ge=0, le=1000)
    adversarial_weight: float = Field(default=1.0, gt=0, le=1000)
    first_phase: int | None = Field(default=None, ge=0)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    adaptor_learning_rate: float | None = Field(default=None, gt=0, le=1)
    discriminator_learning_rate: float | None = Field(default=None, gt=0, le=1)
    loss: str | None = None
    r1_gamma: float = Field(default=1.0, ge=0)
    r1_every: int = Field(default=16, ge=1)
    mismatch: float = Field(default=0.0, ge=0, le=100)
    fresh_fakes: bool = False
    average_half_life: float = Field(default=5_000.0, ge=0)
    class_column: str | None = None
    half: bool = True

    @field_validator("transfer", mode="before")
    @classmethod
    def _transfer(cls, value: Any) -> Any:
        parts = tuple(str(value).split(",")) if isinstance(value, str) else tuple(value)
        parts = () if parts == ("none",) else parts
        for part in parts:
            if part not in PARTS:
                raise UsageError(
                    f"transfer={part}: is no network of DeepI2I.{did_you_mean(part, PARTS)} Or transfer=none"
                )
        return tuple(part for part in PARTS if part in parts)

    @field_validator("reconstruction", "loss")
    @classmethod
    def _known(cls, value: str | None, info: Any) -> str | None:
        known: Collection[str] = RECONSTRUCTIONS if info.field_name == "reconstruction" else LOSSES
        if value is not None and value not in known:
            raise UsageError(f"{info.field_name}={value} is not known.{did_you_mean(value, known)}")
        return value

    @property
    def learns_encoder(self) -> bool:
        """Whether the encoder learns."""
        afresh = "encoder" not in self.transfer and self.encoder_from is None
        return afresh if self.train_encoder is None else self.train_encoder

    @property
    def phase(self) -> int:
        """Images of the first phase."""
        default = FIRST_PHASE if "generator" in self.transfer else 0
        return default if self.first_phase is None else self.first_phase

    def fusion_weights(self, sides: Collection[int]) -> dict[int, float]:
        """The weights w, by side; of the default's sides, those that ``sides`` has."""
        if self.fusion is not None:
            return parse_sides(self.fusion, "fusion")
        default = FUSION if "generator" in self.transfer else SCRATCH_FUSION
        return {side: weight for side, weight in default.items() if side in sides}

    def alpha_weights(self, sides: Collection[int]) -> dict[int, float]:
        """The weights alpha, by side. :raises UsageError: a side that is not among ``sides``."""
        if self.alpha is None:
            return {side: ALPHA.get(side, 0.1) for side in sides}
        given = parse_sides(self.alpha, "alpha")
        if unknown := sorted(set(given) - set(sides)):
            raise UsageError(
                f"alpha={self.alpha}: no features of {unknown} px are fused, only those of {list(sides)} px; "
                "name them in fusion, too"
            )
        return given

    def rates(self, family: str) -> tuple[float, float, float]:
        """Learning rates of generator, adaptors and encoder, discriminator."""
        given = self.learning_rate, self.adaptor_learning_rate, self.discriminator_learning_rate
        first, second, third = (own or default for own, default in zip(given, RATES[family], strict=True))
        return first, second, third

    def adversarial(self, family: str) -> str:
        """The name of the adversarial loss."""
        return self.loss or ("hinge" if family == "biggan" else "logistic")
