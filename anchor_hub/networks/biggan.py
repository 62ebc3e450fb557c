"""The BigGAN generator: class-conditional residual blocks fed with chunks of z.

Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (2019, arXiv:1809.11096),
section 3.1 and appendix B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.biggan_layers import (
    NORM_EPSILON,
    SPECTRAL_EPSILON,
    ConditionalNorm,
    OutputNorm,
    SelfAttention,
    SpectralConv2d,
    SpectralLinear,
    upsample,
)
from anchor_hub.networks.configs import NetworkConfig
from anchor_hub.networks.stylegan2 import SynthesisOutput

#: Channels of each resolution from 4 px on, in multiples of the width, of the published sizes.
PUBLISHED_CHANNELS: dict[int, tuple[int, ...]] = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}


def resolutions_of(size: int, bottom: int = 4) -> tuple[int, ...]:
    """(bottom, 2 bottom, ..., size). Raises ValueError unless size is bottom times a power of two, at least 2."""
    ratio = size // bottom if bottom > 0 else 0
    if bottom < 1 or size % bottom or ratio < 2 or ratio & (ratio - 1):
        raise ValueError(f"BigGAN size must be {bottom} times a power of two of at least 2, got {size!r}")
    return tuple(bottom * 2**k for k in range(ratio.bit_length()))


def channel_table(
    size: int, width: int, channels: Mapping[Any, int] | None = None, bottom: int = 4
) -> dict[int, int]:
    """Channels of each resolution: the given ones (keys may be decimal strings) or published multiples of ``width``.

    Raises ValueError for a missing resolution, a count below 1, or a size without a published table.
    """
    resolutions = resolutions_of(size, bottom)
    if channels is not None:
        given = {int(key): int(value) for key, value in channels.items()}
        missing = [r for r in resolutions if given.get(r, 0) < 1]
        if missing:
            raise ValueError(f"channels of a {size} px BigGAN need a positive count for resolutions {missing}")
        return {r: given[r] for r in resolutions}
    multiples = PUBLISHED_CHANNELS.get(size * 4 // bottom)
    if multiples is None:
        raise ValueError(
            f"no published channels for a {size} px BigGAN (there are some for {sorted(PUBLISHED_CHANNELS)}); "
            "give channels: {resolution: count}"
        )
    return {r: m * width for r, m in zip(resolutions, multiples, strict=True)}


class ClassConditionalConfig(NetworkConfig):
    """Base of the configurations of BigGAN networks: their JSON-able form and its checks."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; :meth:`from_dict` reads it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        for name, value in values.items():
            if isinstance(value, Mapping):
                values[name] = {str(key): item for key, item in value.items()}
            elif isinstance(value, tuple):
                values[name] = [list(item) if isinstance(item, tuple) else item for item in value]
        return values

    def _require_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{type(self).__name__}: {name} must be a whole number above 0, got {value!r}")


@dataclass(frozen=True)
class BigGANConfig(ClassConditionalConfig):
    """Architecture of a BigGAN generator.

    Attributes:
        size: image height and width in pixels.
        latent_dim: D, the length of one chunk of z (of all of z unless hierarchical). Published: 20.
        classes: number of classes.
        embedding_dim: length of the class embedding that all layers share.
        width: "ch" of the paper, the unit of the published channels (64 at its smallest, 96 as published).
        channels: resolution to channels; None stands for the published multiples of the width.
        attention: resolutions after whose block self-attention follows.
        hierarchical: z is split into L chunks, the first for the linear layer, one more for every block.
        bottom: resolution of the linear layer's output.
        image_channels: channels of the image.
        norm_epsilon: epsilon of the conditional batch norms.
        spectral_epsilon: epsilon of the power iterations.
        truncation: default factor on z.
    """

    size: int
    latent_dim: int = 20
    classes: int = 1000
    embedding_dim: int = 128
    width: int = 96
    channels: Mapping[int, int] | None = None
    attention: tuple[int, ...] = (64,)
    hierarchical: bool = True
    bottom: int = 4
    image_channels: int = 3
    norm_epsilon: float = NORM_EPSILON
    spectral_epsilon: float = SPECTRAL_EPSILON
    truncation: float = 1.0

    def __post_init__(self) -> None:
        self._require_positive("latent_dim", "classes", "embedding_dim", "width", "bottom", "image_channels")
        table = channel_table(self.size, self.width, self.channels, self.bottom)
        object.__setattr__(self, "channels", table)
        attention = tuple(sorted(int(r) for r in self.attention))
        unknown = [r for r in attention if r not in self.resolutions[1:]]
        if unknown:
            raise ValueError(f"attention at {unknown} px: blocks end at {list(self.resolutions[1:])} px")
        object.__setattr__(self, "attention", attention)
        if not 0 < self.truncation <= 1:
            raise ValueError(f"truncation must lie above 0 and at most at 1, got {self.truncation}")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """(bottom, ..., size)."""
        return resolutions_of(self.size, self.bottom)

    @property
    def feature_channels(self) -> dict[int, int]:
        """Channels of the feature map of each resolution, ascending."""
        return channel_table(self.size, self.width, self.channels, self.bottom)

    @property
    def num_latents(self) -> int:
        """L, the number of chunks of z: one more than there are blocks, or 1 unless hierarchical."""
        return len(self.resolutions) if self.hierarchical else 1

    @property
    def condition_dim(self) -> int:
        """Length of the condition of a block's batch norms."""
        return self.embedding_dim + (self.latent_dim if self.hierarchical else 0)


class UpBlock(nn.Module):
    """A residual block that doubles the resolution: two 3x3 convolutions, and a 1x1 one on the skip path."""

    def __init__(self, config: BigGANConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()

        def norm(channels: int) -> ConditionalNorm:
            return ConditionalNorm(
                channels,
                config.condition_dim,
                epsilon=config.norm_epsilon,
                spectral_epsilon=config.spectral_epsilon,
            )

        epsilon = config.spectral_epsilon
        self.norm1, self.norm2 = norm(in_channels), norm(out_channels)
        self.conv1 = SpectralConv2d(in_channels, out_channels, 3, epsilon=epsilon)
        self.conv2 = SpectralConv2d(out_channels, out_channels, 3, epsilon=epsilon)
        self.shortcut = SpectralConv2d(in_channels, out_channels, 1, epsilon=epsilon)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``[B, in, H, W]`` and ``[B, condition_dim]`` to ``[B, out, 2H, 2W]``."""
        y = self.conv1(upsample(F.relu_(self.norm1(x, condition))))
        y = self.conv2(F.relu_(self.norm2(y, condition)))
        # A 1x1 convolution commutes with repeating pixels, and costs a quarter before it.
        return y + upsample(self.shortcut(x))


class ClassConditionalGenerator(nn.Module):
    """Base of BigGAN and BigGAN-deep: class embedding, choice of feature maps, last norm and RGB convolution."""

    embedding: nn.Embedding
    output_norm: OutputNorm
    to_rgb: SpectralConv2d

    def __init__(self, classes: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, embedding_dim)
        nn.init.orthogonal_(self.embedding.weight)

    def embed(self, labels: Tensor) -> Tensor:
        """The shared class embedding ``[B, embedding_dim]``.

        Args:
            labels: integer classes ``[B]``, or weights over the classes ``[B, classes]`` (one-hot or any mixture).

        Raises:
            ValueError: another shape, or a class outside the range.
        """
        weight = self.embedding.weight
        if labels.is_floating_point():
            if labels.ndim != 2 or labels.shape[1] != weight.shape[0]:
                raise ValueError(f"class weights must be [B, {weight.shape[0]}], got {list(labels.shape)}")
            return labels.to(weight.dtype) @ weight
        if labels.ndim != 1:
            raise ValueError(f"labels must be [B], got {list(labels.shape)}")
        if labels.device.type == "cpu" and labels.numel():
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= weight.shape[0]:
                raise ValueError(f"classes are 0 to {weight.shape[0] - 1}, got {low if low < 0 else high}")
        return self.embedding(labels)

    def _condition(self, labels: Tensor, batch: int) -> Tensor:
        """Class embeddings ``[batch, embedding_dim]`` of labels or class embeddings; a single one is repeated."""
        if labels.is_floating_point():
            size = self.embedding.weight.shape[1]
            if labels.ndim != 2 or labels.shape[1] != size:
                raise ValueError(
                    f"class embeddings must be [B, {size}], got {list(labels.shape)}; embed() makes them of "
                    "labels or class weights"
                )
            embedded = labels.to(self.embedding.weight.dtype)
        else:
            embedded = self.embed(labels.reshape(1) if labels.ndim == 0 else labels)
        if embedded.shape[0] == 1 and batch != 1:
            embedded = embedded.expand(batch, -1)
        if embedded.shape[0] != batch:
            raise ValueError(f"{embedded.shape[0]} classes do not fit {batch} latents")
        return embedded

    def before_rgb(self, x: Tensor, truncation: float = 1.0) -> Tensor:
        """The finest feature map after the last norm and ReLU, which the RGB convolution reads."""
        return F.relu_(self.output_norm(x, truncation))

    def rgb(self, x: Tensor, truncation: float = 1.0) -> Tensor:
        """The finest feature map to images ``[B, C, size, size]`` in [-1, 1]."""
        y = self.to_rgb(self.before_rgb(x, truncation))
        return torch.tanh(y.to(self.to_rgb.weight.dtype))


def wanted_maps(features: bool | Sequence[int], resolutions: Sequence[int]) -> set[int]:
    """The resolutions asked for (True: all). Raises ValueError for a resolution without a feature map."""
    if isinstance(features, bool):
        return set(resolutions) if features else set()
    unknown = sorted(set(features) - set(resolutions))
    if unknown:
        raise ValueError(f"no feature maps at {unknown} px; this generator has {list(resolutions)}")
    return set(features)


class BigGAN(ClassConditionalGenerator):
    """The BigGAN generator.

    Args:
        config: the architecture. Weights are drawn (orthogonal) from torch's global random state.
    """

    def __init__(self, config: BigGANConfig) -> None:
        super().__init__(config.classes, config.embedding_dim)
        self.config = config
        channels = config.feature_channels
        bottom = config.bottom
        epsilon = config.spectral_epsilon
        self.linear = SpectralLinear(config.latent_dim, channels[bottom] * bottom**2, epsilon=epsilon)
        self.blocks = nn.ModuleDict(
            {str(r): UpBlock(config, channels[r // 2], channels[r]) for r in config.resolutions[1:]}
        )
        self.attentions = nn.ModuleDict(
            {str(r): SelfAttention(channels[r], epsilon=epsilon) for r in config.attention}
        )
        self.output_norm = OutputNorm(channels[config.size])
        self.to_rgb = SpectralConv2d(channels[config.size], config.image_channels, 3, epsilon=epsilon)

    def forward(
        self,
        z: Tensor,
        labels: Tensor,
        *,
        features: bool | Sequence[int] = (),
        image: bool = True,
        truncation: float | None = None,
        added: Mapping[int, Tensor] | None = None,
    ) -> SynthesisOutput:
        """Images and feature maps of latents and classes; differentiable, twice.

        Args:
            z: ``[B, L, D]`` or ``[B, L D]``, standard normal (times a truncation). Chunk 0 feeds the linear layer,
                chunk i + 1 block i together with the class embedding.
            labels: integer classes ``[B]`` or ``[1]``, or class embeddings ``[B or 1, embedding_dim]`` (:meth:`embed`).
            features: resolutions of the feature maps to return, True for all. A map is the last activation of its
                resolution; for the finest resolution, the activation before the last norm.
            image: whether to compute the image ``[B, C, size, size]``, in [-1, 1]; without the image, no layer
                finer than the finest map runs.
            truncation: has no effect on a BigGAN; BigGAN-deep, whose statistics depend on it, has the same argument.
            added: resolution to a map ``[B, channels, R, R]`` that is added to the block's output (at the lowest
                resolution: the linear layer's), before self-attention.

        Raises:
            ValueError: latents, labels or features do not fit the architecture.
        """
        config = self.config
        chunks = split_latents(z, config.num_latents, config.latent_dim)
        embedded = self._condition(labels, z.shape[0])
        wanted = wanted_maps(features, config.resolutions)
        last = config.size if image else max(wanted, default=0)
        kept: dict[int, Tensor] = {}
        x = embedded
        for index, resolution in enumerate(config.resolutions):
            if resolution > last:
                break
            if index == 0:
                x = self.linear(chunks[:, 0]).unflatten(1, (-1, config.bottom, config.bottom))
            else:
                condition = embedded
                if config.hierarchical:
                    condition = torch.cat([embedded, chunks[:, index].to(embedded.dtype)], dim=1)
                x = self.blocks[str(resolution)](x, condition)
            if added is not None and resolution in added:
                x = x + added[resolution]
            if resolution in config.attention:
                x = self.attentions[str(resolution)](x)
            if resolution in wanted:
                kept[resolution] = x
        return SynthesisOutput(self.rgb(x) if image else None, kept)


def split_latents(z: Tensor, num_latents: int, latent_dim: int) -> Tensor:
    """``[B, L D]`` or ``[B, L, D]`` to ``[B, L, D]``; raises ValueError for any other shape."""
    if z.ndim == 2 and z.shape[1] == num_latents * latent_dim:
        return z.unflatten(1, (num_latents, latent_dim))
    if z.ndim == 3 and z.shape[1:] == (num_latents, latent_dim):
        return z
    raise ValueError(
        f"latents must be [B, {num_latents}, {latent_dim}] or [B, {num_latents * latent_dim}], got {list(z.shape)}"
    )
