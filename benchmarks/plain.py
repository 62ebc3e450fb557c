"""The networks once more, as their papers' equations read, in float32 and torch's default layout: the yardstick.

No speed is sought here: `make bench` divides by the time that these networks take, so that a ratio means the same on
every machine and in every version. Therefore this file changes only where a network's function does. Parameters have
the names of the networks in `anchor_hub/networks`, so one state dict fills both.

StyleGAN2 (Karras et al. 2020, arXiv:1912.04958): weights are modulated and demodulated per sample (equations 1 and 3)
and used in one grouped convolution; resampling inserts zeros, pads, filters and drops samples one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.stylegan2 import SynthesisOutput


def resample(x: Tensor, gain: float, up: int, down: int, before: int, after: int) -> Tensor:
    """Zeros inserted, padded by ``before`` and ``after``, filtered with [1, 3, 3, 1] of sum ``gain``, thinned out."""
    batch, channels, height, width = x.shape
    if up > 1:
        x = F.pad(x.reshape(batch, channels, height, 1, width, 1), (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(batch, channels, height * up, width * up)
    x = F.pad(x, (before, after, before, after))
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) * (gain / 64)
    y = F.conv2d(x.reshape(batch * channels, 1, *x.shape[2:]), kernel[None, None])
    return y.reshape(batch, channels, *y.shape[2:])[:, :, ::down, ::down]


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 times sqrt(2)."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Linear(nn.Module):
    """Equalised linear layer ``y = x (W m / sqrt(in))^T + m b``, with or without leaky ReLU."""

    def __init__(self, inside: int, outside: int, multiplier: float = 1.0, activate: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside) / multiplier)
        self.bias = nn.Parameter(torch.zeros(outside))
        self.multiplier, self.activate = multiplier, activate

    def forward(self, x: Tensor) -> Tensor:
        scale = self.multiplier / math.sqrt(self.weight.shape[1])
        y = F.linear(x, self.weight * scale, self.bias * self.multiplier)
        return leaky(y) if self.activate else y


class LatentMapping(nn.Module):
    """z to w: z of unit mean square, then linear layers with leaky ReLU."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        widths = [config.code_dim] + [config.latent_dim] * config.mapping_layers
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.layers = nn.ModuleList(Linear(a, b, config.mapping_lr_multiplier, activate=True) for a, b in pairs)

    def forward(self, z: Tensor) -> Tensor:
        w = z / torch.sqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            w = layer(w)
        return w


def modulated(weight: Tensor, style: Tensor, demodulate: bool) -> Tensor:
    """Weights ``[B, out, in, k, k]`` of every sample: equation 1 of the paper, and with ``demodulate`` equation 3."""
    scaled = weight / math.sqrt(weight[0].numel())
    own = scaled[None] * style[:, None, :, None, None]
    if demodulate:
        own = own / torch.sqrt(own.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    return own


class StyledConv(nn.Module):
    def __init__(self, inside: int, outside: int, latent: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.affine = Linear(latent, inside)
        self.weight = nn.Parameter(torch.randn(outside, inside, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outside))
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.register_buffer("noise", torch.randn(1, 1, resolution, resolution))
        self.up = up

    def forward(self, x: Tensor, latent: Tensor, noise: Tensor | None) -> Tensor:
        weight = modulated(self.weight, self.affine(latent), demodulate=True)
        batch, outside, inside = weight.shape[:3]
        x = x.reshape(1, batch * inside, *x.shape[2:])
        if self.up:
            weight = weight.transpose(1, 2).reshape(batch * inside, outside, 3, 3)
            y = F.conv_transpose2d(x, weight, stride=2, groups=batch)
            y = resample(y.reshape(batch, outside, *y.shape[2:]), gain=4, up=1, down=1, before=1, after=1)
        else:
            y = F.conv2d(x, weight.reshape(batch * outside, inside, 3, 3), padding=1, groups=batch)
            y = y.reshape(batch, outside, *y.shape[2:])
        if noise is not None:
            y = y + self.noise_strength * noise
        return leaky(y + self.bias[None, :, None, None])


class ToRGB(nn.Module):
    def __init__(self, inside: int, colours: int, latent: int) -> None:
        super().__init__()
        self.affine = Linear(latent, inside)
        self.weight = nn.Parameter(torch.randn(colours, inside))
        self.bias = nn.Parameter(torch.zeros(colours))

    def forward(self, x: Tensor, latent: Tensor, image: Tensor | None) -> Tensor:
        weight = modulated(self.weight[:, :, None, None], self.affine(latent), demodulate=False)
        batch, colours, inside = weight.shape[:3]
        y = F.conv2d(
            x.reshape(1, batch * inside, *x.shape[2:]), weight.reshape(batch * colours, inside, 1, 1), groups=batch
        )
        y = y.reshape(batch, colours, *y.shape[2:]) + self.bias[None, :, None, None]
        return y if image is None else y + resample(image, gain=4, up=2, down=1, before=2, after=1)


class Block(nn.Module):
    def __init__(self, config: Any, resolution: int) -> None:
        super().__init__()
        channels, latent = config.channels_of, config.latent_dim
        wide = channels[resolution]
        self.up = StyledConv(channels[resolution // 2], wide, latent, resolution, True) if resolution > 4 else None
        self.conv = StyledConv(wide, wide, latent, resolution, False)
        self.to_rgb = ToRGB(wide, config.image_channels, latent)


class Synthesis(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.constant = nn.Parameter(torch.randn(1, config.channels_of[4], 4, 4))
        self.blocks = nn.ModuleDict({str(r): Block(config, r) for r in config.resolutions})

    def forward(
        self, latents: Tensor, *, noise: str = "const", features: Sequence[int] = (), image: bool = True, **_: Any
    ) -> SynthesisOutput:
        """Images and feature maps of latents ``[B, L, D]``, as the library's generator gives them."""
        last = self.config.size if image else max(features)
        x, rgb, kept, layer = self.constant.expand(len(latents), -1, -1, -1), None, {}, 0
        for resolution in self.config.resolutions:
            if resolution > last:
                break
            block: Any = self.blocks[str(resolution)]
            for conv in filter(None, (block.up, block.conv)):
                added = {"const": conv.noise, "none": None}.get(noise)
                if noise == "random":
                    added = torch.randn(len(latents), 1, resolution, resolution)
                x = conv(x, latents[:, layer], added)
                layer += 1
            if resolution in features:
                kept[resolution] = x
            if image:
                rgb = block.to_rgb(x, latents[:, layer], rgb)
        return SynthesisOutput(rgb, kept)


class Generator(nn.Module):
    """The StyleGAN2 generator without classes and clamp. :raises ValueError: a configuration that has them."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.classes or config.clamp is not None:
            raise ValueError("the plain generator has neither classes nor a clamp")
        self.config = config
        self.mapping, self.synthesis = LatentMapping(config), Synthesis(config)


class Conv(nn.Module):
    """Equalised convolution with optional filtering and halving, bias and leaky ReLU."""

    def __init__(self, inside: int, outside: int, kernel: int, bias: bool = True, down: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outside)) if bias else None
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.weight.shape[-1]
        weight = self.weight / math.sqrt(self.weight[0].numel())
        if self.down:
            edge = 1 + kernel // 2
            x = resample(x, gain=1, up=1, down=1, before=edge, after=edge)
            y = F.conv2d(x, weight, stride=2)
        else:
            y = F.conv2d(x, weight, padding=kernel // 2)
        return y if self.bias is None else leaky(y + self.bias[None, :, None, None])


class DownBlock(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv(inside, inside, 3), Conv(inside, outside, 3, down=True)
        self.skip = Conv(inside, outside, 1, bias=False, down=True)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)


class Discriminator(nn.Module):
    """The residual discriminator of StyleGAN2, with the minibatch standard deviation, without classes."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config, channels = config, config.channels_of
        self.from_rgb = Conv(config.image_channels, channels[config.size], 1)
        sizes = [r for r in reversed(config.resolutions) if r > 4]
        self.blocks = nn.ModuleDict({str(r): DownBlock(channels[r], channels[r // 2]) for r in sizes})
        self.final_conv = Conv(channels[4] + config.stddev_features, channels[4], 3)
        self.final_dense = Linear(channels[4] * 16, channels[4], activate=True)
        self.final_logit = Linear(channels[4], 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.from_rgb(images)
        for block in self.blocks.values():
            x = block(x)
        group, features = min(len(x), self.config.stddev_group), self.config.stddev_features
        parts = x.reshape(group, -1, features, x.shape[1] // features, *x.shape[2:])
        deviation = torch.sqrt(parts.var(0, unbiased=False) + 1e-8).mean((2, 3, 4))
        x = torch.cat([x, deviation.repeat(group, 1)[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
        return self.final_logit(self.final_dense(self.final_conv(x).flatten(1)))


class HubStep:
    """One training step of StyleGAN2: logistic losses, R1 every 16th step, Adam, the average of the generator.

    :param gamma: of R1. :param rate: Adam's learning rate.
    """

    def __init__(
        self, generator: Generator, discriminator: Discriminator, gamma: float, rate: float, mixing: float
    ) -> None:
        self.generator, self.discriminator, self.gamma, self.mixing = generator, discriminator, gamma, mixing
        self.average = [p.detach().clone() for p in generator.parameters()]
        self.optimizers = [
            torch.optim.Adam(network.parameters(), rate, (0.0, 0.99)) for network in (generator, discriminator)
        ]

    def fakes(self, count: int) -> Tensor:
        config = self.generator.config
        w = [self.generator.mapping(torch.randn(count, config.code_dim)) for _ in range(2)]
        cut = int(torch.randint(1, config.num_latents, ())) if torch.rand(()) < self.mixing else config.num_latents
        rows = [w[0] if layer < cut else w[1] for layer in range(config.num_latents)]
        return self.generator.synthesis(torch.stack(rows, 1), noise="none").image

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def __call__(self, real: Tensor, regularise: bool) -> None:
        """Train both networks on images ``[B, 3, H, W]``, with R1 where ``regularise`` says so."""
        critic, (of_generator, of_critic) = self.discriminator, self.optimizers
        with torch.no_grad():
            fake = self.fakes(len(real))
        self._descend(F.softplus(-critic(real)).mean() + F.softplus(critic(fake)).mean(), of_critic)
        if regularise:
            real = real.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
            self._descend(gradient.square().sum((1, 2, 3)).mean() * (self.gamma / 2 * 16), of_critic)
        self._descend(F.softplus(-critic(self.fakes(len(real)))).mean(), of_generator)
        for mean, value in zip(self.average, self.generator.parameters(), strict=True):
            mean.lerp_(value.detach(), 0.001)
