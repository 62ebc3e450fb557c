"""Published settings of latent-space anchoring, per modality, as data.

Two sources differ, and both are kept. ``paper``: the article's section 4.1.2. ``code``: the commands and
option defaults of the published repository. A comment marks modalities that a source leaves out (RGB in both,
landmarks in the code).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from anchor_hub.errors import NotFoundError, did_you_mean

Source = Literal["paper", "code"]


@dataclass(frozen=True)
class AnchorPreset:
    """One row of the table: the published settings of training one domain.

    ``weights``: factors of the terms ``reconstruction``, ``latent_norm``, ``image_adversarial``,
    ``latent_adversarial`` and ``attention_norm``. The discriminators' own losses carry the same factors.
    Training takes ``steps`` of ``batch`` samples; critics see ``image_size`` pixels at most. ``resolutions``: feature
    maps that the regressor reads; of a published hub's 256 px block, the outputs of both convolutions, concatenated.
    """

    modality: str
    source: Source
    reconstruction: Literal["l2", "cross-entropy"]
    weights: dict[str, float]
    optimiser: Literal["adam", "ranger"]
    steps: int
    learning_rate: float = 1e-4
    batch: int = 4
    image_size: int = 256
    encoder: str = "psp"
    regressor: str = "deeper"
    resolutions: tuple[int, ...] = (256,)


def _weights(reconstruction: float, norm: float, image: float) -> dict[str, float]:
    return {
        "reconstruction": reconstruction,
        "latent_norm": norm,
        "image_adversarial": image,
        "latent_adversarial": 0.0,
        "attention_norm": 0.0,
    }


# The text lists channels (128, 64, 32, 32) for six layers; the published weights' regressor is "deeper".
_PAPER = AnchorPreset(
    modality="segmentation",
    source="paper",
    reconstruction="cross-entropy",
    weights=_weights(1.0, 0.005, 0.01),
    optimiser="adam",
    steps=200_000,
)
# The command seg -> ffhq. Non-saturating logistic adversarial terms; latent norm not squared.
_CODE = replace(
    _PAPER,
    source="code",
    optimiser="ranger",
    steps=300_000,
)

#: (source, modality) -> published settings.
PUBLISHED: dict[tuple[Source, str], AnchorPreset] = {
    ("paper", "segmentation"): _PAPER,
    # The sketch domain.
    ("paper", "gray"): replace(
        _PAPER,
        modality="gray",
        reconstruction="l2",
        weights=_weights(10.0, 0.005, 0.01),
    ),
    # 68 points drawn into one channel.
    ("paper", "landmarks"): replace(
        _PAPER,
        modality="landmarks",
        reconstruction="l2",
        weights=_weights(10.0, 0.005, 0.01),
    ),
    # No published factor for RGB: those of the other L2 modalities.
    ("paper", "rgb"): replace(
        _PAPER,
        modality="rgb",
        reconstruction="l2",
        weights=_weights(10.0, 0.005, 0.01),
    ),
    ("code", "segmentation"): _CODE,
    # The command sketch -> ffhq.
    ("code", "gray"): replace(
        _CODE,
        modality="gray",
        reconstruction="l2",
        weights=_weights(10.0, 0.02, 0.02),
    ),
    # No published command for landmarks: the factors of sketch -> ffhq.
    ("code", "landmarks"): replace(
        _CODE,
        modality="landmarks",
        reconstruction="l2",
        weights=_weights(10.0, 0.02, 0.02),
    ),
    # No published command for RGB: factors of sketch -> ffhq, regressor of the cat2dog weights.
    ("code", "rgb"): replace(
        _CODE,
        modality="rgb",
        reconstruction="l2",
        weights=_weights(10.0, 0.02, 0.02),
        regressor="shallow",
    ),
}


def published_preset(modality: str, source: Source = "code") -> AnchorPreset:
    """The published settings of a modality (``rgb``, ``gray``, ``segmentation``, ``landmarks``).

    :raises NotFoundError: nothing is published for the modality; the message suggests one of the built-in four.
    """
    preset = PUBLISHED.get((source, modality))
    if preset is None:
        known = sorted({name for _, name in PUBLISHED})
        raise NotFoundError(
            f"no published settings for modality {modality!r}.{did_you_mean(modality, known)}"
        )
    return preset
