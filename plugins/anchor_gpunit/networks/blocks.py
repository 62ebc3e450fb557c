"""Building blocks of GP-UNIT: convolutions, instance norm, AdaIN, residual blocks.

Two identities make them cheaper than they read in the paper, without changing a number:

* A 3x3 convolution of a picture that was doubled by repeating its pixels is one transposed 4x4 convolution of the
  small picture: 4 products for each output pixel in place of 9.
* Repeating pixels changes neither mean nor variance, and commutes with everything that treats pixels one by one: norms,
  activations and 1x1 convolutions are computed before the doubling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
        bias: whether there is a bias.
    """

    folded: Tensor | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, *, stride: int = 1, padding: int | None = None,
        reflect: bool = False, spectral: bool = False, double: bool = False, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if double and (kernel, stride, padding) != (3, 1, None):
            raise ValueError("only a 3x3 convolution of stride 1 can double the side")
        shape = (out_channels, in_channels, kernel, kernel)
        self.stride, self.reflect, self.double = stride, reflect, double
        self.padding = kernel // 2 if padding is None else padding
        self.spectral = SpectralWeight(shape, epsilon=SPECTRAL_EPSILON, store_v=True) if spectral else None
        if not spectral:
            self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("folded", None, persistent=False)
        initialise(self)

    def kernel(self) -> Tensor:
        """The kernel of the forward pass, ``[out, in, k, k]``; ``[in, out, 4, 4]`` where it doubles the side."""
        weight = self.weight if self.spectral is None else self.spectral.normalized()
        if not self.double:
            return weight
        rows = weight.new_tensor(_DOUBLING)
        return torch.einsum("kt,ls,oits->iokl", rows, rows, weight)

    def fold(self) -> None:
        """Keep the kernel; for networks in eval mode whose weights get no gradients."""
        with torch.no_grad():
            self.folded = self.kernel().contiguous(memory_format=torch.channels_last)

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        self.folded = None
        super()._load_from_state_dict(*arguments, **options)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> Conv:
        if mode:
            self.folded = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, H, W]`` to ``[B, out, H', W']``."""
        kernel = self.kernel() if self.folded is None else self.folded
        padding = self.padding
        if self.double:
            if self.reflect:  # what is reflected on the doubled map is the border's pixel on the small one
                return F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), "replicate"), kernel, self.bias, 2, 3)
            return F.conv_transpose2d(x, kernel, self.bias, 2, 1)
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


class Whitened:
    """A map without the mean and scale of its channels: ``(x - mean) / sqrt(variance + 1e-5)`` for each picture."""

    def __init__(self, x: Tensor) -> None:
        # Two passes over x, as the variance is small beside a large mean; torch's own reductions of variances and its
        # instance norm are several times slower on channels-last maps.
        self.centred = x - x.mean((2, 3), keepdim=True)
        self.inverse = torch.rsqrt(self.centred.square().mean((2, 3), keepdim=True) + NORM_EPSILON)

    def plain(self) -> Tensor:
        """The instance-normalised map ``[B, C, H, W]``."""
        return self.centred * self.inverse

    def scaled(self, scale: Tensor, shift: Tensor) -> Tensor:
        """The map times ``scale`` plus ``shift``, each ``[B or 1, C, 1, 1]``."""
        return torch.addcmul(shift, self.centred, self.inverse * scale)


class AdaIN(nn.Module):
    """Adaptive instance norm: a code ``[B, D]`` decides scale and shift of every channel (Huang and Belongie 2017)."""

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.style = nn.Linear(code_dim, 2 * channels)
        initialise(self)

    def forward(self, x: Whitened, code: Tensor) -> Tensor:
        """``scale(code) * x + shift(code)``, ``[B, C, H, W]``."""
        scale, shift = self.style(code)[:, :, None, None].chunk(2, 1)
        return x.scaled(scale, shift)


class StyledResidual(nn.Module):
    """Two convolutions behind AdaIN and leaky ReLU, beside a shortcut; ``double`` doubles the side first."""

    def __init__(self, in_channels: int, out_channels: int, code_dim: int, *, double: bool = False) -> None:
        super().__init__()
        self.double = double
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
        white = Whitened(x)
        if self.shortcut is not None and self.norm_shortcut is not None:
            x = self.shortcut(self.norm_shortcut(white, code))
        inner = self.conv_in(leaky(self.norm_in(white, code)))
        inner = self.conv_out(leaky(self.norm_out(Whitened(inner), code)))
        return (doubled(x) if self.double else x) + inner
