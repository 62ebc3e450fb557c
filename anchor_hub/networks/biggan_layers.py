"""Building blocks of BigGAN: spectral norm, class-conditional batch norm, self-attention, truncated sampling.

Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (2019, arXiv:1809.11096);
Miyato et al. (2018, arXiv:1802.05957) for spectral norm; Zhang et al. (2019, arXiv:1805.08318) for attention.
All of it is plain torch and twice differentiable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPSILON = 1e-5
SPECTRAL_EPSILON = 1e-6

#: Mean ``[C]`` and variance ``[C]`` that a batch norm normalises with.
Statistics = tuple[Tensor, Tensor]


class SpectralWeight(nn.Module):
    """A weight divided by its largest singular value, estimated by power iteration: ``W / sigma(W)``.

    With the matrix W ``[out, in k k]`` and the stored vector u: ``v = W^T u / |W^T u|``, ``u' = W v / |W v|``,
    ``sigma = u'^T W v``. In training u' replaces u. Gradients flow through sigma, not through u and v.

    Args:
        shape: shape of the weight; the first axis is the output's.
        epsilon: least length that a vector is divided by.
        store_v: whether to keep v beside u and use both as they are in eval mode, which is torch's rule and that of
            TF Hub's BigGAN-deep weights. Otherwise every forward pass iterates once, as BigGAN's authors' code does.
    """

    def __init__(self, shape: tuple[int, ...], *, epsilon: float, store_v: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.orthogonal_(self.weight)
        self.epsilon = epsilon
        self.folded = False
        self.u: Tensor
        self.v: Tensor | None
        self.register_buffer("u", F.normalize(torch.randn(shape[0]), dim=0))
        v = F.normalize(torch.randn(math.prod(shape[1:])), dim=0) if store_v else None
        self.register_buffer("v", v)

    def sigma(self) -> Tensor:
        """The estimate of the largest singular value, ``[]``; in training mode it also replaces u (and v)."""
        with torch.autocast(self.weight.device.type, enabled=False):
            matrix = self.weight.flatten(1)
            if self.v is not None and not self.training:
                return torch.dot(self.u, torch.mv(matrix, self.v))
            with torch.no_grad():
                v = F.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=self.epsilon)
                product = torch.mv(matrix, v)
                u = F.normalize(product, dim=0, eps=self.epsilon)
                if self.training:
                    # The graph keeps the new tensors, which allows a second forward pass before backward.
                    self.u.copy_(u)
                    if self.v is not None:
                        self.v.copy_(v)
            if not (self.weight.requires_grad and torch.is_grad_enabled()):
                return torch.dot(u, product)
            return torch.dot(u, torch.mv(matrix, v))

    def normalized(self) -> Tensor:
        """``W / sigma``, of the weight's shape."""
        return self.weight if self.folded else self.weight / self.sigma()

    @torch.no_grad()
    def fold(self, *, divide: bool = True) -> None:
        """Keep ``W / sigma`` as the weight: no pass iterates any more, and the vectors u and v are gone.

        ``divide``: False where the weight is a normalised one already.
        """
        if divide and not self.folded:
            self.weight.data = self.normalized()  # not in place: the old values may be a file's
        self.folded = True
        self.u = self.v = None  # type: ignore[assignment]


class SpectralConv2d(SpectralWeight):
    """Convolution of stride 1 and "same" padding with a spectrally normalised weight.

    Args:
        in_channels, out_channels, kernel_size: as in torch; ``kernel_size`` odd.
        bias: whether there is a bias.
        keep: compute only this many of the output channels; sigma is still that of the whole weight.
        epsilon, store_v: of :class:`SpectralWeight`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        keep: int | None = None,
        epsilon: float = SPECTRAL_EPSILON,
        store_v: bool = False,
    ) -> None:
        super().__init__(
            (out_channels, in_channels, kernel_size, kernel_size), epsilon=epsilon, store_v=store_v
        )
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.keep = keep
        self.padding = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in_channels, H, W]`` to ``[B, out_channels or keep, H, W]``."""
        weight: Tensor = self.weight
        bias: Tensor | None = self.bias
        if self.keep is not None:
            weight, bias = weight[: self.keep], bias if bias is None else bias[: self.keep]
        return F.conv2d(x, weight if self.folded else weight / self.sigma(), bias, padding=self.padding)

    def extra_repr(self) -> str:
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        return f"{in_channels}, {out_channels}, {kernel_size}"


class SpectralLinear(SpectralWeight):
    """Linear layer with a spectrally normalised weight, always computed in the parameters' precision."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        epsilon: float = SPECTRAL_EPSILON,
        store_v: bool = False,
    ) -> None:
        super().__init__((out_features, in_features), epsilon=epsilon, store_v=store_v)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in_features]`` to ``[B, out_features]``."""
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(self.weight.dtype), self.normalized(), self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}"


class SpectralEmbedding(SpectralWeight):
    """A table of class vectors ``[classes, size]``, divided as a whole by its largest singular value."""

    def __init__(self, classes: int, size: int, *, epsilon: float = SPECTRAL_EPSILON) -> None:
        super().__init__((classes, size), epsilon=epsilon, store_v=False)

    def forward(self, labels: Tensor) -> Tensor:
        """Integer labels ``[B]`` to ``[B, size]``."""
        rows = F.embedding(labels, self.weight)
        return rows if self.folded else rows / self.sigma()


class BatchNorm(nn.Module):
    """Batch norm without its affine part, over one set of statistics or a table of them.

    One set (``num_statistics`` 0): buffers ``mean``, ``var`` ``[C]``. In training, the statistics of the batch
    normalise, and the running statistics follow: ``0.9 old + 0.1 batch`` (unbiased variance).

    A table: buffers ``[N, C]``, where row i belongs to the truncation ``i / (N - 1)``; the statistics of the batch
    are never used. Between two rows, the published code swaps the weights of linear interpolation:
    ``row[i] c + row[i + 1] (1 - c)`` at the position ``i + c``. We keep that, because the published pictures were made
    so.
    """

    momentum = 0.1

    def __init__(self, channels: int, *, epsilon: float = NORM_EPSILON, num_statistics: int = 0) -> None:
        super().__init__()
        shape = (num_statistics, channels) if num_statistics else (channels,)
        self.epsilon = epsilon
        self.num_statistics = num_statistics
        self.mean: Tensor
        self.var: Tensor
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("var", torch.ones(shape))
        self._collected: list[Statistics] | None = None

    def statistics(self, truncation: float = 1.0) -> Statistics:
        """Mean and variance ``[C]`` used in eval mode. Raises ValueError unless 0 < truncation <= 1."""
        if not self.num_statistics:
            return self.mean, self.var
        if not 0 < truncation <= 1:
            raise ValueError(f"truncation must lie above 0 and at most at 1, got {truncation}")
        if self.num_statistics == 1:
            return self.mean[0], self.var[0]
        # In doubles, and with exactly this division: for a few values the published code takes a neighbouring row.
        fraction, position = math.modf(truncation / (1.0 / (self.num_statistics - 1)))
        row = int(position)
        if fraction == 0.0:
            return self.mean[row], self.var[row]
        mean = self.mean[row] * fraction + self.mean[row + 1] * (1 - fraction)
        return mean, self.var[row] * fraction + self.var[row + 1] * (1 - fraction)

    def scale_and_shift(self, x: Tensor, gain: Tensor, bias: Tensor, truncation: float) -> Tensor:
        """``gain (x - mean) / sqrt(var + epsilon) + bias``; gain and bias ``[B or 1, C]``."""
        if self.training and not self.num_statistics:
            x, scale, shift = self._by_batch(x), gain, bias
        else:
            mean, var = self.statistics(truncation)
            scale = gain * torch.rsqrt(var + self.epsilon)
            shift = torch.addcmul(bias, mean, scale, value=-1)
        return torch.addcmul(shift[:, :, None, None].to(x.dtype), x, scale[:, :, None, None].to(x.dtype))

    def _by_batch(self, x: Tensor) -> Tensor:
        if self._collected is None:
            return F.batch_norm(x, self.mean, self.var, None, None, True, self.momentum, self.epsilon)
        with torch.no_grad():
            values = x.detach().float() if x.dtype in (torch.bfloat16, torch.float16) else x.detach()
            var, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
            self._collected.append((mean, var))
        return F.batch_norm(x, None, None, None, None, True, self.momentum, self.epsilon)


class ConditionalNorm(BatchNorm):
    """Class-conditional batch norm: gain and bias are linear in the condition, ``y = (1 + G c) norm(x) + B c``."""

    def __init__(
        self,
        channels: int,
        condition_dim: int,
        *,
        epsilon: float = NORM_EPSILON,
        num_statistics: int = 0,
        spectral_epsilon: float = SPECTRAL_EPSILON,
        store_v: bool = False,
    ) -> None:
        super().__init__(channels, epsilon=epsilon, num_statistics=num_statistics)

        def linear() -> SpectralLinear:
            return SpectralLinear(
                condition_dim, channels, bias=False, epsilon=spectral_epsilon, store_v=store_v
            )

        self.gain, self.bias = linear(), linear()

    def forward(self, x: Tensor, condition: Tensor, truncation: float = 1.0) -> Tensor:
        """``x [B, C, H, W]``, ``condition [B, condition_dim]`` to ``[B, C, H, W]``."""
        return self.scale_and_shift(x, 1 + self.gain(condition), self.bias(condition), truncation)


class OutputNorm(BatchNorm):
    """The last batch norm, not conditional: ``y = gain norm(x) + bias``."""

    def __init__(self, channels: int, *, epsilon: float = NORM_EPSILON, num_statistics: int = 0) -> None:
        super().__init__(channels, epsilon=epsilon, num_statistics=num_statistics)
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, truncation: float = 1.0) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        return self.scale_and_shift(x, self.gain[None], self.bias[None], truncation)


class SelfAttention(nn.Module):
    """``x + gamma o(g(x) softmax(theta(x)^T phi(x))^T)``: keys and values at half the resolution, no scaling."""

    def __init__(
        self, channels: int, *, epsilon: float = SPECTRAL_EPSILON, store_v: bool = False
    ) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int) -> SpectralConv2d:
            return SpectralConv2d(inputs, outputs, 1, bias=False, epsilon=epsilon, store_v=store_v)

        small, half = max(channels // 8, 1), max(channels // 2, 1)
        self.theta, self.phi = conv(channels, small), conv(channels, small)
        self.g, self.o = conv(channels, half), conv(half, channels)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` with even H and W to the same shape."""
        query = self.theta(x).flatten(2)
        key = F.max_pool2d(self.phi(x), 2).flatten(2)
        value = F.max_pool2d(self.g(x), 2).flatten(2)
        attention = torch.bmm(query.transpose(1, 2), key).softmax(dim=-1)
        attended = torch.bmm(value, attention.transpose(1, 2).to(value.dtype))
        return x + self.gamma.to(x.dtype) * self.o(attended.unflatten(2, x.shape[2:]))


Network = TypeVar("Network", bound=nn.Module)


def fold_spectral(network: Network, *, divide: bool = True) -> Network:
    """The network itself, its spectral norms folded into its weights (:meth:`SpectralWeight.fold`), in eval mode.

    For weights that learn no more: outputs are those of the unfolded network in eval mode, at the cost of plain layers.
    """
    for module in network.eval().modules():
        if isinstance(module, SpectralWeight):
            module.fold(divide=divide)
    return network


def upsample(x: Tensor) -> Tensor:
    """Nearest neighbour, ``[B, C, H, W]`` to ``[B, C, 2H, 2W]``."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


@torch.no_grad()
def standing_statistics(generator: nn.Module, batches: Iterable[tuple[Any, ...]]) -> int:
    """Replace the statistics of every batch norm by their mean over some batches; returns the number of batches.

    The authors call these "standing statistics". The generator runs in training mode (so spectral norms iterate),
    each layer averages its batch means and biased variances, and the generator goes back to its earlier mode.

    Args:
        generator: a BigGAN or BigGAN-deep without tables of statistics.
        batches: what the generator takes: pairs of latents and labels (or class embeddings).

    Returns:
        The number of batches.

    Raises:
        ValueError: there are no batches, or the statistics are tables.
    """
    norms = [module for module in generator.modules() if isinstance(module, BatchNorm)]
    if any(norm.num_statistics for norm in norms):
        raise ValueError("statistics indexed by truncation come with the weights and cannot be re-estimated")
    was_training = generator.training
    count = 0
    for norm in norms:
        norm._collected = []
    try:
        generator.train()
        for batch in batches:
            generator(*batch)
            count += 1
        if not count:
            raise ValueError("standing statistics need at least one batch")
        for norm in norms:
            assert norm._collected is not None
            means, variances = zip(*norm._collected, strict=True)
            norm.mean.copy_(torch.stack(means).mean(dim=0))
            norm.var.copy_(torch.stack(variances).mean(dim=0))
    finally:
        generator.train(was_training)
        for norm in norms:
            norm._collected = None
    return count
