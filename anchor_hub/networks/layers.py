"""Building blocks shared by the networks: equalised linear and convolution layers, FIR resampling, activation.

All layers are plain differentiable torch operations: second derivatives (R1, path lengths), autocast and
channels-last memory format work as for torch's own layers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAKY_SLOPE = 0.2
SQRT2 = math.sqrt(2.0)


def pixel_norm(x: Tensor, epsilon: float = 1e-8) -> Tensor:
    """Scale every sample to unit mean square over axis 1: ``x / sqrt(mean(x^2, 1) + epsilon)``.

    Args:
        x: ``[B, D, ...]``, any range.

    Returns:
        Same shape.
    """
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + epsilon)


def check_request(images: Tensor, shape: tuple[int, int, int], wanted: Collection[int], sides: Sequence[int]) -> None:
    """What discriminators check of images and of the maps that are asked of them.

    :param shape: that of one image, (C, H, W). :param sides: those that the discriminator has maps of.
    :raises ValueError: images that are not ``[B, C, H, W]``, or maps of a side that it does not have.
    """
    if images.ndim != 4 or tuple(images.shape[1:]) != shape:
        raise ValueError(f"images must be [B, {', '.join(map(str, shape))}], got {list(images.shape)}")
    if unknown := sorted(set(wanted) - set(sides)):
        raise ValueError(f"no maps of {unknown} px; this discriminator has those of {list(sides)}")


def leaky_relu_(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2, in place and without gain: callers fold the gain of sqrt(2) into the layer before.

    The function stays the same, because leaky ReLU is positively homogeneous: ``sqrt(2) f(x) = f(sqrt(2) x)``.
    In place halves the memory of activations, because the backward pass needs only the result.
    """
    return F.leaky_relu(x, LEAKY_SLOPE, inplace=True)


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate, optionally followed by leaky ReLU times sqrt(2).

    ``y = x W^T (m / sqrt(in_features)) + m b`` with the learning-rate multiplier m; W is drawn from N(0,
    1/m^2), so that the effective weight starts with variance 1/in_features. The layer computes in the parameters'
    precision, also under autocast: it is cheap, and eight such layers in bfloat16 make latents coarse.

    Args:
        in_features, out_features: sizes of the last axis.
        bias_init: the value the effective bias starts from.
        lr_multiplier: m.
        activate: whether leaky ReLU (slope 0.2) and a gain of sqrt(2) follow.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
        activate: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        gain = SQRT2 if activate else 1.0
        self.activate = activate
        self.weight_scale = gain * lr_multiplier / math.sqrt(in_features)
        self.bias_scale = gain * lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in_features]`` to ``[..., out_features]`` in the parameters' dtype."""
        with torch.autocast(x.device.type, enabled=False):
            y = F.linear(
                x.to(self.weight.dtype), self.weight * self.weight_scale, self.bias * self.bias_scale
            )
            return leaky_relu_(y) if self.activate else y

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, activate={self.activate}"


class _Blur(torch.autograd.Function):
    """Depthwise correlation with a symmetric 4x4 kernel and p zeros on every side.

    Its adjoint is the same operation with 3 - p zeros, at every order. The second derivative of torch's convolution
    would also compute gradients of the constant kernel, channel by channel.
    """

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
        channels = x.shape[1]
        with torch.autocast(x.device.type, enabled=False):
            weight = kernel.to(x.dtype).expand(channels, 1, 4, 4)
            return F.conv2d(x, weight, padding=padding, groups=channels)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        _, kernel, ctx.padding = inputs
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (kernel,) = ctx.saved_tensors
        return _Blur.apply(gradient, kernel, 3 - ctx.padding), None, None


class Resample(nn.Module):
    """Zero-padded FIR filtering with the taps [1, 3, 3, 1] per axis, normalised to sum ``gain``.

    Depthwise 4x4 convolutions were faster on a CPU than separable ones, sums of shifted slices and repeated averaging,
    above all in the backward pass. The kernel is a non-persistent buffer: it moves with the module and is not part of
    the state dict.
    """

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.kernel: Tensor
        self.register_buffer("kernel", self._kernel(), persistent=False)

    def _kernel(self) -> Tensor:
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        # All entries are multiples of 1/64 with few digits: exact in bfloat16, float32 and float64 alike.
        return torch.outer(taps, taps)[None, None] * (self.gain / 64)

    def reset_constants(self) -> None:
        """Make the kernel anew, on the CPU: for networks that were built on the meta device."""
        self.kernel = self._kernel()

    def blur(self, x: Tensor, padding: int) -> Tensor:
        """Filter with p zeros on every side: ``[B, C, H, W]`` to ``[B, C, H + 2p - 3, W + 2p - 3]``."""
        result: Tensor = _Blur.apply(x, self.kernel, padding)
        return result

    def up(self, x: Tensor) -> Tensor:
        """Insert zeros and filter: ``[B, C, H, W]`` to ``[B, C, 2H, 2W]``; use gain 4 to keep the mean."""
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, 1, 4, 4)
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: at stride 2, even sides are padded below and right."""

    def forward(self, input: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H / stride, W / stride]``, rounded up."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[-2:])
        padding = height // 2, width // 2
        if height % 2 or width % 2:
            input = F.pad(input, (padding[1], width - padding[1], padding[0], height - padding[0]))
            padding = 0, 0
        return F.conv2d(input, self.weight, self.bias, stride, padding, 1, self.groups)


class EqualConv2d(nn.Module):
    """Convolution with equalised learning rate, optional FIR downsampling, bias and leaky ReLU times sqrt(2).

    ``y = conv(x, W / sqrt(in k^2)) + b``, W from N(0, 1). With ``down`` the input is first low-passed with
    [1, 3, 3, 1] and the convolution has stride 2.

    Args:
        in_channels, out_channels, kernel_size: as in torch; ``kernel_size`` odd, "same" padding.
        bias: whether there is a bias.
        activate: whether leaky ReLU (slope 0.2) and a gain of sqrt(2) follow.
        down: halve the resolution.
        gain: an extra factor on the output.
        clamp: bound of the output at gain 1; ``gain`` scales the bound, too. None for no bound.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        activate: bool = False,
        down: bool = False,
        gain: float = 1.0,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.clamp = None if clamp is None else clamp * gain
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.resample = Resample() if down else None
        self.activate = activate
        total = gain * (SQRT2 if activate else 1.0)
        self.weight_scale = total / math.sqrt(in_channels * kernel_size**2)
        self.bias_scale = total

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in_channels, H, W]`` to ``[B, out_channels, H, W]`` (half of H and W with ``down``)."""
        weight = self.weight * self.weight_scale
        bias = None if self.bias is None else self.bias * self.bias_scale
        kernel_size = self.weight.shape[-1]
        if self.resample is None:
            y = F.conv2d(x, weight, bias, padding=kernel_size // 2)
        else:
            # For k = 1 a filter of stride 2 would do less, but its backward pass is 20 times slower on CPU.
            y = F.conv2d(self.resample.blur(x, 1 + kernel_size // 2), weight, bias, stride=2)
        y = leaky_relu_(y) if self.activate else y
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)

    def extra_repr(self) -> str:
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        return f"{in_channels}, {out_channels}, {kernel_size}, activate={self.activate}"
