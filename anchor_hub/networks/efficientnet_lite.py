"""EfficientNet-Lite0, an ImageNet classifier whose feature maps compare pictures.

Tan and Le (2019, arXiv:1905.11946), table 1, without squeeze-and-excitation and with ReLU6 in place of swish ("Lite").
Plain torch, frozen, differentiable in the pictures. Batch normalisation is folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.layers import SameConv

#: (kernel, repetitions, output channels, expansion, stride of the first)
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
#: Stages after which :meth:`EfficientNetLite0.features` keeps the map: the last of each resolution.
_KEPT = (1, 2, 4, 6)
#: Of the published batch normalisations.
_EPSILON = 1e-3


class Bottleneck(nn.Module):
    """1x1 convolution to ``expansion`` times the channels, depthwise convolution, 1x1 convolution, residual."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expand = SameConv(inside, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, outside, 1)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inside, H, W]`` to ``[B, outside, H / stride, W / stride]``, rounded up."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 with batch norm folded in; fresh weights are zero, :meth:`load_published` fills them.

    Pictures are ``[B, 3, H, W]`` in [-1, 1], of any side; the network was trained on 224 px.
    """

    size = 224
    #: Channels and strides of the four maps of :meth:`features`.
    channels = (24, 40, 112, 320)
    strides = (4, 8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, _STEM, 3, 2)
        stages, inside = [], _STEM
        for kernel, repetitions, outside, expansion, stride in _STAGES:
            blocks = []
            for number in range(repetitions):
                blocks.append(Bottleneck(inside, outside, kernel, stride if number == 0 else 1, expansion))
                inside = outside
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = SameConv(inside, _HEAD, 1)
        self.classifier = nn.Linear(_HEAD, _CLASSES)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def features(self, images: Tensor) -> list[Tensor]:
        """The last map of each resolution, four of them: ``[B, channels[k], H / strides[k], W / strides[k]]``."""
        # The published input is (grey value - 127) / 128.
        x = F.relu6(self.stem(images * (127.5 / 128) + 0.5 / 128))
        maps = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in _KEPT:
                maps.append(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """ImageNet logits ``[B, 1000]``."""
        return self.classifier(F.relu6(self.head(self.features(images)[-1])).mean((2, 3)))

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Fill every parameter from the published state dict (``efficientnet-lite0-57934424.pth``).

        :raises ValueError: an entry is missing, unknown or of another shape.
        """
        rest = dict(state)

        def take(name: str, shape: torch.Size) -> Tensor:
            if name not in rest:
                raise ValueError(f"the state dict lacks {name!r}")
            found = rest.pop(name)
            if found.shape != shape:
                raise ValueError(f"{name} has shape {list(found.shape)}, EfficientNet-Lite0 needs {list(shape)}")
            return found

        with torch.no_grad():
            for conv, names in _published(self):
                _fold(conv, *names, take)
            for part in ("weight", "bias"):
                own = getattr(self.classifier, part)
                own.copy_(take(f"_fc.{part}", own.shape))
        if rest:
            raise ValueError(f"the state dict has unknown entries: {sorted(rest)[:3]}")


def _published(network: EfficientNetLite0) -> list[tuple[SameConv, tuple[str, str]]]:
    """Each convolution with the published names of its own and of its batch normalisation."""
    found = [(network.stem, ("_conv_stem", "_bn0"))]
    blocks = [block for stage in network.stages for block in stage.children()]
    for number, block in enumerate(blocks):
        # A published block without expansion has no bn0, and the numbers of the others stay.
        for part, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            if (conv := getattr(block, part)) is not None:
                found.append((conv, (f"_blocks.{number}._{part}_conv", f"_blocks.{number}.{norm}")))
    return [*found, (network.head, ("_conv_head", "_bn1"))]


def _fold(conv: SameConv, name: str, norm: str, take: Callable[[str, torch.Size], Tensor]) -> None:
    """Convolution and batch normalisation as one: ``w g / s`` and ``b - m g / s``, with s = sqrt(v + epsilon)."""
    assert conv.bias is not None
    shape = conv.bias.shape
    gain, bias, mean, variance = (
        take(f"{norm}.{part}", shape).double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    take(f"{norm}.num_batches_tracked", torch.Size())
    scale = gain / (variance + _EPSILON).sqrt()
    conv.weight.copy_(take(f"{name}.weight", conv.weight.shape).double() * scale[:, None, None, None])
    conv.bias.copy_(bias - mean * scale)
