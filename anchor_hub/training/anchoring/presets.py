"""Published settings of latent-space anchoring, per modality, as data.

Two sources differ, and both are kept. ``paper``: the article's section 4.1.2. ``code``: the commands and
option defaults of the published repository. Where neither says anything of a modality (RGB in both, landmarks
in the code) the row says so in ``note``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from anchor_hub.errors import NotFoundError, did_you_mean

Source = Literal["paper", "code"]


@dataclass(frozen=True)
class AnchorPreset:
    """One row of the table: everything that published training of one domain depends on.

    ``weights``: factors of the terms ``reconstruction``, ``latent_norm``, ``image_adversarial``,
    ``latent_adversarial`` and ``attention_norm``. The discriminators' own losses carry the same factors.
    ``resolutions``: feature maps that the regressor reads; of a published hub's 256 px block both
    convolutions' outputs, concatenated.
    """

    modality: str
    source: Source
    reconstruction: Literal["l2", "cross-entropy"]
    weights: dict[str, float]
    optimiser: Literal["adam", "ranger"]
    steps: int
    input_channels: int
    output_channels: int
    learning_rate: float = 1e-4
    batch: int = 4
    image_size: int = 256
    flip: bool = True
    encoder: str = "psp"
    encoder_options: dict[str, object] = field(default_factory=lambda: {"space": "w+", "head": "pyramid"})
    regressor: str = "deeper"
    resolutions: tuple[int, ...] = (256,)
    start_from_mean_latent: bool = True
    note: str = ""


def _weights(reconstruction: float, norm: float, image: float) -> dict[str, float]:
    return {
        "reconstruction": reconstruction,
        "latent_norm": norm,
        "image_adversarial": image,
        "latent_adversarial": 0.0,
        "attention_norm": 0.0,
    }


_PAPER = AnchorPreset(
    modality="segmentation",
    source="paper",
    reconstruction="cross-entropy",
    weights=_weights(1.0, 0.005, 0.01),
    optimiser="adam",
    steps=200_000,
    input_channels=19,
    output_channels=19,
    note="The text lists channels (128, 64, 32, 32) for six layers; the published weights are 'deeper'.",
)
_CODE = replace(
    _PAPER,
    source="code",
    optimiser="ranger",
    steps=300_000,
    note="The command seg -> ffhq. Non-saturating logistic adversarial terms; latent norm not squared.",
)

#: (source, modality) -> published settings.
PUBLISHED: dict[tuple[Source, str], AnchorPreset] = {
    ("paper", "segmentation"): _PAPER,
    ("paper", "gray"): replace(
        _PAPER,
        modality="gray",
        reconstruction="l2",
        weights=_weights(10.0, 0.005, 0.01),
        input_channels=1,
        output_channels=1,
        note="The sketch domain.",
    ),
    ("paper", "landmarks"): replace(
        _PAPER,
        modality="landmarks",
        reconstruction="l2",
        weights=_weights(10.0, 0.005, 0.01),
        input_channels=1,
        output_channels=1,
        note="68 points drawn into one channel.",
    ),
    ("paper", "rgb"): replace(
        _PAPER,
        modality="rgb",
        reconstruction="l2",
        weights=_weights(10.0, 0.005, 0.01),
        input_channels=3,
        output_channels=3,
        note="No published factor for RGB: those of the other L2 modalities.",
    ),
    ("code", "segmentation"): _CODE,
    ("code", "gray"): replace(
        _CODE,
        modality="gray",
        reconstruction="l2",
        weights=_weights(10.0, 0.02, 0.02),
        input_channels=1,
        output_channels=1,
        note="The command sketch -> ffhq.",
    ),
    ("code", "landmarks"): replace(
        _CODE,
        modality="landmarks",
        reconstruction="l2",
        weights=_weights(10.0, 0.02, 0.02),
        input_channels=1,
        output_channels=1,
        note="No published command for landmarks: the factors of sketch -> ffhq.",
    ),
    ("code", "rgb"): replace(
        _CODE,
        modality="rgb",
        reconstruction="l2",
        weights=_weights(10.0, 0.02, 0.02),
        input_channels=3,
        output_channels=3,
        regressor="shallow",
        note="No published command for RGB: factors of sketch -> ffhq, regressor of the cat2dog weights.",
    ),
}


def published_preset(modality: str, source: Source = "code") -> AnchorPreset:
    """The published settings of a modality (``rgb``, ``gray``, ``segmentation``, ``landmarks``).

    :raises NotFoundError: nothing is published for it; the built-in four are suggested.
    """
    preset = PUBLISHED.get((source, modality))
    if preset is None:
        known = sorted({name for _, name in PUBLISHED})
        raise NotFoundError(
            f"no published settings for modality {modality!r}.{did_you_mean(modality, known)}"
        )
    return preset
