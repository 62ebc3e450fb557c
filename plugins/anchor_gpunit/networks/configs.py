"""Sizes of GP-UNIT's networks; the defaults are the published ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from anchor_hub.networks.configs import NetworkConfig

#: A layer has at most this many times the width of the first one.
WIDEST = 8


@dataclass(frozen=True)
class ContentConfig(NetworkConfig):
    """Size of the content encoder.

    Args:
        size: side in pixels that pictures are brought to: ``content_side`` times a power of two, at least 8.
        width: channels of the finest layer (``nef`` of the paper's code: 64).
        content_side: side of the coarse content map.
        spectral: whether convolutions have a spectral norm (as in training), or weights that are divided already.
    """

    size: int = 256
    width: int = 64
    content_side: int = 8
    spectral: bool = False

    def __post_init__(self) -> None:
        if self.width < 1 or self.content_side < 4 or self.content_side % 2:
            raise ValueError(f"width {self.width} must be 1 or more, content_side {self.content_side} even, 4 or more")
        halvings = (max(self.size // self.content_side, 1)).bit_length() - 1
        if halvings < 3 or self.content_side << halvings != self.size:
            raise ValueError(f"size {self.size} must be 8, 16, 32 ... times the content side {self.content_side}")

    @property
    def halvings(self) -> int:
        """How often the side is halved on the way to the content map: 5 in the paper's code."""
        return (self.size // self.content_side).bit_length() - 1

    def channels(self, halved: int) -> int:
        """Channels of the layer that halves the side for the ``halved``-th time, from 1."""
        return self.width * min(WIDEST, 2 ** (max(halved, 1) - 1))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


@dataclass(frozen=True)
class GeneratorConfig(NetworkConfig):
    """Size of stage II's generator with its style encoder.

    Args:
        size, content_side: of the content encoder, as :class:`ContentConfig`; the picture has ``size`` pixels.
        content_width: the content encoder's width: its maps come in by the skip connections.
        width: channels of the last stage (``ngf``: 64).
        style_width: channels of the style encoder's first layer; the style code has four times as many numbers.
        style_halvings: strided convolutions of the style encoder.
        intensity: whether the skips learn to depend on the intensity of the content correspondence.
    """

    size: int = 256
    content_side: int = 8
    content_width: int = 64
    width: int = 64
    style_width: int = 64
    style_halvings: int = 5
    intensity: bool = False

    def __post_init__(self) -> None:
        if min(self.width, self.content_width, self.style_width) < 1:
            raise ValueError("the widths of a generator must be 1 or more")
        if not 1 <= self.style_halvings or self.size >> self.style_halvings < 2:
            raise ValueError(f"style_halvings {self.style_halvings}: too many for pictures of {self.size} px")
        self.content  # noqa: B018  (checks the rest)

    @property
    def content(self) -> ContentConfig:
        """The content encoder that the generator is made for."""
        return ContentConfig(self.size, self.content_width, self.content_side)

    @property
    def stages(self) -> int:
        """The number of the last stage; stage k has ``content_side * 2**k`` pixels."""
        return self.content.halvings

    @property
    def style_dim(self) -> int:
        """Numbers of a style code: 256 in the paper's code."""
        return 4 * self.style_width

    def channels(self, stage: int) -> int:
        """Channels of a stage: those of the content encoder's map of the same side, at the generator's width."""
        return self.width * min(WIDEST, 2 ** (max(self.stages - stage, 1) - 1))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


@dataclass(frozen=True)
class DiscriminatorConfig(NetworkConfig):
    """Size of stage II's discriminator.

    Args:
        size: side of the pictures: a power of two, at least 8.
        width, max_width: channels of the first layer, doubled by each block up to ``max_width``.
    """

    size: int = 256
    width: int = 64
    max_width: int = 512

    def __post_init__(self) -> None:
        if self.size < 8 or self.size & (self.size - 1):
            raise ValueError(f"size {self.size} must be a power of two, at least 8")
        if not 1 <= self.width <= self.max_width:
            raise ValueError(f"width {self.width} must lie between 1 and max_width {self.max_width}")

    @property
    def blocks(self) -> int:
        """Residual blocks: each halves the side, down to 4 pixels (6 for 256 px)."""
        return self.size.bit_length() - 3


@dataclass(frozen=True)
class DistillationConfig(NetworkConfig):
    """Size of stage I's auto-encoder.

    Args:
        size, width, content_side: of the content encoder; the other networks have the same width.
        classes: number of domains (292 in the paper: 291 of ImageNet, and faces).
        label_dim: numbers of a domain's embedding.
        noise: standard deviation of the noise on the content that is decoded.
    """

    size: int = 256
    width: int = 64
    content_side: int = 8
    classes: int = 292
    label_dim: int = 128
    noise: float = 0.2

    def __post_init__(self) -> None:
        self.content  # noqa: B018  (checks size, width and side)
        if self.classes < 1 or self.label_dim < 1 or self.noise < 0:
            raise ValueError("classes and label_dim must be 1 or more, noise 0 or more")

    @property
    def content(self) -> ContentConfig:
        """The content encoder in training."""
        return ContentConfig(self.size, self.width, self.content_side, spectral=True)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)
