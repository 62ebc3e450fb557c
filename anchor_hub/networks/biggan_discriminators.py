"""The discriminators of BigGAN and BigGAN-deep: residual networks with a class projection.

Brock et al. (2019, arXiv:1809.11096), appendix B; the projection ``D(x, y) = linear(h) + <embed(y), h>`` is that of
Miyato and Koyama (2018, arXiv:1802.05637).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.biggan import ClassConditionalConfig
from anchor_hub.networks.biggan_layers import (
    SPECTRAL_EPSILON,
    SelfAttention,
    SpectralConv2d,
    SpectralEmbedding,
    SpectralLinear,
)
from anchor_hub.networks.layers import check_request

#: Whether the block halves the resolution, and its output channels.
Block = tuple[bool, int]

#: Output channels of each block in multiples of the width; every block but the last halves the resolution.
PUBLISHED_BLOCKS: dict[int, tuple[int, ...]] = {
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}
#: The deep discriminator's stages; every one halves the resolution.
PUBLISHED_STAGES: dict[int, tuple[int, ...]] = {
    64: (2, 4, 8, 16),
    128: (2, 4, 8, 16, 16),
    256: (2, 4, 8, 8, 16, 16),
}


def published_blocks(size: int, width: int) -> tuple[Block, ...]:
    """The published blocks of a BigGAN discriminator. Raises ValueError for a size without published blocks."""
    if size == 32:
        return tuple((down, 4 * width) for down in (True, True, False, False))
    return tuple(
        (index < len(_of(PUBLISHED_BLOCKS, size)) - 1, multiple * width)
        for index, multiple in enumerate(_of(PUBLISHED_BLOCKS, size))
    )


def published_deep_blocks(size: int, width: int, depth: int = 2) -> tuple[Block, ...]:
    """The published blocks of a BigGAN-deep discriminator, stage after stage of ``depth`` blocks.

    Raises ValueError for a size without published blocks.
    """
    if size == 32:
        stages = [(down, 4 * width) for down in (True, True, False)]
    else:
        stages = [(True, multiple * width) for multiple in _of(PUBLISHED_STAGES, size)]
    return tuple((down and index == 0, outputs) for down, outputs in stages for index in range(depth))


def _of(table: Mapping[int, tuple[int, ...]], size: int) -> tuple[int, ...]:
    if size not in table:
        raise ValueError(
            f"no published discriminator for {size} px (there are some for {[32, *sorted(table)]}); give its blocks"
        )
    return table[size]


def attention_positions(size: int, blocks: Sequence[Block], resolutions: Sequence[int]) -> tuple[int, ...]:
    """Positions of self-attention (i: before block i) that put it at the end of each of ``resolutions``.

    Raises ValueError for a resolution at which no block ends.
    """
    ends: dict[int, int] = {}
    for index, (down, _) in enumerate(blocks):
        size = size // 2 if down else size
        ends[size] = index + 1
    missing = [r for r in resolutions if r not in ends]
    if missing:
        raise ValueError(f"attention at {missing} px: the discriminator's blocks end at {sorted(ends)} px")
    return tuple(sorted(ends[r] for r in resolutions))


@dataclass(frozen=True)
class BigGANDiscriminatorConfig(ClassConditionalConfig):
    """Architecture of a BigGAN discriminator.

    Attributes:
        size: image height and width in pixels.
        blocks: (halves the resolution, output channels) of each block; None stands for the published ones.
        attention: positions of self-attention. Position i is before block i (never 0: images are not attended to);
            the number of blocks is the position after the last. :meth:`of_size` finds positions from resolutions.
        classes: number of classes.
        width: "ch" of the paper, the unit of the published channels (96).
        wide: whether the first convolution of a block already has the block's output channels (as published).
        image_channels: channels of the image.
        spectral_epsilon: epsilon of the power iterations.
    """

    size: int
    blocks: Sequence[Block] | None = None
    attention: Sequence[int] = ()
    classes: int = 1000
    width: int = 96
    wide: bool = True
    image_channels: int = 3
    spectral_epsilon: float = SPECTRAL_EPSILON

    def __post_init__(self) -> None:
        _complete(self, published_blocks(self.size, self.width) if self.blocks is None else self.blocks)

    @property
    def block_list(self) -> tuple[Block, ...]:
        """The blocks, complete."""
        assert self.blocks is not None
        return tuple(self.blocks)

    @classmethod
    def of_size(
        cls,
        size: int,
        *,
        width: int = 96,
        channels: Mapping[int, int] | None = None,
        attention: Sequence[int] = (),
        **settings: Any,
    ) -> BigGANDiscriminatorConfig:
        """The configuration of a discriminator, from the resolutions of its attention.

        Args:
            size: height and width of the images in pixels.
            width: unit of the published channels.
            channels: resolution to channels, from ``size // 2`` down to 4, instead of the published ones; one more
                block without halving follows at the lowest of them.
            attention: resolutions at whose end self-attention stands.
            settings: other fields of the configuration.
        """
        if channels is None:
            blocks = published_blocks(size, width)
        else:
            table = {int(r): int(count) for r, count in channels.items() if int(r) < size}
            blocks = tuple((True, table[r]) for r in sorted(table, reverse=True))
            blocks += ((False, blocks[-1][1]),)
        positions = attention_positions(size, blocks, attention)
        return cls(size, blocks=blocks, attention=positions, width=width, **settings)


@dataclass(frozen=True)
class BigGANDeepDiscriminatorConfig(ClassConditionalConfig):
    """Architecture of a BigGAN-deep discriminator; ``blocks`` includes every block of every stage.

    Attributes as of :class:`BigGANDiscriminatorConfig`; ``stem`` is the number of channels of the first
    convolution (None: the width, four times the width at 32 px).
    """

    size: int
    blocks: Sequence[Block] | None = None
    attention: Sequence[int] = ()
    classes: int = 1000
    width: int = 128
    stem: int | None = None
    image_channels: int = 3
    spectral_epsilon: float = SPECTRAL_EPSILON

    def __post_init__(self) -> None:
        if self.stem is None:
            object.__setattr__(self, "stem", self.width * (4 if self.size == 32 else 1))
        _complete(self, published_deep_blocks(self.size, self.width) if self.blocks is None else self.blocks)
        inputs = self.stem or 0
        for index, (_, outputs) in enumerate(self.block_list):
            if outputs < max(inputs, 4):
                raise ValueError(f"block {index}: {inputs} to {outputs} channels; blocks never narrow")
            inputs = outputs

    @property
    def block_list(self) -> tuple[Block, ...]:
        """The blocks, complete."""
        assert self.blocks is not None
        return tuple(self.blocks)

    @classmethod
    def of_size(
        cls, size: int, *, width: int = 128, depth: int = 2, attention: Sequence[int] = (), **settings: Any
    ) -> BigGANDeepDiscriminatorConfig:
        """The published blocks of a size, with attention at the end of some resolutions."""
        blocks = published_deep_blocks(size, width, depth)
        positions = attention_positions(size, blocks, attention)
        return cls(size, blocks=blocks, attention=positions, width=width, **settings)


def _complete(config: Any, given: Sequence[Sequence[Any]]) -> None:
    """Check a discriminator's configuration, and turn its lists into tuples of plain numbers."""
    config._require_positive("size", "classes", "width", "image_channels")
    blocks = tuple((bool(down), int(outputs)) for down, outputs in given)
    halvings = sum(down for down, _ in blocks)
    if not blocks or config.size % 2**halvings or any(outputs < 1 for _, outputs in blocks):
        raise ValueError(f"{halvings} halvings do not fit {config.size} px, or a block has no channels: {blocks}")
    attention = tuple(sorted(int(position) for position in config.attention))
    if any(not 0 < position <= len(blocks) for position in attention):
        raise ValueError(f"attention positions of {len(blocks)} blocks are 1 to {len(blocks)}")
    object.__setattr__(config, "blocks", blocks)
    object.__setattr__(config, "attention", attention)


class DownBlock(nn.Module):
    """A residual block of two 3x3 convolutions, optionally halving the resolution.

    The first block of a discriminator takes the image as it is; all others activate their input first.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, down: bool, first: bool, wide: bool, epsilon: float
    ) -> None:
        super().__init__()
        self.down, self.first = down, first
        hidden = out_channels if wide else in_channels
        self.conv1 = SpectralConv2d(in_channels, hidden, 3, epsilon=epsilon)
        self.conv2 = SpectralConv2d(hidden, out_channels, 3, epsilon=epsilon)
        learned = first or down or in_channels != out_channels
        self.shortcut = SpectralConv2d(in_channels, out_channels, 1, epsilon=epsilon) if learned else None

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H, W]``, or half of H and W."""
        y = self.conv1(x if self.first else F.relu(x))
        y = self.conv2(F.relu_(y))
        if self.down:
            # A 1x1 convolution commutes with averaging, and costs a quarter after it.
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return y + (x if self.shortcut is None else self.shortcut(x))


class DownBottleneckBlock(nn.Module):
    """A residual bottleneck block, 1x1, 3x3, 3x3, 1x1 at a quarter of its output's channels, optionally halving.

    Where the skip path has too few channels, a 1x1 convolution of it makes the others, which are appended.
    """

    def __init__(self, in_channels: int, out_channels: int, *, down: bool, epsilon: float) -> None:
        super().__init__()
        self.down = down
        middle = out_channels // 4
        self.conv1 = SpectralConv2d(in_channels, middle, 1, epsilon=epsilon)
        self.conv2 = SpectralConv2d(middle, middle, 3, epsilon=epsilon)
        self.conv3 = SpectralConv2d(middle, middle, 3, epsilon=epsilon)
        self.conv4 = SpectralConv2d(middle, out_channels, 1, epsilon=epsilon)
        extra = out_channels - in_channels
        self.shortcut = SpectralConv2d(in_channels, extra, 1, epsilon=epsilon) if extra else None

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H, W]``, or half of H and W."""
        y = self.conv2(F.relu_(self.conv1(F.relu(x))))
        y = F.relu_(self.conv3(F.relu_(y)))
        if self.down:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        if self.shortcut is not None:
            x = torch.cat([x, self.shortcut(x)], dim=1)
        return self.conv4(y) + x


class ProjectionDiscriminator(nn.Module):
    """Base of both discriminators: the pass through blocks and attentions, and the head."""

    config: BigGANDiscriminatorConfig | BigGANDeepDiscriminatorConfig
    blocks: nn.ModuleList
    attentions: nn.ModuleDict

    def _finish(self, config: BigGANDiscriminatorConfig | BigGANDeepDiscriminatorConfig) -> None:
        """Add attentions and head, which are the same in both discriminators."""
        epsilon = config.spectral_epsilon
        blocks = config.block_list
        self.attentions = nn.ModuleDict(
            {str(p): SelfAttention(blocks[p - 1][1], epsilon=epsilon) for p in config.attention}
        )
        self.linear = SpectralLinear(blocks[-1][1], 1, epsilon=epsilon)
        self.embedding = SpectralEmbedding(config.classes, blocks[-1][1], epsilon=epsilon)

    def _stem(self, images: Tensor) -> Tensor:
        return images

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the maps that :meth:`maps` can give, descending: those at which blocks end."""
        return tuple(self.map_channels)

    @property
    def map_channels(self) -> dict[int, int]:
        """Channels of the map of each side, in the order of :attr:`sides`."""
        side, found = self.config.size, {}
        for down, outputs in self.config.block_list:
            side = side // 2 if down else side
            found[side] = outputs
        return found

    def _trunk(self, images: Tensor, wanted: Collection[int], *, whole: bool) -> tuple[Tensor, dict[int, Tensor]]:
        """The last activation after ReLU, and the maps of ``wanted`` sides; unless ``whole``, no further than those."""
        config = self.config
        check_request(images, (config.image_channels, config.size, config.size), wanted, self.sides)
        kept: dict[int, Tensor] = {}
        last = min(wanted, default=0)
        x = self._stem(images)
        for position, block in enumerate(self.blocks, start=1):
            if not whole and x.shape[-1] == last and self.config.block_list[position - 1][0]:
                break
            x = block(x)
            if str(position) in self.attentions:
                x = self.attentions[str(position)](x)
            if x.shape[-1] in wanted:
                kept[x.shape[-1]] = x
        if whole or last == self.sides[-1]:
            x = F.relu(x)
            if x.shape[-1] in kept:
                kept[x.shape[-1]] = x
        return x, kept

    def maps(self, images: Tensor, sides: Collection[int]) -> dict[int, Tensor]:
        """Hierarchical features: the last map ``[B, channels, R, R]`` of each side R; no later layer runs.

        The map of the lowest side is taken after the last ReLU, all others before theirs (as DeepI2I's published
        weights were trained). Raises ValueError: images of another shape, or a side at which no block ends.
        """
        return self._trunk(images, sides, whole=False)[1]

    def judge(self, images: Tensor, labels: Tensor, sides: Collection[int]) -> tuple[Tensor, dict[int, Tensor]]:
        """Logits ``[B]`` as :meth:`forward` gives them and the :meth:`maps` of ``sides``, from one pass."""
        x, kept = self._trunk(images, sides, whole=True)
        return self._logits(x, labels), kept

    def pooled(self, images: Tensor) -> Tensor:
        """``[B, C, size, size]`` to ``[B, channels]``: the last activation after ReLU, summed over positions."""
        return self._pool(self._trunk(images, (), whole=True)[0])

    def _pool(self, x: Tensor) -> Tensor:
        return x.to(self.linear.weight.dtype).sum(dim=(2, 3))

    def _logits(self, x: Tensor, labels: Tensor) -> Tensor:
        pooled = self._pool(x)
        return self.linear(pooled)[:, 0] + (self.embedding(labels) * pooled).sum(dim=1)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Logits of images and their classes.

        Args:
            images: ``[B, C, size, size]`` in [-1, 1].
            labels: integer classes ``[B]``.

        Returns:
            ``[B]``: ``linear(h) + <embed(y), h>`` with the pooled activation h.

        Raises:
            ValueError: images of another shape.
        """
        return self.judge(images, labels, ())[0]

    def without_head(self) -> ProjectionDiscriminator:
        """This network without head and class vectors, which :meth:`maps` does not need."""
        del self.linear, self.embedding
        return self


class BigGANDiscriminator(ProjectionDiscriminator):
    """The BigGAN discriminator.

    Args:
        config: the architecture. Weights are drawn (orthogonal) from torch's global random state.
    """

    def __init__(self, config: BigGANDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList()
        inputs = config.image_channels
        for index, (down, outputs) in enumerate(config.block_list):
            self.blocks.append(
                DownBlock(
                    inputs, outputs, down=down, first=index == 0, wide=config.wide, epsilon=config.spectral_epsilon
                )
            )
            inputs = outputs
        self._finish(config)


class BigGANDeepDiscriminator(ProjectionDiscriminator):
    """The BigGAN-deep discriminator.

    Args:
        config: the architecture. Weights are drawn (orthogonal) from torch's global random state.
    """

    def __init__(self, config: BigGANDeepDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        assert config.stem is not None
        epsilon = config.spectral_epsilon
        self.stem = SpectralConv2d(config.image_channels, config.stem, 3, epsilon=epsilon)
        self.blocks = nn.ModuleList()
        inputs = config.stem
        for down, outputs in config.block_list:
            self.blocks.append(DownBottleneckBlock(inputs, outputs, down=down, epsilon=epsilon))
            inputs = outputs
        self._finish(config)

    def _stem(self, images: Tensor) -> Tensor:
        return self.stem(images)
