"""Stage I's auto-encoder, which distils the prior of a class-conditional GAN into the content encoder (section 3.2)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anchor_gpunit.networks.blocks import AdaIN, Conv, initialise, instance_norm, leaky
from anchor_gpunit.networks.configs import DistillationConfig
from anchor_gpunit.networks.content import ContentEncoder

#: Variances below count as this: of a picture of one colour they are 0, where a root has no gradient.
LEAST_VARIANCE = 1e-12

#: Mean and standard deviation ``[B, C, 1, 1]`` of a layer of the style encoder.
Moments = tuple[Tensor, Tensor]


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reversed_gradient(x: Tensor) -> Tensor:
    """``x`` itself, whose gradient has the other sign: the layer R (Ganin and Lempitsky 2015)."""
    result: Tensor = _Reversed.apply(x)
    return result


class MomentEncoder(nn.Module):
    """E_s of stage I: the moments of each layer are the picture's style.

    The paper's code has layers that no decoder reads; here are those that one reads.
    """

    def __init__(self, config: DistillationConfig) -> None:
        super().__init__()
        channels = [3] + [config.content.channels(number) for number in range(1, config.content.halvings - 1)]
        self.layers = nn.ModuleList(
            [
                Conv(inputs, outputs, stride=2, reflect=True, spectral=True)
                for inputs, outputs in zip(channels, channels[1:], strict=False)
            ]
        )

    def forward(self, images: Tensor) -> tuple[Moments, ...]:
        """Pictures ``[B, 3, H, W]`` to the moments of each layer, the finest first; deviations have N - 1 below."""
        x, moments = images, []
        for layer in self.layers:
            x = leaky(layer(x))
            mean = x.mean((2, 3), keepdim=True)
            variance = (x - mean).square().sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
            moments.append((mean, variance.clamp(min=LEAST_VARIANCE).sqrt()))
        return tuple(moments)


class LabelledConv(nn.Module):
    """Convolution, AdaIN by the domain's embedding, ReLU."""

    def __init__(self, channels: int, label_dim: int, *, double: bool = False) -> None:
        super().__init__()
        self.conv = Conv(channels, channels, reflect=True, spectral=True, double=double)
        self.norm = AdaIN(channels, label_dim)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x), label))


class Decoder(nn.Module):
    """F: content, style and domain to a picture. Its shallow layers F_s make the shape of content and domain alone."""

    def __init__(self, config: DistillationConfig) -> None:
        super().__init__()
        content = config.content
        wide = content.channels(content.halvings)
        self.entry = Conv(1, wide, 1, spectral=True)
        coarse = [LabelledConv(wide, config.label_dim, double=number == 4) for number in range(5)]
        self.coarse = nn.ModuleList(coarse)
        self.shape = Conv(wide, 3, reflect=True, spectral=True)
        # One layer for each layer of the style encoder, from the coarsest to the finest, whose moments it takes.
        channels = [wide] + [content.channels(number) for number in range(content.halvings - 2, 0, -1)]
        self.fine = nn.ModuleList(
            [
                Conv(inputs, outputs, reflect=True, spectral=True, double=True)
                for inputs, outputs in zip(channels, channels[1:], strict=False)
            ]
        )
        self.rgb = Conv(channels[-1], 3, reflect=True, spectral=True, double=True)

    def trunk(self, content: Tensor, label: Tensor) -> Tensor:
        """The last map ``[B, C, 2 s, 2 s]`` of F_s, of contents ``[B, 1, s, s]`` and embeddings ``[B, D]``."""
        x = leaky(instance_norm(self.entry(content)))
        for layer in self.coarse:
            x = layer(x, label)
        return x

    def shape_of(self, trunk: Tensor) -> Tensor:
        """The shape ``[B, 3, 2 s, 2 s]`` in [-1, 1]."""
        return torch.tanh(self.shape(trunk))

    def picture_of(self, trunk: Tensor, moments: tuple[Moments, ...]) -> Tensor:
        """The picture ``[B, 3, H, W]`` in [-1, 1]."""
        x = trunk
        for conv, (mean, deviation) in zip(self.fine, reversed(moments), strict=True):
            x = torch.relu(instance_norm(conv(x), deviation.flatten(1), mean.flatten(1)))
        return torch.tanh(self.rgb(x))


class Classifier(nn.Module):
    """C: which domain a content comes from; the encoder learns to keep this from it."""

    def __init__(self, config: DistillationConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                Conv(1, 32, stride=2, reflect=True, spectral=True),
                Conv(32, 64, reflect=True, spectral=True),
                Conv(64, config.classes, config.content_side // 2, padding=0, spectral=True),
            ]
        )
        self.linear = nn.Linear(config.classes, config.classes)
        initialise(self)

    def forward(self, content: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of contents ``[B, 1, s, s]``."""
        for layer in self.layers:
            content = leaky(layer(content))
        return self.linear(content.flatten(1))


class Distilled(NamedTuple):
    """What a step of stage I is judged by.

    content: clean, ``[B, 1, s, s]``. images ``[B, 3, H, W]`` and shapes ``[B, 3, 2 s, 2 s]``: decoded. logits:
    ``[B, classes]``. exchanged: shapes ``[2 P, 3, 2 s, 2 s]`` of the pairs, decoded from each other's content.
    """

    content: Tensor
    images: Tensor
    shapes: Tensor
    logits: Tensor
    exchanged: Tensor


class AutoEncoder(nn.Module):
    """E_c, E_s, F and C of stage I."""

    def __init__(self, config: DistillationConfig) -> None:
        super().__init__()
        self.config = config
        self.content = ContentEncoder(config.content)
        self.style = MomentEncoder(config)
        self.decoder = Decoder(config)
        self.classifier = Classifier(config)
        self.labels = nn.Embedding(config.classes, config.label_dim)

    def reconstruct(self, content: Tensor, moments: tuple[Moments, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """``F(content, style, label)``: picture and shape; ``labels``: int64 ``[B]``."""
        trunk = self.decoder.trunk(content, self.labels(labels))
        return self.decoder.picture_of(trunk, moments), self.decoder.shape_of(trunk)

    def forward(
        self, images: Tensor, labels: Tensor, *, pairs: int = 0, noise: Tensor | None = None,
        styled: Tensor | None = None,
    ) -> Distilled:  # fmt: skip
        """All that stage I's losses need, in one pass.

        :param images: ``[B, 3, H, W]`` in [-1, 1]; the last ``2 pairs`` are first one, then the other half of pairs.
        :param noise: added to the contents that are decoded, ``[B, 1, s, s]``, the standard deviation in it.
        :param styled: what the style encoder sees, if not ``images``: the paper's code mirrors them half of the time.
        """
        content = self.content.content(images)
        noisy = content if noise is None else content + noise
        trunk = self.decoder.trunk(noisy, self.labels(labels))
        moments = self.style(images if styled is None else styled)
        paired = len(images) - 2 * pairs
        first, second = noisy[paired:].chunk(2) if pairs else (noisy[:0], noisy[:0])
        exchanged = noisy.new_zeros(0, 3, *(2 * side for side in content.shape[2:]))
        if pairs:
            crossed = self.decoder.trunk(torch.cat([second, first]), self.labels(labels[paired:]))
            exchanged = self.decoder.shape_of(crossed)
        return Distilled(
            content,
            self.decoder.picture_of(trunk, moments),
            self.decoder.shape_of(trunk),
            self.classifier(reversed_gradient(content)),
            exchanged,
        )
