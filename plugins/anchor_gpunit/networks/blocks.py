"""Building blocks of GP-UNIT: convolutions, instance norm, AdaIN, residual blocks.

Three identities make them cheaper than they read in the paper, without changing a number:

* A 3x3 convolution of a picture that was doubled by repeating its pixels is one transposed 4x4 convolution of the
  small picture: 4 products for each output pixel in place of 9.
* Repeating pixels changes neither mean nor variance, and commutes with everything that treats pixels one by one: norms,
  activations and 1x1 convolutions are computed before the doubling.
* A convolution to 3 channels is one of stride 2 to the 12 numbers of 2x2 pixels, which fill a vector of the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from anchor_gpunit.networks import winograd
from anchor_hub.networks.biggan_layers import SpectralWeight

NORM_EPSILON = 1e-5
SPECTRAL_EPSILON = 1e-12
SLOPE = 0.2

Network = TypeVar("Network", bound=nn.Module)

#: Which rows of a 3x3 kernel the 4 rows of its transposed 4x4 kernel add up.
_DOUBLING = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2; in place where no gradient is asked for."""
    return F.leaky_relu(x, SLOPE) if torch.is_grad_enabled() else F.leaky_relu_(x, SLOPE)


def doubled(x: Tensor) -> Tensor:
    """``[B, C, H, W]`` to ``[B, C, 2 H, 2 W]`` by repeating pixels."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Conv(nn.Module):
    """A convolution, which may double the side first, and may have a spectrally normalised weight.

    :meth:`fold` keeps the kernel that the forward pass uses (divided by its spectral norm, or made for doubling) until
    the network trains or loads again.

    Args:
        in_channels, out_channels, kernel: as in torch.
        stride, padding: as in torch; by default as much padding as keeps the side.
        reflect: pad with reflected pixels, not with zeros.
        spectral: divide the weight by its largest singular value, with torch's rule: one power iteration for each
            forward pass in training, the stored vectors in eval mode.
        double: repeat pixels to twice the side first; for 3x3 kernels of stride 1.
        blocks: compute 2x2 pixels at once; for few output channels, zero padding, stride 1 and even sides.
        bias: whether there is a bias.
    """

    folded: Tensor | None
    matrices: Tensor | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, *, stride: int = 1, padding: int | None = None,
        reflect: bool = False, spectral: bool = False, double: bool = False, blocks: bool = False, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if blocks and (reflect or double or stride != 1):
            raise ValueError("a convolution by blocks has zero padding and stride 1, and doubles nothing")
        if double and (kernel, stride, padding) != (3, 1, None):
            raise ValueError("only a 3x3 convolution of stride 1 can double the side")
        shape = (out_channels, in_channels, kernel, kernel)
        self.stride, self.reflect, self.doubles, self.blocks = stride, reflect, double, blocks
        self.padding = kernel // 2 if padding is None else padding
        self.spectral = SpectralWeight(shape, epsilon=SPECTRAL_EPSILON, store_v=True) if spectral else None
        if not spectral:
            self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("folded", None, persistent=False)
        self.register_buffer("matrices", None, persistent=False)
        self.many = not (double or blocks) and (kernel, stride) == (3, 1) and in_channels >= winograd.CHANNELS
        initialise(self)

    def kernel(self) -> Tensor:
        """The kernel of the forward pass: ``[out, in, k, k]``; ``[in, out, 4, 4]`` where it doubles the side,
        ``[4 out, in, k + 1, k + 1]`` where it goes by blocks.
        """
        weight = self.weight if self.spectral is None else self.spectral.normalized()
        if self.blocks:
            moved = [F.pad(weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
            return torch.stack(moved, 1).flatten(0, 1)
        if not self.doubles:
            return weight
        rows = weight.new_tensor(_DOUBLING)
        return torch.einsum("kt,ls,oits->iokl", rows, rows, weight)

    def fold(self) -> None:
        """Keep the kernel; for networks in eval mode whose weights get no gradients.

        Of many channels, CPUs keep the matrices of :mod:`anchor_gpunit.networks.winograd` in its place.
        """
        with torch.no_grad():
            kernel = self.kernel()
            if self.many and kernel.device.type == "cpu":
                self.matrices = winograd.transformed(kernel)
            else:
                self.folded = kernel.contiguous(memory_format=torch.channels_last)

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        self.folded = self.matrices = None
        super()._load_from_state_dict(*arguments, **options)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> Conv:
        if mode:
            self.folded = self.matrices = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H', W']``."""
        padding = self.padding
        even = not (x.shape[2] % 2 or x.shape[3] % 2)
        plain = x.device.type != "cpu" or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
        if self.matrices is not None and even and not plain:
            padded = F.pad(x, (padding,) * 4, "reflect" if self.reflect else "constant")
            return winograd.convolved(padded, self.matrices, self.bias)
        kernel = self.kernel() if self.folded is None else self.folded
        if self.doubles:
            if self.reflect:  # what is reflected on the doubled map is the border's pixel on the small one
                return F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), "replicate"), kernel, self.bias, 2, 3)
            return F.conv_transpose2d(x, kernel, self.bias, 2, 1)
        if self.blocks:
            bias = None if self.bias is None else self.bias.repeat_interleave(4)
            return F.pixel_shuffle(F.conv2d(x, kernel, bias, 2, padding), 2)
        if self.reflect and padding:
            x, padding = F.pad(x, (padding,) * 4, "reflect"), 0
        return F.conv2d(x, kernel, self.bias, self.stride, padding)


def fold(network: Network) -> Network:
    """The network itself in eval mode, its kernels kept, see :meth:`Conv.fold`."""
    for module in network.eval().modules():
        if isinstance(module, Conv):
            module.fold()
    return network


def folded_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state with spectral norms as that of the same network without: ``W / (u . W v)`` by the stored u and v."""
    found = {name: value for name, value in state.items() if ".spectral." not in name}
    for name, weight in state.items():
        if name.endswith(".spectral.weight"):
            base = name.removesuffix("spectral.weight")
            sigma = state[f"{base}spectral.u"] @ weight.flatten(1) @ state[f"{base}spectral.v"]
            found[f"{base}weight"] = weight / sigma
    return found


def initialise(network: nn.Module) -> None:
    """Weights of convolutions and linear layers from Kaiming's normal distribution (fan in), biases zero.

    AdaIN's bias is zero, too: its scale begins at ``W s`` without an offset of 1.
    """
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, (Conv, SpectralWeight, nn.Linear)) and weight is not None:
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        if isinstance(module, (Conv, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)


class _InstanceNorm(torch.autograd.Function):
    """Instance norm in few passes over channels-last maps, for which torch's own norms and variances are slow."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        # The variance of differences, as that of squares would be lost beside a large mean.
        variance = F.mse_loss(x, mean.expand_as(x), reduction="none").mean((2, 3), keepdim=True)
        inverse = torch.rsqrt(variance + NORM_EPSILON)
        ctx.save_for_backward(x, mean, inverse, scale)
        slope = inverse * scale
        return torch.addcmul(shift - mean * slope, x, slope)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, mean, inverse, scale = ctx.saved_tensors
        count = x.shape[2] * x.shape[3]
        total = gradient.sum((2, 3), keepdim=True)
        along = ((gradient * x).sum((2, 3), keepdim=True) - mean * total) * inverse
        slope = inverse * scale
        curve = slope * inverse * along / count
        of_x = torch.addcmul(mean * curve - slope * total / count, gradient, slope).addcmul_(x, -curve)
        return of_x, along.sum_to_size(scale.shape), total.sum_to_size(scale.shape)


def instance_norm(x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    """``scale (x - mean) / sqrt(variance + 1e-5) + shift``, mean and variance of each picture's channels.

    :param x: ``[B, C, H, W]``; differentiable once. :param scale, shift: ``[N, C]``, where N is B or 1, or B is 1;
        by default 1 and 0.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if scale is None or shift is None:
        scale, shift = x.new_ones(1, x.shape[1]), x.new_zeros(1, x.shape[1])
    scale, shift = (value.to(x.dtype)[:, :, None, None] for value in (scale, shift))
    if len(x) == 1:
        x = x.expand(len(scale), -1, -1, -1)
    normed: Tensor = _InstanceNorm.apply(x, scale, shift)  # type: ignore[no-untyped-call]
    return normed


class AdaIN(nn.Module):
    """Adaptive instance norm: a code ``[B, D]`` decides scale and shift of every channel (Huang and Belongie 2017)."""

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.style = nn.Linear(code_dim, 2 * channels)
        initialise(self)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """``scale(code) norm(x) + shift(code)``, ``[B, C, H, W]``."""
        return instance_norm(x, *self.style(code).chunk(2, 1))


class StyledResidual(nn.Module):
    """Two convolutions behind AdaIN and leaky ReLU, beside a shortcut; ``double`` doubles the side first."""

    def __init__(self, in_channels: int, out_channels: int, code_dim: int, *, double: bool = False) -> None:
        super().__init__()
        self.doubles = double
        self.norm_in, self.norm_out = AdaIN(in_channels, code_dim), AdaIN(out_channels, code_dim)
        self.conv_in = Conv(in_channels, out_channels, double=double)
        self.conv_out = Conv(out_channels, out_channels)
        self.norm_shortcut: AdaIN | None = None
        self.shortcut: Conv | None = None
        if in_channels != out_channels:
            self.norm_shortcut = AdaIN(in_channels, code_dim)
            self.shortcut = Conv(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """``[B or 1, in, H, W]`` and a code ``[B, D]`` to ``[B, out, H', W']``."""
        inner = self.conv_in(leaky(self.norm_in(x, code)))
        inner = self.conv_out(leaky(self.norm_out(inner, code)))
        if self.shortcut is not None and self.norm_shortcut is not None:
            x = self.shortcut(self.norm_shortcut(x, code))
        return (doubled(x) if self.doubles else x) + inner
