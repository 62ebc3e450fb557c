"""The BigGAN-deep generator: bottleneck blocks that all see the whole of z and the class.

Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (2019, arXiv:1809.11096), appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.biggan import (
    ClassConditionalConfig,
    ClassConditionalGenerator,
    channel_table,
    split_latents,
    wanted_maps,
)
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
from anchor_hub.networks.stylegan2 import SynthesisOutput

#: Whether a block changes the resolution, its input channels and its output channels.
Block = tuple[bool, int, int]


def _blocks(values: Sequence[Sequence[Any]]) -> tuple[Block, ...]:
    return tuple((bool(resample), int(inputs), int(outputs)) for resample, inputs, outputs in values)


@dataclass(frozen=True)
class BigGANDeepConfig(ClassConditionalConfig):
    """Architecture of a BigGAN-deep generator.

    Attributes:
        size: image height and width in pixels.
        latent_dim: D, the length of z.
        classes: number of classes.
        embedding_dim: length of the class embedding.
        width: "ch" of the paper, the unit of the published channels (128 as published).
        blocks: (doubles the resolution, input channels, output channels) of each block; None stands for the
            published blocks: two per resolution, the second of which doubles it.
        attention: positions of self-attention. Position i is before block i; the number of blocks is the position
            after the last. None stands for the published position, right where 64 px (for small images half the
            size) are reached.
        num_statistics: rows of the batch norms' tables of statistics by truncation; 0 for one set of statistics.
        bottom: resolution of the linear layer's output.
        image_channels: channels of the image.
        rgb_channels: output channels of the RGB convolution's weight; the first ``image_channels`` are used.
        norm_epsilon, output_norm_epsilon, spectral_epsilon: epsilon of conditional norms, last norm, power iterations.
        stored_v: whether spectral norms keep both singular vectors and use them as they are in eval mode.
        truncation: default truncation, which chooses the statistics and scales z.
    """

    size: int
    latent_dim: int = 128
    classes: int = 1000
    embedding_dim: int = 128
    width: int = 128
    blocks: Sequence[Block] | None = None
    attention: Sequence[int] | None = None
    num_statistics: int = 0
    bottom: int = 4
    image_channels: int = 3
    rgb_channels: int | None = None
    norm_epsilon: float = NORM_EPSILON
    output_norm_epsilon: float = NORM_EPSILON
    spectral_epsilon: float = SPECTRAL_EPSILON
    stored_v: bool = False
    truncation: float = 1.0

    def __post_init__(self) -> None:
        self._require_positive("latent_dim", "classes", "embedding_dim", "width", "bottom", "image_channels")
        blocks = self._published_blocks() if self.blocks is None else _blocks(self.blocks)
        self._check(blocks)
        object.__setattr__(self, "blocks", blocks)
        if self.attention is None:
            end = min(64, self.size // 2)
            attention = tuple(i for i in range(len(blocks)) if self._before(blocks, i) == end)[:1]
        else:
            attention = tuple(sorted(int(position) for position in self.attention))
        if any(not 0 <= position <= len(blocks) for position in attention):
            raise ValueError(f"attention positions of {len(blocks)} blocks are 0 to {len(blocks)}")
        object.__setattr__(self, "attention", attention)
        if self.rgb_channels is None:
            object.__setattr__(self, "rgb_channels", self.image_channels)
        if not isinstance(self.rgb_channels, int) or self.rgb_channels < self.image_channels:
            raise ValueError(f"rgb_channels must be at least {self.image_channels}, got {self.rgb_channels}")
        if self.num_statistics < 0:
            raise ValueError(f"num_statistics must not be negative, got {self.num_statistics}")
        if not 0 < self.truncation <= 1:
            raise ValueError(f"truncation must lie above 0 and at most at 1, got {self.truncation}")

    def _published_blocks(self) -> tuple[Block, ...]:
        channels = channel_table(self.size, self.width, None, self.bottom)
        resolutions = sorted(channels)
        result: list[Block] = []
        for low, high in zip(resolutions[:-1], resolutions[1:], strict=True):
            result += [(False, channels[low], channels[low]), (True, channels[low], channels[high])]
        return tuple(result)

    def _before(self, blocks: Sequence[Block], position: int) -> int:
        """The resolution of the input of block ``position``."""
        return self.bottom * int(2 ** sum(up for up, _, _ in blocks[:position]))

    def _check(self, blocks: Sequence[Block]) -> None:
        if not blocks or self._before(blocks, len(blocks)) != self.size:
            raise ValueError(
                f"{sum(up for up, _, _ in blocks)} doubling blocks from {self.bottom} px do not end at "
                f"{self.size} px"
            )
        for index, (_, inputs, outputs) in enumerate(blocks):
            if inputs < 4 or not 1 <= outputs <= inputs:
                raise ValueError(
                    f"block {index}: {inputs} to {outputs} channels; a block needs at least 4 and never widens"
                )
            if index and blocks[index - 1][2] != inputs:
                raise ValueError(
                    f"block {index} takes {inputs} channels, but block {index - 1} gives {blocks[index - 1][2]}"
                )

    @property
    def block_list(self) -> tuple[Block, ...]:
        """The blocks, complete."""
        assert self.blocks is not None
        return _blocks(self.blocks)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """(bottom, ..., size)."""
        return tuple(self.feature_channels)

    @property
    def feature_channels(self) -> dict[int, int]:
        """Channels of the feature map of each resolution, ascending."""
        blocks = self.block_list
        channels = {self.bottom: blocks[0][1]}
        for position, (_, _, outputs) in enumerate(blocks):
            channels[self._before(blocks, position + 1)] = outputs
        return channels

    @property
    def num_latents(self) -> int:
        """L: one code, which every layer sees."""
        return 1

    @property
    def condition_dim(self) -> int:
        """Length of the condition of all layers: class embedding and z."""
        return self.embedding_dim + self.latent_dim


class BottleneckBlock(nn.Module):
    """A residual block of four convolutions, 1x1, 3x3, 3x3, 1x1, at a quarter of its input's channels.

    The skip path has no weights: where the block's output has fewer channels, it drops the last ones.
    """

    def __init__(self, config: BigGANDeepConfig, up: bool, in_channels: int, out_channels: int) -> None:
        super().__init__()
        options: dict[str, Any] = {"epsilon": config.spectral_epsilon, "store_v": config.stored_v}

        def norm(channels: int) -> ConditionalNorm:
            return ConditionalNorm(
                channels,
                config.condition_dim,
                epsilon=config.norm_epsilon,
                num_statistics=config.num_statistics,
                spectral_epsilon=config.spectral_epsilon,
                store_v=config.stored_v,
            )

        self.up, self.out_channels = up, out_channels
        middle = in_channels // 4
        self.norm1, self.norm2, self.norm3, self.norm4 = (
            norm(in_channels), norm(middle), norm(middle), norm(middle)
        )  # fmt: skip
        self.conv1 = SpectralConv2d(in_channels, middle, 1, **options)
        self.conv2 = SpectralConv2d(middle, middle, 3, **options)
        self.conv3 = SpectralConv2d(middle, middle, 3, **options)
        self.conv4 = SpectralConv2d(middle, out_channels, 1, **options)

    def forward(self, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
        """``[B, in, H, W]`` and ``[B, condition_dim]`` to ``[B, out, H, W]`` (twice H and W where it doubles)."""
        y = self.conv1(F.relu_(self.norm1(x, condition, truncation)))
        y = F.relu_(self.norm2(y, condition, truncation))
        y = self.conv2(upsample(y) if self.up else y)
        y = self.conv3(F.relu_(self.norm3(y, condition, truncation)))
        y = self.conv4(F.relu_(self.norm4(y, condition, truncation)))
        x = x[:, : self.out_channels]
        return y + (upsample(x) if self.up else x)


class BigGANDeep(ClassConditionalGenerator):
    """The BigGAN-deep generator.

    Args:
        config: the architecture. Weights are drawn (orthogonal) from torch's global random state.
    """

    def __init__(self, config: BigGANDeepConfig) -> None:
        super().__init__(config.classes, config.embedding_dim)
        self.config = config
        blocks = config.block_list
        options: dict[str, Any] = {"epsilon": config.spectral_epsilon, "store_v": config.stored_v}
        self.linear = SpectralLinear(config.condition_dim, blocks[0][1] * config.bottom**2, **options)
        self.blocks = nn.ModuleList(BottleneckBlock(config, *block) for block in blocks)
        assert config.attention is not None
        widths = [blocks[0][1], *(outputs for _, _, outputs in blocks)]
        self.attentions = nn.ModuleDict(
            {str(position): SelfAttention(widths[position], **options) for position in config.attention}
        )
        self.output_norm = OutputNorm(
            widths[-1], epsilon=config.output_norm_epsilon, num_statistics=config.num_statistics
        )
        assert config.rgb_channels is not None
        self.to_rgb = SpectralConv2d(
            widths[-1], config.rgb_channels, 3, keep=config.image_channels, **options
        )

    def forward(
        self,
        z: Tensor,
        labels: Tensor,
        *,
        features: bool | Sequence[int] = (),
        image: bool = True,
        truncation: float | None = None,
    ) -> SynthesisOutput:
        """Images and feature maps of latents and classes; differentiable, twice.

        Args:
            z: ``[B, D]`` or ``[B, 1, D]``, a truncated normal, already scaled with the truncation.
            labels: integer classes ``[B]`` or ``[1]``, or class embeddings ``[B or 1, embedding_dim]`` (:meth:`embed`).
            features: resolutions of the feature maps to return, True for all. A map is the last activation of its
                resolution; for the finest resolution, the activation before the last norm.
            image: whether to compute the image ``[B, C, size, size]``, in [-1, 1]; without the image, no layer
                finer than the finest map runs.
            truncation: chooses the batch norms' statistics where they are tables, above 0 and at most 1; None:
                the configuration's.

        Raises:
            ValueError: latents, labels, features or truncation do not fit the architecture.
        """
        config = self.config
        code = split_latents(z, 1, config.latent_dim)[:, 0]
        embedded = self._condition(labels, z.shape[0])
        wanted = wanted_maps(features, config.resolutions)
        truncation = config.truncation if truncation is None else truncation
        last = config.size if image else max(wanted, default=0)
        if last == 0:
            return SynthesisOutput(None, {})
        condition = torch.cat([embedded, code.to(embedded.dtype)], dim=1)
        x = self.linear(condition).unflatten(1, (-1, config.bottom, config.bottom))
        kept: dict[int, Tensor] = {}
        resolution = config.bottom
        for position, block in enumerate([*self.blocks, None]):
            if str(position) in self.attentions:
                x = self.attentions[str(position)](x)
            doubles = isinstance(block, BottleneckBlock) and block.up
            if (doubles or block is None) and resolution in wanted:
                kept[resolution] = x
            if block is None or (doubles and resolution == last and not image):
                break
            x = block(x, condition, truncation)
            resolution *= 2 if doubles else 1
        return SynthesisOutput(self.rgb(x, truncation) if image else None, kept)
