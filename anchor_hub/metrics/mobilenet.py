"""MobileNetV2, a small ImageNet classifier, for features where FID's Inception is not available."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.layers import SameConv

# (expansion, output channels, repetitions, stride of the first), Sandler et al. 2018, table 2.
_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1001


class MobileNetV2(nn.Module):
    """MobileNetV2 1.0 with batch norm folded into its 53 convolutions (Sandler et al. 2018).

    Parameters are called ``layer00.weight`` to ``layer52.bias`` in order of execution.
    """

    size = 224

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._plan: list[tuple[list[tuple[int, bool]], bool]] = []
        self._plan.append(([self._add(3, _STEM, 3, 2)], False))
        channels = _STEM
        for expansion, wide, repetitions, stride in _BLOCKS:
            for number in range(repetitions):
                step, inner = stride if number == 0 else 1, channels * expansion
                convs = [self._add(channels, inner, 1)] if expansion > 1 else []
                convs.append(self._add(inner, inner, 3, step, groups=inner))
                convs.append(self._add(inner, wide, 1, relu=False))
                self._plan.append((convs, step == 1 and channels == wide))
                channels = wide
        self._plan.append(([self._add(channels, _HEAD, 1)], False))
        self._add(_HEAD, _CLASSES, 1)

    def _add(
        self, inside: int, outside: int, kernel: int, stride: int = 1, *, groups: int = 1, relu: bool = True
    ) -> tuple[int, bool]:
        self.add_module(f"layer{self.count:02d}", SameConv(inside, outside, kernel, stride, groups=groups))
        self.count += 1
        return self.count - 1, relu

    def features(self, images: Tensor) -> Tensor:
        """Pooled features ``[B, 1280]`` of float32 ``[B, 3, 224, 224]`` in [-1, 1]."""
        for convs, residual in self._plan:
            before = images
            for number, relu in convs:
                images = self.get_submodule(f"layer{number:02d}")(images)
                images = F.relu6(images) if relu else images
            images = before + images if residual else images
        return images.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """ImageNet logits ``[B, 1001]``, background first, of float32 ``[B, 3, 224, 224]`` in [-1, 1]."""
        return self.get_submodule("layer52")(self.features(images)[..., None, None]).flatten(1)
