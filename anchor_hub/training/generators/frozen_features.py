"""Images as a frozen classifier sees them: the features that critics judge by and sets are compared in."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub.metrics.efficientnet import load_efficientnet
from anchor_hub.metrics.features import Extractor

#: Least and largest side in pixels of the images that the network is given, unless told otherwise.
LEAST, MOST = 128, 256


def side_for(size: int) -> int:
    """The side that hubs' images of ``size`` pixels are resized to."""
    return max(LEAST, min(size, MOST))


class FrozenFeatures:
    """The four feature maps of EfficientNet-Lite0, strides 4 to 32, differentiable in the images.

    No module, so that no checkpoint holds its weights.

    :param side: in pixels, a multiple of 32, that images are resized to (bilinear, antialiased where they shrink).
    :raises DataError: the network's weights are not on this machine.
    """

    def __init__(self, side: int, device: torch.device | str = "cpu") -> None:
        self.side = side
        self.network = load_efficientnet(device=device).to(memory_format=torch.channels_last)
        self.channels = tuple(self.network.channels)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Maps ``[B, channels[k], side / strides[k], side / strides[k]]`` of images ``[B, 3, S, S]`` in [-1, 1]."""
        size = images.shape[-1]
        if size != self.side:
            images = F.interpolate(
                images, size=(self.side, self.side), mode="bilinear", antialias=size > self.side, align_corners=False
            )
        return self.network.features(images)


class PooledFeatures(Extractor):
    """The last map of EfficientNet-Lite0, averaged over places, ``fd_efficientnet_lite0``."""

    name = "efficientnet_lite0"
    dimensions = 320

    def __init__(self, side: int, device: torch.device | str = "cpu") -> None:
        super().__init__(device)
        self.maps = FrozenFeatures(side, device)
        self.resize = f"bilinear to {side} px, antialiased where it shrinks"
        self.preprocessing = f"{self.resize}, x / 127.5 - 1; 320 pooled features"

    def features(self, pictures: Tensor) -> Tensor:
        return self.maps(pictures.float() / 127.5 - 1)[-1].mean((2, 3))
