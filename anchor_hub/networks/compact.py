"""A compact encoder for small hubs (16 to 256 px), about two million parameters at the default width.

Strided residual convolutions shrink the image to 4x4; every predicted code then pools the last two maps with
its own learned attention, next to a dense summary of the 4x4 map, so that pose and layout are not averaged away.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.errors import ConfigError

#: Side in pixels that larger images are averaged down to: predicting a code needs no more.
LARGEST_INPUT = 256


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with groups of 16 (or 8) channels where these divide ``channels``: it does not depend on the batch."""
    size = next((size for size in (16, 8) if channels % size == 0), channels)
    return nn.GroupNorm(channels // size, channels)


class DownBlock(nn.Module):
    """A residual block that halves the resolution: ``[B, in, H, W] -> [B, out, H/2, W/2]``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm2 = group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.conv1(F.leaky_relu(self.norm1(x), 0.2, inplace=True))
        residual = self.conv2(F.leaky_relu(self.norm2(residual), 0.2, inplace=True))
        return (self.skip(F.avg_pool2d(x, 2, ceil_mode=True)) + residual) * math.sqrt(0.5)


class CodeAttention(nn.Module):
    """K learned queries pool spatial tokens ``[B, T, C]`` to ``[B, K, C]`` with multi-head attention."""

    def __init__(self, channels: int, num_codes: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(num_codes, channels) / math.sqrt(channels))
        self.key_value = nn.Linear(channels, 2 * channels)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, _, channels = tokens.shape
        keys, values = self.key_value(tokens).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries = self.queries.to(keys.dtype).unflatten(1, (self.heads, -1)).transpose(0, 1)
        scores = queries @ keys.transpose(-2, -1) * math.sqrt(self.heads)
        pooled = scores.softmax(dim=-1) @ values
        return pooled.transpose(1, 2).reshape(batch, -1, channels)


class CompactEncoder(nn.Module):
    """Images to latent offsets for hubs of 16 to 256 px, light enough to train on two CPU cores.

    :param in_channels: channels of the input: 3 RGB, 1 gray or drawn landmarks, the classes of a one-hot label map.
    :param num_latents: W+ layers L of the hub.
    :param latent_dim: D of the hub.
    :param space: ``w+`` (``num_codes`` codes) or ``w`` (one code, repeated for all layers).
    :param input_size: side of the square input in pixels, a power of two from 16 to 1024. Images above 256 px
        are averaged down to 256.
    :param width: channels at full resolution; they double with every halving up to ``8 * width``.
    :param num_codes: leading W+ layers that get a code of their own; all further layers repeat the last one.
        Default: every layer in ``w+``. ``num_codes=1`` is the same as ``space="w"``.
    :raises ConfigError: on an unknown space, a bad ``input_size`` or ``num_codes`` outside 1..L.

    Initially the offsets are close to zero, so training starts from the hub's mean latent.
    """

    def __init__(
        self,
        in_channels: int,
        num_latents: int,
        latent_dim: int = 512,
        *,
        space: str = "w+",
        input_size: int = 64,
        width: int = 24,
        num_codes: int | None = None,
    ) -> None:
        super().__init__()
        if space not in ("w", "w+"):
            raise ConfigError(f"compact encoder: unknown latent space {space!r}; use 'w' or 'w+'")
        if not 16 <= input_size <= 1024 or input_size & (input_size - 1):
            raise ConfigError(
                f"compact encoder: input_size {input_size} is not a power of two from 16 to 1024"
            )
        if num_codes is None:
            num_codes = 1 if space == "w" else num_latents
        if not 1 <= num_codes <= num_latents or (space == "w" and num_codes != 1):
            raise ConfigError(
                f"compact encoder: num_codes {num_codes} does not fit {num_latents} layers in {space!r}"
            )
        self.in_channels, self.num_latents, self.latent_dim = in_channels, num_latents, latent_dim
        self.space, self.input_size, self.width, self.num_codes = space, input_size, width, num_codes

        # At 128 px and above, full-resolution convolutions would dominate the time, so the stem halves the side.
        self.working_size = min(input_size, LARGEST_INPUT)
        halvings = int(math.log2(self.working_size // 4))
        stem_stride = 2 if self.working_size >= 128 else 1
        channels = width
        self.stem = nn.Conv2d(in_channels, channels, 3, stride=stem_stride, padding=1)
        blocks: list[nn.Module] = []
        previous = channels
        for _ in range(halvings - int(stem_stride == 2)):
            following = min(2 * channels, 8 * width)
            blocks.append(DownBlock(channels, following))
            previous, channels = channels, following
        self.blocks = nn.ModuleList(blocks)
        self.lateral = nn.Conv2d(previous, channels, 1)
        self.position = nn.Parameter(torch.randn(1, 8 * 8 + 4 * 4, channels) * 0.02)
        self.token_norm = nn.LayerNorm(channels)
        self.attention = CodeAttention(channels, num_codes)
        self.squeeze = nn.Linear(channels, channels // 4)
        self.dense = nn.Linear(channels // 4 * 4 * 4, channels)
        for linear in (self.squeeze, self.dense):
            nn.init.kaiming_normal_(linear.weight, a=0.2)
            nn.init.zeros_(linear.bias)
        self.code_norm = nn.LayerNorm(channels)
        self.weight = nn.Parameter(torch.randn(num_codes, channels, latent_dim) * (0.1 / math.sqrt(channels)))
        self.bias = nn.Parameter(torch.zeros(num_codes, latent_dim))

    def codes(self, images: Tensor) -> Tensor:
        """The ``num_codes`` distinct offsets ``[B, K, D]`` of images ``[B, C, S, S]``."""
        if images.shape[-1] > self.working_size:
            images = F.adaptive_avg_pool2d(images, self.working_size)
        x = self.stem(images)
        before = x
        for block in self.blocks:
            before, x = x, block(x)
        before = self.lateral(before)
        if before.shape[-1] != 8 or x.shape[-1] != 4:
            # The image has another size than input_size: resize the maps to the grid of the positions.
            before, x = F.adaptive_avg_pool2d(before, 8), F.adaptive_avg_pool2d(x, 4)
        tokens = torch.cat([before.flatten(2), x.flatten(2)], dim=2).transpose(1, 2)
        tokens = self.token_norm(tokens + self.position)
        layout = self.dense(F.leaky_relu(self.squeeze(tokens[:, 8 * 8 :]), 0.2).flatten(1))
        pooled = self.code_norm(F.leaky_relu(self.attention(tokens) + layout.unsqueeze(1), 0.2))
        # The last product is float32 even under autocast: bf16 would quantise the latent visibly.
        with torch.autocast(images.device.type, enabled=False):
            return torch.einsum("bkc,kcd->bkd", pooled.float(), self.weight.float()) + self.bias.float()

    def forward(self, images: Tensor) -> Tensor:
        """Offsets ``[B, L, D]``, float32, of images ``[B, C, S, S]``; rows past ``num_codes`` repeat the last code."""
        codes = self.codes(images)
        missing = self.num_latents - self.num_codes
        if missing == 0:
            return codes
        return torch.cat([codes, codes[:, -1:].expand(-1, missing, -1)], dim=1)
