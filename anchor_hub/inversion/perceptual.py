"""Perceptual networks: what compares pictures by features instead of pixels. Nothing is ever downloaded.

In the order of :func:`perceptual_network` ``("auto")``: LPIPS where torchvision's trunk is in torch's hub folder; else
EfficientNet-Lite0 (extra ``[perceptual]``); else the hub's own discriminator; else none, so that pixels alone count.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.errors import AnchorError, DataError, MissingPartError, UsageError, did_you_mean
from anchor_hub.hubs.base import Hub
from anchor_hub.metrics import efficientnet, perceptual
from anchor_hub.metrics.features import cosine_gap, unit_features
from anchor_hub.modality.pictures import to_unit
from anchor_hub.networks.biggan_discriminators import ProjectionDiscriminator

#: Larger pictures are averaged down to this side first, as the published projections do.
MAX_SIDE = 256
NONE = "none"


class PerceptualNetwork(ABC):
    """Distances between pictures ``[B, 3, H, W]`` in [-1, 1], differentiable in the first."""

    #: Recorded beside results.
    name: str = ""
    #: SHA-256 of the weights.
    sha256: str = ""
    #: How many maps there are.
    count: int = 1

    @abstractmethod
    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps ``[B, C, h, w]`` of pictures of at most :data:`MAX_SIDE` px."""

    def layer_distance(self, number: int, difference: Tensor) -> Tensor:
        """The part ``[B]`` of map ``number`` in the distance, of the difference of unit features ``[B, C, h, w]``.

        By default 1 minus the features' cosine, averaged over places and maps: between 0 and 1 in practice, as LPIPS.
        """
        return cosine_gap(difference, self.count)

    def describe(self, images: Tensor) -> list[Tensor]:
        """Features of unit length at every place, one map per layer; computed once for a target."""
        side = images.shape[-1]
        images = F.avg_pool2d(images, side // MAX_SIDE) if side > MAX_SIDE else images
        return [unit_features(found) for found in self.maps(images)]

    def distance(self, images: Tensor, target: list[Tensor]) -> Tensor:
        """``[B]``, 0 for the target itself, to what :meth:`describe` gave for the target."""
        total = images.new_zeros(len(images))
        for number, (one, other) in enumerate(zip(self.describe(images), target, strict=True)):
            total = total + self.layer_distance(number, one - other).to(total)
        return total

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """``[B]``, float64 on the CPU: distances of 8-bit pictures, uint8 ``[B, 3, H, W]``, at their own size.

        The distance of UI2I's equation 1, for `anchor evaluate distance` and early stop alike.
        """
        one, other = (to_unit(part) for part in (first, second))
        return self.distance(one, self.describe(other)).cpu().double()

    def record(self) -> dict[str, Any]:
        """Plain values for files: the name and the SHA-256 of the weights."""
        return {"perceptual": self.name, **({"perceptual_sha256": self.sha256} if self.sha256 else {})}


class LPIPS(PerceptualNetwork):
    """LPIPS 0.1 with its trained linear layers (Zhang et al. 2018), the target's features computed once.

    :raises DataError: the trunk's file is missing or another one, lpips cannot be imported, or the pictures are small.
    """

    def __init__(self, net: str, hub: Hub) -> None:
        if hub.size < perceptual.MIN_SIDE:
            raise DataError(f"LPIPS needs pictures of {perceptual.MIN_SIDE} px, the hub's have {hub.size}")
        metric = perceptual.Perceptual(net, device=hub.device)
        self.name, self.sha256, self.model = f"lpips-{net}", metric.sha256, metric.model

    def maps(self, images: Tensor) -> list[Tensor]:
        return list(self.model.net(self.model.scaling_layer(images.float())))

    def layer_distance(self, number: int, difference: Tensor) -> Tensor:
        return self.model.lins[number](difference.square()).mean((1, 2, 3))


class EfficientNetDistance(PerceptualNetwork):
    """The four maps of EfficientNet-Lite0. :raises DataError: its weights are not on this machine."""

    name = "efficientnet-lite0"

    def __init__(self, device: torch.device | str) -> None:
        self.network = efficientnet.load_efficientnet(device=device)
        self.sha256, self.count = efficientnet.SHA256, len(self.network.channels)

    def maps(self, images: Tensor) -> list[Tensor]:
        return self.network.features(images.float())


class DiscriminatorDistance(PerceptualNetwork):
    """The maps of the discriminator that the hub's bundle keeps. :raises MissingPartError: it keeps none of this kind.
    """

    name = "discriminator"

    def __init__(self, hub: Hub) -> None:
        network: Any = hub.base.discriminator()
        blocks = getattr(network, "blocks", None)
        if isinstance(blocks, nn.ModuleDict) and hasattr(network, "from_rgb"):
            self.stem, self.blocks = network.from_rgb, list(blocks.values())
        elif isinstance(network, ProjectionDiscriminator):
            self.stem, self.blocks = getattr(network, "stem", nn.Identity()), _attended(network)
        else:
            raise MissingPartError(f"hub {hub.name!r}: its discriminator gives no maps; take --perceptual none")
        self.network, self.count = network.eval().requires_grad_(False), len(self.blocks)

    def maps(self, images: Tensor) -> list[Tensor]:
        found, x = [], self.stem(images)
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found


def _attended(network: ProjectionDiscriminator) -> list[nn.Module]:
    """The blocks of a class-conditional discriminator, each with the attention that follows it; no class is needed."""
    attentions: Any = network.attentions
    return [
        nn.Sequential(block, attentions[str(number)]) if str(number) in attentions else block
        for number, block in enumerate(network.blocks, start=1)
    ]


def _lpips(net: str) -> Callable[[Hub], PerceptualNetwork]:
    return lambda hub: LPIPS(net, hub)


#: Name -> what makes the network for a hub, in the order of ``auto``.
NETWORKS: dict[str, Callable[[Hub], PerceptualNetwork]] = {
    "lpips-vgg": _lpips("vgg"),
    "lpips-alex": _lpips("alex"),
    "lpips-squeeze": _lpips("squeeze"),
    EfficientNetDistance.name: lambda hub: EfficientNetDistance(hub.device),
    DiscriminatorDistance.name: DiscriminatorDistance,
}


def perceptual_network(name: str = "auto", *, hub: Hub) -> PerceptualNetwork | None:
    """The network of that name on the hub's device; ``none`` gives None; ``auto`` the first that this machine has.

    :raises UsageError: no network has that name.
    :raises DataError, MissingPartError: the network asked for is not on this machine; the message says what is missing.
    """
    if name == NONE:
        return None
    if name in NETWORKS:
        return NETWORKS[name](hub)
    if name != "auto":
        raise UsageError(f"no perceptual network is named {name!r}.{did_you_mean(name, ['auto', *NETWORKS, NONE])}")
    for known, build in NETWORKS.items():
        if known.startswith("lpips-") and not _has_trunk(known.removeprefix("lpips-")):
            continue
        if known == EfficientNetDistance.name and efficientnet.find_efficientnet() is None:
            continue
        try:
            return build(hub)
        except AnchorError:
            continue
    return None


def _has_trunk(net: str) -> bool:
    """Whether torchvision's file is there; without it, lpips and torchvision need not be imported."""
    return (Path(torch.hub.get_dir()) / "checkpoints" / perceptual.TRUNK_FILES[net]).is_file()
