"""Layers of the first StyleGAN: equalised weights of gain sqrt(2), fused resampling, binomial blur, noise, AdaIN.

Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks" (2019, arXiv:1812.04948).
Plain torch, twice differentiable.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
NORM_EPSILON = 1e-5


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2."""
    return F.leaky_relu(x, SLOPE)


class ScaledConv(nn.Module):
    """A "same" convolution with the weight ``W sqrt(2 / (in k^2))``.

    Args:
        in_channels, out_channels, kernel_size: as in torch.
        padding: zeros on every side; None keeps the size.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, padding: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.padding = kernel_size // 2 if padding is None else padding
        self.scale = math.sqrt(2 / (in_channels * kernel_size**2))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H', W']``."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class ScaledLinear(nn.Module):
    """A linear layer with the weight ``W sqrt(2 / in)``."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.scale = math.sqrt(2 / in_features)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in]`` to ``[..., out]``, in the parameters' precision."""
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(self.weight.dtype), self.weight * self.scale, self.bias)


def spread(kernel: Tensor) -> Tensor:
    """The kernel ``[a, b, k, k]`` of a convolution fused with resampling: the mean of 4 shifts, one px wider."""
    wide = F.pad(kernel, (1, 1, 1, 1))
    return (wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]) / 4


class FusedUp(nn.Module):
    """Doubling and 3x3 convolution in one transposed convolution; the weight is ``[in, out, 3, 3]``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_channels, out_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = math.sqrt(2 / (in_channels * 9))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, 2H, 2W]``."""
        return F.conv_transpose2d(x, spread(self.weight * self.scale), self.bias, stride=2, padding=1)


class FusedDown(nn.Module):
    """3x3 convolution and halving in one convolution of stride 2; the weight is ``[out, in, 3, 3]``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = math.sqrt(2 / (in_channels * 9))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H / 2, W / 2]``."""
        return F.conv2d(x, spread(self.weight * self.scale), self.bias, stride=2, padding=1)


def blur(x: Tensor) -> Tensor:
    """Filter with [1, 2, 1] / 4 per axis, zeros outside: ``[B, C, H, W]`` to the same shape."""
    taps = torch.tensor([1.0, 2.0, 1.0], device=x.device, dtype=x.dtype)
    kernel = torch.outer(taps, taps) / 16
    channels = x.shape[1]
    return F.conv2d(x, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels)


class Styled(nn.Module):
    """What follows a convolution: noise, leaky ReLU, then adaptive instance norm (AdaIN) by the style."""

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.noise_strength = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.noise_scale = math.sqrt(2 / channels)
        self.style = ScaledLinear(code_dim, 2 * channels)
        with torch.no_grad():
            self.style.bias[:channels] = 1

    def forward(self, x: Tensor, code: Tensor, noise: Tensor | None) -> Tensor:
        """``gamma norm(leaky(x + n)) + beta`` of ``[B, C, H, W]``, code ``[B, D]``, noise ``[B or 1, 1, H, W]``."""
        if noise is not None:
            x = x + self.noise_strength * self.noise_scale * noise
        x = F.instance_norm(leaky(x), eps=NORM_EPSILON)
        gamma, beta = self.style(code)[:, :, None, None].chunk(2, dim=1)
        return gamma * x + beta
