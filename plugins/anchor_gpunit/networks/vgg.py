"""VGG-19's features for the perceptual loss (Johnson et al. 2016; Simonyan and Zisserman 2015)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Convolutions up to relu5_1: torchvision's number in ``features`` and channels in and out. "Pool" comes before these.
_LAYERS = (
    (0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256),
    (16, 256, 256), (19, 256, 512), (21, 512, 512), (23, 512, 512), (25, 512, 512), (28, 512, 512),
)  # fmt: skip
_POOLED_BEFORE = (5, 10, 19, 28)
_KEPT = (0, 5, 10, 19, 28)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def trunk_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the state dict of torchvision's ``vgg19`` what :class:`Vgg19` has. Raises KeyError for other networks'."""
    names = [f"features.{number}.{kind}" for number, _, _ in _LAYERS for kind in ("weight", "bias")]
    return {name: state[name] for name in names}


class Vgg19(nn.Module):
    """The maps relu1_1, relu2_1 ... relu5_1 of VGG-19, under torchvision's names ``features.<number>``."""

    def __init__(self) -> None:
        super().__init__()
        convs = {str(number): nn.Conv2d(inputs, outputs, 3, padding=1) for number, inputs, outputs in _LAYERS}
        self.features = nn.ModuleDict(convs)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pictures ``[B, 3, H, W]`` in [-1, 1], at least 16 px, to five maps, the finest first."""
        mean, deviation = (images.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _DEVIATION))
        x = ((images + 1) / 2 - mean) / deviation
        maps = []
        for number, _, _ in _LAYERS:
            if number in _POOLED_BEFORE:
                x = F.max_pool2d(x, 2)
            x = torch.relu(self.features[str(number)](x))
            if number in _KEPT:
                maps.append(x)
        return tuple(maps)
